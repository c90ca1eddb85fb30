"""A diff is exactly what differs between two compiled revisions: no more, no less, and said by whom."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click import unstyle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import inventories
import peers
import repositories
from offhook.cli.run import run
from offhook.compile import read_fleet
from offhook.diff import Diff, apply, diff, revisions
from offhook.diff.change import CHANGED, Change
from offhook.diff.groups import families, groups, origins_of
from offhook.diff.policy import leaves
from offhook.problem import OffhookError
from offhook.review.diff_json import diff_json
from offhook.review.diff_text import diff_text, summary
from offhook.review.words import from_to
from offhook.secrets.hidden import hidden
from offhook.settings import phones_of
from offhook.store import Store

MAC = "0021f2000001"
Files = dict[str, Any]


def effective(root: Path, revision: str) -> dict[str, dict[str, str]]:
    """Every phone's settings at a revision, compiled from scratch."""
    fleet = read_fleet(root, revision)
    resolver = fleet.resolver()
    return {phone.mac: resolver.resolve(phone).values for phone in phones_of(fleet.inventory, fleet.environment)}


def two(tmp_path: Path, edit: Callable[[Files], Any], before: Files | None = None) -> Diff:
    """The diff between an inventory and what `edit` makes of it."""
    root = repositories.start(tmp_path / "fleet")
    files = inventories.minimal() if before is None else before
    repositories.commit(root, files)
    after = copy.deepcopy(files)
    edit(after)
    repositories.commit(root, after)
    return diff(root, "HEAD~1", "HEAD", store=Store(None))


def rows(found: Diff) -> list[tuple[str, str, str | None, str | None]]:
    return [
        (phone.mac, one.parameter, one.old.value if one.old else None, one.new.value if one.new else None)
        for phone in found.phones
        for one in phone.changes
    ]


# Properties.


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(inventories.fleets(), min_size=2, max_size=3), st.randoms(use_true_random=False))
def test_a_diff_is_what_compiling_both_gives(several: list[Files], random: Any) -> None:
    """Between made fleets, and between a fleet and one of whose files some are another's: many half-way states."""
    with tempfile.TemporaryDirectory() as folder:
        root = repositories.start(Path(folder))
        mixed = {name: random.choice(several)[name] for name in several[0]}
        commits = [repositories.commit(root, files) for files in (*several, mixed)]
        store = Store(None)  # one for all: what it knows of one revision must not be taken for another
        for base in commits:
            for head in commits:
                before, after = effective(root, base), effective(root, head)
                found = diff(root, base, head, store=store)
                assert apply(found, before) == after
                changed = {mac for mac in before | after if before.get(mac) != after.get(mac)}
                assert {phone.mac for phone in found.phones} == changed
                if base == head:
                    assert found.is_empty
                back = diff(root, head, base, store=store)
                assert mirrored(back) == plain(found)
                assert rebuilt(diff_json(found)) == expected_rows(found)


def plain(found: Diff) -> Any:
    status = {"added": "removed", "removed": "added", "changed": "changed"}
    return [
        (one.mac, status[one.status], [(change.parameter, change.old, change.new) for change in one.changes])
        for one in found.phones
    ]


def mirrored(found: Diff) -> Any:
    return [
        (one.mac, one.status, [(change.parameter, change.new, change.old) for change in one.changes])
        for one in found.phones
    ]


def expected_rows(found: Diff) -> dict[str, list[Any]]:
    """Every changed phone's own changes, with who says both values and where."""
    return {phone.mac: [row(one) for one in phone.changes] for phone in found.phones if phone.status == CHANGED}


def row(change: Change) -> Any:
    old, new = origins_of(change)
    values = [side.value if side else None for side in (change.old, change.new)]
    return [change.parameter, *values, list(old or (None,) * 3), list(new or (None,) * 3), change.secret]


def rebuilt(text: str) -> dict[str, list[Any]]:
    """The same, made from the groups of the JSON answer alone."""
    found: dict[str, list[Any]] = {}
    for group in json.loads(text)["groups"]:
        for number, mac in enumerate(group["macs"]):
            found[mac] = []
            for change in group["changes"]:
                place = change["each"][number] if "each" in change else change
                old, new = ([place[f"{side}{word}"] for word in ("layer", "file", "line")] for side in ("old_", ""))
                values = [change["parameter"], change["old"], change["new"]]
                found[mac].append([*values, old, new, change.get("secret", "")])
    return dict(sorted(found.items()))


