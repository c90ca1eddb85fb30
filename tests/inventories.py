"""Inventories for tests: texts on disk, and hypothesis strategies for whole valid ones in the documented form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from offhook.compile import Fleet, read_fleet, tree_of
from offhook.flyingvoice.catalogue import models
from offhook.tree import File

ROOT = Path(__file__).parent.parent

GUIDE_POOL: dict[str, st.SearchStrategy[str]] = {
    "local_time.time_format": st.sampled_from(["0", "1"]),
    "local_time.date_format": st.sampled_from(["0", "3", "6"]),
    "local_time.ntp_server1": st.sampled_from(["0.pool.ntp.org", "ntp.example.com"]),
    "features.pound_key.mode": st.sampled_from(["0", "1", "2"]),
    "wui.http_enable": st.sampled_from(["0", "1", "true", "false"]),
    "static.wui.https_enable": st.sampled_from(["0", "1"]),
}
STATIC_POOL: dict[str, st.SearchStrategy[str]] = {
    "sip.notify_reboot_enable": st.sampled_from(["0", "2"]),
    "static.network.vlan.internet_port_vid": st.sampled_from(["1", "100"]),
    "account.1.dnd.enable": st.sampled_from(["0", "1"]),
    "static.security.user_password": st.just("secret:web/admin"),
}

_LETTERS = st.characters(
    codec="utf-8",
    exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cn"),
    exclude_characters="\ufeff{}",
)
LABELS = (
    st.text(_LETTERS | st.sampled_from("=#\"'%&<>äßş漢字😀 $;:@\\"), min_size=1, max_size=24)
    .map(str.strip)
    .filter(lambda text: text and not text.startswith("secret:"))
)


class _Plain(yaml.SafeDumper):
    """Writes what occurs twice twice: an inventory has no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def dump(content: Any) -> str:
    """YAML of plain values."""
    return yaml.dump(content, Dumper=_Plain, allow_unicode=True, sort_keys=False, width=1000)


def write_inventory(folder: Path, files: dict[str, Any]) -> Path:
    """Write texts, or mappings as YAML, below folder/inventory; return the folder."""
    for name, content in files.items():
        path = folder / "inventory" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else dump(content)
        path.write_text(text, encoding="utf-8")
    return folder


def read(folder: Path, **options: Any) -> Fleet:
    """Read a fleet that must be right."""
    fleet = read_fleet(folder, **options)
    assert not fleet.has_errors, "\n".join(map(str, fleet.problems))
    return fleet


def files(fleet: Fleet) -> list[File]:
    """A fleet's tree."""
    return [file for share in tree_of(fleet) for file in share()]


def tree(fleet: Fleet) -> dict[str, str]:
    """A fleet's tree as path -> text."""
    return {file.path: file.text for file in files(fleet)}


def minimal(**more: Any) -> dict[str, Any]:
    """The smallest useful inventory: a fleet, a site, two accounts, one phone."""
    files: dict[str, Any] = {
        "fleet.yaml": {"sip": {"server": "pbx.example.com"}, "secrets": {"provider": "env"}},
        "sites/all.yaml": {"berlin": {"description": "Berlin"}},
        "accounts/all.yaml": {
            "alice": {"site": "berlin", "extension": "0101", "password": "secret:berlin/alice"},
            "bob": {"site": "berlin", "extension": "0102", "password": "secret:berlin/bob"},
        },
        "phones/all.yaml": {"0021f2000001": {"model": "FIP14G", "site": "berlin", "accounts": ["alice"]}},
    }
    return files | more


