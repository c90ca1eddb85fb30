"""The vendor catalogue: complete, well annotated, the same in both spellings, and the same to every validator."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.flyingvoice.catalogue import (
    Parameter,
    canonical_value,
    check_value,
    find,
    find_model,
    group_order,
    key_word_of_type,
    key_words,
    models,
    nearest,
    parameters,
    spell,
)
from offhook.texts import text_fault

SCHEMA: dict[str, Any] = json.loads(files("offhook.schema").joinpath("flyingvoice/settings.schema.json").read_bytes())
ENTRIES = [
    body
    for part in ("$defs", "properties", "patternProperties")
    for body in SCHEMA[part].values()
    if "x-offhook" in body
]
EVERY = list(parameters().values())
ANNOTATIONS = {
    "guide",
    "static",
    "group",
    "reboot",
    "cutoff",
    "neutral",
    "index",
    "models",
    "source",
    "confidence",
}


def fill(template: str, *numbers: int) -> str:
    """A template with these indexes; the last one goes on where there are too few."""
    rest = [*numbers, *[numbers[-1]] * 3][::-1]
    return re.sub(r"\{\w\}", lambda _: str(rest.pop()), template)


def spellings(parameter: Parameter) -> list[tuple[str, str]]:
    """(dialect, template) of a parameter."""
    both = (("guide", parameter.guide), ("static", parameter.static))
    return [(dialect, template) for dialect, template in both if template]


# What was found in the vendor's guide and in public templates is here.


GUIDE = """
account.{n}.auth_name account.{n}.display_name account.{n}.enable account.{n}.label account.{n}.outbound_host
account.{n}.outbound_port account.{n}.password account.{n}.sip_server_host account.{n}.sip_server_port
account.{n}.user_name auto_provision.server.auth_method auto_provision.server.password auto_provision.server.url
auto_provision.server.username features.pound_key.mode lang.gui linekey.{n}.label linekey.{n}.line
linekey.{n}.pickup_value linekey.{n}.type linekey.{n}.value local_contact.data.url local_time.date_format
local_time.ntp_server1 local_time.ntp_server2 local_time.time_format local_time.time_zone wui.http_enable
wui.https_enable
"""
RENAMED = {
    "account.{n}.outbound_host": "account.{n}.outbound_proxy.1.address",
    "account.{n}.outbound_port": "account.{n}.outbound_proxy.1.port",
    "account.{n}.sip_server_host": "account.{n}.sip_server.1.address",
    "account.{n}.sip_server_port": "account.{n}.sip_server.1.port",
    "auto_provision.server.password": "static.auto_provision.server.password",
    "auto_provision.server.url": "static.auto_provision.server.url",
    "auto_provision.server.username": "static.auto_provision.server.username",
    "features.pound_key.mode": "features.key_as_send",
    "wui.http_enable": "static.wui.http_enable",
    "wui.https_enable": "static.wui.https_enable",
}


def test_every_parameter_that_the_guide_prints_is_known() -> None:
    printed = {one.guide for one in EVERY if one.guide and not one.candidate}
    assert sorted(printed) == GUIDE.split()
    assert {one.confidence for one in EVERY if one.guide in printed} == {"high"}


def test_every_parameter_of_the_public_templates_is_known() -> None:
    """696 names; the two slots of four of them are two parameters, for the guide has its own name for the first."""
    names = {one.static for one in EVERY if one.static}
    slots = re.compile(r"(\.sip_server|\.outbound_proxy)\.[12]\.(address|port)$")
    assert len(names) == 700
    assert len({slots.sub(r"\1.{m}.\2", name) for name in names}) == 696
    assert names >= {
        "account.{n}.100rel_enable",
        "account.{n}.sip_server.{m}.transport_type",
        "action_url.unregistered",
        "distinctive_ring_tones.alert_info.{n}.text",
        "programablekey.{n}.type",
        "remote_phonebook.data.{n}.url",
        "static.network.802_1x.mode",
        "static.zero_touch.wait_time",
        "voice_mail.number.{n}",
    }


def test_every_candidate_is_known_and_marked() -> None:
    candidates = [one for one in EVERY if one.candidate]
    assert len(candidates) == 63
    assert {one.candidate for one in candidates} == {frozenset({"guide"})}
    confirmed = [one.name for one in candidates if one.confidence != "candidate"]
    assert confirmed == ["account.{n}.outbound_proxy_enable"]
    assert {"account.{n}.transport", "syslog.server", "voice.ring_vol"} <= {one.name for one in candidates}


def test_what_two_dialects_spell_differently_is_one_parameter() -> None:
    found = {one.guide: one.static for one in EVERY if one.guide and one.static and one.guide != one.static}
    assert found == RENAMED
    same = [one for one in EVERY if one.guide and one.guide == one.static]
    assert len([one for one in same if not one.candidate]) == 18
    for guide, static in RENAMED.items():
        here, there = find(fill(guide, 7)), find(fill(static, 7))
        assert here is not None
        assert here == there
        assert here.name == fill(guide, 7)


def test_both_spellings_come_back() -> None:
    for parameter in EVERY:
        comes_back(parameter)


def comes_back(parameter: Parameter) -> None:
    number = 2 if "server_slot" in parameter.index else 3
    for dialect, template in spellings(parameter):
        spelled = fill(template, number)
        found = find(spelled)
        assert found is not None
        assert found.parameter is parameter
        assert found.name == fill(parameter.name, number)
        assert found.indexes == (number,) * len(parameter.index)
        assert spell(found.name, dialect) == spell(spelled, dialect) == spelled
    for dialect in {"guide", "static"} - {dialect for dialect, _ in spellings(parameter)}:
        assert spell(fill(parameter.name, number), dialect) is None


@pytest.mark.parametrize(
    ("spelled", "name", "indexes"),
    [
        ("account.1.sip_server.1.address", "account.1.sip_server_host", (1,)),
        ("account.12.sip_server.2.address", "account.12.sip_server.2.address", (12,)),
        ("account.1.sip_server.2.expires", "account.1.sip_server.2.expires", (1, 2)),
        ("account.1.codec.13.enable", "account.1.codec.13.enable", (1, 13)),
        ("account.1.codec.pcmu.enable", "account.1.codec.pcmu.enable", (1,)),
        ("expansion_module.2.key.40.type", "expansion_module.2.key.40.type", (2, 40)),
        ("static.wui.http_enable", "wui.http_enable", ()),
        ("voice_mail.number.4", "voice_mail.number.4", (4,)),
    ],
)
def test_names_are_found(spelled: str, name: str, indexes: tuple[int, ...]) -> None:
    found = find(spelled)
    assert found is not None
    assert (found.name, found.indexes) == (name, indexes)


@pytest.mark.parametrize(
    "spelled",
    [
        "",
        ".",
        "account",
        "account.0.label",
        "account.01.label",
        "account.٣.label",
        "account.².label",
        "account.1.label ",
        "account.1.label\n",
        "account.{n}.label",
        "account.#.label",
        "Account.1.label",
        "account.1.sip_server.3.address",
        "account.1.codec.14.enable",
        "distinctive_ring_tones.alert_info.11.text",
        "features.pound_key.mode\n",
        "multicast.listen_address.32.label",
        "programablekey.100.type",
        "remote_phonebook.data.6.url",
        "static.wifi.6.ssid",
        "account." + "1" * 5000 + ".label",
    ],
)
def test_names_that_nobody_catalogued_are_not_found(spelled: str) -> None:
    assert find(spelled) is None
    assert spell(spelled, "guide") is None


def names() -> st.SearchStrategy[str]:
    """Names of every shape with indexes in and out of range, some of them broken."""
    every = [template for one in EVERY for _, template in spellings(one)]
    numbers = st.sampled_from([1, 2, 3, 5, 6, 10, 11, 13, 14, 31, 32, 99, 100, 0, 1000])
    right = st.builds(fill, st.sampled_from(every), numbers, numbers)
    broken = st.builds(
        lambda name, at, insert: name[:at] + insert + name[at:],
        right,
        st.integers(0, 40),
        st.sampled_from(["\n", " ", ".", "0", "1", "x", "١", "é"]),
    )
    return right | broken | right.map(lambda name: name + "\n")


@given(name=names())
@settings(max_examples=300, deadline=None)
def test_what_is_found_is_what_the_schema_knows(name: str) -> None:
    keys = [key for key in SCHEMA["properties"] if key == name]
    keys += [key for key in SCHEMA["patternProperties"] if re.search(key.replace("$", r"\Z"), name)]
    assert len(keys) == (find(name) is not None)


# The schema file.


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["type"] == "object"
    assert SCHEMA["additionalProperties"] is False


def test_annotations_are_complete() -> None:
    for body in ENTRIES:
        is_annotated(body["x-offhook"])


def is_annotated(facts: dict[str, Any]) -> None:
    assert ANNOTATIONS <= set(facts) <= ANNOTATIONS | {"candidate", "note"}
    assert facts["guide"] or facts["static"]
    assert facts["group"] in group_order()
    assert facts["reboot"] in ("likely", "unknown")
    assert isinstance(facts["cutoff"], bool)
    assert facts["confidence"] in ("high", "medium", "low", "candidate")
    assert set(facts["source"].split(", ")) <= set(SCHEMA["x-offhook"]["sources"])
    assert len(facts["index"]) == (facts["guide"] or facts["static"]).count("{")
    chosen = facts["models"] or {"only": ["FIP10"]}
    assert set(chosen) in ({"only"}, {"except"})
    assert {name for listed in chosen.values() for name in listed} <= set(models())


def test_descriptions_say_what_editors_show() -> None:
    for parameter in EVERY:
        is_described(parameter)


def is_described(parameter: Parameter) -> None:
    text, schema = parameter.description, parameter.schema
    assert re.fullmatch(r"[A-Z0-9][ -~]{8,}\.", text)
    if "Yealink" in text:
        assert "nconfirmed" in text
    if parameter.candidate and parameter.confidence == "candidate":
        assert "Unconfirmed" in text
    if parameter.kind == "integer" and "enum" in schema:
        assert len(schema["enum"]) == len(schema["enumDescriptions"])
        for value, meaning in zip(schema["enum"], schema["enumDescriptions"], strict=True):
            assert f"{value}: {meaning}" in text


def test_values_that_the_catalogue_gives_are_right() -> None:
    for parameter in EVERY:
        for value in (parameter.default, parameter.neutral, *parameter.schema.get("examples", ())):
            if value is not None:
                assert check_value(fill(parameter.name, 1), value) is None, (parameter.name, value)


def test_every_value_is_bounded() -> None:
    for parameter in EVERY:
        schema = parameter.schema
        if parameter.kind == "integer":
            assert "enum" in schema or {"minimum", "maximum"} <= set(schema), parameter.name
        else:
            assert parameter.kind == "string"
            words = {"minLength", "maxLength", "pattern", "patternErrorMessage", "not"}
            assert "enum" in schema or words <= set(schema), parameter.name


def patterns(part: Any) -> list[str]:
    """Every regular expression below a part of the schema, but for those of `not`."""
    if isinstance(part, list):
        return [pattern for one in part for pattern in patterns(one)]
    if not isinstance(part, dict):
        return []
    own = [part["pattern"]] if isinstance(part.get("pattern"), str) else []
    return own + [pattern for word, one in part.items() if word != "not" for pattern in patterns(one)]


def test_patterns_mean_the_same_everywhere() -> None:
    """Anchored, without classes that depend on the alphabet, and every dot of a name escaped."""
    every = [*SCHEMA["patternProperties"], *patterns(SCHEMA)]
    for pattern in every:
        assert pattern.startswith("^")
        assert pattern.endswith("$")
        assert not re.search(r"\\[dDwWsSbBAZ]|\(\?", pattern)
    for pattern in SCHEMA["patternProperties"]:
        assert not re.search(r"(?<!\\)\.", pattern)


def test_only_passwords_and_keys_are_secret() -> None:
    assert sorted(one.name for one in EVERY if one.secret) == [
        "account.{n}.hoteling.password",
        "account.{n}.password",
        "account.{n}.xsi.password",
        "auto_provision.aes_key_16.com",
        "auto_provision.aes_key_16.mac",
        "auto_provision.server.password",
        "ldap.password",
        "remote_phonebook.data.{n}.password",
        "security.user_password",
        "static.managementserver.connection_request_password",
        "static.managementserver.password",
        "static.network.802_1x.md5_password",
        "static.security.user_password",
        "static.wifi.{n}.eap_password",
        "static.wifi.{n}.password",
    ]


@pytest.mark.parametrize(
    ("name", "group", "reboot", "cutoff", "default", "neutral"),
    [
        ("account.1.enable", "Account", "unknown", True, "0", "0"),
        ("account.1.sip_server_host", "Account", "unknown", True, None, None),
        ("account.1.sip_server_port", "Account", "unknown", True, "5060", None),
        ("account.1.label", "Account", "unknown", False, None, None),
        ("account.1.dnd.enable", "Account", "unknown", False, None, "0"),
        ("linekey.1.type", "Line keys", "unknown", False, None, "0"),
        ("programablekey.1.type", "Programmable keys", "unknown", False, None, "0"),
        ("auto_provision.server.url", "Provisioning", "unknown", True, None, None),
        ("static.auto_provision.pnp_enable", "Provisioning", "unknown", True, "1", None),
        ("static.firmware.url", "Firmware", "likely", True, None, None),
        ("static.network.vlan.internet_port_vid", "Network", "likely", True, None, None),
        ("static.network.qos.audiotos", "Network", "likely", False, None, None),
        ("static.wifi.1.ssid", "Wi-Fi", "unknown", True, None, None),
        ("wui.http_enable", "Web interface", "likely", True, None, None),
        ("features.pound_key.mode", "Dial plan", "unknown", False, "1", None),
        ("network.internet_port.type", "Network", "likely", True, None, None),
        ("call_waiting.enable", "Features", "unknown", False, None, None),
    ],
)
def test_what_a_change_means(
    name: str, group: str, reboot: str, cutoff: bool, default: str | None, neutral: str | None
) -> None:
    found = find(name)
    assert found is not None
    one = found.parameter
    assert (one.group, one.reboot, one.cutoff, one.default, one.neutral) == (group, reboot, cutoff, default, neutral)


@pytest.mark.parametrize(
    ("name", "only", "excepted"),
    [
        ("account.1.hoteling.enable", {"FIP15G"}, set()),
        ("static.auto_provision.custom.sync", {"FIP16", "FIP16PLUS"}, set()),
        ("static.network.mtu_value", None, {"FIP16", "FIP16PLUS"}),
        ("wui.http_enable", None, set()),
    ],
)
def test_models_have_parameters(name: str, only: set[str] | None, excepted: set[str]) -> None:
    found = find(name)
    assert found is not None
    assert (found.parameter.models_only, found.parameter.models_except) == (only, excepted)


def test_headings_are_in_the_order_of_a_cfg_file() -> None:
    order = group_order()
    assert len(set(order)) == len(order)
    assert tuple(dict.fromkeys(one.group for one in EVERY)) == order
    wanted = ("Provisioning", "Account", "Line keys", "Features", "Network", "Diagnostics")
    assert [group for group in order if group in wanted] == list(wanted)


# Values: the words of check_value, and what both validators say.


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("local_time.time_format", "1", None),
        ("local_time.time_format", "9", "9 is not one of 0 (12 hour), 1 (24 hour)"),
        ("local_time.time_format", "true", '"true" is not a whole number'),
        ("account.1.outbound_port", "5060", None),
        ("account.1.outbound_port", "70000", "70000 is more than 65535"),
        ("account.1.outbound_port", "-1", "-1 is less than 0"),
        ("account.1.outbound_port", "abc", '"abc" is not a whole number'),
        ("account.1.outbound_port", "0100", '"0100" is not a whole number: write 100'),
        ("account.1.outbound_port", "+5", '"+5" is not a whole number: write 5'),
        ("account.1.outbound_port", "5.0", '"5.0" is not a whole number'),
        ("account.1.outbound_port", "٣", '"٣" is not a whole number'),
        ("account.1.outbound_port", "9" * 5000, "a text of 5000 characters is not a whole number"),
        ("account.1.enable", "true", None),
        ("account.1.enable", "false", None),
        ("account.1.enable", "2", "2 is not one of 0 (off), 1 (on)"),
        ("account.1.enable", "no", '"no" is neither 0 (off) nor 1 (on): write 1 or 0'),
        ("account.1.enable", "on", '"on" is neither 0 (off) nor 1 (on): write 1 or 0'),
        ("account.1.enable", "True", '"True" is neither 0 (off) nor 1 (on): write 1 or 0'),
        ("voice.side_tone", "-48", None),
        ("voice.side_tone", "-0", '"-0" is not a whole number'),
        ("account.1.label", "Empfang ☎", None),
        ("account.1.label", "", "found nothing: a blank value means keep to the phone"),
        ("account.1.label", "Door ", "found a blank at its edge"),
        ("account.1.label", "Door\u00a0", "found a blank at its edge"),
        ("account.1.label", "a\nb", "found a line break or control character"),
        ("account.1.label", "\ud800", "found a line break or control character"),
        ("account.1.label", "x" * 512, "it is longer than 511 characters"),
        ("account.1.sip_server_host", "2001:db8::1", None),
        (
            "account.1.sip_server_host",
            "pbx:5060",
            '"pbx:5060" is no host name or IP address (a port has a parameter of its own)',
        ),
        (
            "static.auto_provision.server.url",
            "htp://a\u202eb",
            '"htp://a\\u202eb" is no address such as https://prov.example.com/x.xml '
            "(tftp, ftp, http or https; no blanks)",
        ),
        ("auto_provision.server.url", "https://prov.example.com/$(MA)?mac=$(MA)", None),
        ("account.1.xsi.server_type", "ftp", '"ftp" is not one of http, https'),
        ("sip.timer_t1", "0.5", None),
        ("sip.timer_t1", ".5", '".5" is no number such as 4 or 0.5'),
        ("static.network.internet_port.ip", "192.0.2.256", '"192.0.2.256" is no IPv4 address'),
        ("static.security.user_password", "admin", "the value is not of the form name:password"),
        ("auto_provision.aes_key_16.com", "0123456789", "it is shorter than 16 characters"),
    ],
)
def test_what_is_wrong_with_a_value(name: str, value: str, message: str | None) -> None:
    assert check_value(name, value) == message


@pytest.mark.parametrize("value", ["0", "+0", "-0", "+8", "-12", "+14", "+14:00", "+5:30", "-3:30", "-12:00"])
def test_utc_offsets(value: str) -> None:
    assert check_value("local_time.time_zone", value) is None


@pytest.mark.parametrize(
    "value", ["8", "+15", "-13", "+14:30", "-12:30", "+08", "+5:60", "+5:3", "UTC", "+1.5", "+1\n"]
)
def test_what_is_no_utc_offset(value: str) -> None:
    assert check_value("local_time.time_zone", value) is not None


def test_a_value_of_an_unknown_parameter_cannot_be_checked() -> None:
    with pytest.raises(KeyError):
        check_value("account.1.lable", "x")


@given(value=st.sampled_from(["hunter2", "hunter2\n", "x hunter2 ", "hunter2" * 100]), parameter=st.sampled_from(EVERY))
@settings(max_examples=200, deadline=None)
def test_a_secret_is_never_shown(value: str, parameter: Parameter) -> None:
    if parameter.secret:
        assert "hunter2" not in (check_value(fill(parameter.name, 1), value) or "")


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        ("account.1.enable", "true", "1"),
        ("static.wui.https_enable", "false", "0"),
        ("account.1.enable", "1", "1"),
        ("account.1.label", "true", "true"),
        ("local_time.time_format", "true", "true"),
        ("nobody.knows", "true", "true"),
    ],
)
def test_what_is_sent(name: str, value: str, sent: str) -> None:
    assert canonical_value(name, value) == sent


FAST = jsonschema_rs.Draft202012Validator(SCHEMA)
SLOW = jsonschema.Draft202012Validator(SCHEMA)


def typed(name: str, value: str) -> Any:
    """A setting as a validator is given it: on/off words and canonical whole numbers become numbers."""
    found = find(name)
    if found is None or found.parameter.kind != "integer":
        return value
    value = canonical_value(name, value)
    return int(value) if re.fullmatch("0|-?[1-9][0-9]{0,17}", value) else value


@cache
def kinds() -> dict[str, list[Parameter]]:
    """Parameters by what their schema says of values."""
    shown = ("description", "default", "examples", "enumDescriptions", "patternErrorMessage")
    sorts: dict[str, list[Parameter]] = {}
    for one in EVERY:
        rest = {word: part for word, part in one.schema.items() if word not in shown}
        sorts.setdefault(json.dumps(rest, sort_keys=True), []).append(one)
    return sorts


WORDS = """0 1 2 3 5 7 9 10 16 30 60 63 64 65 99 100 101 127 128 255 256 300 404 480 486 511 699 1023 1024 1500 1501
4094 4095 32000 65535 65536 84600 2147483647 2147483648 -1 -3 -48 -49 -63 -64 -300 -301 00 01 +1 -0 1.0 0.5 .5 1. 0.
true false True yes no on off null http https ftp PCMU iLBC English a * # ** *78 +4930 2001 a:b a: :b a:b:c
pbx.example.com pbx.example.com. 192.0.2.10 192.0.2.256 1.2.3 ::1 2001:db8::1 [::1] 1:2 224.5.6.20:10008 1.2.3.4:0
tftp://10.20.0.92/ https://a/ htp://a ftp:// file:///x sip:a@b +8 -12 +14 +14:00 +5:30 +15 (|(cn=%)(sn=%))
http://localhost/all secret:berlin/alice $(MA) {{x}} ٣ é 漢字 😀"""
EDGES = ["", " ", "a b", " a", "a ", "a\n", "\na", "1\n", "a\tb", "a\x7f", "a\x85", "\u00a0a", "a\u2028b", "\ufeffa"]
EDGES += ["a\u3000", "a\u200ab", "https://a/ b", "x" * 128, "x" * 129, "x" * 255, "x" * 256, "x" * 511, "x" * 512]