# What a change means.


def test_a_site_s_time_zone(tmp_path: Path) -> None:
    files = inventories.minimal()
    files["sites/all.yaml"]["berlin"]["utc_offset"] = "+1"
    found = two(tmp_path, lambda after: after["sites/all.yaml"]["berlin"].update(utc_offset="+2"), files)
    assert rows(found) == [(MAC, "local_time.time_zone", "+1", "+2")]
    change = found.phones[0].changes[0]
    assert change.new is not None
    assert (change.new.layer, change.new.file, change.new.line) == ("sites/berlin", "inventory/sites/all.yaml", 3)
    assert not found.phones[0].cutoff


@pytest.mark.parametrize(
    ("edit", "cutoff"),
    [
        (lambda files: files["fleet.yaml"]["sip"].update(server="other.example.com"), True),
        (lambda files: files["fleet.yaml"]["sip"].update(port="5070"), True),
        (lambda files: files["accounts/all.yaml"]["alice"].update(auth_name="other"), True),
        (lambda files: files["accounts/all.yaml"]["alice"].update(password="secret:other"), True),
        (lambda files: files["phones/all.yaml"][MAC].update(accounts=[]), True),
        (lambda files: files["phones/all.yaml"][MAC].update(retired="true"), True),
        (lambda files: files["phones/all.yaml"].pop(MAC), True),
        (lambda files: files["fleet.yaml"].update(settings={"firmware.url": "http://example.com/rom"}), True),
        (lambda files: files["phones/all.yaml"][MAC].update(accounts=["alice", "bob"]), False),
        (lambda files: files["accounts/all.yaml"]["alice"].update(display_name="Alice"), False),
        (lambda files: files["phones/all.yaml"][MAC].update(keys={"3": {"dnd": True}}), False),
    ],
)
def test_cutoff(tmp_path: Path, edit: Callable[[Files], Any], cutoff: bool) -> None:
    found = two(tmp_path, edit)
    assert [phone.cutoff for phone in found.phones] == [cutoff]


def test_a_retired_phone_may_leave(tmp_path: Path) -> None:
    files = inventories.minimal()
    files["phones/all.yaml"][MAC]["retired"] = "true"
    found = two(tmp_path, lambda after: after["phones/all.yaml"].pop(MAC), files)
    assert [(phone.status, phone.cutoff) for phone in found.phones] == [("removed", False)]


def test_what_is_no_longer_said_is_kept(tmp_path: Path) -> None:
    files = inventories.minimal()
    files["accounts/all.yaml"]["alice"]["sip"] = {"outbound_proxy": "sbc.example.com"}
    found = two(tmp_path, lambda after: after["accounts/all.yaml"]["alice"].pop("sip"), files)
    assert rows(found) == [
        (MAC, "account.1.outbound_host", "sbc.example.com", None),
        (MAC, "account.1.outbound_port", "5060", None),
    ]
    assert not found.phones[0].cutoff
    assert "keeps account.1.outbound_host, account.1.outbound_port" in diff_text(found)


def test_those_who_watch_an_account_change_with_it(tmp_path: Path) -> None:
    """By id, by extension and by an expression; and the phone that only has a neighbour's line is left alone."""
    files = inventories.minimal()
    keys = {"2": {"blf": "alice"}, "3": {"blf": "0101"}, "4": {"blf": "{{ fleet.vars.boss }}"}}
    files["fleet.yaml"]["vars"] = {"boss": "0101"}
    files["phones/all.yaml"] |= {
        "0021f2000002": {"model": "FIP14G", "site": "berlin", "keys": keys},
        "0021f2000003": {"model": "FIP14G", "site": "berlin", "accounts": ["bob"]},
    }
    found = two(tmp_path, lambda after: after["accounts/all.yaml"]["alice"].update(display_name="Alice A"), files)
    labels = [(mac, name) for mac, name, _, new in rows(found) if mac != MAC and new == "Alice A"]
    assert labels == [("0021f2000002", f"linekey.{number}.label") for number in (2, 3, 4)]
    assert "0021f2000003" not in {phone.mac for phone in found.phones}


