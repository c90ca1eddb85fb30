"""Long made-up histories of a small fleet, written by `git fast-import`: the same repository for the same seed.

Comes in: a folder and a seed. Goes out: a bare repository whose commits do to an inventory what people do to theirs:
edits, moves, renames, mistakes and their repair, branches and merges of every kind. `OPERATIONS` are what one commit
does to a `World`; `SHAPES` are what several commits do together.
"""

from __future__ import annotations

import base64
import random
import subprocess
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

FLEET = "fleet.yaml"
KINDS = ("sites", "profiles", "accounts", "phones", "phonebooks")
KEYS = {"FIP14G": 21, "FIP13G": 9, "FIP11C": 6, "FIP10P": 2, "FIP15GPLUS": 74, "FIP16": 0}
"""Model -> line keys."""

SERVERS = ("pbx.example.com", "pbx.porto.example", "pbx2.example")

SETTINGS: dict[str, tuple[str, ...]] = {
    "local_time.time_format": ("0", "1"),
    "local_time.date_format": ("0", "2", "3", "6"),
    "local_time.ntp_server1": ("ntp1.example.com", "ntp2.example.com", "{{ site.vars.ntp }}", "ntp.{{ site.id }}.net"),
    "features.pound_key.mode": ("0", "1", "2"),
    "wui.http_enable": ("0", "1", "true", "false"),
}
"""Parameter -> values to choose from; expressions among them."""

DAMAGES: dict[str, Callable[[str], str]] = {
    "syntax": lambda text: text + "oops: [1\n",
    "conflict": lambda text: f"<<<<<<< HEAD\n{text}=======\n>>>>>>> branch\n",
    "anchor": lambda text: text + "oops: &one {description: x}\n",
    "list": lambda text: "- " + text.replace("\n", "\n  ").rstrip() + "\n",
    "link": lambda text: "elsewhere.yaml",
}
"""How a file breaks -> what becomes of its text; a "link" is one, and points nowhere."""

Place = tuple[str, str]
"""A file below inventory/, and a key at its top."""


class Unfit(Exception):
    """The operation finds nothing to do in this world."""


class _Dumper(yaml.CSafeDumper):
    """Writes what occurs twice twice: an inventory has no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


@dataclass(frozen=True)
class Doc:
    """One file's content, and how it is written: a comment at its top, and whether inner mappings take lines."""

    content: dict[str, Any]
    note: str = ""
    is_block: bool = False
    damage: str = ""

    @cached_property
    def text(self) -> str:
        """The file's text."""
        style = False if self.is_block else None
        text = yaml.dump(
            self.content, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=1000, default_flow_style=style
        )
        text = (f"# {self.note}\n" if self.note else "") + text
        return DAMAGES[self.damage](text) if self.damage else text


@dataclass
class World:
    """The files of one commit. `fleet` and `gone` remember what was deleted: fleet.yaml, and phones by MAC."""

    files: dict[str, Doc]
    outside: dict[str, str] = field(default_factory=dict)
    fleet: Doc = field(default_factory=lambda: Doc({}))
    gone: dict[str, Any] = field(default_factory=dict)

    def copy(self) -> World:
        """A world to change: files are replaced in it, and never changed themselves."""
        return World(dict(self.files), dict(self.outside), self.fleet, dict(self.gone))

    def paths(self, kind: str) -> list[str]:
        """The files of a kind in the order in which they are read."""
        return sorted(path for path in self.files if path.startswith(f"{kind}/"))

    def places(self, *kinds: str) -> list[Place]:
        """Every entity of these kinds in files that can be read, the first of two with one id only."""
        found: dict[tuple[str, str], Place] = {}
        for kind in kinds:
            for path in self.paths(kind):
                for key in self.files[path].content if not self.files[path].damage else ():
                    found.setdefault((kind, canonical(kind, key)), (path, key))
        return list(found.values())

    def ids(self, kind: str) -> list[str]:
        """Every id of a kind, also of files that cannot be read."""
        return list(
            dict.fromkeys(canonical(kind, key) for path in self.paths(kind) for key in self.files[path].content)
        )

    def body(self, place: Place) -> Any:
        """An entity to look at."""
        return self.files[place[0]].content[place[1]]

    def edit(self, place: Place) -> Any:
        """An entity to change."""
        return self.edit_file(place[0])[place[1]]

    def edit_file(self, path: str) -> dict[str, Any]:
        """A file's content to change."""
        doc = self.files.get(path)
        if doc is None or doc.damage:
            raise Unfit(path)
        self.files[path] = replace(doc, content=deepcopy(doc.content))
        return self.files[path].content

    def drop(self, place: Place) -> None:
        """Take an entity out of its file, and a file that is left empty away."""
        content = self.edit_file(place[0])
        del content[place[1]]
        if not content:
            del self.files[place[0]]


Operation = Callable[[World, random.Random], object]


def canonical(kind: str, key: str) -> str:
    """An id as offhook compares it."""
    return key.lower().translate({ord(sign): None for sign in ":-."}) if kind == "phones" else key


def pick(luck: random.Random, items: Any) -> Any:
    """One of the items. Raises Unfit where there is none."""
    items = list(items)
    if not items:
        raise Unfit
    return luck.choice(items)


def seal(luck: random.Random) -> str:
    """A value as SOPS seals it (https://getsops.io/docs/), of a key that nobody has."""
    data, iv, tag = (base64.b64encode(luck.randbytes(size)).decode() for size in (12, 32, 16))
    return f"ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:str]"