@pytest.mark.parametrize("value", [*WORDS.split(), *EDGES], ids=ascii)
def test_check_value_and_both_validators_agree(value: str) -> None:
    for sort in kinds().values():
        for parameter in sort:
            name = fill(parameter.name, 1)
            setting = {name: typed(name, value)}
            is_right = check_value(name, value) is None
            assert FAST.is_valid(setting) == is_right, (name, value)
        assert SLOW.is_valid(setting) == is_right, (name, value)


def texts() -> st.SearchStrategy[str]:
    """Values near every kind: numbers, words with odd edges, and anything at all."""
    odd = st.sampled_from(list(" \t\n\x0b\x1c\x7f\x85\u00a0\u1680\u2003\u2028\u202f\u205f\u3000\ufeff:/.*#+-[]=a1é😀"))
    from_kinds = [st.from_regex(json.loads(kind)["pattern"]) for kind in kinds() if "pattern" in json.loads(kind)]
    return st.one_of(
        st.integers(-400, 70000).map(str), st.text(odd, max_size=6), st.text(max_size=20), st.one_of(from_kinds)
    )


@given(parameter=st.sampled_from([sort[0] for sort in kinds().values()]), value=texts())
@settings(max_examples=500, deadline=None)
def test_any_value_is_the_same_to_all(parameter: Parameter, value: str) -> None:
    name = fill(parameter.name, 1)
    setting = {name: typed(name, value)}
    is_right = check_value(name, value) is None
    assert (FAST.is_valid(setting), SLOW.is_valid(setting)) == (is_right, is_right)
    if text_fault(value):
        assert not is_right


