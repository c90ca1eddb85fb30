"""Publishers for tests: a fleet in a git repository, its revisions, and children that publish them and are stopped.

Each publish runs in a forked child, whose roots and states count every call: before or after the n-th one it is killed,
or the world refuses. Phones then boot from the root: each must have its whole configuration of one of the revisions.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import select
import shutil
import signal
import traceback
from collections.abc import Callable, Collection, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import places
import repositories
from offhook.compile import Fleet, read_fleet, tree_of
from offhook.output import write_tree
from offhook.phone.boot import boot
from offhook.problem import OffhookError
from offhook.publish import places as places_module
from offhook.publish.carry.carrying import carry
from offhook.publish.places import Place, place_of
from offhook.publish.plan import steps
from offhook.publish.plan.limits import Allowance
from offhook.publish.plan.prepared import Prepared, prepare
from offhook.publish.roots import directory, s3
from offhook.publish.state.head import Head, read_released
from offhook.publish.state.hold import Patience
from offhook.publish.state.keyed import Key, read_key
from offhook.publish.state.manifest import Manifest
from offhook.publish.tree.needed_secrets import needed_secrets
from offhook.publish.tree.opened import opened_tree
from offhook.secrets.opening import Opened, open_secrets
from test_flow import effective

UNLISTED = "0021f2ffffff"
QUICK = Patience(lease_s=0.4, renew_s=0.1, settle_s=0.1)
PATIENT = Patience(settle_s=0.1)
_SITES = ("berlin", "lyon")
_END_S = 60.0
_WRITE = os.write  # a test may break it
WORLD = "the world refuses"


def mac(number: int) -> str:
    """The MAC of a phone."""
    return f"0021f20000{number:02x}"


def inventory(layout: str, place: dict[str, Any]) -> dict[str, Any]:
    """Seven phones at two sites, one of them retired; a profile, a phonebook, a password each."""
    phones: dict[str, Any] = {}
    for number in range(1, 8):
        phones[mac(number)] = {
            "model": ("FIP14G", "FIP10")[number % 2],
            "site": _SITES[number > 4],
            "accounts": [f"user{number}"],
            "profiles": ["desk"] if number % 3 else [],
        }
    phones[mac(3)]["retired"] = "true"
    return {
        "fleet.yaml": {
            "sip": {"server": "pbx.example.com"},
            "secrets": {"provider": "env"},
            "utc_offset": "+0",
            "settings": {"local_time.time_format": "0", "features.pound_key.mode": "1", "local_time.date_format": "0"},
            "limits": {"changed": "100%", "removed": "100%"},
            "environments": {"production": {"url": "https://prov.example.com/x/", "layout": layout, **place}},
        },
        "sites/all.yaml": {site: {"phonebooks": ["company"]} for site in _SITES},
        "profiles/all.yaml": {"desk": {"settings": {"features.pound_key.mode": "2"}}},
        "accounts/all.yaml": {
            f"user{number}": {"extension": f"{100 + number}", "password": f"secret:users/u{number}"}
            for number in range(1, 12)
        },
        "phonebooks/all.yaml": {"company": {"contacts": [{"name": "Door", "numbers": {"office": "112"}}]}},
        "phones/all.yaml": phones,
    }


def changed(files: dict[str, Any]) -> dict[str, Any]:
    """A phone leaves, one comes, and the fleet, a site, a profile, a phonebook and a phone change."""
    files = deepcopy(files)
    del files["phones/all.yaml"][mac(3)]
    files["phones/all.yaml"][mac(8)] = {"model": "FIP14G", "site": "lyon", "accounts": ["user8"]}
    files["phones/all.yaml"][mac(2)]["settings"] = {"local_time.date_format": "2"}
    files["fleet.yaml"]["settings"]["local_time.time_format"] = "1"
    files["sites/all.yaml"]["berlin"]["utc_offset"] = "+1"
    files["profiles/all.yaml"]["desk"]["settings"] = {"features.pound_key.mode": "0"}
    files["phonebooks/all.yaml"]["company"]["contacts"][0]["numbers"]["office"] = "110"
    return files


def changed_again(files: dict[str, Any]) -> dict[str, Any]:
    """Another phone comes, the one that came leaves, and some of the changes are taken back."""
    files = deepcopy(files)
    del files["phones/all.yaml"][mac(8)]
    files["phones/all.yaml"][mac(9)] = {"model": "FIP10", "site": "berlin", "accounts": ["user9"]}
    files["fleet.yaml"]["settings"]["local_time.time_format"] = "0"
    files["profiles/all.yaml"]["desk"]["settings"] = {"local_time.date_format": "6"}
    files["sites/all.yaml"]["lyon"]["phonebooks"] = []
    return files


def in_layout(files: dict[str, Any], layout: str) -> dict[str, Any]:
    """The same fleet in the other layout."""
    files = deepcopy(files)
    files["fleet.yaml"]["environments"]["production"]["layout"] = layout
    return files


@dataclass(frozen=True, slots=True)
class Revision:
    """A fleet as it is published: the passwords of that day, and what each phone then has; UNLISTED is any other."""

    folder: Path
    fleet: Fleet
    passwords: str
    settings: dict[str, dict[str, str]]

    def of(self, phone: str) -> dict[str, str]:
        """What a phone has that boots from a root with this revision."""
        return self.settings.get(phone, self.settings[UNLISTED])


def revision(folder: Path, files: dict[str, Any], passwords: str = "1") -> Revision:
    """Commit an inventory, and read it; `passwords` ends every password."""
    read = read_fleet(folder, repositories.commit(folder, files), environment="production")
    assert not read.has_errors, "\n".join(map(str, read.problems))
    settings = {phone: _opened(values, passwords) for phone, values in effective(read).items()}
    there = folder.parent / f"compiled-{read.source.revision}"
    write_tree(there, tree_of(read))
    settings[UNLISTED] = boot(UNLISTED, there.as_uri() + "/").settings
    return Revision(folder, read, passwords, settings)


def revisions(folder: Path, layout: str, place: dict[str, Any], *, first_layout: str | None = None) -> list[Revision]:
    """Three revisions, and two in which only passwords and only the layout differ from the last one."""
    repositories.start(folder)
    first = inventory(first_layout or layout, place)
    second = in_layout(changed(first), layout)
    third = changed_again(second)
    other = in_layout(third, "layered" if layout == "flat" else "flat")
    made = [revision(folder, first), revision(folder, second), revision(folder, third, "2")]
    return [*made, revision(folder, third, "3"), revision(folder, other, "3")]


def _opened(settings: dict[str, str], passwords: str) -> dict[str, str]:
    return {
        name: f"pass-{value.rpartition('/')[2]}-{passwords}" if value.startswith("secret:") else value
        for name, value in settings.items()
    }


def give_passwords(passwords: str) -> None:
    """Set the variables that passwords come from."""
    for number in range(1, 12):
        os.environ[f"OFFHOOK_SECRET_USERS_U{number}"] = f"pass-u{number}-{passwords}"


def allowed() -> list[Allowance]:
    """What these revisions do to phones, allowed by name."""
    return [Allowance("cutoff", site) for site in _SITES]


def ready(one: Revision) -> Prepared:
    """Prepare a revision's publish."""
    give_passwords(one.passwords)
    return prepare(one.folder, one.fleet, allow=allowed(), reviewed=True)


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a publish is stopped: at the call of this number, from 0, to its root and state.

    KILL ends the process before the call. REFUSE refuses it and all that follow, ONCE only this one. LOSE carries it
    out and then refuses it, as where an answer is lost.
    """

    how: str
    number: int


KILL, REFUSE, ONCE, LOSE = "kill", "refuse", "once", "lose"


class _Calls:
    """Counts calls, of every thread, and stops at one."""

    def __init__(self, stop: Stop | None) -> None:
        self.stop = stop
        self._numbers = itertools.count()
        self.made = 0

    def call(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **more: Any) -> Any:
            number = next(self._numbers)
            self.made = number + 1
            stop = self.stop
            if stop is None or number < stop.number or (number > stop.number and stop.how != REFUSE):
                return function(*arguments, **more)
            if stop.how == KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            if stop.how == LOSE:
                function(*arguments, **more)
            raise OffhookError(WORLD, hint="try again")

        return counted


class Watched:
    """A root or a state whose calls are counted."""

    def __init__(self, inner: Any, calls: _Calls) -> None:
        self._inner = inner
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._calls.call(found) if name in _COUNTED else found


_COUNTED = frozenset({"list", "read", "write", "delete", "read_version", "write_version", "swaps"})


def watch(calls: _Calls, *, inside: bool = False) -> None:
    """Count the calls of every root and state that this process opens; `inside`, the system's calls of a folder's."""
    if inside:
        for name in ("write", "fsync", "rename", "unlink"):
            setattr(os, name, calls.call(getattr(os, name)))
        return
    root, state = places_module.open_root, places_module.open_state
    places_module.open_root = lambda *a, **k: Watched(root(*a, **k), calls)
    places_module.open_state = lambda *a, **k: Watched(state(*a, **k), calls)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child's publish ended: "done", "killed" or a refusal's message; and how many calls it made."""

    how: str
    calls: int = 0
    hint: str = ""
    kind: str = ""