def test_policy_comes_first_also_without_a_phone(tmp_path: Path) -> None:
    files = inventories.minimal()
    files["fleet.yaml"] |= {
        "limits": {"changed": "30%"},
        "environments": {"production": {"url": "https://a.example.com/", "publish": "s3://a"}},
    }

    def edit(after: Files) -> None:
        after["fleet.yaml"]["limits"]["changed"] = "90%"
        after["fleet.yaml"]["checks"] = {"mac-vendor": "off"}
        after["fleet.yaml"]["environments"]["production"]["publish"] = "s3://b"

    found = two(tmp_path, edit, files)
    assert found.phones == ()
    assert [policy.message for policy in found.policy] == [
        "environments.production.publish s3://a -> s3://b",
        "limits.changed 30% -> 90%",
        "checks.mac-vendor nothing -> off",
    ]
    assert unstyle(diff_text(found)).startswith("policy\n")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ({"limits": {"removed": "0"}}, {"limits": {"changed": "3"}}, "limits.removed 0 -> nothing"),
        (
            {"environments": {"lab": {"phones": {"sites": []}}}},
            {"environments": {"lab": {}}},
            "environments.lab.phones.sites [] -> nothing",
        ),
        (
            {"notify": {"x": {"token": "hunter2"}}},
            {"notify": {"x": {"token": "hunter3", "url": "http://u:hunter4@x/"}}},
            "notify.x.token (hidden) -> (hidden)",
        ),
        ({"checks": {}}, {"checks": {"clear-secret": "off"}}, "checks.clear-secret nothing -> off"),
        ({"limits": {}}, {"environments": {"empty": {}}}, "environments.empty nothing -> {}"),
    ],
)
def test_empty_is_not_nothing(before: Files, after: Files, message: str) -> None:
    """What is there and empty is something: a limit of 0 is the strictest one."""
    words = [
        f"{'.'.join(path)} {was or 'nothing'} -> {now or 'nothing'}" for path, was, now in leaves((), before, after)
    ]
    assert message in words
    assert "hunter" not in "".join(words)


def test_a_limit_of_zero_that_leaves_is_a_change(tmp_path: Path) -> None:
    files = inventories.minimal()
    files["fleet.yaml"]["limits"] = {"removed": 0}
    found = two(tmp_path, lambda after: after["fleet.yaml"].pop("limits"), files)
    assert [policy.message for policy in found.policy] == ["limits.removed 0 -> nothing"]


def test_files_that_are_policy(tmp_path: Path) -> None:
    root = repositories.start(tmp_path)
    repositories.commit(root, inventories.minimal())
    (root / "CODEOWNERS").write_text("* @anna\n")
    (root / ".sops.yaml").write_text("creation_rules: []\n")
    found = diff(root, "HEAD", None, store=Store(None))
    assert [policy.message for policy in found.policy] == [
        ".sops.yaml is new: who can open new secrets",
        "CODEOWNERS is new: who must review",
    ]


def test_files_that_are_policy_in_a_larger_repository(tmp_path: Path) -> None:
    """The fleet in a folder of its own: who must review, the top folder says; sops looks in every folder."""
    top = repositories.start(tmp_path)
    fleet = top / "org/tel"
    fleet.mkdir(parents=True)
    inventories.write_inventory(fleet, inventories.minimal())
    repositories.commit(top)
    places = [".github/CODEOWNERS", "CODEOWNERS", ".sops.yaml", "org/.sops.yaml"]
    places += ["org/tel/inventory/.sops.yaml", "org/tel/inventory/secrets/.sops.yaml", "org/CODEOWNERS"]
    for place in places:
        (top / place).parent.mkdir(parents=True, exist_ok=True)
        (top / place).write_text("x: 1\n")
    expected = [
        ("../../.sops.yaml", "who can open new secrets"),
        ("../.sops.yaml", "who can open new secrets"),
        ("inventory/.sops.yaml", "who can open new secrets"),
        ("inventory/secrets/.sops.yaml", "who can open new secrets"),
        ("../../CODEOWNERS", "who must review"),
        ("../../.github/CODEOWNERS", "who must review"),
    ]
    messages = [f"{path} is new: {words}" for path, words in expected]
    assert [policy.message for policy in diff(fleet, "HEAD", None, store=Store(None)).policy] == messages
    repositories.commit(top)
    assert [policy.message for policy in diff(fleet, "HEAD~1", "HEAD", store=Store(None)).policy] == messages
    assert diff(fleet, "HEAD", None, store=Store(None)).policy == ()


