"""Fleets of any size for the benchmarks: an inventory in the documented form, the same for the same seed.

`python tests/bench/fleet.py FOLDER COUNT` writes FOLDER/inventory with about 320 bytes of YAML a phone, its
account counted. Secrets come from environment variables, so no SOPS file is needed.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

MODELS = (("FIP10", 10, 2), ("FIP11C", 20, 6), ("FIP13G", 30, 9), ("FIP14G", 38, 21), ("FIP15G", 2, 74))
"""Model, per cent of the fleet, line keys (guide, "Editing Common CFG File"; FIP15G: public templates)."""

FIRST_MAC = 0x0021F2000001
FIRST_EXTENSION = 10001  # no leading zero, so that loaders that guess numbers can give the text back
PHONES_PER_SITE = 500
LEAST_SITES = 3

_CITIES = (  # whole hours only: a loader that guesses would read +5:30 as a number to base 60
    ("berlin", "Europe/Berlin", "+1", "German"),
    ("lyon", "Europe/Paris", "+1", "French"),
    ("warsaw", "Europe/Warsaw", "+1", "Polish"),
    ("lisbon", "Europe/Lisbon", "0", "Portuguese"),
    ("madrid", "Europe/Madrid", "+1", "Spanish"),
    ("milan", "Europe/Rome", "+1", "Italian"),
    ("istanbul", "Europe/Istanbul", "+3", "Turkish"),
    ("london", "Europe/London", "0", "English"),
    ("chicago", "America/Chicago", "-6", "English"),
    ("singapore", "Asia/Singapore", "+8", "English"),
)
_FIRST_NAMES = ("Anna", "Jürgen", "Zoë", "Marek", "Inês", "Selin", "Björn", "Claire", "Łukasz", "Maria", "Tom", "Käthe")
_IDS = ("anna", "juergen", "zoe", "marek", "ines", "selin", "bjoern", "claire", "lukasz", "maria", "tom", "kaethe")
_LAST_NAMES = ("Müller", "Krüger", "Schmidt", "Dupont", "Nowak", "Öztürk", "Silva", "García", "Rossi", "Smith", "Weiß")
_ROOMS = ("Desk", "Office", "Lab", "Meeting room", "Workshop")
_OWN_SETTINGS = ("features.pound_key.mode: 2", "local_time.time_format: 0", "local_time.date_format: 2")

_FLEET = """\
dialect: guide
sip: {server: pbx.example.com, port: 5060}
language: English
utc_offset: 0
phonebooks: [company]
settings:
  local_time.ntp_server1: 0.pool.ntp.org
  local_time.ntp_server2: 1.pool.ntp.org
  local_time.time_format: 1
  local_time.date_format: 0
  features.pound_key.mode: 1
vars: {park: "*68"}
secrets: {provider: env}
default_environment: production
environments:
  production:
    url: https://prov.example.com/9f2c/
"""
_PROFILES = """\
reception:
  keys:
    20: {park: "*68", label: Park}
    21: {speed-dial: "2001", label: Door}
  settings: {local_time.time_format: 0}
sales:
  keys:
    9: {dnd: true}
  settings: {features.pound_key.mode: 2}
"""
_PHONEBOOK = """\
company:
  from_accounts: {sites: [berlin]}
  contacts:
    - {name: Fire brigade, numbers: {office: "112"}}
    - {name: Café Zürich, numbers: {office: "+41441234567", mobile: "+41791234567"}}