def publish(
    one: Revision,
    stop: Stop | None = None,
    *,
    inside: bool = False,
    patience: Patience = PATIENT,
    probing: bool = False,
    adopt: bool = False,
    first: Callable[[], None] = lambda: None,
) -> Ended:
    """Publish a revision in a child, and wait for it."""
    return wait_for(start(one, stop, inside=inside, patience=patience, probing=probing, adopt=adopt, first=first))


@dataclass(frozen=True, slots=True)
class Child:
    """A publish under way in a child: its process, and the pipe on which it says how it ended."""

    process: int
    pipe: int


def start(
    one: Revision,
    stop: Stop | None = None,
    *,
    inside: bool = False,
    patience: Patience = PATIENT,
    probing: bool = False,
    adopt: bool = False,
    first: Callable[[], None] = lambda: None,
) -> Child:
    """Start to publish a revision in a child; `first` is called there."""

    def work() -> None:
        prepared = ready(one)
        try:
            carry(prepared, patience=patience, adopt=adopt)
        finally:
            prepared.close()

    return begin(work, stop, inside=inside, probing=probing, first=first)


def run(work: Callable[[], None], stop: Stop | None = None) -> Ended:
    """Do something in a child, and wait for it."""
    return wait_for(begin(work, stop))


def begin(
    work: Callable[[], None],
    stop: Stop | None = None,
    *,
    inside: bool = False,
    probing: bool = False,
    first: Callable[[], None] = lambda: None,
) -> Child:
    """Begin something in a child, whose calls are counted."""
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return Child(process, reading)
    os.close(reading)
    try:
        if not probing:
            # whether a state compares and swaps is tried elsewhere: it takes most of the time of a small publish
            directory.can_swap = s3.can_swap = lambda state, rounds=2: True
        ended = _done(work, _Calls(stop), inside=inside, first=first)
        _WRITE(writing, json.dumps([ended.how, ended.calls, ended.hint, ended.kind]).encode())
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _done(work: Callable[[], None], calls: _Calls, *, inside: bool, first: Callable[[], None]) -> Ended:
    try:
        first()
        watch(calls, inside=inside)
        work()
    except OffhookError as error:
        return Ended(error.message, calls.made, error.hint, type(error).__name__)
    return Ended("done", calls.made)