def first_world(luck: random.Random) -> World:
    """The fleet before anything happens to it: 3 sites, 3 profiles, 15 accounts, 12 phones, both dialects."""
    sites = {
        "berlin": {"utc_offset": "+1", "language": "German", "phonebooks": ["company"]},
        "lyon": {"utc_offset": "+1", "sip": {"outbound_proxy": "sbc.lyon.example"}},
        "porto": {"dialect": "static", "phonebooks": ["company", "emergency"], "sip": {"server": "pbx.porto.example"}},
    }
    for number, site in enumerate(sites.values(), start=2):
        words = {"door": f"{number}001", "ntp": f"ntp{number}.example.com", "boss": "lyon-b"}
        site |= {"description": f"Site {number}", "vars": words}
    profiles = {
        "reception": {
            "vars": {"room": "Lobby"},
            "keys": {
                "3": {"park": "{{ fleet.vars.park }}", "label": "Park"},
                "4": {"speed-dial": "{{ site.vars.door }}", "label": "{{ phone.label | default('Door') }}"},
                "5": {"blf": "0102"},
                "6": {"blf": "{{ site.vars.boss }}"},
            },
        },
        "desk": {"settings": {"local_time.time_format": "0"}, "keys": {"7": {"dnd": "true"}}},
        "night": {"settings": {"wui.http_enable": "1"}, "language": "French"},
    }
    files: dict[str, Any] = {FLEET: _first_fleet(), "sites/all.yaml": sites, "profiles/all.yaml": profiles}
    macs = [f"0021f2{number:06x}" for number in range(1, 13)]
    for number, site in enumerate(sites):
        names = [f"{site}-{one}" for one in "abcde"]
        # two files; in Porto, where another server is, extensions are those of Berlin: a number may mean two accounts
        files.setdefault(f"accounts/{'lyon' if site == 'lyon' else 'all'}.yaml", {}).update(
            (
                name,
                {
                    "site": site,
                    "extension": f"0{1 + number % 2}0{digit}",
                    "display_name": f"{name.title()} Müller",
                    "password": f"secret:{site}/{name}",
                    "max_phones": "20",
                },
            )
            for digit, name in enumerate(names, start=1)
        )
        files[f"secrets/{site}.yaml"] = _sops(luck, site, names)
        files[f"phones/{site}.yaml"] = {
            mac: _first_phone(luck, site, names, own) for own, mac in enumerate(macs[4 * number : 4 * number + 4])
        }
    files["secrets/web.yaml"] = _sops(luck, "web", ["admin", "pin"])
    contact = {"name": "Fire brigade", "numbers": {"office": "112"}}
    files["phonebooks/company.yaml"] = {"company": {"from_accounts": {"sites": ["berlin", "lyon"]}}}
    files["phonebooks/emergency.yaml"] = {"emergency": {"title": "Emergency", "contacts": [contact]}}
    docs = {path: Doc(content) for path, content in files.items()}
    return World(docs, {"README.md": "The fleet\n"}, docs[FLEET])


def _first_fleet() -> dict[str, Any]:
    settings = {name: values[0] for name, values in SETTINGS.items()} | {"sip.notify_reboot_enable": "0"}
    return {
        "sip": {"server": "pbx.example.com", "port": "5070"},
        "language": "English",
        "utc_offset": "+0",
        "settings": settings | {"static.security.user_password": "secret:web/admin", "wui.https_enable": "1"},
        "settings_unchecked": {"custom.banner": "Hello"},
        "vars": {"park": "*68"},
        "models": {"FIP16": {"settings": {"features.pound_key.mode": "2"}}, "FIP10": {"settings": {}}},
        "default_environment": "production",
        "environments": {
            "production": {
                "url": "https://prov.example.com/x/",
                "pin": "true",
                "username": "phone",
                "password": "secret:web/pin",
            },
            "lab": _LAB,
        },
        # what moving phones and accounts about at random often brings
        "checks": dict.fromkeys(("blf-self", "blf-no-account", "blf-unknown", "duplicate-extension"), "warning"),
    }


_LAB = {"url": "tftp://127.0.0.1/", "phones": {"sites": ["porto"], "macs": ["00:21:f2:00:00:02"]}}


def _first_phone(luck: random.Random, site: str, names: list[str], own: int) -> dict[str, Any]:
    model = luck.choice([model for model in KEYS if KEYS[model] or own])
    phone: dict[str, Any] = {"model": model, "site": site, "label": f"Room {own}", "accounts": [names[own]]}
    if KEYS[model] >= 6:
        phone |= {"profiles": [("reception", "desk", "night")[own % 3]], "keys": {"2": {"blf": names[own + 1]}}}
    return phone


def _sops(luck: random.Random, top: str, names: list[str]) -> dict[str, Any]:
    """A SOPS file with one sealed value a name, and a data key sealed for one recipient."""
    metadata = {
        "age": [{"recipient": "age1" + "q" * 58, "enc": seal(luck)}],
        "lastmodified": "2026-01-01T00:00:00Z",
        "mac": seal(luck),
        "version": "3.11.0",
    }
    return {top: {name: seal(luck) for name in names}, "sops": metadata}


# What one commit does. Each takes a world to change, and luck; Unfit where it finds nothing to do.


def move_phone(world: World, luck: random.Random) -> None:
    world.edit(pick(luck, world.places("phones")))["site"] = pick(luck, world.ids("sites"))