@given(
    mapping=st.dictionaries(
        names(), st.sampled_from([0, 1, 2, "", "1", "a", "a\n", None, True, 1.5, [], {}]), max_size=3
    )
)
@settings(max_examples=200, deadline=None)
def test_validators_agree_on_whole_settings(mapping: dict[str, Any]) -> None:
    assert FAST.is_valid(mapping) == SLOW.is_valid(mapping)


def test_validators_refuse_what_is_no_mapping() -> None:
    for value in (None, 1, "a", []):
        assert not FAST.is_valid(value)
        assert not SLOW.is_valid(value)


# Suggestions.


@pytest.mark.parametrize(
    ("spelled", "dialect", "first"),
    [
        ("account.2.lable", "guide", "account.2.label"),
        ("account.2.lable", "static", "account.2.label"),
        ("account.label", "guide", "account.1.label"),
        ("ACCOUNT.3.LABEL", "guide", "account.3.label"),
        ("account.1.sip_server.1.adress", "guide", "account.1.sip_server_host"),
        ("account.1.sip_server.1.adress", "static", "account.1.sip_server.1.address"),
        ("account.3.sip_server.2.adress", "static", "account.3.sip_server.2.address"),
        ("account.2.sip_sever_host", "static", "account.2.sip_server.1.address"),
        ("features.pound_keys.mode", "guide", "features.pound_key.mode"),
        ("features.pound_keys.mode", "static", "features.key_as_send"),
        ("static.auto_provision.server.urll", "guide", "auto_provision.server.url"),
        ("programmablekey.7.type", "static", "programablekey.7.type"),
        ("remote_phonebook.data.9.url", "static", "remote_phonebook.data.1.url"),
        ("local_time.timezone", "guide", "local_time.time_zone"),
    ],
)
def test_the_nearest_name_comes_first(spelled: str, dialect: str, first: str) -> None:
    near = nearest(spelled, dialect)
    assert near[0] == first
    assert len(near) <= 3


