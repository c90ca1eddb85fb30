"""The plain script that somebody would write instead of offhook: one process, one pass, the usual libraries.

`python tests/bench/plain_script.py FOLDER OUT` loads FOLDER/inventory with PyYAML's CSafeLoader, holds every
entity to the project's schemas, and writes to OUT, by Jinja2, the files that `offhook compile` writes in the
flat layout: same settings for the same phones, no headings. It knows what fleets of `fleet.py` use, keeps no
line numbers, checks no references and shows the first mistake only.

`--validator` chooses jsonschema, which most people would take, or jsonschema-rs, which is much faster.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jinja2
import yaml

Entity = dict[str, Any]
Validator = Callable[[Any], None]

SCHEMAS = Path(__file__).resolve().parents[2] / "schema"
FOLDERS = {"sites": "site", "profiles": "profile", "accounts": "account", "phones": "phone", "phonebooks": "phonebook"}
MODELS = {"FIP10": (2, 2), "FIP11C": (3, 6), "FIP13G": (4, 9), "FIP14G": (8, 21), "FIP15G": (10, 74)}
"""Model -> account slots, line keys."""
KEY_TYPES = {"dnd": 5, "park": 10, "speed-dial": 13, "line": 15, "blf": 16}

# CSafeLoader takes 0021f2000001 or 0101 for text or for a number, as it happens: quotes say which
_KEY = re.compile(r"^( *)([0-9A-Fa-f]+):", re.MULTILINE)
_TEXT = re.compile(r"^( *(?:extension|utc_offset): )(\S+)$", re.MULTILINE)

SETTINGS_TEMPLATE = """\
#!version:1.0.0.1
{% for name, value in settings.items() %}
{{ name }}={{ value }}
{% endfor %}
"""
PHONE_TEMPLATE = (
    SETTINGS_TEMPLATE
    + """\
{% for slot in range(1, slots + 1) %}
{% if slot <= accounts | length %}
{% set account = accounts[slot - 1] %}
account.{{ slot }}.enable=1
account.{{ slot }}.label={{ account.display_name }}
account.{{ slot }}.display_name={{ account.display_name }}
account.{{ slot }}.auth_name={{ account.extension }}
account.{{ slot }}.user_name={{ account.extension }}
account.{{ slot }}.password={{ account.password }}
account.{{ slot }}.sip_server_host={{ sip.server }}
account.{{ slot }}.sip_server_port={{ sip.port }}
{% else %}
account.{{ slot }}.enable=0
{% endif %}
{% endfor %}
{% for number in numbers %}
{% if number in keys %}
{% set key = keys[number] %}
linekey.{{ number }}.type={{ key.type }}
linekey.{{ number }}.line=1
{% if key.value %}
linekey.{{ number }}.value={{ key.value }}
{% endif %}
linekey.{{ number }}.label={{ key.label }}
{% else %}
linekey.{{ number }}.type=0
{% endif %}
{% endfor %}
"""
)
BOOT_TEMPLATE = """\
#!version:1.0.0.1
include:config "{{ name }}.cfg"
"""
PHONEBOOK_TEMPLATE = """\
<?xml version="1.0" encoding="UTF-8"?>
<YealinkIPPhoneDirectory>
{% for name, numbers in contacts %}
  <DirectoryEntry>
    <Name>{{ name | e }}</Name>
{% for number in numbers %}
    <Telephone>{{ number | e }}</Telephone>
{% endfor %}
  </DirectoryEntry>
{% endfor %}
</YealinkIPPhoneDirectory>
"""


def read(folder: Path, validators: dict[str, Validator]) -> dict[str, Entity]:
    """Return kind -> id -> entity, each validated; the fleet under "fleet"."""
    fleet = _load(folder / "fleet.yaml")
    validators["fleet"](fleet)
    inventory: dict[str, Entity] = {"fleet": fleet}
    for name, kind in FOLDERS.items():
        inventory[kind] = {}
        for file in sorted((folder / name).rglob("*.yaml")):
            for identifier, entity in _load(file).items():
                validators[kind](entity)
                inventory[kind][identifier] = entity
    return inventory


def _load(file: Path) -> Entity:
    text = _TEXT.sub(r'\1"\2"', _KEY.sub(r'\1"\2":', file.read_text(encoding="utf-8")))
    found: Entity = yaml.load(text, Loader=yaml.CSafeLoader)
    return found


def make_validators(library: str) -> dict[str, Validator]:
    """Return kind -> a function that raises where an entity is not as the project's schema wants it."""
    base = "file:///schema/"  # only a name: whatever is referred to is in the registry
    found = {base + file.relative_to(SCHEMAS).as_posix(): file for file in SCHEMAS.rglob("*.schema.json")}
    schemas = {name: json.loads(file.read_text(encoding="utf-8")) for name, file in found.items()}
    made: dict[str, Validator] = {}
    for kind in ("fleet", *FOLDERS.values()):
        schema = {"$ref": f"{base}{kind}.schema.json"}
        if library == "jsonschema":
            import jsonschema
            import referencing

            resources = ((name, referencing.Resource.from_contents(one)) for name, one in schemas.items())
            registry = referencing.Registry().with_resources(resources).crawl()
            made[kind] = jsonschema.Draft202012Validator(schema, registry=registry).validate
        else:
            import jsonschema_rs

            rust_registry = jsonschema_rs.Registry(list(schemas.items()))
            made[kind] = jsonschema_rs.Draft202012Validator(schema, registry=rust_registry).validate
    return made