def wait_for(child: Child) -> Ended:
    """Return how a child ended. One that hangs is killed, and fails the test."""
    with os.fdopen(child.pipe, "rb") as pipe:
        there = select.select([pipe], [], [], _END_S)[0]
        if not there:
            os.kill(child.process, signal.SIGKILL)
        said = pipe.read() if there else b""
    _, status = os.waitpid(child.process, 0)
    assert there, "the publisher hangs"
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return Ended("killed")
    assert said, "the publisher fails"
    return Ended(*json.loads(said))


def place(one: Revision) -> Place:
    """Where a revision is published to."""
    return place_of(one.folder, one.fleet.environment, "production")


def on_root(one: Revision) -> dict[str, bytes]:
    """Everything that is on the root, offhook's temporary files, too."""
    root = place(one).open_root()
    try:
        return {found.path: root.read(found.path) or b"" for found in root.list()}
    finally:
        root.close()


def boots(one: Revision, phones: Collection[str], folder: Path) -> dict[str, dict[str, str]]:
    """What these phones have after they booted from the root; nothing that they are told of may be missing."""
    where = place(one)
    if "://" in where.publish:
        shutil.rmtree(folder, ignore_errors=True)
        for path, content in on_root(one).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
    else:
        folder = Path(where.publish)
    results = {phone: boot(phone, folder.as_uri() + "/") for phone in phones}
    wrong = {phone: found.warnings for phone, found in results.items() if not found.complete and found.requests[-1:]}
    missing = {phone: said for phone, said in wrong.items() if any("not included" in one for one in said)}
    assert not missing
    return {phone: found.settings for phone, found in results.items()}


