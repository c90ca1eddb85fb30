"""The entity schemas and validation: what is typed, what is refused, in which words and at which mark."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook import type_plan
from offhook import validate as module
from offhook.document import Document, parse
from offhook.editor import editor_schema, write_editor_schemas
from offhook.mac import parse_mac
from offhook.schemas import KINDS, bundle, file_schema, types_of
from offhook.schemas import resolved as resolved_schema
from offhook.secrets.reference import secret_name
from offhook.validate import validate

SCHEMA = files("offhook.schema")


def document(text: str) -> Document:
    parsed, problems = parse("x.yaml", text.encode())
    assert problems == []
    return parsed


def with_value(value: Any) -> Document:
    """A document that holds a value as no file could: marks fall back to what is near."""
    return dataclasses.replace(document(""), value=value)


def found(kind: str, text: str) -> list[str]:
    _, problems = validate(kind, document(text))
    return [
        f"{p.mark.line}:{p.mark.column} {p.path}: {p.message} [{p.id}]" + (f" -> {p.hint}" if p.hint else "")
        for p in problems
    ]


# What is right, and how it is typed


def test_the_fleet_of_the_documentation() -> None:
    typed, problems = validate(
        "fleet",
        document("""
dialect: guide
sip: {server: pbx.example.com, port: 5060}
settings: {local_time.ntp_server1: 0.pool.ntp.org, features.pound_key.mode: 1}
retired: {features.old_thing: 0}
vars: {park: "*68"}
models: {FIP15G: {dialect: static, settings: {}}}
secrets: {provider: sops}
default_environment: production
environments:
  lab:
    url: tftp://10.20.0.92/
    publish: /srv/tftp
    phones: {sites: [lab], macs: [00:21:f2:00:00:01]}
    worktree: true
    accept: [plain-secret-transport]
  production:
    url: https://prov.example.com/9f2c/
    publish: s3://acme-phones/9f2c
    state: s3://acme-state/phones
    layout: flat
    pin: 0
    username: phones
    password: secret:provisioning/password
    notify: {via: "sip:pbx.example.com;transport=tcp", rate: 20/s}
limits: {changed: 30%, removed: 5}
checks: {plain-secret-transport: warning}
"""),
    )
    assert problems == []
    assert typed == {
        "fleet": {
            "dialect": "guide",
            "sip": {"server": "pbx.example.com", "port": 5060},
            "settings": {"local_time.ntp_server1": "0.pool.ntp.org", "features.pound_key.mode": "1"},
            "retired": {"features.old_thing": "0"},
            "vars": {"park": "*68"},
            "models": {"FIP15G": {"dialect": "static", "settings": {}}},
            "secrets": {"provider": "sops"},
            "default_environment": "production",
            "environments": {
                "lab": {
                    "url": "tftp://10.20.0.92/",
                    "publish": "/srv/tftp",
                    "phones": {"sites": ["lab"], "macs": ["00:21:f2:00:00:01"]},
                    "worktree": True,
                    "accept": ["plain-secret-transport"],
                },
                "production": {
                    "url": "https://prov.example.com/9f2c/",
                    "publish": "s3://acme-phones/9f2c",
                    "state": "s3://acme-state/phones",
                    "layout": "flat",
                    "pin": False,
                    "username": "phones",
                    "password": "secret:provisioning/password",
                    "notify": {"via": "sip:pbx.example.com;transport=tcp", "rate": "20/s"},
                },
            },
            "limits": {"changed": "30%", "removed": 5},
            "checks": {"plain-secret-transport": "warning"},
        }
    }


RIGHT = {
    "site": """
berlin:
  description: Berlin, Torstrasse
  time_zone: Europe/Berlin
  utc_offset: +1
  language: German
  sip: {outbound_proxy: sbc.berlin.example.com, outbound_proxy_port: 5061, transport: dns-srv}
  phonebooks: [company]
  maintenance: {days: [mon, fri], from: "01:00", to: 05:00}
  vars: {door: 2001}
  settings: {}
  settings_unchecked: {features.new_thing: 1}
  dialect: static
""",
    "profile": """
reception:
  keys:
    20: {park: "{{ fleet.vars.park }}", label: Park}
    21: {speed-dial: "{{ site.vars.door }}", label: Door}
  settings: {local_time.time_format: 0}
  phonebooks: []
""",
    "account": """
alice:
  site: berlin
  extension: 0101
  display_name: Alice Krüger
  password: secret:berlin/alice
  max_phones: 2
  sip: {server: "2001:db8::1", port: 5060}
""",
    "phone": """