def _say(world: World, luck: random.Random, body: dict[str, Any]) -> None:
    """Set, or no longer set, one parameter that the fleet sets too; in either dialect's spelling where it has two."""
    fleet = world.files.get(FLEET, world.fleet).content
    name = pick(luck, [name for name in fleet.get("settings", {}) if name in SETTINGS])
    settings = body.setdefault("settings", {})
    if isinstance(settings, str):
        raise Unfit  # a mistake that waits for its repair
    if name in settings and luck.random() < 0.3:
        del settings[name]
        return
    settings[name] = luck.choice(SETTINGS[name])
    if luck.random() < 0.2:
        # one parameter, two spellings: now and then both stand there, and the later one wins
        settings[luck.choice(["wui.https_enable", "static.wui.https_enable"])] = luck.choice("01")


def edit_site(world: World, luck: random.Random) -> None:
    site = world.edit(pick(luck, world.places("sites")))
    luck.choice(
        [
            lambda: _say(world, luck, site),
            lambda: site.update(utc_offset=luck.choice(["+0", "+1", "+2", "+5:30"])),
            lambda: site.setdefault("vars", {}).update(door=str(luck.randint(2000, 2009))),
            lambda: site.setdefault("vars", {}).update(boss=luck.choice(["porto-b", "0102", "lyon-b"])),
            lambda: site.update(settings_unchecked={"custom.banner": f"Site {luck.randint(1, 4)}"}),
        ]
    )()


def edit_site_sip(world: World, luck: random.Random) -> None:
    site = world.edit(pick(luck, world.places("sites")))
    word, value = luck.choice(
        [
            ("outbound_proxy", f"sbc{luck.randint(1, 3)}.example"),
            ("port", str(luck.randint(5060, 5064))),
            ("server", luck.choice(SERVERS)),
        ]
    )
    site.setdefault("sip", {})[word] = value


def edit_profile(world: World, luck: random.Random) -> None:
    profile = world.edit(pick(luck, world.places("profiles")))
    if luck.random() < 0.5:
        _say(world, luck, profile)
    else:
        profile.setdefault("keys", {})["7"] = _key(world, luck)


def _fleet(world: World) -> dict[str, Any]:
    return world.edit_file(FLEET)


def edit_fleet(world: World, luck: random.Random) -> None:
    fleet = _fleet(world)
    name = pick(luck, [name for name in fleet["settings"] if name in SETTINGS])
    luck.choice(
        [
            lambda: fleet["settings"].update({name: luck.choice(SETTINGS[name])}),
            lambda: fleet.update(language=luck.choice(["English", "German"])),
            lambda: fleet["settings"].update({"sip.notify_reboot_enable": luck.choice("02")}),
            lambda: fleet["vars"].update(park=f"*{luck.randint(60, 69)}"),
            lambda: fleet["sip"].update(port=str(luck.randint(5070, 5074))),
        ]
    )()


def edit_model(world: World, luck: random.Random) -> None:
    models = _fleet(world)["models"]
    name = luck.choice(["FIP16", "FIP14G", "FIP10", "FIP10P", "FIP15G"])
    if name in models and luck.random() < 0.3:
        del models[name]
    else:
        _say(world, luck, models.setdefault(name, {}))


def _key(world: World, luck: random.Random) -> dict[str, str]:
    account = world.body(pick(luck, world.places("accounts")))
    return luck.choice(
        [
            {"blf": pick(luck, world.ids("accounts"))},
            {"blf": account["extension"]},
            {"blf": "{{ site.vars.boss }}"},
            {"blf": "{{ accounts[0].extension }}", "label": "Me"},
            {"speed-dial": "{{ site.vars.door }}"},
            {"speed-dial": f"+4930{luck.randint(1, 9)}", "label": "{{ site.description }}"},
            {"none": "true"},
            {"line": "1"},
        ]
    )


def edit_keys(world: World, luck: random.Random) -> None:
    place = pick(luck, [one for one in world.places("phones") if KEYS.get(world.body(one)["model"])])
    phone = world.edit(place)
    number = str(luck.randint(1, min(6, KEYS[phone["model"]])))
    keys = phone.setdefault("keys", {})
    if keys.pop(number, None) is None or luck.random() < 0.7:
        keys[number] = _key(world, luck)


def edit_phone(world: World, luck: random.Random) -> None:
    phone = world.edit(pick(luck, world.places("phones")))
    luck.choice(
        [
            lambda: _say(world, luck, phone),
            lambda: phone.update(label=luck.choice(["Desk", "Hall", "{{ site.vars.door }} {{ phone.mac }}"])),
            lambda: phone.update(vars={"room": f"R{luck.randint(1, 3)}"}),
            lambda: phone.update(phonebooks=[pick(luck, world.ids("phonebooks"))]),
            lambda: phone.update(profiles=luck.sample(world.ids("profiles"), k=min(2, len(world.ids("profiles"))))),
        ]
    )()


def edit_accounts(world: World, luck: random.Random) -> None:
    used = world.ids("accounts")
    phone = world.edit(pick(luck, world.places("phones")))
    phone["accounts"] = luck.sample(used, k=min(len(used), luck.randint(1, 2)))


def change_dialect(world: World, luck: random.Random) -> None:
    place = pick(luck, world.places("phones"))
    if world.edit(place).pop("dialect", None) is None:
        world.edit(place)["dialect"] = "static"


def edit_account(world: World, luck: random.Random) -> None:
    account = world.edit(pick(luck, world.places("accounts")))
    luck.choice(
        [
            lambda: account.update(label=f"Line {luck.randint(1, 5)}"),
            lambda: account.update(display_name=f"Name {luck.randint(1, 5)}"),
            lambda: account.update(sip={"outbound_proxy": f"own{luck.randint(1, 3)}.example"}),
            lambda: account.update(sip={"server": luck.choice(SERVERS)}),
            lambda: account.pop("label", None),
            lambda: account.update(site=pick(luck, world.ids("sites")), extension=f"0{luck.randint(500, 999)}"),
        ]
    )()