def phones_of(several: Sequence[Revision]) -> list[str]:
    """Every phone of these revisions, and one that nobody listed."""
    return sorted({phone for one in several for phone in one.settings})


def each_is_whole(several: Sequence[Revision], folder: Path, *, nothing: bool = False) -> None:
    """Hold every phone to its whole configuration of one of these revisions; `nothing`: or to none at all."""
    found = boots(several[0], phones_of(several), folder)
    for phone, settings in found.items():
        known = [one.of(phone) for one in several] + ([{}] if nothing else [])
        assert settings in known, f"{phone} has no whole configuration"


def released(one: Revision) -> tuple[Head, Manifest, Key]:
    """What the state says."""
    state = place(one).open_state()
    try:
        before, manifest = read_released(state)
        key = read_key(state)
    finally:
        state.close()
    assert key is not None
    return before.head, manifest, key


def secrets_of(one: Revision, passwords: str) -> Opened:
    """Open the secrets of a revision, as they are with these passwords."""
    give_passwords(passwords)
    wanted = needed_secrets(one.fleet)
    return open_secrets(wanted, provider={"provider": "env"}, files=[], environment=os.environ, places=wanted)


def is_settled(one: Revision, *, waiting: bool = True) -> None:
    """Hold the root to a revision's tree by its bytes, and what waits to be deleted, which the manifest lists.

    The state has nothing but what the head names.
    """
    head, manifest, key = released(one)
    tree = opened_tree(one.fleet, secrets_of(one, one.passwords), key)
    wanted = {content.path: content.data for share in tree.shares for content in share()}
    root = on_root(one)
    assert {path: data for path, data in root.items() if path in wanted} == wanted
    rest = {path: key.of_file(data) for path, data in root.items() if path not in wanted}
    listed = {path: row.digest for path, (row, _) in manifest.superseded.items()} if waiting else {}
    assert rest.keys() <= listed.keys()
    assert head.intent is None
    assert {path: row.digest for path, row in manifest.files.items()} == {
        path: key.of_file(data) for path, data in wanted.items()
    }


Files = dict[str, bytes]


def held(one: Revision) -> tuple[Files, Files]:
    """Everything on the root and in the state."""
    state = place(one).open_state()
    try:
        return on_root(one), {found.path: state.read(found.path) or b"" for found in state.list()}
    finally:
        state.close()