@pytest.mark.parametrize("spelled", ["", "xyzzy", "a" * 100_000, "." * 127, "1.2.3.4", "{{ x }}"])
def test_nothing_is_near_nonsense(spelled: str) -> None:
    assert nearest(spelled, "guide") == nearest(spelled, "static") == ()


@given(name=names(), dialect=st.sampled_from(["guide", "static"]))
@settings(max_examples=50, deadline=None)
def test_suggestions_can_be_said(name: str, dialect: str) -> None:
    near = nearest(name, dialect)
    assert len(set(near)) == len(near) <= 3
    assert [spell(one, dialect) for one in near] == list(near)


# Models and keys.


def test_models() -> None:
    rows = {
        one.name: (one.accounts, one.accounts_certain, one.accounts_max, one.line_keys, one.firmware_min)
        for one in models().values()
    }
    assert rows == {
        "FIP10": (2, True, 2, 2, "V0.5.15"),
        "FIP11C": (3, True, 3, 6, "V0.5.15"),
        "FIP12WP": (2, True, 2, 2, None),
        "FIP13G": (4, True, 4, 9, "V0.5.15"),
        "FIP14G": (8, True, 8, 21, "V0.5.15"),
        "FIP15G": (10, False, 20, 74, "V0.5.15"),
        "FIP16": (2, True, 2, 0, "V0.5.15"),
        "FIP16PLUS": (2, True, 2, 0, None),
    }
    assert {one.name: one.user_agent for one in models().values()} == {name: f"Flyingvoice {name}" for name in rows}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("FIP14G", "FIP14G"),
        ("fip14g", "FIP14G"),
        ("FIP10P", "FIP10"),
        ("fip11cp", "FIP11C"),
        ("FIP15GPLUS", "FIP15G"),
        ("FIP16Plus", "FIP16PLUS"),
        ("FIP16", "FIP16"),
    ],
)
def test_models_are_found_by_any_name(text: str, name: str) -> None:
    assert find_model(text) is models()[name]


