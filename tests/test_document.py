"""The language of inventory files: what is text, what is refused and where, and that nothing is ever raised."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from offhook import document as module
from offhook.document import Document, mark_of, parse
from offhook.problem import Mark, Problem

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def by_events(text: str) -> tuple[Document, list[Problem]]:
    """What the event reader gives, whether or not the fast one would take the text."""
    return module._Reader("f", text).read()


def value(text: str) -> dict[str, Any]:
    """The value of a text without problems, by the event reader; `parse` says the same."""
    document, problems = by_events(text)
    assert problems == []
    assert not document.broken
    assert parse("f", text.encode()) == (document, [])
    return document.value


def said(problems: list[Problem]) -> list[str]:
    assert all(problem.mark.file == "f" and problem.severity == "error" for problem in problems)
    return [f"{problem.mark.line}:{problem.mark.column} {problem.message} [{problem.id}]" for problem in problems]


# What is text


TRAPS = (
    "0101 08 0o17 0x1F 0b11 no off Yes y true 1 1.0 1e3 001e10203040 0021f2000001 10:21:12:33:44:55 5060 +8 -3 +1:30"
    " 2026-01-01 2026-01-01T10:00:00Z .inf .NaN Null NULL NaN = a=b 1_000 12:30 <<x a#b a:b https://x.example/y?z=1"
    " secret:berlin/alice tftp://127.0.0.1/ (x) a,b a[0] x{y} 100% 5\" it's Zoë 漢字 😀 x\xa0y -x ?x :x"
)


@pytest.mark.parametrize("text", TRAPS.split(" "))
def test_plain_scalars_are_the_text_that_is_written(text: str) -> None:
    assert value(f"a: {text}\nb:\n- {text}\n") == {"a": text, "b": [text]}
    assert value(f"{text}: 1\n") == {text: "1"}


@pytest.mark.parametrize("text", ["", "~", "null", " ", " # null"])
def test_nothing_is_none(text: str) -> None:
    assert value(f"a: {text}\nb: [x]\n") == {"a": None, "b": ["x"]}
    assert value(f"a:\n- {text}\n") == {"a": [None]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'null': '~'\n\"\": \"\"\n", {"null": "~", "": ""}),
        ("null: null\n~: ~\n", {"null": None, "~": None}),
        ('a: "5060"\nb: "tab \\x41 \\u00e9 \\U0001F600 \\\\ \\""\n', {"a": "5060", "b": 'tab A é 😀 \\ "'}),
        ("a: 'it''s'\n", {"a": "it's"}),
        ("a: one\n  two\n\nb: 'one\n  two'\nc: >-\n  one\n  two\n", dict.fromkeys("abc", "one two")),
        ("a: |-\n  one\n", {"a": "one"}),
        ("{a: {b: c, d: }, e: [f, {g: h}, []]}\n", {"a": {"b": "c", "d": None}, "e": ["f", {"g": "h"}, []]}),
        ("a:\n- b: c\n  d:\n    - - e\n      - f\n- \n", {"a": [{"b": "c", "d": [["e", "f"]]}, None]}),
        ("? a\n: b\n? c\n", {"a": "b", "c": None}),
        ("a: [b: c]\n", {"a": [{"b": "c"}]}),
        ("'<<': 1\n", {"<<": "1"}),
        ("# c\n---\na: b # c\n...\n", {"a": "b"}),
        ("a:\tb\t# c\n", {"a": "b"}),
        ("a: b\r\nc:\r\n  - d\r\n", {"a": "b", "c": ["d"]}),
        ("a: b", {"a": "b"}),
        ("  a: b\n  c: d\n", {"a": "b", "c": "d"}),
        ("", {}),
        ("\n# only a comment", {}),
        ("---\n", {}),
        ("{}", {}),
    ],
)
def test_styles(text: str, expected: dict[str, Any]) -> None:
    assert value(text) == expected
    assert list(value(text)) == list(expected)


def test_a_byte_order_mark_is_passed_over() -> None:
    document, problems = parse("f", b"\xef\xbb\xbfa: b\n")
    assert (document.value, problems, mark_of(document, ["a"])) == ({"a": "b"}, [], Mark("f", 1, 4))


def test_types_are_exact() -> None:
    text = "a: [b]\nc: {d: e}\n"
    for document in (parse("f", text.encode())[0], by_events(text)[0]):
        found = [type(inner) for _, inner in paths(document.value)] + [type(key) for key in document.value]
        assert found == [dict, list, str, dict, str, str, str]


# What is refused


ANCHOR = "anchors are not read [yaml-anchor]"
ALIAS = "aliases are not read [yaml-anchor]"
TAG = "tags are not read: the schema knows what is a number or a text [yaml-tag]"
MERGE = "merge keys are not read [yaml-merge]"
CONTROL = "a line break or control character in a text [control-character]"
FORBIDDEN = "a control character is not allowed in YAML [control-character]"
EDGE = "a text begins or ends with a blank [edge-blank]"
DIRECTIVE = "directives are not read [yaml-syntax]"
KEY = "a key is a text, not a mapping or a list [yaml-key]"

REFUSALS: list[tuple[str, dict[str, Any], list[str]]] = [
    # text, what is kept, what is said
    ("a: &x 1\nb: {c: &y [d]}\n", {"a": "1", "b": {"c": ["d"]}}, [f"1:4 {ANCHOR}", f"2:8 {ANCHOR}"]),
    ("&k a: 1\n", {"a": "1"}, [f"1:1 {ANCHOR}"]),
    ("a: {b: *x}\nc: 1\nd: [*x]\n", {"a": {"b": None}, "c": "1", "d": [None]}, [f"1:8 {ALIAS}", f"3:5 {ALIAS}"]),
    ("a: *68\n", {"a": None}, [f"1:4 {ALIAS}"]),
    ("a:\n  <<: *x\n  b: 1\n", {"a": {"<<": None, "b": "1"}}, [f"2:3 {MERGE}", f"2:7 {ALIAS}"]),
    ("'<<': 1\na: {<<: !t 1}\n", {"<<": "1", "a": {"<<": "1"}}, [f"2:5 {MERGE}", f"2:9 {TAG}"]),
    ("a: !!str 1\nb: !x {}\nc: ! d\n!t e: f\n", {"a": "1", "b": {}, "c": "d", "e": "f"},
     [f"1:4 {TAG}", f"2:4 {TAG}", f"3:4 {TAG}", f"4:1 {TAG}"]),
    ("a: &b !c d\n", {"a": "d"}, [f"1:4 {ANCHOR}", f"1:4 {TAG}"]),
    ("a: 1\nb: 2\na: 3\n", {"a": "1", "b": "2"}, ['3:1 key "a" stands twice: first at line 1 [duplicate-key]']),
    ("a: {b: 1}\nc: 2\na: {b: [&x 2], b: 3}\nd: 4\na: 1\n", {"a": {"b": "1"}, "c": "2", "d": "4"}, [
        '3:1 key "a" stands twice: first at line 1 [duplicate-key]', f"3:9 {ANCHOR}",
        '3:16 key "b" stands twice: first at line 3 [duplicate-key]',
        '5:1 key "a" stands twice: first at line 1 [duplicate-key]']),
    ("a:\n  - b: 1\n    'b': 2\n  - b: 1\n", {"a": [{"b": "1"}, {"b": "1"}]},
     ['3:5 key "b" stands twice: first at line 2 [duplicate-key]']),
    ("{a: 1, a: 2}", {"a": "1"}, ['1:8 key "a" stands twice: first at line 1 [duplicate-key]']),
    (f"{'k' * 80}: 1\n{'k' * 80}: 2\n", {"k" * 80: "1"},
     [f'2:1 key "{"k" * 60}" stands twice: first at line 1 [duplicate-key]']),
    ("\u202ea\xad: 1\n\u202ea\xad: 2\n", {"\u202ea\xad": "1"},
     ['2:1 key "?a?" stands twice: first at line 1 [duplicate-key]']),
    ("a: &x 1\n---\nb: 1\n", {},
     [f"1:4 {ANCHOR}", "2:1 a second document begins: one file holds one [yaml-documents]"]),
    ("a: &x 1\n? [b]\n: 1\n", {}, [f"1:4 {ANCHOR}", f"2:3 {KEY}"]),
    ("a:\n  label: {{ phone.mac }}\n", {}, [f"2:11 {KEY}"]),
    ("{*x : 1}", {}, [f"1:2 {ALIAS}", "1:2 a key is a text, not an alias [yaml-key]"]),
    ("# c\n- a\n", {}, ["2:1 expected a mapping from id to entity, found a list [not-a-mapping]"]),
    ("only a text\n", {}, ["1:1 expected a mapping from id to entity, found a text [not-a-mapping]"]),
    ("a: &x 1\n" + "".join(" " * n + "k:\n" for n in range(40)), {},
     [f"1:4 {ANCHOR}", "34:33 nested more than 32 deep [yaml-too-deep]"]),
    ("a: " + "[" * 32 + "]" * 32, {}, ["1:35 nested more than 32 deep [yaml-too-deep]"]),
    ('a: "b\\nc"\nd: |\n  e\nf: "g\\x07"\n"h\\ti": j\nk: one\n\n  two\nl: m\tn\n',
     {"a": "b\nc", "d": "e\n", "f": "g\a", "h\ti": "j", "k": "one\ntwo", "l": "m\tn"},
     [f"{place} {CONTROL}" for place in ("1:4", "2:4", "4:4", "5:1", "6:4", "9:4")]),
    ('a: "\\u2028"\nb: ["\\u2029", "\\uFEFF"]\nc: {"\\x85": "\\0"}\n',
     {"a": "\u2028", "b": ["\u2029", "\ufeff"], "c": {"\x85": "\0"}},
     [f"{place} {CONTROL}" for place in ("1:4", "2:5", "2:15", "3:5", "3:13")]),
    ("a: \" b\"\n'c ': d\ne: f\xa0\n", {"a": " b", "c ": "d", "e": "f\xa0"},
     [f"{place} {EDGE}" for place in ("1:4", "2:1", "3:4")]),
    ("ä: b\x07\n", {}, [f"1:5 {FORBIDDEN}"]),
    ("a: b\n  \x00c\n", {}, [f"2:3 {FORBIDDEN}"]),
    ("a: b # 😀\x85c: d\u2028\u2029", {},
     [f"1:{column} a hidden line break: U+{code} [control-character]"
      for column, code in ((9, "0085"), (14, "2028"), (15, "2029"))]),
    ("a: b\rc: d\r\n", {}, ["1:5 a hidden line break: U+000D [control-character]"]),
    ("%YAML 1.1\n---\na: 1\n", {}, [f"1:1 {DIRECTIVE}"]),
    ("# c\n%TAG ! x\n---\na: 1\n", {}, [f"2:1 {DIRECTIVE}"]),
    ("a: Phone #3 # x\nb: {c: d #e\n  }\nf: g # h\n", {"a": "Phone", "b": {"c": "d"}, "f": "g"},
     [f"{place} what follows # is a comment to YAML, and is cut off [tight-comment]" for place in ("1:10", "2:10")]),
    # syntax: what stands before it is reported too
    ("a: &x 1\nb: @c\n", {}, [f"1:4 {ANCHOR}",
     "2:4 while scanning for the next token: found character that cannot start any token [yaml-syntax]"]),
    ("a:\n\tb: 1\n", {},
     ["2:1 while scanning for the next token: found character that cannot start any token [yaml-syntax]"]),
    ("a: b: c\n", {}, ["1:5 mapping values are not allowed in this context [yaml-syntax]"]),
    ("ä: 'b\nc: d\n", {}, ["1:4 while scanning a quoted scalar: found unexpected end of stream [yaml-syntax]"]),
    ('a: "b\n---\n', {}, ["1:4 while scanning a quoted scalar: found unexpected document indicator [yaml-syntax]"]),
    ("a: 1\nb\nc: 1\n", {}, ["2:1 while scanning a simple key: could not find expected ':' [yaml-syntax]"]),
    ("a: [b, c\nd: e\n", {}, ["2:2 while parsing a flow sequence: expected ',' or ']' [yaml-syntax]"]),
    ("a:\n  b: 1\n c: 2\n", {}, ["3:2 while parsing a block mapping: expected key [yaml-syntax]"]),
    ('a: "\\q"\n', {}, ["1:5 while parsing a quoted scalar: found unknown escape character [yaml-syntax]"]),
    ('a: "b \\ud800"\n', {},
     ["1:9 while parsing a quoted scalar: found invalid Unicode character escape code [yaml-syntax]"]),
    ("a: 1\nb: !<%ed%a0%80> x\n", {}, ["2:2 an escape that stands for no letter follows [yaml-syntax]"]),
]  # fmt: skip
BREAKING = {"yaml-syntax", "yaml-documents", "yaml-key", "yaml-too-deep", "not-a-mapping"}


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="the words of syntax problems are libyaml's")
@pytest.mark.parametrize(("text", "kept", "expected"), REFUSALS, ids=[repr(one[0])[:40] for one in REFUSALS])
def test_what_is_refused(text: str, kept: dict[str, Any], expected: list[str]) -> None:
    document, problems = parse("f", text.encode())
    assert said(problems) == expected
    assert document.value == kept
    assert document.broken is (
        FORBIDDEN in expected[0] or "hidden" in expected[0] or bool(BREAKING & {problem.id for problem in problems})
    )
    check_marks(document)
    assert (document, problems) == parse("f", text.encode())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: 1\n\xc3\xa9: b\xff\n", "2:5 the file is not UTF-8 [not-utf8]"),
        (b"\xed\xa0\x80", "1:1 the file is not UTF-8 [not-utf8]"),
        ("a: 1\n".encode("utf-16"), "1:1 the file is not UTF-8 [not-utf8]"),
        (b"#" * ((32 << 20) + 1), "1:1 the file is larger than 32 MiB [file-too-big]"),
        (b"a: 1\nb: " + b"c" * (1 << 20), "2:1 the line is longer than 1,048,573 letters [file-too-big]"),
    ],
    ids=["byte", "surrogate", "utf-16", "file", "line"],
)
def test_bytes_that_are_no_text_of_a_bearable_size(content: bytes, expected: str) -> None:
    document, problems = parse("f", content)
    assert said(problems) == [expected]
    assert (document.value, len(document.marks), len(document.starts), document.broken) == ({}, 0, 0, True)


def test_the_longest_line_keeps_its_columns() -> None:
    start = "a: [" + "bc, " * ((module.MAX_LINE - 8) // 4)
    document, problems = parse("f", f"x: y\n{start}d]\n".encode())
    assert problems == []
    assert mark_of(document, ["a", len(document.value["a"]) - 1]) == Mark("f", 2, len(start) + 1)


def test_a_thousand_problems_are_enough() -> None:
    document, problems = parse("f", b"".join(b"k%d: &a 1\n" % number for number in range(2000)))
    assert len(problems) == 1001
    assert said(problems)[-2:] == [
        f"1000:7 {ANCHOR}",
        "1000:7 1,000 problems: the rest of the file is not read [yaml-syntax]",
    ]
    assert (document.value, document.broken) == ({}, True)


SECRETS = st.sampled_from([
    "s3cr3t", '"s3cr3t', "s3cr3t: x", "*s3cr3t", "&x s3cr3t", "!s3cr3t", "@s3cr3t", "|s3cr3t", "{s3cr3t", "- s3cr3t",
    "[s3cr3t, &", '"\\s3cr3t"', '"s3cr3t\\n"', "|\n  s3cr3t\n", "{{ s3cr3t }}", "'s3cr3t'x", "\ts3cr3t", "s3cr3t\t",
])  # fmt: skip


@given(st.lists(SECRETS, min_size=1, max_size=4))
@FEW
def test_no_message_holds_a_value(values: list[str]) -> None:
    _, problems = parse("f", "".join(f"k{number}: {one}\n" for number, one in enumerate(values)).encode())
    assert not [problem for problem in problems if "s3cr3t" in problem.message + problem.hint + problem.path]


# Where things stand


def paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every path of a value in the order of the file, with what is there."""
    yield path, value
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, inner in parts:
        yield from paths(inner, (*path, part))