def change_extension(world: World, luck: random.Random) -> None:
    """A number that is free; or two accounts change theirs, and whoever watches a number watches somebody else."""
    places = world.places("accounts")
    one = world.edit(pick(luck, places))
    if luck.random() < 0.5:
        other = world.edit(pick(luck, [place for place in places if world.body(place)["site"] == one["site"]]))
        one["extension"], other["extension"] = other["extension"], one["extension"]
    else:
        one["extension"] = f"0{luck.randint(500, 999)}"


def split_file(world: World, luck: random.Random) -> None:
    path = pick(luck, [path for kind in KINDS for path in world.paths(kind) if len(world.files[path].content) > 1])
    content = world.edit_file(path)
    moved = luck.sample(sorted(content), k=len(content) // 2)
    world.files[_free(world, luck, path)] = Doc({key: content.pop(key) for key in moved})


def _free(world: World, luck: random.Random, path: str) -> str:
    """A path beside another one that nothing has: before or behind it, or in a folder, with either ending."""
    kind = path.partition("/")[0]
    name = luck.choice(["a", "m", "z", "deep/a", "deep/z"]) + str(luck.randint(1, 99))
    found = f"{kind}/{name}{luck.choice(['.yaml', '.yaml', '.yml'])}"
    return _free(world, luck, path) if found in world.files else found


def rename_file(world: World, luck: random.Random) -> None:
    path = pick(luck, [path for kind in (*KINDS, "secrets") for path in world.paths(kind)])
    world.files[_free(world, luck, path)] = world.files.pop(path)


def join_files(world: World, luck: random.Random) -> None:
    kind = pick(luck, [kind for kind in KINDS if len(world.paths(kind)) > 1])
    one, other = luck.sample(world.paths(kind), k=2)
    content, more = world.edit_file(one), world.edit_file(other)
    if content.keys() & more.keys():
        raise Unfit
    content |= more
    del world.files[other]


_REFERENCES = {"sites": ("site", "sites"), "profiles": ("profiles",), "accounts": ("accounts", "blf")}
"""Kind -> the words that refer to one of it."""


def rename_id(world: World, luck: random.Random) -> None:
    kind, old, new = _rename(world, luck)
    for path in list(world.files):
        if not world.files[path].damage and (path.partition("/")[0] in KINDS or path == FLEET):
            _refer(world.edit_file(path), _REFERENCES[kind], old, new)


def dangle(world: World, luck: random.Random) -> None:
    """An id is renamed, and what refers to it is forgotten."""
    _rename(world, luck)


def _rename(world: World, luck: random.Random) -> tuple[str, str, str]:
    path, old = pick(luck, world.places(*_REFERENCES))
    new = f"{old.partition('_')[0]}_{luck.randint(1, 999)}"
    _respell(world, (path, old), new)
    return path.partition("/")[0], old, new


def _respell(world: World, place: Place, new: str) -> None:
    content = world.edit_file(place[0])
    if new in content:
        raise Unfit
    renamed = {new if key == place[1] else key: body for key, body in content.items()}
    content.clear()
    content.update(renamed)


def _refer(value: Any, words: tuple[str, ...], old: str, new: str) -> None:
    """Let every reference in a plain value that is `old` be `new`."""
    for word, inner in value.items() if isinstance(value, dict) else ():
        if word in words and inner == old:
            value[word] = new
        elif word in words and isinstance(inner, list):
            value[word] = list(dict.fromkeys(new if one == old else one for one in inner))
        else:
            _refer(inner, words, old, new)


def invalidate(world: World, luck: random.Random) -> None:
    """One entity is no longer what the schemas allow."""
    place = pick(luck, [*world.places(*KINDS), (FLEET, "")])
    body = world.edit_file(FLEET) if place[0] == FLEET else world.edit(place)
    word, value = luck.choice([("oops", "1"), ("modle", "FIP14G"), ("settings", "none")])
    if word == "settings" and "settings" in body:
        raise Unfit
    body[word] = value


def break_file(world: World, luck: random.Random) -> None:
    path = pick(luck, [path for path, doc in world.files.items() if not doc.damage])
    # in a secrets file only what leaves nothing to read: what is to be read of a half is not what this is about
    ways = ("syntax", "conflict", "link") if path.startswith("secrets/") else tuple(DAMAGES)
    world.files[path] = replace(world.files[path], damage=luck.choice(ways))


def add_phone(world: World, luck: random.Random) -> None:
    content = world.edit_file(pick(luck, world.paths("phones")))
    content[f"0021f2{luck.randrange(0x1000, 0xFFFFFF):06x}"] = {
        "model": luck.choice(list(KEYS)),
        "site": pick(luck, world.ids("sites")),
        "accounts": [pick(luck, world.ids("accounts"))],
    }


def remove_phone(world: World, luck: random.Random) -> None:
    places = world.places("phones")
    if len(places) < 9:
        raise Unfit
    place = pick(luck, places)
    world.gone[canonical("phones", place[1])] = deepcopy(world.body(place))
    world.drop(place)


def return_phone(world: World, luck: random.Random) -> None:
    mac = pick(luck, sorted(world.gone.keys() - set(world.ids("phones"))))
    world.edit_file(pick(luck, world.paths("phones")))[mac] = world.gone.pop(mac)


def retire_phone(world: World, luck: random.Random) -> None:
    phone = world.edit(pick(luck, world.places("phones")))
    if phone.pop("retired", None) is None:
        phone["retired"] = "true"


def duplicate_mac(world: World, luck: random.Random) -> None:
    _duplicate(world, luck, "phones")


def duplicate_id(world: World, luck: random.Random) -> None:
    _duplicate(world, luck, luck.choice(["sites", "profiles", "accounts"]))


def _duplicate(world: World, luck: random.Random, kind: str) -> None:
    """An entity stands once more, and differs: in an earlier or a later file, or a phone in the same one."""
    path, key = pick(luck, world.places(kind))
    body = deepcopy(world.body((path, key)))
    body |= {"label": "Twin"} if kind == "accounts" else {"language": "Polish"}
    other = _spelling(key, luck) if kind == "phones" else key
    if other != key and luck.random() < 0.5:
        world.edit_file(path)[other] = body
    else:
        world.files[_free(world, luck, path)] = Doc({other: body})


def _spelling(mac: str, luck: random.Random) -> str:
    plain = canonical("phones", mac)
    pairs = [plain[at : at + 2] for at in range(0, 12, 2)]
    fours = [plain[at : at + 4] for at in range(0, 12, 4)]
    return luck.choice([plain, ":".join(pairs).upper(), "-".join(pairs), ".".join(fours)])


def respell_mac(world: World, luck: random.Random) -> None:
    place = pick(luck, world.places("phones"))
    new = _spelling(place[1], luck)
    if new == place[1]:
        raise Unfit
    _respell(world, place, new)


def cosmetics(world: World, luck: random.Random) -> None:
    """A comment, another style, another order: nothing that a phone sees, but where two stand for one thing."""
    paths = [path for path, doc in world.files.items() if not doc.damage]
    path = pick(luck, world.paths("accounts") if luck.random() < 0.4 else paths)
    doc = world.files[path]
    note = f"as of week {luck.randint(1, 99)}"
    world.files[path] = replace(doc, content=_shuffled(doc.content, luck), note=note, is_block=luck.random() < 0.3)


def _shuffled(value: Any, luck: random.Random) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _shuffled(value[key], luck) for key in luck.sample(sorted(value), k=len(value))}