def settings_of(inventory: dict[str, Entity], *layers: Entity) -> dict[str, Any]:
    """Return parameter -> value of layers by precedence, the words for language, time and phonebook included."""
    url = next(iter(inventory["fleet"]["environments"].values()))["url"]
    settings: dict[str, Any] = {}
    for layer in layers:
        if "language" in layer:
            settings["lang.gui"] = layer["language"]
        if "utc_offset" in layer:
            settings["local_time.time_zone"] = layer["utc_offset"]
        if layer.get("phonebooks"):
            settings["local_contact.data.url"] = f"{url}phonebooks/{layer['phonebooks'][0]}.xml"
        settings.update(layer.get("settings", {}))
    return settings


def keys_said(inventory: dict[str, Entity], layer: Entity) -> dict[str, Entity]:
    """Return key number -> type, value and label for the keys of a phone or a profile."""
    keys: dict[str, Entity] = {}
    for number, key in layer.get("keys", {}).items():
        word = next(word for word in key if word in KEY_TYPES)
        value = None if key[word] is True else key[word]
        label = key.get("label", value or word.upper())
        if word == "blf":
            value, label = (inventory["account"][key[word]][name] for name in ("extension", "display_name"))
        keys[number] = {"type": KEY_TYPES[word], "value": value, "label": label}
    return keys


def key_numbers(last: int) -> list[str]:
    """Return "1" to `last`, as inventories spell line keys."""
    return [str(number) for number in range(1, last + 1)]


def line_key(account: Entity) -> dict[str, Entity]:
    """Return the first key, which is the account's line unless something else is said."""
    return {"1": {"type": KEY_TYPES["line"], "value": None, "label": account["display_name"]}}


def files_of(inventory: dict[str, Entity]) -> Iterator[tuple[str, str]]:
    """Yield (path, text) of every file of the tree."""
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    phone_template, boot_template = environment.from_string(PHONE_TEMPLATE), environment.from_string(BOOT_TEMPLATE)
    fleet = inventory["fleet"]
    for mac, phone in inventory["phone"].items():
        profiles = [inventory["profile"][name] for name in phone.get("profiles", ())]
        slots, last = MODELS[phone["model"]]
        accounts = [inventory["account"][name] for name in phone["accounts"]]
        keys = line_key(accounts[0])
        for layer in (*profiles, phone):
            keys.update(keys_said(inventory, layer))
        yield f"{mac}.boot", boot_template.render(name=mac)
        yield (
            f"{mac}.cfg",
            phone_template.render(
                settings=settings_of(inventory, fleet, inventory["site"][phone["site"]], *profiles, phone),
                slots=slots,
                accounts=accounts,
                sip=fleet["sip"],
                numbers=key_numbers(last),
                keys=keys,
            ),
        )
    common = {name: value for name, value in settings_of(inventory, fleet).items() if name != "local_contact.data.url"}
    yield "y000000000000.boot", boot_template.render(name="y000000000000")
    yield "y000000000000.cfg", environment.from_string(SETTINGS_TEMPLATE).render(settings=common)
    for name, book in inventory["phonebook"].items():
        contacts = _contacts(inventory, book)
        yield f"phonebooks/{name}.xml", environment.from_string(PHONEBOOK_TEMPLATE).render(contacts=contacts)


def _contacts(inventory: dict[str, Entity], book: Entity) -> list[tuple[str, list[str]]]:
    sites = book["from_accounts"]["sites"]
    found = [one for one in inventory["account"].values() if one["site"] in sites]
    found.sort(key=lambda one: (one["display_name"].casefold(), one["extension"]))
    own = [(contact["name"], list(contact["numbers"].values())) for contact in book["contacts"]]
    return own + [(one["display_name"], [one["extension"]]) for one in found]


def main(arguments: list[str]) -> int:
    """Read, validate, render, write."""
    parser = argparse.ArgumentParser(description="the plain script that offhook is compared with")
    parser.add_argument("folder", type=Path, help="holds inventory/")
    parser.add_argument("out", type=Path, help="where the tree is written")
    parser.add_argument("--validator", choices=("jsonschema", "jsonschema-rs"), default="jsonschema")
    chosen = parser.parse_args(arguments)
    inventory = read(chosen.folder / "inventory", make_validators(chosen.validator))
    (chosen.out / "phonebooks").mkdir(parents=True)
    for path, text in files_of(inventory):
        (chosen.out / path).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
