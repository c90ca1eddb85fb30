"""The same fleet for Kapitan (https://kapitan.dev), and Kapitan itself in a virtual environment of its own.

Kapitan is the nearest general tool: an inventory of classes and targets in git, compiled to files. Here a
phone is a target, and fleet, models, sites and profiles are classes that set the same parameters; Jinja2
renders the plain script's templates to compiled/MAC/phone.cfg and phone.boot. What a target cannot ask of
another (the watched account's extension and label) is written into the target: less work for Kapitan.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import plain_script
import yaml

VERSION = "0.36.3"

_CONTEXT = "".join(
    f"{{% set {name} = inventory.parameters['{name}'] %}}\n"
    for name in ("settings", "slots", "accounts", "sip", "numbers", "keys", "name")
)
_COMPILE = [{"input_type": "jinja2", "input_paths": ["templates"], "output_path": "."}]


def install(folder: Path) -> str | None:
    """Install Kapitan into folder/venv; return why it cannot be, or None."""
    commands = (
        [sys.executable, "-m", "venv", str(folder / "venv")],
        [str(folder / "venv/bin/pip"), "install", "-q", "--disable-pip-version-check", f"kapitan=={VERSION}"],
    )
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"{command[0]} ended with {done.returncode}"]
            return f"kapitan {VERSION} cannot be installed: {said[-1]}"
    return None


def command(folder: Path, out: Path) -> list[str]:
    """Return the command that compiles the inventory at `folder` to `out`; Kapitan takes all cores by itself."""
    return [
        str(folder / "venv/bin/kapitan"),
        "--mp-method=fork",
        "compile",
        "--quiet",
        "--search-paths",
        str(folder),
        "--inventory-path",
        str(folder / "inventory"),
        "--output-path",
        str(out),
    ]


def write_kapitan(fleet: Path, folder: Path) -> None:
    """Write to folder/inventory and folder/templates what fleet/inventory says."""
    kinds = ("fleet", *plain_script.FOLDERS.values())
    inventory = plain_script.read(fleet / "inventory", dict.fromkeys(kinds, lambda entity: None))
    templates = {"phone.cfg": plain_script.PHONE_TEMPLATE, "phone.boot": plain_script.BOOT_TEMPLATE}
    for name, text in templates.items():
        _write(folder / "templates" / name, _CONTEXT + text)
    classes = folder / "inventory/classes"
    root = inventory["fleet"]
    shared = {
        "kapitan": {"compile": _COMPILE},
        "sip": root["sip"],
        "keys": {},
        "settings": plain_script.settings_of(inventory, root),
    }
    _write_parameters(classes / "fleet.yml", shared)
    for model, (slots, last) in plain_script.MODELS.items():
        said = {"slots": slots, "numbers": plain_script.key_numbers(last)}
        _write_parameters(classes / f"models/{model.lower()}.yml", said)
    for name, site in inventory["site"].items():
        _write_parameters(classes / f"sites/{name}.yml", {"settings": plain_script.settings_of(inventory, site)})
    for name, profile in inventory["profile"].items():
        said = {"keys": plain_script.keys_said(inventory, profile), "settings": profile["settings"]}
        _write_parameters(classes / f"profiles/{name}.yml", said)
    for mac, phone in inventory["phone"].items():
        _write_target(folder / f"inventory/targets/{mac}.yml", inventory, mac, phone)


def _write_target(file: Path, inventory: dict[str, Any], mac: str, phone: dict[str, Any]) -> None:
    accounts = [inventory["account"][name] for name in phone["accounts"]]
    parameters = {
        "name": mac,
        "kapitan": {"vars": {"target": mac}},
        "accounts": accounts,
        "keys": plain_script.line_key(accounts[0]) | plain_script.keys_said(inventory, phone),
    }
    if "settings" in phone:
        parameters["settings"] = phone["settings"]
    profiles = [f"profiles.{name}" for name in phone.get("profiles", ())]
    classes = ["fleet", f"models.{phone['model'].lower()}", f"sites.{phone['site']}", *profiles]
    _write_parameters(file, parameters, classes)


def _write_parameters(file: Path, parameters: dict[str, Any], classes: list[str] | None = None) -> None:
    entity = {"classes": classes, "parameters": parameters} if classes else {"parameters": parameters}
    _write(file, yaml.dump(entity, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False))


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