def test_line_ends_of_the_work_tree_are_no_change(tmp_path: Path) -> None:
    root = repositories.start(tmp_path)
    (root / ".gitattributes").write_text("* text eol=crlf\n")
    (root / "CODEOWNERS").write_text("* @anna\n")
    repositories.commit(root, inventories.minimal())
    (root / "CODEOWNERS").unlink()
    repositories.git(root, "checkout", "--", "CODEOWNERS")
    assert (root / "CODEOWNERS").read_bytes() == b"* @anna\r\n"
    assert repositories.git(root, "status", "--porcelain") == ""
    assert diff(root, "HEAD", None, store=Store(None)).is_empty
    (root / "CODEOWNERS").write_bytes(b"* @bert\r\n")
    assert [one.message for one in diff(root, "HEAD", None, store=Store(None)).policy] == [
        "CODEOWNERS changed: who must review"
    ]


def test_phonebooks(tmp_path: Path) -> None:
    files = inventories.minimal()
    files["phonebooks/all.yaml"] = {
        "company": {"from_accounts": True, "contacts": [{"name": "Taxi", "numbers": {"office": "1"}}]},
        "other": {"contacts": [{"name": "Bank", "numbers": {"office": "2"}}]},
    }
    found = two(tmp_path, lambda after: after["accounts/all.yaml"]["alice"].update(display_name="Alice"), files)
    assert [(book.id, book.status, book.added, book.removed) for book in found.phonebooks] == [
        ("company", "changed", 1, 1)
    ]

    def edit(after: Files) -> None:
        after["phonebooks/all.yaml"]["other"]["contacts"] = []
        after["phonebooks/all.yaml"]["third"] = {"from_accounts": {"sites": ["berlin"]}}
        del after["phonebooks/all.yaml"]["company"]

    shutil.rmtree(tmp_path / "fleet")
    found = two(tmp_path, edit, files)
    assert [(book.id, book.status, book.added, book.removed) for book in found.phonebooks] == [
        ("company", "removed", 0, 3),
        ("other", "changed", 0, 1),
        ("third", "added", 2, 0),
    ]


def test_the_order_of_contacts_is_a_change(tmp_path: Path) -> None:
    files = inventories.minimal()
    contacts = [{"name": name, "numbers": {"office": "1", "mobile": "2"}} for name in ("Taxi", "Bank")]
    files["phonebooks/all.yaml"] = {"company": {"contacts": contacts}}
    found = two(tmp_path, lambda after: after["phonebooks/all.yaml"]["company"]["contacts"].reverse(), files)
    assert [(book.id, book.status, book.added, book.removed) for book in found.phonebooks] == [
        ("company", "changed", 0, 0)
    ]
    assert diff_text(found) == "phonebook company changed: its contacts in another order"


def test_a_second_account_of_one_id_is_in_no_phonebook(tmp_path: Path) -> None:
    """The first one counts: nothing changes but that `check` complains."""
    files = inventories.minimal()
    files["phonebooks/all.yaml"] = {"company": {"from_accounts": True}}

    def edit(after: Files) -> None:
        after["accounts/more.yaml"] = {"alice": {"extension": "0199", "password": "secret:berlin/alice"}}

    assert two(tmp_path, edit, files).phonebooks == ()


def test_the_common_file_changes(tmp_path: Path) -> None:
    """A word of the fleet that every listed phone overrides is still what an unlisted one is told."""
    files = inventories.minimal()
    files["fleet.yaml"]["utc_offset"] = "+1"
    files["sites/all.yaml"]["berlin"]["utc_offset"] = "+3"
    found = two(tmp_path, lambda after: after["fleet.yaml"].update(utc_offset="+2"), files)
    assert (found.phones, found.common, found.is_empty) == ((), ("local_time.time_zone",), False)
    assert diff_text(found) == "the common file, for phones that are not listed, changes: local_time.time_zone"