def hold(one: Revision, files: tuple[Files, Files]) -> None:
    """Bring the root and the state back to what they held."""
    where = place(one)
    for wanted, there, opened in zip(files, held(one), (where.open_root(), where.open_state()), strict=True):
        opened.delete([path for path in there if path not in wanted])
        for path, content in wanted.items():
            if there.get(path) != content:
                opened.write(path, content)
        opened.close()


class Stage:
    """Revisions of a fleet in one layout, and the root as each of them left it."""

    def __init__(self, folder: Path, layout: str, where: dict[str, Any], *, first_layout: str | None = None) -> None:
        self.folder = folder
        self.revisions = revisions(folder / "fleet", layout, where, first_layout=first_layout)
        self._after = [held(self.revisions[0])]
        self._calls: list[int] = []

    def calls(self, number: int) -> int:
        """Return how many calls the publish of a revision makes, after the one before it."""
        if number >= len(self._calls):
            there = held(self.revisions[0])
            self._reach(number)
            hold(self.revisions[0], there)
        return self._calls[number]

    def at(self, number: int) -> None:
        """Bring everything back to where the revision of this number was published; -1: before anything was."""
        self._reach(number)
        hold(self.revisions[0], self._after[number + 1])

    def with_passwords(self, number: int, passwords: str) -> Revision:
        """Return a revision as it is on a day with other passwords."""
        one = self.revisions[number]
        settings = {
            phone: {name: re.sub(r"^(pass-u\d+-).*", rf"\g<1>{passwords}", value) for name, value in values.items()}
            for phone, values in one.settings.items()
        }
        return replace(one, passwords=passwords, settings=settings)

    def _reach(self, number: int) -> None:
        for one in self.revisions[len(self._calls) : number + 1]:
            hold(one, self._after[-1])
            ended = publish(one)
            assert ended.how == "done", ended
            self._calls.append(ended.calls)
            self._after.append(held(one))

    def stopped(self, number: int, stop: Stop, *, inside: bool = False) -> Ended:
        """Publish a revision, stopped; each phone has its whole old or its whole new configuration."""
        new = self.revisions[number]
        ended = publish(new, stop, inside=inside)
        assert ended.how in ("killed", "done") or (ended.how.endswith(WORLD) and ended.hint), ended
        self.are_whole(number - 1, number)
        return ended

    def are_whole(self, *numbers: int) -> None:
        """Hold each phone to its whole configuration of one of these revisions."""
        several = [self.revisions[number] for number in numbers if number >= 0]
        each_is_whole(several, self.folder / "served-copy", nothing=-1 in numbers)

    def completes(self, number: int, *, grace: bool = False) -> None:
        """Publish a revision, whatever was stopped before: everything is as it says, and nothing else is there."""
        one = self.revisions[number]
        ended = publish(one)
        assert ended.how == "done", ended
        is_settled(one)
        self.are_whole(number)
        if grace:
            ended = publish(one, first=without_grace)
            assert ended.how == "done", ended
            is_settled(one, waiting=False)
            self.are_whole(number)


def on_folder(folder: Path, layout: str, **more: Any) -> Stage:
    """A folder to publish to, and another one for the state."""
    (folder / "served").mkdir()
    (folder / "state").mkdir()
    return Stage(folder, layout, {"publish": str(folder / "served"), "state": str(folder / "state")}, **more)


def in_bucket(folder: Path, layout: str, endpoint: str) -> Stage:
    """A bucket at a server, which is made."""
    places.s3_client(endpoint).create_bucket(Bucket=places.BUCKET)
    bucket = f"s3://{places.BUCKET}"
    connection = {"endpoint": endpoint, "region": "us-east-1", "addressing": "path"}
    where = {"publish": f"{bucket}/site", "state": f"{bucket}/state", "connection": connection}
    return Stage(folder, layout, where)


def without_grace() -> None:
    """Delete at once what waits to be deleted."""
    steps.GRACE_S = 0