00-21-F2-00-00-01:
  model: FIP14G
  site: berlin
  profiles: [reception]
  label: Front desk
  accounts: [alice, frontdesk]
  retired: 1
  keys:
    3: {blf: bob, pickup: "*8", line: 2}
    5: {dnd: true}
    6: {line: 2, label: Line two}
    7: {pickup: true}
    8: {pickup: "*8", line: 1}
    9: {type: 77, value: 1}
    10: {none: 1}
    11: {group-pickup: 1}
  settings: {features.pound_key.mode: 2}
""",
    "phonebook": """
company:
  title: Company
  from_accounts: {sites: [berlin, lyon]}
  contacts:
    - {name: Fire brigade, numbers: {office: 112, mobile: "0112"}}
everyone: {from_accounts: true}
""",
}

TYPED = {
    "site": {
        "berlin": {
            "description": "Berlin, Torstrasse",
            "time_zone": "Europe/Berlin",
            "utc_offset": "+1",
            "language": "German",
            "sip": {
                "outbound_proxy": "sbc.berlin.example.com",
                "outbound_proxy_port": 5061,
                "transport": "dns-srv",
            },
            "phonebooks": ["company"],
            "maintenance": {"days": ["mon", "fri"], "from": "01:00", "to": "05:00"},
            "vars": {"door": "2001"},
            "settings": {},
            "settings_unchecked": {"features.new_thing": "1"},
            "dialect": "static",
        }
    },
    "profile": {
        "reception": {
            "keys": {
                "20": {"park": "{{ fleet.vars.park }}", "label": "Park"},
                "21": {"speed-dial": "{{ site.vars.door }}", "label": "Door"},
            },
            "settings": {"local_time.time_format": "0"},
            "phonebooks": [],
        }
    },
    "account": {
        "alice": {
            "site": "berlin",
            "extension": "0101",
            "display_name": "Alice Krüger",
            "password": "secret:berlin/alice",
            "max_phones": 2,
            "sip": {"server": "2001:db8::1", "port": 5060},
        }
    },
    "phone": {
        "00-21-F2-00-00-01": {
            "model": "FIP14G",
            "site": "berlin",
            "profiles": ["reception"],
            "label": "Front desk",
            "accounts": ["alice", "frontdesk"],
            "retired": True,
            "keys": {
                "3": {"blf": "bob", "pickup": "*8", "line": 2},
                "5": {"dnd": True},
                "6": {"line": 2, "label": "Line two"},
                "7": {"pickup": True},
                "8": {"pickup": "*8", "line": 1},
                "9": {"type": 77, "value": "1"},
                "10": {"none": True},
                "11": {"group-pickup": "1"},
            },
            "settings": {"features.pound_key.mode": "2"},
        }
    },
    "phonebook": {
        "company": {
            "title": "Company",
            "from_accounts": {"sites": ["berlin", "lyon"]},
            "contacts": [{"name": "Fire brigade", "numbers": {"office": "112", "mobile": "0112"}}],
        },
        "everyone": {"from_accounts": True},
    },
}


@pytest.mark.parametrize("kind", RIGHT)
def test_right_entities_are_typed(kind: str) -> None:
    assert validate(kind, document(RIGHT[kind])) == (TYPED[kind], [])


@pytest.mark.parametrize("kind", RIGHT)
def test_what_is_typed_stays_as_it_is(kind: str) -> None:
    """A document kept between runs may have been validated before."""
    again = document(RIGHT[kind])
    validate(kind, again)
    assert validate(kind, again) == (TYPED[kind], [])


def test_what_says_nothing_is_right() -> None:
    assert validate("fleet", with_value(None)) == ({"fleet": {}}, [])
    assert validate("phone", with_value(None)) == ({}, [])


def test_one_wrong_entity_does_not_hide_the_others() -> None:
    typed, problems = validate("site", document("berlin: {}\nlyon: {langauge: French}\nparis: {}\n"))
    assert typed == {"berlin": {}, "paris": {}}
    assert [str(problem) for problem in problems] == [
        'x.yaml:2:8: unknown key "langauge" (did you mean "language"?) [unknown-key]'
    ]


@pytest.mark.parametrize(
    ("types", "text", "typed"),
    [
        ("integer", "5060", 5060),
        ("integer", "-1", -1),
        ("integer", "05060", "05060"),
        ("integer", "+1", "+1"),
        ("integer", "1.0", "1.0"),
        ("integer", "9" * 18, int("9" * 18)),
        ("integer", "9" * 19, "9" * 19),
        ("integer", "1\n", "1\n"),
        ("integer", "٣", "٣"),
        ("boolean", "true", True),
        ("boolean", "0", False),
        ("boolean", "True", "True"),
        ("boolean", "no", "no"),
        (["string", "boolean"], "false", False),
        (["string", "boolean"], "1", "1"),
        (["integer", "boolean"], "1", 1),
        (["integer", "string"], "30", 30),
        (["integer", "string"], "30%", "30%"),
        ("string", "1", "1"),
    ],
)
def test_text_becomes_what_its_place_wants(types: Any, text: str, typed: Any) -> None:
    wanted = {"type": types}
    schema = {
        "properties": {"a": wanted, "b": {"type": "array", "items": wanted}, "c": {"$ref": "#/$defs/x"}},
        "additionalProperties": False,
    }
    plan = type_plan._plan_of(schema, {"x": {"type": "object", "additionalProperties": wanted}})
    value = {"a": text, "b": [text], "c": {"d": text}, "e": text}
    if plan is not None:
        type_plan.convert(plan, value)
    assert json.dumps(value) == json.dumps({"a": typed, "b": [typed], "c": {"d": typed}, "e": text})


# What is wrong: kind, text, problems

MODELS = "FIP10, FIP10P, FIP11C, FIP11CP, FIP12WP, FIP13G, FIP14G, FIP15G, FIP15GPLUS, FIP16, FIP16PLUS, FIP16Plus"
KEY_HINT = "a key has one of {blf: NAME}, {speed-dial: NUMBER}, {line: 2}, {none: true}, ..."
SECRET_HINT = (
    "put it into the secrets (with SOPS: sops edit inventory/secrets/NAME.yaml) and write password: secret:NAME/KEY"
)
URL_HINT = "leave the password out: username and password: secret:... say who logs in"
NULL_HINT = "say a value or remove the line"

WRONG: list[tuple[str, str, list[str]]] = [
    (
        "phone",
        "0021f2000001:\n  modle: FIP14G\n",
        [
            '1:1 0021f2000001: missing key "model" [missing-key]',
            '2:3 0021f2000001.modle: unknown key "modle" (did you mean "model"?) [unknown-key]',
        ],
    ),
    (
        "phone",
        "0021f200001:\n  model: fip14g\n",
        [
            '1:1 0021f200001: "0021f200001" is no MAC address: 12 hex digits are expected [bad-mac]',
            f'2:10 0021f200001.model: "fip14g" is not one of {MODELS} (did you mean "FIP14G"?) [bad-value]',
        ],
    ),
    (
        "account",
        "Bob:\n  extension: 01 01\n  password: secret:b\n  max_phones: 0\n",
        [
            '1:1 Bob: "Bob" is no id: lower-case letters, digits, - and _ are expected, at most 63 [bad-id]',
            '2:14 Bob.extension: "01 01" is no extension: 1 to 32 digits, letters or * # + . _ - are expected'
            " [bad-value]",
            "4:15 Bob.max_phones: 0 is not 1 or more [bad-value]",
        ],
    ),
    ("account", "bob: {extension: 1}\n", ['1:1 bob: missing key "password" [missing-key]']),
    (
        "account",
        "bob:\n  extension: 1\n  password: hunter2\n",
        [f"3:13 bob.password: password is in the clear [clear-secret] -> {SECRET_HINT}"],
    ),
    (
        "account",
        "bob: {extension: 1, password: 'secret:'}\n",
        ["1:31 bob.password: password is no name of a secret, such as secret:berlin/alice [bad-value]"],
    ),
    (
        "account",
        "bob: {extension: 1, password: ~}\n",
        [f"1:31 bob.password: null is no value [null-value] -> {NULL_HINT}"],
    ),
    (
        "account",
        "bob: {extension: 1, password: [hunter2]}\n",
        ["1:31 bob.password: expected text, found a list [wrong-type]"],
    ),
    (
        "account",
        "bob: {extension: 1, password: secret:b, sip: {port: 05060, server: 'pbx:5060', transport: ucp}}\n",
        [
            '1:53 bob.sip.port: "05060" is not a whole number [wrong-type] -> write 5060',
            '1:68 bob.sip.server: "pbx:5060" is no host name or IP address (a port has a word of its own) [bad-value]',
            '1:91 bob.sip.transport: "ucp" is not one of udp, tcp, tls, dns-srv (did you mean "udp"?) [bad-value]',
        ],
    ),
    (
        "account",
        "bob: {extension: 1, password: secret:b, sip: {port: 70000, server: abc def}}\n",
        [
            "1:53 bob.sip.port: 70000 is not between 1 and 65535 [bad-value]",
            '1:68 bob.sip.server: "abc def" is no host name or IP address (a port has a word of its own) [bad-value]',
        ],
    ),
    (
        "site",
        "a: null\nb: text\nc: []\n",
        [
            f"1:4 a: null is no value [null-value] -> {NULL_HINT}",
            "2:4 b: expected a mapping, found text [wrong-type]",
            "3:4 c: expected a mapping, found a list [wrong-type]",
        ],
    ),
    (
        "site",
        "a:\n  settings: {x: ~, y: [1], z: {a: 1}}\n  vars: {Door: 1}\n  settings_unchecked: {a-b: 1}\n",
        [
            f"2:17 a.settings.x: null is no value [null-value] -> {NULL_HINT}",
            "2:23 a.settings.y: expected text, found a list [wrong-type]",
            "2:31 a.settings.z: expected text, found a mapping [wrong-type]",
            '3:10 a.vars.Door: "Door" is no name for a variable: a lower-case letter, then lower-case letters,'
            " digits and _ are expected [bad-value]",
            '4:24 a.settings_unchecked.a-b: "a-b" is no parameter name: letters, digits, _ and . are expected'
            " [bad-value]",
        ],
    ),
    (
        "site",
        "a:\n  maintenance: {days: [], from: 1:00}\n  utc_offset: +01\n  language: ''\n  time_zone: Berlin time\n",
        [
            '2:3 a.maintenance: missing key "to" [missing-key]',
            f"2:23 a.maintenance.days: days is empty [bad-value] -> {NULL_HINT}",
            '2:33 a.maintenance.from: "1:00" is no time of day such as 01:00 [bad-value]',
            '3:15 a.utc_offset: "+01" is no offset from UTC between -12 and +14, such as +1, -3:30 or 0 [bad-value]',
            f"4:13 a.language: language is empty [bad-value] -> {NULL_HINT}",
            '5:14 a.time_zone: "Berlin time" is no time zone such as Europe/Berlin [bad-value]',
        ],
    ),
    (
        "phone",
        "0021f2000001:\n  model: FIP14G\n  profiles: reception\n  accounts: [a, b, a, B]\n  retired: no\n",
        [
            "3:13 0021f2000001.profiles: expected a list, found text [wrong-type]",
            '4:20 0021f2000001.accounts.2: "a" stands twice [bad-value] -> remove one of the two',
            '4:23 0021f2000001.accounts.3: "B" is no id: lower-case letters, digits, - and _ are expected, at most'
            " 63 [bad-id]",
            '5:12 0021f2000001.retired: "no" is not true or false [wrong-type] -> write false, or remove the line',
        ],
    ),
    (
        "phone",
        f"0021f2000001:\n  model: FIP14G\n  label: {'x' * 65}\n0021f2000002:\n  model: {'x' * 65}\n",
        [
            "3:10 0021f2000001.label: label has 65 characters, at most 64 are expected [bad-value]",
            f"5:10 0021f2000002.model: a text of 65 characters is not one of {MODELS} [bad-value]",
        ],
    ),
    (
        "phone",
        f"0021f2000001:\n  model: FIP14G\n  {'x' * 65}: 1\n",
        [f'3:3 0021f2000001.{"x" * 65}: unknown key "{"x" * 57}..." [unknown-key]'],
    ),
    (
        "profile",
        "a:\n  keys:\n    0: {dnd: true}\n    1: {}\n    2: {label: x}\n    3: {blf: bob, dnd: yes}\n    4: dnd\n"
        "    5: {speeddial: 1}\n    6: {line: 02}\n    7: {blf: x, pickup: true}\n    8: {pickup: false}\n"
        "    9: {dnd: true, value: 1}\n    10: {type: 256}\n    11: {dnd: false}\n    12: ~\n    13: {park: ''}\n",
        [
            '3:5 a.keys.0: "0" is no key number: 1 to 999 is expected [bad-value]',
            f"4:5 a.keys.1: a key needs a word that says what it does [key-words] -> {KEY_HINT}",
            f"5:5 a.keys.2: a key needs a word that says what it does [key-words] -> {KEY_HINT}",
            f"6:5 a.keys.3: a key does one thing, found blf and dnd [key-words] -> {KEY_HINT}",
            '6:24 a.keys.3.dnd: "yes" is not true [wrong-type] -> write true',
            "7:8 a.keys.4: expected a mapping, found text [wrong-type]",
            '8:9 a.keys.5.speeddial: unknown key "speeddial" (did you mean "speed-dial"?) [unknown-key]',
            '9:15 a.keys.6.line: "02" is not a whole number [wrong-type] -> write 2',
            "10:25 a.keys.7.pickup: expected text, found true [wrong-type]",
            "11:17 a.keys.8.pickup: expected text or true, found false [bad-value] -> remove the line",
            "12:20 a.keys.9.value: value goes with type only [key-words]",
            "13:16 a.keys.10.type: 256 is not between 0 and 255 [bad-value]",
            "14:15 a.keys.11.dnd: expected true, found false [bad-value] -> remove the line",
            f"15:9 a.keys.12: null is no value [null-value] -> {NULL_HINT}",
            f"16:16 a.keys.13.park: park is empty [bad-value] -> {NULL_HINT}",
        ],
    ),
    (
        "profile",
        "a:\n  keys:\n    1: {speed-dial: 1, pickup: 2}\n    2: {line: 1, dnd: true, blf: bob, pickup: 1}\n",
        [
            f"3:5 a.keys.1: a key does one thing, found speed-dial and pickup [key-words] -> {KEY_HINT}",
            f"4:5 a.keys.2: a key does one thing, found dnd and blf [key-words] -> {KEY_HINT}",
        ],
    ),
    (
        "fleet",
        "notify: {route: contact}\n",
        ['1:1 notify: missing key "contact" [missing-key]'],
    ),
    (
        "fleet",
        "environments:\n  lab:\n    notify: {route: asterisk, host: pbx}\n",
        [
            '3:5 environments.lab.notify: missing key "password" [missing-key]',
            '3:5 environments.lab.notify: missing key "username" [missing-key]',
        ],
    ),
    (
        "fleet",
        "environments:\n  lab:\n    rollout:\n      waves:\n        - {phones: 1, share: 2%}\n        - {}\n",
        [
            "5:11 environments.lab.rollout.waves.0: a wave is chosen by one word, found phones and share [key-words]",
            "6:11 environments.lab.rollout.waves.1: 1 is empty [bad-value] -> say a value or remove the line",
        ],
    ),
    (
        "fleet",
        "environments:\n  lab:\n    rollout: {gate: {fetched: 50%}}\n",
        ['3:5 environments.lab.rollout: missing key "access_log" [missing-key]'],
    ),
    (
        "fleet",
        "notify: {via: 'sip:pbx;transport=ws'}\n",
        [
            '1:15 notify.via: "sip:pbx;transport=ws" is no SIP address such as sip:pbx.example.com;transport=tcp '
            "(udp, tcp and tls are spoken) [bad-value]"
        ],
    ),
    (
        "fleet",
        "notify: {route: freeswitch, host: pbx}\n",
        ['1:1 notify: missing key "password" [missing-key]'],
    ),
    (
        "fleet",
        "dialect: guied\nlimits: {changed: 101%, removed: -1}\nchecks: {some-check: of}\nmodels:\n  FIP14: {}\n",
        [
            '1:10 dialect: "guied" is not one of guide, static (did you mean "guide"?) [bad-value]',
            '2:19 limits.changed: "101%" is no number of phones and no share such as 30% [bad-value]',
            "2:34 limits.removed: -1 is not 0 or more [bad-value]",
            '3:22 checks.some-check: "of" is not one of error, warning, off (did you mean "off"?) [bad-value]',
            f'5:3 models.FIP14: "FIP14" is not one of {MODELS} (did you mean "FIP14G"?) [bad-value]',
        ],
    ),
    (
        "fleet",
        "environments:\n  Lab:\n    url: https://u:hunter2@h/\n    password: hunter2\n"
        "    publish: sftp://u:hunter2@h/\n    worktree: yes\n    notify: {via: pbx, rate: 20}\n"
        "    phones: {macs: [0021]}\n  b: {url: 'ldap://h/'}\n",
        [
            '2:3 environments.Lab: "Lab" is no id: lower-case letters, digits, - and _ are expected, at most 63'
            " [bad-id]",
            f"3:10 environments.Lab.url: url holds a password in the clear [clear-secret] -> {URL_HINT}",
            f"4:15 environments.Lab.password: password is in the clear [clear-secret] -> {SECRET_HINT}",
            f"5:14 environments.Lab.publish: publish holds a password in the clear [clear-secret] -> {URL_HINT}",
            '6:15 environments.Lab.worktree: "yes" is not true or false [wrong-type] -> write true',
            '7:19 environments.Lab.notify.via: "pbx" is no SIP address such as sip:pbx.example.com;transport=tcp'
            " (udp, tcp and tls are spoken) [bad-value]",
            '7:30 environments.Lab.notify.rate: "20" is no rate such as 20/s, 600/min or 1000/h [bad-value]',
            '8:21 environments.Lab.phones.macs.0: "0021" is no MAC address: 12 hex digits are expected [bad-mac]',
            '9:12 environments.b.url: "ldap://h/" is no address that a phone can fetch from: tftp://, ftp://,'
            " http:// or https:// is expected [bad-value]",
        ],
    ),
    (
        "phonebook",
        "a:\n  from_accounts: berlin\n  contacts:\n  - {name: '', numbers: {}}\n  - {numbers: {ofice: 1}}\n"
        "b: {from_accounts: {}, contacts: {}}\n",
        [
            "2:18 a.from_accounts: expected true, false or a mapping, found text [wrong-type]",
            f"4:12 a.contacts.0.name: name is empty [bad-value] -> {NULL_HINT}",
            f"4:25 a.contacts.0.numbers: numbers is empty [bad-value] -> {NULL_HINT}",
            '5:5 a.contacts.1: missing key "name" [missing-key]',
            '5:16 a.contacts.1.numbers.ofice: unknown key "ofice" (did you mean "office"?) [unknown-key]',
            '6:5 b.from_accounts: missing key "sites" [missing-key]',
            "6:34 b.contacts: expected a list, found a mapping [wrong-type]",
        ],
    ),
]


@pytest.mark.parametrize(("kind", "text", "problems"), WRONG)
def test_what_is_wrong_is_said_in_words_where_it_stands(kind: str, text: str, problems: list[str]) -> None:
    assert found(kind, text) == problems


@pytest.mark.parametrize(("value", "words"), [([], "a list"), ("x", "text"), (1, "a number"), (True, "true")])
def test_a_file_is_a_mapping(value: Any, words: str) -> None:
    for kind in KINDS:
        typed, problems = validate(kind, with_value(value))
        assert typed == {}
        assert [(p.id, p.message, p.path) for p in problems] == [
            ("wrong-type", f"expected a mapping, found {words}", "")
        ]


def test_control_characters_do_not_reach_the_terminal() -> None:
    _, problems = validate("site", with_value({"a": {"utc_offset": "\x1b[31m", "\u202e": "1"}}))
    assert [problem.message for problem in problems] == [
        '"\\u001b[31m" is no offset from UTC between -12 and +14, such as +1, -3:30 or 0',
        'unknown key "\\u202e"',
    ]


# The schemas themselves


def entity_schema(kind: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(SCHEMA.joinpath(f"{kind}.schema.json").read_text("utf-8"))
    return schema


def parts(schema: Any) -> list[dict[str, Any]]:
    """Every mapping in a schema."""
    if isinstance(schema, list):
        return [found for part in schema for found in parts(part)]
    if isinstance(schema, dict):
        return [schema, *(found for part in schema.values() for found in parts(part))]
    return []


@pytest.mark.parametrize("kind", KINDS)
def test_schemas_are_schemas(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(entity_schema(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_every_property_is_described(kind: str) -> None:
    schema = file_schema(kind)
    for part in parts(schema):
        for name, wanted in part.get("properties", {}).items():
            resolved = resolved_schema(wanted, schema["$defs"])
            # what dependentSchemas say is added to a property described elsewhere
            assert resolved.get("description") or wanted == {"type": "string"}, name


@pytest.mark.parametrize("kind", KINDS)
def test_every_pattern_has_words(kind: str) -> None:
    for part in parts(entity_schema(kind)):
        if isinstance(part.get("pattern"), str) and set(part) != {"pattern"}:
            assert part["patternErrorMessage"]


def test_unknown_keys_are_refused_everywhere() -> None:
    for kind in KINDS:
        for part in parts(entity_schema(kind)):
            if "object" in types_of(part):
                assert "additionalProperties" in part, part


def test_the_type_plan_knows_every_type_that_is_used() -> None:
    schemas = [part for kind in KINDS for part in parts(entity_schema(kind)) if not isinstance(part.get("type"), dict)]
    assert {one for part in schemas for one in types_of(part)} == {
        "string",
        "integer",
        "boolean",
        "array",
        "object",
    }


def test_the_models_are_those_of_the_catalogue() -> None:
    models = json.loads(SCHEMA.joinpath("flyingvoice/models.json").read_text("utf-8"))
    names = [name for model, facts in models["models"].items() for name in (model, *facts["aliases"])]
    assert sorted(entity_schema("fleet")["$defs"]["model"]["enum"]) == sorted(names)


def test_the_key_words_are_those_of_the_catalogue() -> None:
    known = json.loads(SCHEMA.joinpath("flyingvoice/keys.json").read_text("utf-8"))["keys"]
    words = entity_schema("profile")["$defs"]["key"]["properties"]
    assert words.keys() - {"label", "type", "value"} == known.keys()
    for word in known.keys() - {"line"}:
        takes_nothing = words[word].get("const") is True
        assert takes_nothing == (known[word]["value"] == "none"), word
        assert f"(type {known[word]['type']})" in words[word]["description"]


def mac_spellings() -> st.SearchStrategy[str]:
    near = st.text("0123456789abcdefABCDEF:-.g\n", max_size=18)
    return st.one_of(st.from_regex(entity_schema("fleet")["$defs"]["mac"]["pattern"], fullmatch=True), near)


@given(text=mac_spellings())
@settings(max_examples=150, deadline=None)
def test_the_schema_knows_the_spellings_of_mac_addresses(text: str) -> None:
    accepted = not validate("phone", with_value({text: {"model": "FIP14G"}}))[1]
    assert accepted == (parse_mac(text) is not None)


@given(text=st.from_regex(r"secret:[a-zA-Z0-9_./\n -]{0,9}", fullmatch=True))
@settings(max_examples=150, deadline=None)
def test_the_schema_knows_the_names_of_secrets(text: str) -> None:
    _, problems = validate("account", with_value({"a": {"extension": "1", "password": text}}))
    assert (not problems) == (secret_name(text) is not None)


# Values made from the schemas: mostly right, wrong somewhere

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 70000), st.sampled_from(["", "true", "0", "05", "a\n", "٣", "x" * 70])
)
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=4,
)


def values(schema: dict[str, Any], definitions: dict[str, Any], junk: st.SearchStrategy[Any]) -> Any:
    """Values that the schema asks for, each with `junk` in its place now and then."""
    schema = resolved_schema(schema, definitions)

    def inner(part: dict[str, Any]) -> Any:
        return st.deferred(lambda: values(part, definitions, junk))

    makers: list[Any] = []
    for wanted in types_of(schema):
        if wanted == "object":
            named = {name: inner(part) for name, part in schema.get("properties", {}).items()}
            required = {name: named[name] for name in schema.get("required", [])}
            optional = st.dictionaries(st.sampled_from(sorted(named)), st.none(), max_size=3) if named else st.just({})
            makers.append(
                optional.flatmap(
                    lambda chosen, named=named, required=required: st.fixed_dictionaries(
                        {**required, **{name: named[name] for name in chosen}}
                    )
                )
            )
            if isinstance(schema.get("additionalProperties"), dict):
                keys = values(schema.get("propertyNames", {"type": "string"}), definitions, st.just("x"))
                makers[-1] = st.dictionaries(keys, inner(schema["additionalProperties"]), max_size=2)
        elif wanted == "array":
            makers.append(st.lists(inner(schema["items"]), max_size=2))
        elif wanted == "boolean":
            makers.append(st.booleans())
        elif wanted == "integer":
            makers.append(st.integers(schema["minimum"], schema.get("maximum", 10**18 - 1)))
        elif "enum" in schema:
            makers.append(st.sampled_from(schema["enum"]))
        elif "pattern" in schema:
            makers.append(st.from_regex(schema["pattern"], fullmatch=False).filter(lambda text: len(text) < 90))
        else:
            makers.append(st.sampled_from(["a", "b c", "{{ x }}", "x" * 65]))
    return st.one_of(*makers, *makers, *makers, junk)


def entities(kind: str, junk: st.SearchStrategy[Any]) -> Any:
    schema = file_schema(kind)
    return values({"$ref": f"#/$defs/{kind}"}, schema["$defs"], junk)


@pytest.mark.parametrize("kind", KINDS)
def test_both_validators_agree(kind: str) -> None:
    schema = bundle({"$ref": f"{kind}.schema.json"})
    fast, explainer = jsonschema_rs.Draft202012Validator(schema), module._explainer(kind)

    @given(value=entities(kind, JUNK))
    @settings(max_examples=100, deadline=None)
    def agree(value: Any) -> None:
        assert fast.is_valid(value) == explainer.is_valid(value)

    agree()


def as_text(value: Any) -> Any:
    """A value as a document holds it."""
    if isinstance(value, dict):
        return {key: as_text(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_text(inner) for inner in value]
    return value if value is None or isinstance(value, str) else json.dumps(value)


@pytest.mark.parametrize("kind", KINDS)
def test_typing_is_the_inverse_of_writing(kind: str) -> None:
    """What is right as typed is right as text, and comes back; what is refused says why, without raising."""
    name = "fleet" if kind == "fleet" else "0021f2000001" if kind == "phone" else "a"
    fast = module._fast(kind)

    @given(value=entities(kind, st.just("?")))
    @settings(max_examples=60, deadline=None)
    def come_back(value: Any) -> None:
        text = as_text(value)
        typed, problems = validate(kind, with_value(text if kind == "fleet" else {name: text}))
        assert (typed, problems) == ({name: value}, []) if fast.is_valid(value) else problems

    come_back()


def hostile() -> st.SearchStrategy[Any]:
    texts = st.none() | st.text(max_size=5) | st.sampled_from(["9" * 5000, "true", "x" * 10000, "\ud800"])
    return st.recursive(
        texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_values_are_problems(kind: str) -> None:
    @given(value=entities(kind, hostile()), whole=hostile())
    @settings(max_examples=60, deadline=None)
    def survive(value: Any, whole: Any) -> None:
        for one in (as_text(value), {"0021f2000001": as_text(value)}, whole):
            _, problems = validate(kind, with_value(one))
            assert all(problem.message for problem in problems)

    survive()


def deep(depth: int, *, lists: bool) -> Any:
    value: Any = "end"
    for _ in range(depth):
        value = [value] if lists else {"x": value}
    return value


@pytest.mark.parametrize("lists", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_depth_does_not_exhaust_the_stack(kind: str, lists: bool) -> None:
    for depth in (11, 12, 13, 300, 20_000):
        for word in ("settings", "keys", "contacts", "label"):
            value = {word: deep(depth, lists=lists)}
            assert validate(kind, with_value(value if kind == "fleet" else {"a": value}))[1]


SECRET = "hunter2-Geheim"


@pytest.mark.parametrize("kind", ["account", "fleet"])
@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        f"secret: {SECRET}",
        f"secret:{SECRET}:x",
        SECRET * 10,
        [SECRET],
        {"value": SECRET},
        f"{SECRET}\n",
    ],
)
def test_a_secret_is_never_shown(kind: str, value: Any) -> None:
    whole = {"environments": {"lab": {"password": value}}} if kind == "fleet" else {"bob": {"password": value}}
    _, problems = validate(kind, with_value(whole))
    assert problems
    assert SECRET not in repr(problems)


@pytest.mark.parametrize("word", ["url", "publish", "state", "notify"])
@pytest.mark.parametrize("scheme", ["https://", "htp://", "sftp://", "sip:"])
def test_a_password_in_an_address_is_never_shown(word: str, scheme: str) -> None:
    address: Any = f"{scheme}phones:{SECRET}@example.com/x"
    lab = {word: {"via": address} if word == "notify" else address}
    _, problems = validate("fleet", with_value({"environments": {"lab": lab}}))
    assert [problem.id for problem in problems] == ["clear-secret"]
    assert SECRET not in repr(problems)


# What editors get


@pytest.mark.parametrize("kind", KINDS)
def test_the_committed_editor_schemas_are_current(kind: str, tmp_path: Path) -> None:
    """After a change of schemas or catalogue: write_editor_schemas(Path("schema/editor"))."""
    write_editor_schemas(tmp_path)
    name = f"{kind}.schema.json"
    assert (tmp_path / name).read_text("utf-8") == SCHEMA.joinpath(f"editor/{name}").read_text("utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_editor_schemas_stand_alone(kind: str) -> None:
    schema = editor_schema(kind)
    assert jsonschema_rs.meta.is_valid(schema)
    references = {part["$ref"] for part in parts(schema) if isinstance(part.get("$ref"), str)}
    assert references <= {f"#/$defs/{name}" for name in schema["$defs"]}


def guessed(value: Any) -> Any:
    """What YAML 1.1 makes of a document's texts where they stand without quotes; null stays text here."""
    if isinstance(value, dict):
        return {key: guessed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [guessed(inner) for inner in value]
    try:
        guess = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError):
        return value
    return guess if isinstance(guess, int | float) else value