"""


@dataclass(frozen=True, slots=True)
class Site:
    """A site of a generated fleet: its id, and the numbers of its phones, counted through the fleet from 0."""

    id: str
    phones: range


def write_fleet(
    folder: Path, phones: int, *, seed: int = 1, phones_per_file: int = 50, phones_per_site: int = PHONES_PER_SITE
) -> int:
    """Write a fleet of `phones` phones to folder/inventory and return the bytes of YAML; `folder` may exist.

    Every phone has one account, a BLF never watches its own phone, and each varied parameter has a value in
    fleet.yaml, so that `offhook check` finds no error.
    """
    if phones < 1 or phones_per_file < 1:
        raise ValueError("a fleet has at least one phone, and a file too")
    randomness = random.Random(seed)
    sites = list(_sites(phones, phones_per_site))
    written = _write(folder, "fleet.yaml", [_FLEET])
    written += _write(folder, "sites/all.yaml", (_site(number, site) for number, site in enumerate(sites)))
    written += _write(folder, "profiles/all.yaml", [_PROFILES])
    written += _write(folder, "phonebooks/company.yaml", [_PHONEBOOK])
    for site in sites:
        for share, start in enumerate(range(site.phones.start, site.phones.stop, phones_per_file)):
            numbers = range(start, min(start + phones_per_file, site.phones.stop))
            accounts = (_account(number, site) for number in numbers)
            entries = (_phone(number, site, randomness) for number in numbers)
            written += _write(folder, f"accounts/{site.id}-{share:02}.yaml", accounts)
            written += _write(folder, f"phones/{site.id}-{share:02}.yaml", entries)
    return written


def _write(folder: Path, path: str, parts: Iterable[str]) -> int:
    file = folder / "inventory" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    return file.write_bytes("".join(parts).encode())


def _sites(phones: int, phones_per_site: int) -> Iterator[Site]:
    """The sites, at least three and one for `phones_per_site` phones; their phones follow each other."""
    count = min(max(LEAST_SITES, phones // phones_per_site), phones)
    for number in range(count):
        city = _CITIES[number % len(_CITIES)][0]
        again = number // len(_CITIES)
        first, after = (phones * border // count for border in (number, number + 1))
        yield Site(f"{city}-{again + 1}" if again else city, range(first, after))


def _site(number: int, site: Site) -> str:
    city, zone, offset, language = _CITIES[number % len(_CITIES)]
    return (
        f"{site.id}:\n"
        f"  description: {city.capitalize()}, building {number // len(_CITIES) + 1}\n"
        f"  time_zone: {zone}\n"
        f"  utc_offset: {offset}\n"
        f"  language: {language}\n"
    )


def _account_id(number: int) -> str:
    return f"{_IDS[number % len(_IDS)]}-{number + 1}"


def _account(number: int, site: Site) -> str:
    name = f"{_FIRST_NAMES[number % len(_FIRST_NAMES)]} {_LAST_NAMES[number * 7 % len(_LAST_NAMES)]}"
    account = _account_id(number)
    return (
        f"{account}:\n"
        f"  site: {site.id}\n"
        f"  extension: {FIRST_EXTENSION + number}\n"
        f"  display_name: {name}\n"
        f"  password: secret:{site.id}/{account}\n"
    )


def _phone(number: int, site: Site, randomness: random.Random) -> str:
    model, line_keys = _model(randomness)
    lines = [f"{FIRST_MAC + number:012x}:", f"  model: {model}", f"  site: {site.id}"]
    luck = randomness.random()
    if line_keys >= 21 and luck < 0.1:
        lines.append("  profiles: [reception]")
    elif line_keys >= 9 and luck < 0.3:
        lines.append("  profiles: [sales]")
    lines += [f"  label: {randomness.choice(_ROOMS)} {number + 1}", f"  accounts: [{_account_id(number)}]"]
    lines += ["  keys:", *_keys(number, site, line_keys, randomness)]
    if randomness.random() < 0.1:
        lines += ["  settings:", f"    {randomness.choice(_OWN_SETTINGS)}"]
    return "\n".join(lines) + "\n"


def _model(randomness: random.Random) -> tuple[str, int]:
    place = randomness.randrange(100)
    for model, share, line_keys in MODELS:
        place -= share
        if place < 0:
            return model, line_keys
    raise AssertionError("the shares of MODELS are less than 100 per cent")


def _keys(number: int, site: Site, line_keys: int, randomness: random.Random) -> Iterator[str]:
    """Keys from 2 on (1 is the account's line): BLFs, the last a speed dial; one alone where there are only two."""
    last = min(line_keys, randomness.choice((3, 4)))
    for key in range(2, last + 1):
        others = len(site.phones) - 1
        if others < 1 or (key == last and last > 2):
            yield f'    {key}: {{speed-dial: "+4930{1000000 + number}", label: Taxi}}'
            continue
        watched = site.phones.start + (number - site.phones.start + 1 + randomness.randrange(others)) % (others + 1)
        yield f"    {key}: {{blf: {_account_id(watched)}}}"


def main(arguments: list[str]) -> int:
    """Write the fleet that the command line asks for."""
    parser = argparse.ArgumentParser(description="write a fleet for the benchmarks")
    parser.add_argument("folder", type=Path, help="inventory/ is made in it")
    parser.add_argument("count", type=int, help="how many phones")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phones-per-file", type=int, default=50)
    parser.add_argument("--phones-per-site", type=int, default=PHONES_PER_SITE)
    chosen = parser.parse_args(arguments)
    written = write_fleet(
        chosen.folder,
        chosen.count,
        seed=chosen.seed,
        phones_per_file=chosen.phones_per_file,
        phones_per_site=chosen.phones_per_site,
    )
    print(f"{chosen.count} phones, {written} bytes, {written / chosen.count:.0f} a phone")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