def test_the_environment_chooses_the_phones(tmp_path: Path) -> None:
    files = inventories.minimal()
    files["fleet.yaml"]["environments"] = {
        "lab": {"url": "tftp://127.0.0.1/", "phones": {"macs": [MAC]}, "accept": ["plain-secret-transport"]},
        "production": {"url": "https://a.example.com/"},
    }
    files["fleet.yaml"]["default_environment"] = "lab"
    files["phones/all.yaml"]["0021f2000002"] = {"model": "FIP14G", "site": "berlin", "accounts": ["bob"]}
    root = repositories.start(tmp_path)
    repositories.commit(root, files)
    files["sites/all.yaml"]["berlin"]["utc_offset"] = "+1"
    del files["fleet.yaml"]["environments"]["lab"]["phones"]
    repositories.commit(root, files)

    def statuses(environment: str | None) -> list[tuple[str, str]]:
        found = diff(root, "HEAD~1", "HEAD", environment=environment, store=Store(None))
        return [(phone.mac, phone.status) for phone in found.phones]

    assert statuses(None) == statuses("lab") == [(MAC, "changed"), ("0021f2000002", "added")]
    assert statuses("production") == [(MAC, "changed"), ("0021f2000002", "changed")]
    with pytest.raises(OffhookError, match='no environment "other"'):
        statuses("other")


# Secrets.


@pytest.mark.peer
def test_what_ciphertext_tells(tmp_path: Path) -> None:
    """An edit leaves the other values sealed as they were; a rotation does not, and nobody can tell."""
    sops = peers.program("sops")
    key = inventories.ROOT / "docs/PUBLIC-demo-age-key.txt"
    recipient = key.read_text().partition("public key: ")[2].splitlines()[0]
    root = repositories.start(tmp_path)
    files = inventories.minimal()
    files["fleet.yaml"]["secrets"] = {"provider": "sops"}
    files["phones/all.yaml"][MAC]["accounts"] = ["alice", "bob"]
    files["secrets/all.yaml"] = {"berlin": {"alice": "one", "bob": "two"}}
    inventories.write_inventory(root, files)
    path = root / "inventory/secrets/all.yaml"
    environment = {"SOPS_AGE_KEY_FILE": str(key), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}

    def call(*arguments: str) -> None:
        subprocess.run([sops, *arguments], check=True, capture_output=True, cwd=root, env=environment)

    def states() -> list[tuple[str, str]]:
        found = diff(root, "HEAD~1", "HEAD", store=Store(None))
        return [(one.parameter, one.secret) for phone in found.phones for one in phone.changes]

    call("encrypt", "-i", "--age", recipient, str(path))
    repositories.commit(root)
    call("set", str(path), '["berlin"]["alice"]', '"three"')
    repositories.commit(root)
    assert states() == [("account.1.password", "changed")]
    call("rotate", "-i", str(path))
    repositories.commit(root)
    perhaps = "may have changed"
    assert states() == [("account.1.password", perhaps), ("account.2.password", perhaps)]
    found = diff(root, "HEAD~1", "HEAD", store=Store(None))
    assert "secret:berlin/alice may have changed" in diff_text(found)
    assert all(phone.cutoff for phone in found.phones)
    assert "  loses its registration only if the secret is another one now: account.1.password" in unstyle(
        diff_text(found)
    )
    assert unstyle(summary(found)).endswith("1 only if a secret is another one now")
    path.write_text(path.read_text() + "# a comment\n")
    repositories.commit(root)
    assert states() == []


# Groups.


def many(phones: int) -> Files:
    files = inventories.minimal()
    files["accounts/all.yaml"] = {
        f"user{number}": {"site": "berlin", "extension": f"{number:05}", "password": f"secret:u{number}"}
        for number in range(phones)
    }
    files["phones/all.yaml"] = {
        f"0021f2{number:06x}": {"model": "FIP14G", "site": "berlin", "accounts": [f"user{number}"]}
        for number in range(phones)
    }
    return files


def test_five_thousand_phones_are_a_page(tmp_path: Path) -> None:
    """Equal changes once, the one that differs apart, and values of their own as one kind of change."""
    files = many(5000)

    def edit(after: Files) -> None:
        after["sites/all.yaml"]["berlin"]["utc_offset"] = "+2"
        after["phones/all.yaml"]["0021f2000007"]["keys"] = {"2": {"dnd": True}}
        for number in range(100, 200):
            after["accounts/all.yaml"][f"user{number}"]["display_name"] = f"User {number}"

    found = two(tmp_path, edit, files)
    assert [len(group.phones) for group in groups(found.phones)][:3] == [4899, 1, 1]
    assert sorted(len(family) for family in families(groups(found.phones))) == [1, 1, 100]
    text = unstyle(diff_text(found))
    assert len(text.splitlines()) < 60
    assert "4,899 phones in berlin" in text
    assert "100 phones in berlin  e.g. 0021f2000064" in text
    assert unstyle(summary(found)) == "5,000 phones changed; 5,000 with restart not known"