@pytest.mark.parametrize("text", ["", "FIP", "FIP99", " FIP14G", "FIP16PLUS2"])
def test_unknown_models_are_not_found(text: str) -> None:
    assert find_model(text) is None


DOCUMENTED = "none dnd pickup park dtmf speed-dial intercom line blf private-hold group-pickup paging"
FURTHER = """conference forward transfer hold redial voicemail public-hold record xml-browser history directory menu sms
status url-record ldap blf-list local-phonebook local-group account-up account-down paging-list"""


def test_key_words() -> None:
    words = key_words()
    assert [word for word, one in words.items() if one.documented] == DOCUMENTED.split()
    assert [word for word, one in words.items() if not one.documented] == FURTHER.split()
    assert [words[word].type for word in DOCUMENTED.split()] == [0, 5, 9, 10, 11, 13, 14, 15, 16, 20, 23, 24]
    further = [1, 2, 3, 4, 6, 12, 19, 25, 27, 28, 29, 30, 32, 33, 35, 38, 39, 43, 45, 48, 49, 66]
    assert [words[word].type for word in FURTHER.split()] == further
    for word, one in words.items():
        assert one.word == word
        assert one.value in {"account", "number", "code", "digits", "url", "text", "none"}
        assert bool(one.label) == (word != "none")
        assert one.description.endswith(".")


def test_key_words_are_those_of_the_inventory() -> None:
    profile = json.loads(files("offhook.schema").joinpath("profile.schema.json").read_bytes())
    words = profile["$defs"]["key"]["properties"].keys() - {"type", "label", "value"}
    assert words == key_words().keys()


def test_key_words_by_type() -> None:
    assert key_word_of_type(16) == key_words()["blf"]
    assert key_word_of_type(0) == key_words()["none"]
    assert key_word_of_type(77) is None