def rotate_secret(world: World, luck: random.Random) -> None:
    """As `sops edit` leaves a file: one value is new, and what signs them all."""
    content = world.edit_file(pick(luck, world.paths("secrets")))
    names = content[next(top for top in content if top != "sops")]
    names[pick(luck, names)] = seal(luck)
    content["sops"] |= {"mac": seal(luck), "lastmodified": f"2026-01-02T00:00:{luck.randint(10, 59)}Z"}


def rotate_file(world: World, luck: random.Random) -> None:
    """As `sops rotate` leaves a file: a new data key, and with it every value."""
    content = world.edit_file(pick(luck, world.paths("secrets")))
    top = next(top for top in content if top != "sops")
    content |= _sops(luck, top, list(content[top]))


def rename_secret(world: World, luck: random.Random) -> None:
    account = world.edit(pick(luck, world.places("accounts")))
    names = _secrets(world, account["password"])
    new = f"s{luck.randint(1, 9999)}"
    names[new] = names.pop(account["password"].rpartition("/")[2])
    account["password"] = f"{account['password'].rpartition('/')[0]}/{new}"


def _secrets(world: World, reference: str) -> dict[str, str]:
    """The names beside a secret in its file, to change."""
    top, _, name = reference.removeprefix("secret:").partition("/")
    path = pick(random.Random(0), [one for one in world.paths("secrets") if top in world.files[one].content])
    names: dict[str, str] = world.edit_file(path)[top]
    if name not in names:
        raise Unfit
    return names


def edit_outside(world: World, luck: random.Random) -> None:
    world.outside[luck.choice(["README.md", "docs/notes.md", "site/.offhook-index"])] = f"{luck.random()}\n"


def delete_fleet(world: World, luck: random.Random) -> None:
    _fleet(world)
    world.fleet = world.files.pop(FLEET)


def select_phones(world: World, luck: random.Random) -> None:
    lab = _fleet(world)["environments"]["lab"]
    macs = [_spelling(mac, luck) for mac in luck.sample(world.ids("phones"), k=min(2, len(world.ids("phones"))))]
    lab["phones"] = luck.choice([{"sites": [pick(luck, world.ids("sites"))]}, {"macs": macs}, {"models": ["FIP14G"]}])


def edit_environment(world: World, luck: random.Random) -> None:
    environment = _fleet(world)["environments"][luck.choice(["production", "lab"])]
    environment |= luck.choice(
        [{"url": f"https://p{luck.randint(1, 3)}.example/"}, {"pin": luck.choice(["true", "false"])}]
    )


def default_environment(world: World, luck: random.Random) -> None:
    fleet = _fleet(world)
    fleet["default_environment"] = "lab" if fleet["default_environment"] == "production" else "production"


def drop_environment(world: World, luck: random.Random) -> None:
    fleet = _fleet(world)
    fleet["default_environment"] = "production"
    del fleet["environments"]["lab"]


def retire_parameter(world: World, luck: random.Random) -> None:
    """A parameter leaves every layer, and the fleet says it once more; or comes back."""
    fleet = _fleet(world)
    retired = fleet.setdefault("retired", {})
    if retired:
        fleet["settings"] |= retired
        del fleet["retired"]
        return
    name = pick(luck, [name for name in fleet["settings"] if name in SETTINGS and "ntp" not in name])
    for place in world.places("sites", "profiles", "phones"):
        if name in world.body(place).get("settings", {}):
            del world.edit(place)["settings"][name]
    for model in fleet["models"].values():
        model.get("settings", {}).pop(name, None)
    retired[name] = fleet["settings"].pop(name)