@st.composite
def fleets(draw: st.DrawFn, *, macs: int = 4) -> dict[str, Any]:
    """A valid inventory: sites in both dialects, profiles, accounts, phones of any model, settings in every layer."""
    dialect = draw(st.sampled_from(["guide", "static"]))
    sites = {
        name: _words(draw) | draw(st.fixed_dictionaries({}, optional={"dialect": st.sampled_from(["guide", "static"])}))
        for name in ("berlin", "lyon")
    }
    profiles = {
        name: {"settings": _settings(draw, GUIDE_POOL), "keys": draw(_plain_keys(30))} for name in ("desk", "night")
    }
    accounts = {
        f"user{number}": draw(
            st.fixed_dictionaries(
                {"extension": st.just(f"{number:04}"), "password": st.just(f"secret:users/u{number}")},
                optional={
                    "site": st.sampled_from(sorted(sites)),
                    "display_name": LABELS,
                    "label": LABELS,
                    "auth_name": st.just(f"auth{number}"),
                    "sip": st.fixed_dictionaries({}, optional={"outbound_proxy": st.just("sbc.example.com")}),
                },
            )
        )
        for number in range(1, 1 + 2 * macs)
    }
    for account in accounts.values():
        account["max_phones"] = str(macs)
    phones = {}
    for number in range(1, macs + 1):
        phone = draw(_phone(dialect, sites, profiles, sorted(accounts)))
        phones[f"0021f200{number:04x}"] = phone
    static = {phone["model"] for phone in phones.values() if _dialect(phone, sites, dialect) == "static"}
    pool = GUIDE_POOL | (STATIC_POOL if static else {})
    if not static - {"FIP16", "FIP16PLUS"}:
        pool = {name: values for name, values in pool.items() if "network" not in name}
    fleet = {
        "dialect": dialect,
        "sip": {"server": "pbx.example.com", "port": draw(st.sampled_from(["5060", "5070"]))},
        "secrets": {"provider": "env"},
        "language": "English",
        "utc_offset": "+0",
        "settings": {name: draw(values) for name, values in pool.items()},
        "checks": {"mac-vendor": "off"},
        "environments": {
            "production": {
                "url": "https://prov.example.com/x/",
                "layout": draw(st.sampled_from(["flat", "layered"])),
                "pin": draw(st.sampled_from(["true", "false"])),
            }
        },
        "models": {"FIP13G": {"settings": _settings(draw, GUIDE_POOL)}},
    }
    return {
        "fleet.yaml": fleet,
        "sites/all.yaml": sites,
        "profiles/all.yaml": profiles,
        "accounts/all.yaml": accounts,
        "phones/all.yaml": phones,
        "phonebooks/all.yaml": {
            "company": {
                "from_accounts": {"sites": ["berlin"]},
                "contacts": [{"name": draw(LABELS), "numbers": {"office": "112"}}],
            }
        },
    }


def _dialect(phone: dict[str, Any], sites: dict[str, Any], fleet: str) -> str:
    return phone.get("dialect") or sites[phone["site"]].get("dialect") or fleet


def _words(draw: st.DrawFn) -> dict[str, Any]:
    return draw(
        st.fixed_dictionaries(
            {"settings": st.just(_settings(draw, GUIDE_POOL))},
            optional={
                "language": st.sampled_from(["German", "Chinese_S"]),
                "utc_offset": st.sampled_from(["+1", "-3", "+5:30"]),
                "phonebooks": st.just(["company"]),
                "vars": st.just({"door": "2001"}),
            },
        )
    )


def _settings(draw: st.DrawFn, pool: dict[str, st.SearchStrategy[str]]) -> dict[str, str]:
    names = draw(st.lists(st.sampled_from(sorted(pool)), unique=True, max_size=3))
    return {name: draw(pool[name]) for name in names}


def _plain_keys(last: int) -> st.SearchStrategy[dict[str, Any]]:
    label = st.fixed_dictionaries({}, optional={"label": LABELS})
    body = st.one_of(
        st.just({"none": True}),
        st.builds(lambda more: {"dnd": True} | more, label),
        st.builds(lambda more: {"speed-dial": "+49301234567"} | more, label),
        st.builds(lambda more: {"park": "*68"} | more, label),
    )
    return st.dictionaries(st.integers(1, last).map(str), body, max_size=4)


@st.composite
def _phone(
    draw: st.DrawFn, dialect: str, sites: dict[str, Any], profiles: dict[str, Any], accounts: list[str]
) -> dict[str, Any]:
    model = models()[draw(st.sampled_from(sorted(models())))]
    used = draw(st.lists(st.sampled_from(accounts), unique=True, max_size=min(3, model.accounts)))
    phone: dict[str, Any] = {
        "model": model.name,
        "site": draw(st.sampled_from(sorted(sites))),
        "accounts": used,
        "profiles": draw(st.lists(st.sampled_from(sorted(profiles)), unique=True)),
        "settings": _settings(draw, GUIDE_POOL),
        "settings_unchecked": {},
        "label": draw(LABELS),
    }
    if draw(st.booleans()):
        phone["dialect"] = draw(st.sampled_from(["guide", "static"]))
    if draw(st.integers(0, 5)) == 0:
        phone["retired"] = "true"
    if _dialect(phone, sites, dialect) == "static":
        pool = {name: values for name, values in STATIC_POOL.items() if "network" not in name}
        phone["settings"] |= _settings(draw, pool)
    if model.line_keys:
        keys = draw(_plain_keys(model.line_keys))
        others = [name for name in accounts if name not in used]
        if used and others:
            number = draw(st.integers(1, model.line_keys).map(str))
            keys[number] = {"blf": draw(st.sampled_from(others))}
        phone["keys"] = keys
    return phone