def proxied(hosts: dict[int, str], phones: int) -> Callable[[Files], None]:
    """Give each account a proxy: sbc1, but for those in `hosts`."""

    def edit(after: Files) -> None:
        for number in range(phones):
            after["accounts/all.yaml"][f"user{number}"]["sip"] = {
                "outbound_proxy": hosts.get(number, "sbc1.example.net")
            }

    return edit


def test_an_outlier_is_named(tmp_path: Path) -> None:
    """One phone in five hundred registers through somebody else."""
    found = two(tmp_path, proxied({70: "evil.example.net"}, 500), many(500))
    lines = unstyle(diff_text(found)).splitlines()
    rows = [" ".join(line.split()) for line in lines if "example.net" in line]
    assert rows == [
        "account.1.outbound_host nothing -> sbc1.example.net 499 phones accounts/user0 inventory/accounts/all.yaml:6",
        "nothing -> evil.example.net 0021f2000046 accounts/user70 inventory/accounts/all.yaml:426",
    ]


def test_rare_values_are_shown_in_a_page(tmp_path: Path) -> None:
    """The common values and the rarest; where every phone has its own, how many there are."""
    hosts = {number: f"sbc{number}.example.net" for number in range(100, 120)} | {7: "evil.example.net"}
    edit = proxied(hosts, 300)

    def both(after: Files) -> None:
        edit(after)
        for number in range(300):
            after["accounts/all.yaml"][f"user{number}"]["auth_name"] = f"auth{number}"

    found = two(tmp_path, both, many(300))
    text = unstyle(diff_text(found))
    assert "279 phones" in text
    assert "and 10 other values" in text
    assert "... 300 different values" in text
    assert len(text.splitlines()) < 40


def test_rare_kinds_of_change_are_among_those_shown(tmp_path: Path) -> None:
    """One phone changes what no other does, beside sixty kinds of change that two phones have each."""
    files = many(123)

    def edit(after: Files) -> None:
        for number in range(120):
            after["phones/all.yaml"][f"0021f2{number:06x}"]["settings_unchecked"] = {f"foo.x{number // 2}": "1"}
        after["phones/all.yaml"]["0021f200007a"]["settings"] = {"firmware.url": "http://evil.example.net/rom"}
        after["phones/all.yaml"]["0021f2000079"]["settings_unchecked"] = {"rare.one": "1"}
        after["phones/all.yaml"]["0021f200007a"]["settings_unchecked"] = {f"a.x{number}": "1" for number in range(40)}

    text = unstyle(diff_text(two(tmp_path, edit, files)))
    assert "more kinds of change" in text
    assert "rare.one" in text
    assert "evil.example.net" in text


def test_what_cuts_off_is_among_the_parameters_shown(tmp_path: Path) -> None:
    found = two(tmp_path, lambda after: after["fleet.yaml"]["sip"].update(server="evil.example.net"))
    (phone,) = found.phones
    (risky,) = phone.changes
    others = [replace(risky, parameter=f"a.x{number}", cutoff=False) for number in range(40)]
    made = replace(found, phones=(replace(phone, changes=(*others, risky)),))
    lines = unstyle(diff_text(made)).splitlines()
    assert any(line.startswith("  account.1.sip_server_host  ") for line in lines)
    assert "  and 11 parameters more" in lines


def test_what_differs_of_long_values_is_seen(tmp_path: Path) -> None:
    files = inventories.minimal()
    url = "http://phones.example.com/a/very/long/way/to/a/picture/of/somebody/{}/wallpaper.jpg"
    files["fleet.yaml"]["settings"] = {"firmware.url": url.format("anna")}
    found = two(
        tmp_path, lambda after: after["fleet.yaml"]["settings"].update({"firmware.url": url.format("bert")}), files
    )
    (line,) = [one for one in unstyle(diff_text(found)).splitlines() if "http" in one]
    assert "anna" in line
    assert "bert" in line


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("a", None, "a -> nothing"),
        ("x" * 100, "x" * 99 + "y", "xxxxxx...xxxxxxxxxxxx -> xxxxxx...xxxxxxxxxxxy"),
        ("x" * 100, "y", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx... -> y"),
        ("ab\x1b", "ab\u202e", "ab\\x1b -> ab\\u202e"),
    ],
)
def test_each_side_is_cut_alone(old: str, new: str | None, expected: str) -> None:
    assert from_to(old, new, 46) == expected