def edit_phonebook(world: World, luck: random.Random) -> None:
    book = world.edit(pick(luck, world.places("phonebooks")))
    if luck.random() < 0.5:
        book["title"] = f"Book {luck.randint(1, 3)}"
    else:
        book["contacts"] = [{"name": "Porter", "numbers": {"mobile": f"+49{luck.randint(1, 9)}"}}]


def mend(world: World, luck: random.Random) -> None:
    """One thing that is wrong is put right, or several."""
    for _ in range(luck.choice([1, 1, 4])):
        pick(luck, faults(world, luck))()
        if next(faults(world, luck), None) is None:
            return


def faults(world: World, luck: random.Random) -> Iterator[Callable[[], object]]:
    """What is wrong in a world: for each thing, what puts it right."""
    if FLEET not in world.files:
        yield lambda: world.files.update({FLEET: world.fleet})
    elif not world.files[FLEET].damage and "lab" not in world.files[FLEET].content["environments"]:
        yield lambda: _fleet(world)["environments"].update(lab=deepcopy(_LAB))
    elif world.files[FLEET].content["default_environment"] == "lab":
        yield lambda: default_environment(world, luck)
    for path, doc in world.files.items():
        if doc.damage:
            yield lambda path=path, doc=doc: world.files.update({path: replace(doc, damage="")})
            continue
        bodies = {"": doc.content} if path == FLEET else doc.content
        for key, body in bodies.items():
            for word in ("oops", "modle", "settings"):
                if word in body and isinstance(body[word], str):
                    yield lambda path=path, key=key, word=word: _unsay(world, path, key, word)
    for kind in KINDS:
        yield from _doubles(world, kind)
    for kind, words in _REFERENCES.items():
        for path in world.files:
            if path.partition("/")[0] in KINDS or path == FLEET:
                known = set(world.ids(kind)) | _numbers(world) if kind == "accounts" else set(world.ids(kind))
                for lost in sorted(_referred(world.files[path].content, words) - known):
                    found = [one for one in world.ids(kind) if one.partition("_")[0] == lost.partition("_")[0]]
                    new = pick(luck, found or world.ids(kind))
                    yield lambda path=path, words=words, lost=lost, new=new: _refer(
                        world.edit_file(path), words, lost, new
                    )
    yield from _clashes(world, luck)


def _clashes(world: World, luck: random.Random) -> Iterator[Callable[[], object]]:
    """What does not go together: secrets, and parameters that are retired and said, or said twice."""
    tops = set()
    for place in world.places("accounts"):
        top, _, name = world.body(place)["password"].removeprefix("secret:").partition("/")
        for path in world.paths("secrets"):
            if name not in world.files[path].content.get(top, {name}):
                yield lambda path=path, top=top, name=name: world.edit_file(path)[top].update({name: seal(luck)})
    for path in world.paths("secrets"):
        top = next(iter(world.files[path].content.keys() - {"sops"}))
        if top in tops:
            yield lambda path=path: world.files.pop(path)
        tops.add(top)
    fleet = world.files.get(FLEET, Doc({})).content
    said = [world.body(place).get("settings", ()) for place in world.places(*KINDS)]
    said += [model.get("settings", ()) for model in fleet.get("models", {}).values()]
    if any(name in settings for name in fleet.get("retired", ()) for settings in said):
        yield lambda: retire_parameter(world, luck)
    for place in world.places("sites", "profiles", "phones"):
        if {"wui.https_enable", "static.wui.https_enable"} <= set(world.body(place).get("settings", ())):
            yield lambda place=place: world.edit(place)["settings"].pop("wui.https_enable")
    if {"FIP10", "FIP10P"} <= fleet.get("models", {}).keys():
        yield lambda: _fleet(world)["models"].pop("FIP10P")
    chosen = fleet.get("environments", {}).get("lab", {}).get("phones", {}).get("macs", ())
    if not {canonical("phones", mac) for mac in chosen} <= set(world.ids("phones")):
        yield lambda: select_phones(world, luck)


def _unsay(world: World, path: str, key: str, word: str) -> None:
    content = world.edit_file(path)
    del (content[key] if key else content)[word]


def _doubles(world: World, kind: str) -> Iterator[Callable[[], object]]:
    seen: dict[str, Place] = {}
    for path in world.paths(kind):
        for key in world.files[path].content:
            first = seen.setdefault(canonical(kind, key), (path, key))
            if first != (path, key):
                yield lambda first=first: world.drop(first)
                yield lambda second=(path, key): world.drop(second)


def _numbers(world: World) -> set[str]:
    return {
        body.get("extension", "") for path in world.paths("accounts") for body in world.files[path].content.values()
    }