def check_marks(document: Document) -> None:
    """There is one mark a node, and starts has those of the top-level keys."""
    if document.value:
        keys = sum(len(inner) for _, inner in paths(document.value) if isinstance(inner, dict))
        assert len(document.marks) == keys + len(list(paths(document.value)))
        tops = [mark_of(document, [key], key=True) for key in document.value]
        starts = [document.marks[start] for start in document.starts]
        assert starts == [(mark.line << 20) + mark.column for mark in tops]


MARKED = """\
# phones
0021f2000001:
  label: Zoë 😀 # c
  keys:
    3: {blf: "bö", x: [a, {b: c}]}
    4:
  list:
  - a
  -   b: {}
      c:
b: ~
"""
PHONE = "0021f2000001"


@pytest.mark.parametrize(
    ("path", "key", "place"),
    [
        ((), False, "2:1"),
        ((), True, "2:1"),
        ((PHONE,), True, "2:1"),
        ((PHONE,), False, "3:3"),
        ((PHONE, "label"), True, "3:3"),
        ((PHONE, "label"), False, "3:10"),
        ((PHONE, "keys"), False, "5:5"),
        ((PHONE, "keys", "3"), False, "5:8"),
        ((PHONE, "keys", "3", "blf"), True, "5:9"),
        ((PHONE, "keys", "3", "blf"), False, "5:14"),
        ((PHONE, "keys", "3", "x"), True, "5:20"),
        ((PHONE, "keys", "3", "x"), False, "5:23"),
        ((PHONE, "keys", "3", "x", 0), False, "5:24"),
        ((PHONE, "keys", "3", "x", 1), True, "5:27"),
        ((PHONE, "keys", "3", "x", 1, "b"), False, "5:31"),
        ((PHONE, "keys", "4"), True, "6:5"),
        ((PHONE, "keys", "4"), False, "6:7"),
        ((PHONE, "list"), False, "8:3"),
        ((PHONE, "list", 0), False, "8:5"),
        ((PHONE, "list", 1), False, "9:7"),
        ((PHONE, "list", 1, "b"), False, "9:10"),
        ((PHONE, "list", 1, "c"), True, "10:7"),
        (("b",), True, "11:1"),
        (("b",), False, "11:4"),
        # what does not exist is where its parent is
        (("c",), True, "2:1"),
        ((PHONE, "modle"), True, "3:3"),
        ((PHONE, "keys", "9", "blf"), False, "5:5"),
        ((PHONE, "label", "x", "y"), True, "3:10"),
        ((PHONE, "list", 2), False, "8:3"),
        ((PHONE, "list", -1), False, "8:3"),
        ((PHONE, "list", "a"), True, "8:3"),
        ((0,), False, "2:1"),
    ],
)
def test_marks(path: tuple[str | int, ...], key: bool, place: str) -> None:
    document, problems = by_events(MARKED)
    assert problems == []
    assert str(mark_of(document, path, key=key)) == f"f:{place}"