def test_one_phone_retired_is_said(tmp_path: Path) -> None:
    found = two(tmp_path, lambda after: after["phones/all.yaml"][MAC].update(retired="true"))
    assert f"{MAC} in berlin, retired now" in unstyle(diff_text(found))


def test_the_old_layer_is_named_where_it_is_another(tmp_path: Path) -> None:
    files = inventories.minimal()
    files["fleet.yaml"]["utc_offset"] = "+1"
    found = two(tmp_path, lambda after: after["sites/all.yaml"]["berlin"].update(utc_offset="+2"), files)
    (line,) = [one for one in unstyle(diff_text(found)).splitlines() if "time_zone" in one]
    assert line.endswith("sites/berlin  inventory/sites/all.yaml:3  (was fleet  inventory/fleet.yaml:5)")


# Heads with mistakes.


def test_a_phone_whose_file_cannot_be_read_is_not_removed(tmp_path: Path) -> None:
    files = inventories.minimal()
    files["phones/lyon.yaml"] = {"0021f2000002": {"model": "FIP14G", "site": "berlin"}}

    def edit(after: Files) -> None:
        after["phones/lyon.yaml"] = "0021f2000002: {model: FIP14G\nnot yaml: ["
        del after["phones/all.yaml"][MAC]

    found = two(tmp_path, edit, files)
    assert [(phone.mac, phone.is_unread, phone.cutoff) for phone in found.phones] == [
        (MAC, False, True),
        ("0021f2000002", True, False),
    ]
    lines = unstyle(diff_text(found)).splitlines()
    assert lines[0] == "the head has mistakes: what follows is incomplete"
    assert "? 1 phone in files that cannot be read: 0021f2000002" in lines
    assert unstyle(summary(found)) == "0 phones changed, 1 removed, 1 not known; 1 may be cut off"
    answer = json.loads(diff_json(found))
    assert (answer["removed"], answer["unknown"], answer["incomplete"]) == ([MAC], ["0021f2000002"], True)


def test_one_wrong_phone_is_not_removed(tmp_path: Path) -> None:
    found = two(tmp_path, lambda after: after["phones/all.yaml"][MAC].update(model=["FIP14G"]))
    assert [(phone.mac, phone.is_unread) for phone in found.phones] == [(MAC, True)]


def test_of_a_fleet_that_cannot_be_read_no_policy_is_gone(tmp_path: Path) -> None:
    files = inventories.minimal()
    files["fleet.yaml"]["limits"] = {"changed": "30%"}
    found = two(tmp_path, lambda after: after["fleet.yaml"].update(utc_offset=["+1"]), files)
    assert found.policy == ()
    text = unstyle(diff_text(found))
    assert text.startswith("the head has mistakes")
    assert text.endswith("\nphones are not compared")
    assert "phones are not compared" in summary(found)