def _referred(value: Any, words: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    for word, inner in value.items() if isinstance(value, dict) else ():
        if word in words and isinstance(inner, (str, list)):
            found |= {one for one in ([inner] if isinstance(inner, str) else inner) if "{" not in one}
        else:
            found |= _referred(inner, words)
    return found


OPERATIONS: dict[Operation, int] = {
    move_phone: 6,
    edit_site: 6,
    edit_site_sip: 5,
    edit_profile: 4,
    edit_fleet: 3,
    edit_model: 2,
    edit_keys: 8,
    edit_phone: 8,
    edit_accounts: 4,
    edit_account: 4,
    change_dialect: 2,
    change_extension: 4,
    split_file: 4,
    rename_file: 4,
    join_files: 4,
    rename_id: 4,
    dangle: 2,
    invalidate: 2,
    break_file: 2,
    mend: 1,
    add_phone: 2,
    remove_phone: 3,
    return_phone: 2,
    retire_phone: 2,
    duplicate_mac: 2,
    duplicate_id: 2,
    respell_mac: 3,
    cosmetics: 10,
    rotate_secret: 4,
    rotate_file: 2,
    rename_secret: 1,
    edit_outside: 3,
    delete_fleet: 1,
    select_phones: 3,
    edit_environment: 2,
    default_environment: 1,
    drop_environment: 1,
    retire_parameter: 2,
    edit_phonebook: 2,
}
"""What one commit does -> how often, against the others."""


@dataclass(frozen=True, slots=True)
class Step:
    """One commit to be: what it does, the steps that are its parents, and the files it ends with."""

    operation: str
    parents: tuple[int, ...]
    world: World


class Story:
    """The commits so far. `main` is the step that everything is merged into in the end, `sides` are branches of it."""

    def __init__(self, luck: random.Random) -> None:
        """Begin with the fleet as it was before anything happened."""
        self.luck = luck
        self.steps: list[Step] = []
        self._reach: list[int] = []
        self.main = self.add("first", (), first_world(luck))
        self.sides: list[int] = []

    def add(self, operation: str, parents: tuple[int, ...], world: World) -> int:
        """Commit a world."""
        number = len(self.steps)
        self.steps.append(Step(operation, parents, world))
        reach = 1 << number
        for parent in parents:
            reach |= self._reach[parent]
        self._reach.append(reach)
        return number

    def step(self, parent: int) -> int:
        """Commit one operation, chosen by weight; what never happened yet is chosen the more."""
        done = {step.operation for step in self.steps}
        weights = [weight if one.__name__ in done else 6 * weight for one, weight in OPERATIONS.items()]
        while True:
            world = self.steps[parent].world.copy()
            (operation,) = self.luck.choices(list(OPERATIONS), weights)
            if self.luck.random() < 0.9 and next(faults(world, self.luck), None) is not None:
                operation = mend
            try:
                operation(world, self.luck)
            except Unfit:
                continue
            return self.add(operation.__name__, (parent,), world)

    def merge(self, operation: str, parents: tuple[int, ...], taste: str) -> int:
        """Commit a merge of the first parent and the others; a few do something of their own besides."""
        first, *others = parents
        world, reach = self.steps[first].world, self._reach[first]
        for other in others:
            common = reach & self._reach[other]
            base = self.steps[common.bit_length() - 1].world if common else World({})
            world = merged(base, world, self.steps[other].world, self.luck, taste)
            reach |= self._reach[other]
        if self.luck.random() < 0.2:
            try:
                edited = world.copy()
                edit_phone(edited, self.luck)
                world = edited
            except Unfit:
                pass
        return self.add(operation, parents, world)


TASTES = ("ours", "theirs", "third")
"""What becomes of a value that both sides of a merge changed."""


def merged(base: World, ours: World, theirs: World, luck: random.Random, taste: str) -> World:
    """A three-way merge, file by file and entity by entity."""

    def one_file(old: Doc | None, our: Doc | None, their: Doc | None) -> Doc | None:
        if our is None or their is None or our.damage or their.damage:
            return their if taste == "theirs" else our
        content = _three_ways(old.content if old else {}, our.content, their.content, one_entity)
        return replace(our, content=content) if content else None

    def one_entity(old: Any, our: Any, their: Any) -> Any:
        if taste != "third" or not isinstance(our, dict) or not isinstance(their, dict):
            return their if taste == "theirs" else our
        both = deepcopy({**our, **their})
        return both | {"vars": {**both["vars"], "door": f"9{luck.randint(100, 999)}"}} if "vars" in both else both

    result = ours.copy()
    result.files = _three_ways(base.files, ours.files, theirs.files, one_file)
    result.outside = {**theirs.outside, **ours.outside}
    result.gone = {**theirs.gone, **ours.gone}
    return result


def _three_ways(old: Any, our: Any, their: Any, conflict: Callable[[Any, Any, Any], Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in [*our, *(one for one in their if one not in our)]:
        a, b, c = old.get(key), our.get(key), their.get(key)
        value = b if b == c or a == c else c if a == b else conflict(a, b, c)
        if value is not None:
            found[key] = value
    return found


# What several commits do together, on main.


def clash(story: Story, taste: str) -> None:
    """Two branches change one value; the merge takes ours, theirs, or a third."""
    world = story.steps[story.main].world
    place = pick(story.luck, world.places("sites"))

    def opened(parent: int, door: str) -> int:
        changed = story.steps[parent].world.copy()
        changed.edit(place).setdefault("vars", {})["door"] = door
        return story.add("open_door", (parent,), changed)

    side = opened(story.main, f"7{story.luck.randint(100, 999)}")
    main = opened(story.main, f"8{story.luck.randint(100, 999)}")
    story.main = story.merge(f"clash {taste}", (main, side), taste)


def octopus(story: Story) -> None:
    """Three branches become one in one merge."""
    sides = [story.step(story.step(story.main)), story.step(story.main)]
    story.main = story.merge("octopus", (story.step(story.main), *sides), "theirs")


def criss_cross(story: Story) -> None:
    """Two branches merge each other, each in its own way, and live on for a commit: there are two merge bases."""
    one, other = story.step(story.main), story.step(story.main)
    one, other = story.merge("crossing", (one, other), "ours"), story.merge("crossing", (other, one), "ours")
    story.main = story.merge("criss_cross", (story.step(one), story.step(other)), "third")


def unrelated(story: Story) -> None:
    """A root of its own, without an inventory, is merged."""
    root = story.add("other root", (), World({}, {"OTHER.md": "another project\n"}))
    again = story.add("other", (root,), World({}, {"OTHER.md": "another project, again\n"}))
    story.main = story.merge("unrelated", (story.main, again), "ours")


def imported(story: Story) -> None:
    """Such a root is given the inventory by a copy; then the old history is merged into the new one."""
    root = story.add("other root", (), World({}, {"OTHER.md": "a new home\n"}))
    copied = story.steps[story.main].world
    new = story.step(story.add("copy", (root,), copied))
    old = story.step(story.main)
    world = merged(copied, story.steps[new].world, story.steps[old].world, story.luck, "ours")
    story.main = story.add("imported", (new, old), world)


def revert(story: Story) -> None:
    """The whole inventory is again what it was some commits ago."""
    number = story.luck.randrange(max(0, story.main - 12), story.main + 1)
    story.main = story.add("revert", (story.main,), story.steps[number].world)


SHAPES: dict[str, Callable[[Story], None]] = {
    **{f"clash {taste}": lambda story, taste=taste: clash(story, taste) for taste in TASTES},
    "octopus": octopus,
    "criss_cross": criss_cross,
    "unrelated": unrelated,
    "imported": imported,
    "revert": revert,
}
"""What several commits do together, by the name of the last of them."""


def tell(seed: int, count: int) -> list[Step]:
    """The steps of a history of about `count` commits; the last one has all others among its ancestors."""
    luck = random.Random(seed)
    story = Story(luck)
    shapes = luck.sample(sorted(SHAPES), k=len(SHAPES))
    # first of all, for what lies behind it is followed no further: phones are as they are in the new root
    shapes.append(shapes.pop(shapes.index("imported")))
    apart = count // (len(shapes) + 1)
    while len(story.steps) < count:
        if shapes and len(story.steps) > apart * (len(SHAPES) + 1 - len(shapes)):
            try:
                SHAPES[shapes[-1]](story)
                shapes.pop()
                continue
            except Unfit:
                pass
        _grow(story)
    while story.sides:
        story.main = story.merge("merge", (story.main, story.sides.pop()), luck.choice(TASTES))
    return story.steps


def _grow(story: Story) -> None:
    """One commit: on main or a branch, which may begin or be merged with it."""
    luck, sides = story.luck, story.sides
    chance = luck.random()
    if chance < 0.08 and len(sides) < 3:
        sides.append(story.step(story.main))
    elif chance < 0.13 and sides:
        story.main = story.merge("merge", (story.main, sides.pop(luck.randrange(len(sides)))), luck.choice(TASTES))
    elif chance < 0.15 and sides:
        number = luck.randrange(len(sides))
        sides[number] = story.merge("update", (sides[number], story.main), luck.choice(TASTES))
    elif chance < 0.45 and sides:
        number = luck.randrange(len(sides))
        sides[number] = story.step(sides[number])
    else:
        story.main = story.step(story.main)


@dataclass(frozen=True, slots=True)
class Written:
    """A bare repository, whose HEAD is the last of its commits; commit id -> what that commit does."""

    root: Path
    operations: dict[str, str]


def write_history(root: Path, seed: int, count: int) -> Written:
    """Write the history of a seed, of about `count` commits, to a new bare repository."""
    steps = tell(seed, count)
    return Written(root, dict(zip(write(root, steps), (step.operation for step in steps), strict=True)))


def write(root: Path, steps: list[Step]) -> list[str]:
    """Write steps to a new bare repository and return their commit ids. The last one is HEAD."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(root)], check=True)
    stream = b"".join(part for number, step in enumerate(steps) for part in _commit(number, step))
    marks = root / "marks"
    command = ["git", "fast-import", "--quiet", "--force", f"--export-marks={marks}"]
    subprocess.run(command, cwd=root, input=stream, check=True)
    ids = dict(line.split() for line in marks.read_text().splitlines())
    return [ids[f":{number + 1}"] for number in range(len(steps))]


def _commit(number: int, step: Step) -> Iterator[bytes]:
    """One commit as `git fast-import` reads it (git-fast-import(1)); the clock of some authors is days behind."""
    when = 1_700_000_000 + 60 * number
    author = when - 200_000 if number % 17 == 5 else when
    yield b"reset refs/heads/main\n" if not step.parents else b""
    yield b"commit refs/heads/main\nmark :%d\n" % (number + 1)
    yield b"author A <a@example.com> %d +0100\ncommitter C <c@example.com> %d +0000\n" % (author, when)
    message = f"{number}: {step.operation}\n".encode()
    yield b"data %d\n%s\n" % (len(message), message)
    for place, parent in enumerate(step.parents):
        yield b"%s :%d\n" % (b"merge" if place else b"from", parent + 1)
    yield b"deleteall\n"
    for path, doc in step.world.files.items():
        mode = b"120000" if doc.damage == "link" else b"100644"
        yield _file(mode, f"inventory/{path}", doc.text)
    for path, text in step.world.outside.items():
        yield _file(b"100644", path, text)


def _file(mode: bytes, path: str, text: str) -> bytes:
    content = text.encode()
    return b"M %s inline %s\ndata %d\n%s\n" % (mode, path.encode(), len(content), content)