def test_nothing_known_is_the_beginning() -> None:
    for content in (b"", b"- a\n", b"a: [\n"):
        assert mark_of(parse("f", content)[0], ["a"], key=True) == Mark("f", 1, 1)


def test_marks_in_large_collections_are_found_at_once() -> None:
    text = "a:\n" + "".join(f"  k{number}:\n  - {number}\n" for number in range(5000))
    text += "".join(f"b{number}: {{c: d}}\n" for number in range(5000))
    text += f"l: [{', '.join('m' * 5000)}]\n"
    document, _ = parse("f", text.encode())
    start = time.process_time()
    for number in range(5000):
        assert mark_of(document, ["a", f"k{number}"], key=True) == Mark("f", 2 + 2 * number, 3)
        assert mark_of(document, ["a", f"k{number}", 0]) == Mark("f", 3 + 2 * number, 5)
        assert mark_of(document, [f"b{number}", "c"]) == Mark("f", 10002 + number, len(f"b{number}: {{c: ") + 1)
        assert mark_of(document, ["l", number]) == Mark("f", 15002, 5 + 3 * number)
    assert time.process_time() - start < 5
    assert mark_of(document, ["a", "x"]) == Mark("f", 2, 3)
    assert mark_of(document, ["x"]) == Mark("f", 1, 1)


TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\ufeff\ufffe\uffff"),
    max_size=12,
).map(str.strip) | st.sampled_from(
    ["0101", "no", "~", "null", "a: b", "# c", "- a", "'", '"', "a  b", "*68", "{{ x }}", "<<", "---", ""]
)
VALUES = st.recursive(
    st.none() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@st.composite
def yaml_texts(draw: st.DrawFn) -> tuple[dict[str, Any], str]:
    """A value, and a text that says it in some style."""
    value = draw(st.dictionaries(TEXTS, VALUES, max_size=5))
    if draw(st.integers(0, 4)) == 0:
        return value, json.dumps(value, indent=draw(st.sampled_from([None, 1, 2])), ensure_ascii=False)
    style: dict[str, Any] = {
        "default_flow_style": draw(st.sampled_from([None, True, False])),
        "allow_unicode": draw(st.booleans()),
        "indent": draw(st.integers(2, 5)),
        "width": draw(st.sampled_from([20, 10_000])),
        "explicit_start": draw(st.booleans()),
        "line_break": draw(st.sampled_from(["\n", "\r\n"])),
    }
    return value, yaml.safe_dump(value, sort_keys=False, **style)


def composed(
    node: yaml.Node, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], bool, yaml.Node]]:
    """(path, whether it is a key's, node) for every node that PyYAML composes."""
    yield path, False, node
    if isinstance(node, yaml.MappingNode):
        for key, inner in node.value:
            yield (*path, key.value), True, key
            yield from composed(inner, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for number, inner in enumerate(node.value):
            yield from composed(inner, (*path, number))


@given(yaml_texts())
@FEW
def test_a_value_comes_back_and_every_mark_points_to_its_text(made: tuple[dict[str, Any], str]) -> None:
    expected, text = made
    # PyYAML may break a line before an escaped blank so that its own loader reads a backslash more
    assume(yaml.load(text, yaml.CBaseLoader) == expected)
    document, problems = parse("f", text.encode())
    assert problems == []
    assert document.value == expected
    assert [path for path, _ in paths(document.value)] == [path for path, _ in paths(expected)]
    check_marks(document)
    lines = text.split("\n")
    for path, is_key, node in composed(yaml.compose(text, Loader=yaml.SafeLoader)) if expected else ():
        mark = mark_of(document, path, key=is_key)
        assert (mark.line, mark.column) == (node.start_mark.line + 1, node.start_mark.column + 1)
        if isinstance(node, yaml.ScalarNode) and node.style is None:
            assert lines[mark.line - 1][mark.column - 1 :].startswith(node.value.split(" ")[0])


@given(yaml_texts())
@FEW
def test_without_libyaml_and_on_a_second_reading_it_is_the_same(made: tuple[dict[str, Any], str]) -> None:
    first = by_events(made[1])
    assert by_events(made[1]) == first
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(yaml, "CSafeLoader", raising=False)
        assert by_events(made[1]) == first


# What is hostile


SCRAPS = st.sampled_from([
    *"abc:{}[]-,\"'\n &*!|>#%@`?~\\\t\r\0\x85\u2028\ufeffé😀",
    ": ", "- ", "\n  ", "---\n", "<<: ", "a: b\n", '"\\ud800"', '"\\U00110000"', "? ", "!<%ed%a0%80> ",
])  # fmt: skip


@given(st.lists(SCRAPS, max_size=40).map("".join).map(str.encode) | st.binary(max_size=60))
@settings(FEW, max_examples=300)
def test_whatever_the_bytes_are_only_problems_come_out(content: bytes) -> None:
    for loader in ("CSafeLoader", None):
        with pytest.MonkeyPatch.context() as patch:
            if loader is None:
                patch.delattr(yaml, "CSafeLoader", raising=False)
            document, problems = parse("f", content)
        assert type(document.value) is dict
        assert problems or not document.broken
        assert all(problem.message and problem.message.isprintable() for problem in problems)
        check_marks(document)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: " + b"[" * 1_000_000, "yaml-too-deep"),
        (b"a: " + b"{" * 500, "yaml-key"),
        (b"a: " + b"[{" * 500_000, "yaml-too-deep"),
        (b"a:\n" + b"- " * 500_000, "yaml-too-deep"),
        (b"? " * 500_000, "yaml-key"),
        (b"a: &a [x, x]\n" + b"".join(b"k%d: &a [%s]\n" % (n, b"*a, " * 9) for n in range(999)), "yaml-anchor"),
        (b"".join(b"%%TAG !%d! x\n" % n for n in range(200_000)), "yaml-syntax"),
        (b"a: 1\n...\n" + b"".join(b"%%TAG !%d! x\n" % n for n in range(200_000)), "yaml-syntax"),
        (b"".join(b"k%d: {a: 1, a: 2}\n" % (n // 2) for n in range(50_000)), "duplicate-key"),
        (b"".join(b"k%d: 1\n" % (n // 2) for n in range(200_000)), "duplicate-key"),
        (b"\0" * 1_000_000, "control-character"),
        (b"- *a\n" * 200_000, "yaml-anchor"),
        (b"k" * 1_000_000 + b": 1\n", "yaml-syntax"),
        (b"a: '" + b"x\n" * 500_000, "yaml-syntax"),
        (b"a: b" + b" " * 1_000_000 + b"\x01", "control-character"),
        (b"a: [" + b"'b'" * 300_000, "yaml-syntax"),
        (b"a: 1\r" * 100_000, "control-character"),
    ],
    ids=[
        "[",
        "{",
        "[{",
        "-",
        "?",
        "laughs",
        "%",
        "later-%",
        "nested",
        "twice",
        "nul",
        "*",
        "key",
        "quote",
        "blank",
        "''",
        "cr",
    ],
)
def test_a_hostile_file_takes_no_time_to_speak_of(content: bytes, expected: str) -> None:
    start = time.process_time()
    _, problems = parse("f", content)
    assert time.process_time() - start < 5
    assert expected in {problem.id for problem in problems}
    assert len(problems) <= module.MAX_PROBLEMS + 1


@pytest.mark.parametrize("is_enabled", [True, False])
@pytest.mark.parametrize("content", [b"a: b\n", b"a: !x b\n", b"a: [\n", b"\xff"])
def test_the_garbage_collector_is_as_it_was(is_enabled: bool, content: bytes) -> None:
    was_enabled = gc.isenabled()
    try:
        (gc.enable if is_enabled else gc.disable)()
        parse("f", content)
        assert gc.isenabled() is is_enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()
