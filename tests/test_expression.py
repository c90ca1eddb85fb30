"""Expressions: what they may say, what they may see, and that they end at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.expression import FILTERS, MAX_LENGTH, ExpressionError, evaluate, is_expression, read_expression

CONTEXT: dict[str, Any] = {
    "phone": {"mac": "0021f2000001", "model": "FIP14G", "label": "Front desk", "vars": {"floor": "3"}},
    "site": {"id": "berlin", "vars": {"door": "2001"}},
    "fleet": {"vars": {"park": "*68"}},
    "accounts": ({"id": "alice", "extension": "0101", "display_name": "Alice Krüger"},),
}


def value(text: str) -> str:
    return evaluate(read_expression(text), CONTEXT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ fleet.vars.park }}", "*68"),
        ("{{ site.vars['door'] }}#", "2001#"),
        ("{{ accounts[0].extension }}", "0101"),
        ("{{ accounts[0].display_name | upper }}", "ALICE KRÜGER"),
        ("{{ 'day' if site.id == 'berlin' else 'night' }}", "day"),
        ("{{ phone.vars.floor ~ '-' ~ phone.mac }}", "3-0021f2000001"),
        ("{{ accounts | length }}", "1"),
        ("no expression", "no expression"),
    ],
)
def test_what_an_expression_says(text: str, expected: str) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{% for x in phone %}{% endfor %}", "only {{ }} is allowed: no statements and no comments"),
        ("{# quiet #}{{ site.id }}", "only {{ }} is allowed: no statements and no comments"),
        ("{{ range(10) }}", "a call is not allowed in an expression"),
        ("{{ 'a' * 1000000000 }}", "arithmetic is not allowed in an expression"),
        ("{{ 9 ** 9 ** 9 }}", "arithmetic is not allowed in an expression"),
        ("{{ [1, 2] }}", "a list is not allowed in an expression"),
        ("{{ self }}", 'there is no "self" here: phone, site, fleet, accounts are known'),
        ("{{ lipsum }}", 'there is no "lipsum" here: phone, site, fleet, accounts are known'),
        ("{{ now }}", 'there is no "now" here: phone, site, fleet, accounts are known'),
        ("{{ secrets.berlin }}", 'there is no "secrets" here: phone, site, fleet, accounts are known'),
        ("{{ phone.mac.__class__ }}", 'there is no "__class__" here'),
        ("{{ phone.items }}", 'there is no "items" here'),
        ("{{ site.vars.dor }}", 'there is no "dor" here'),
        ("{{ accounts[0].password }}", 'there is no "password" here'),
        ("{{ accounts[7].extension }}", 'there is no "7" here'),
        ("{{ phone.vars }}", "the result is a mapping, a text is wanted"),
        ("{{ accounts }}", "the result is a list, a text is wanted"),
        ("{{ phone.vars.floor is odd }}", "a test is not allowed in an expression"),
        ("{{ phone[site.id] }}", "an index is a constant"),
    ],
)
def test_what_an_expression_may_not(text: str, reason: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        value(text)
    assert str(raised.value) == reason


def test_the_filters_are_a_list_of_their_own() -> None:
    for name in ("random", "pprint", "attr", "map", "format", "replace", "center", "urlize", "tojson"):
        assert name not in FILTERS
        with pytest.raises(ExpressionError, match=f'the filter "{name}" is not allowed'):
            read_expression("{{ phone.mac | " + name + " }}")


def test_length_and_depth_are_bounded() -> None:
    with pytest.raises(ExpressionError, match="512 characters at most"):
        read_expression("{{ '" + "a" * MAX_LENGTH + "' }}")
    with pytest.raises(ExpressionError):
        value("{{ " + "(" * 240 + "1" + ")" * 230 + " }}")
    with pytest.raises(ExpressionError):
        value("{{ phone" + ".vars" * 90 + " }}")


@given(st.text(st.sampled_from("{}%#()[]|.~'\" abphonesitevars019*-+=<>_,:"), max_size=80))
def test_any_text_is_a_value_or_an_expression_error(text: str) -> None:
    try:
        made, reason = value(text), "none"
    except ExpressionError as error:
        made, reason = "", str(error)
    assert isinstance(made, str)
    assert reason
    assert "\n" not in reason
    assert is_expression(text) or made == text