@pytest.mark.parametrize("kind", RIGHT)
def test_editors_accept_what_is_right(kind: str) -> None:
    right = document(RIGHT[kind]).value
    for value in (right, guessed(right), TYPED[kind]):
        assert [error.message for error in editor_validator(kind).iter_errors(value)] == []


@pytest.mark.parametrize(("kind", "text", "problems"), WRONG)
def test_editors_refuse_what_is_wrong(kind: str, text: str, problems: list[str]) -> None:
    assert not editor_validator(kind).is_valid(document(text).value)


@cache
def editor_validator(kind: str) -> Any:
    return jsonschema.Draft202012Validator(editor_schema(kind))


def without_parameters(value: Any) -> Any:
    """The same without names of parameters, of which editors know the catalogue's."""
    if isinstance(value, dict):
        words = ("settings", "retired")
        return {
            key: {} if key in words and isinstance(inner, dict) else without_parameters(inner)
            for key, inner in value.items()
        }
    return value


@pytest.mark.parametrize("kind", KINDS)
def test_editors_are_no_stricter_about_types(kind: str) -> None:
    name = "fleet" if kind == "fleet" else "0021f2000001" if kind == "phone" else "a"
    fast = module._fast(kind)
    editor = jsonschema_rs.Draft202012Validator(editor_schema(kind))

    @given(value=entities(kind, st.just("?")))
    @settings(max_examples=50, deadline=None)
    def no_stricter(value: Any) -> None:
        if fast.is_valid(value):
            text = as_text(without_parameters(value))
            for one in (text, guessed(text)):
                assert editor.is_valid(one if kind == "fleet" else {name: one})

    no_stricter()


@pytest.mark.parametrize("setting", [1, "1", "{{ site.vars.door }}", "secret:web/admin"])
def test_editors_know_the_catalogue(setting: Any) -> None:
    editor = editor_validator("site")
    is_secret = isinstance(setting, str) and setting.startswith("secret:")
    known = "static.security.user_password" if is_secret else "features.pound_key.mode"
    assert editor.is_valid({"a": {"settings": {known: setting}}})
    assert not editor.is_valid({"a": {"settings": {"features.pound_keys.mode": setting}}})