@pytest.mark.parametrize(
    ("edit", "warning"),
    [
        (
            lambda files: files["phones/all.yaml"][MAC].update(accounts=["alcie"]),
            f"refers to something unknown at the head: {MAC}: account alcie",
        ),
        (
            lambda files: files["phones/all.yaml"][MAC].update(keys={"3": {"speed-dial": "{{ fleet.vars.no }}"}}),
            "an expression has no usable value at the head: inventory/phones/all.yaml:",
        ),
        (
            lambda files: files["phones/all.yaml"][MAC].update(settings={"security.user_password": "hunter2"}),
            "a secret in the clear at the head: inventory/phones/all.yaml",
        ),
    ],
)
def test_mistakes_of_the_head_are_told(
    tmp_path: Path, edit: Callable[[Files], Any], warning: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = two(tmp_path, edit)
    assert found.head_is_broken
    assert any(one.startswith(warning) for one in found.warnings), found.warnings
    assert run(["-C", str(tmp_path / "fleet"), "diff", "HEAD~1", "HEAD"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("the head has mistakes")
    assert warning in err


# What must not be shown.


CLEAR = {
    "settings": {"security.user_password": "hunter2"},
    "settings_unchecked": {
        "account.1.password": "hunter3",
        "door.pin": "hunter4",
        "foo.url": "https://u:hunter5@example.com/",
        "api.token": "hunter6",
        "ldap.url": "see ldap://u:hunter7@two@example.com/",
    },
}


def test_passwords_in_the_clear_are_not_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = repositories.start(tmp_path)
    files = inventories.minimal()
    repositories.commit(root, files)
    files["phones/all.yaml"][MAC] |= CLEAR
    repositories.commit(root, files)
    verbs = [["diff", "HEAD~1", "HEAD"], ["log", MAC], ["blame", MAC], ["show", MAC]]
    verbs += [["why", MAC, name] for section in CLEAR.values() for name in section if name != "account.1.password"]
    for verb in verbs:
        for style in ("text", "json"):
            run(["-C", str(root), *verb, "--format", style])
            said = "".join(capsys.readouterr())
            assert "hunter" not in said, (verb, style)
            assert "(hidden)" in said or verb[0] == "show", (verb, style)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("account.1.password", "secret:berlin/alice", "secret:berlin/alice"),
        ("account.1.password", "secret: alice", "(hidden)"),
        ("linekey.3.value", "0102", "0102"),
        ("linekey.99.label", "Bob", "Bob"),
        ("softkey.mode", "1", "1"),
        ("phone.ping", "1", "1"),
        ("wifi.psk_key", "x", "(hidden)"),
        ("foo.key", "x", "(hidden)"),
        ("foo.url", "ftp://u@example.com/a:b@c", "ftp://u@example.com/a:b@c"),
        ("foo.url", "ftp://u:p@example.com/", "ftp://u:(hidden)@example.com/"),
    ],
)
def test_what_is_hidden(name: str, value: str, shown: str) -> None:
    assert hidden(name, value) == shown


def test_a_value_cannot_rewrite_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = repositories.start(tmp_path)
    files = inventories.minimal()
    repositories.commit(root, files)
    evil = "a\u202eb\u200fc\u2066d"
    files["phones/all.yaml"][MAC]["keys"] = {"2": {"speed-dial": "1", "label": evil}}
    repositories.commit(root, files)
    for verb in (["diff", "HEAD~1"], ["log", MAC], ["blame", MAC], ["why", MAC, "linekey.2.label"], ["show", MAC]):
        assert run(["-C", str(root), *verb]) == 0
        said = unstyle(capsys.readouterr().out)
        assert not any(letter in said for letter in "\u202e\u200f\u2066"), verb
        assert r"a\u202eb" in said, verb


# What people type.


def test_revisions(tmp_path: Path) -> None:
    root = repositories.start(tmp_path)
    first = repositories.commit(root, inventories.minimal())
    repositories.git(root, "checkout", "-q", "-b", "topic")
    repositories.commit(root, message="theirs")
    repositories.git(root, "checkout", "-q", "main")
    repositories.commit(root, message="ours")
    assert revisions(root, None, None) == ("HEAD", None)
    assert revisions(root, "main", None) == ("main", None)
    assert revisions(root, "main", "topic") == ("main", "topic")
    assert revisions(root, "main..topic", None) == ("main", "topic")
    assert revisions(root, "main..", None) == ("main", "HEAD")
    assert revisions(root, "main...topic", None) == (first, "topic")


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = repositories.start(tmp_path)
    repositories.commit(root, inventories.minimal())
    assert run(["-C", str(root), "diff", "--exit-code"]) == 0
    assert capsys.readouterr() == ("", "nothing changes\n")
    path = root / "inventory/phones/all.yaml"
    path.write_text(path.read_text().replace("FIP14G", "FIP13G"))
    assert run(["-C", str(root), "diff"]) == 0
    assert run(["-C", str(root), "diff", "--exit-code", "--out", str(tmp_path / "out.txt")]) == 4
    out, err = capsys.readouterr()
    assert out == (tmp_path / "out.txt").read_text()
    assert f"{MAC} in berlin" in out
    assert "1 phone changed" in err
    path.write_text(path.read_text() + "0021f2000009: {model: NOTHING}\n")
    assert run(["-C", str(root), "diff"]) == 1
    assert "inventory/phones/all.yaml at the head: entries with mistakes are left out" in capsys.readouterr().err
