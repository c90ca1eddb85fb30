"""What an auditor asks of releases: what changed on which phone, by whom, reviewed and signed, and who was told.

Comes in: the fleet's repository, an environment, and which releases. Goes out: an `Evidence` a release, made of git
alone: no clock, no configuration and no other ref has a say, so that every clone that has these commits gives the same.
Passwords in the clear are hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from offhook.cache import with_store
from offhook.diff import diff
from offhook.diff.change import ADDED, CHANGED, REMOVED, Diff, PhoneChange, shown_sides
from offhook.git.refs import has_commit, named_parents
from offhook.git.signatures import Signature, Trust
from offhook.history.brought import PRESENCE, Key, Sides, between, brought
from offhook.history.reviews import reviews
from offhook.history.trust import judge, trust_at
from offhook.history.walk import History, open_history
from offhook.problem import OffhookError
from offhook.publish.releases.ledger import Chain, Record, read_chain, read_phones, ref_of
from offhook.publish.releases.outcomes import outcomes_in
from offhook.publish.releases.records import notes
from offhook.publish.releases.release import Phones, Release
from offhook.publish.releases.selection import chosen
from offhook.publish.releases.told import Told
from offhook.store import Store


@dataclass(frozen=True, slots=True)
class Wrote:
    """A commit that changed phones. `at` is the author's time in UTC, 2026-11-23T10:21:00Z.

    `review` is the pull request that a message names. `signature` is judged by whom the release before trusted, as of
    the time of this release. `undone` tells that the commit was released before, and that this release takes it back.
    """

    id: str
    author: str
    email: str
    at: str
    subject: str
    review: str | None
    signature: Signature
    undone: bool = False


@dataclass(frozen=True, slots=True)
class Altered:
    """One parameter: its values as they may be shown, None where nothing was said, and the commits that changed it.

    `secret` is "changed" or "may have changed" where only the sealed value of a secret differs.
    """

    parameter: str
    old: str | None
    new: str | None
    secret: str
    commits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Phone:
    """One phone of a release. `status` is added, removed or changed; `model` and `site` are "" where nobody says.

    `commits` are those that brought or took the phone. `is_carried` tells that the release changed its files by the
    record; `told` is what became of telling it, None where nobody noted that.
    """

    mac: str
    status: str
    model: str
    site: str
    changes: tuple[Altered, ...]
    commits: tuple[str, ...]
    is_carried: bool
    told: Told | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """One release: what git has of it. `before` is the release that it is compared with, None for the first.

    `commits` are the newest first, `phones` sorted by MAC. `rules` are the changes of policy, a line each. `notes` say
    what git does not know.
    """

    release: Release
    before: Release | None
    commits: tuple[Wrote, ...]
    phones: tuple[Phone, ...]
    rules: tuple[str, ...]
    notes: tuple[str, ...]


def gather(
    root: Path,
    environment: str,
    *,
    first: str = "",
    last: str = "",
    store: Store | None = None,
    processes: int = 1,
    warn: Callable[[str], None] = lambda _: None,
) -> tuple[Evidence, ...]:
    """Return what is known of the releases from `first` to `last`, the oldest first.

    Both are numbers or days (see `chosen`); the last release where both are "". `warn` is told what was passed over on
    the ref. Raises OffhookError where there is no such release, and where this clone lacks a commit that is needed.
    """

    def use(store: Store) -> tuple[Evidence, ...]:
        history = open_history(root, "", environment, store)
        chain = read_chain(history.git, ref_of(environment))
        for line in notes(chain):
            warn(line)
        asked = {one.number for one in chosen([one.release for one in chain.records], first, last)}
        sides = Sides(history, processes)
        try:
            return tuple(
                _evidence(root, sides, chain, at)
                for at in reversed(range(len(chain.records)))
                if chain.records[at].release.number in asked
            )
        finally:
            history.keep()

    return use(store) if store is not None else with_store(root, use, warn=warn)


def unchecked(found: Iterable[Evidence]) -> tuple[str, ...]:
    """Return why signatures could not be checked, each reason once, sorted: a program that is missing, above all."""
    signatures = (commit.signature for one in found for commit in one.commits)
    return tuple(sorted({one.detail for one in signatures if one.state == "unchecked"}))


def _evidence(root: Path, sides: Sides, chain: Chain, at: int) -> Evidence:
    """What is known of the record at a place of the chain."""
    git, record = sides.history.git, chain.records[at]
    release = record.release
    former = next(iter(chain.records[at + 1 :]), None)
    said = _gaps(chain, release, former)
    try:
        phones = read_phones(git, record)
    except OffhookError as error:
        phones = Phones()
        said.append(f"which phones the release changed is not known: {error.message}")
    told = {row.mac: row for row in outcomes_in(git, chain, release.environment, release.number, warn=said.append)}
    head = _source(sides.history, record, said)
    base = _source(sides.history, former, said) if former is not None else None
    if head is None or base is None:
        return Evidence(release, _released(former), (), _unchanged(sides, head, phones, told), (), tuple(said))
    found = diff(
        root, base, head, environment=release.environment, store=sides.history.store, processes=sides.processes
    )
    writers, by_key = _writers(sides, base, head, found, release)
    rules = tuple(f"{one.message} ({one.mark.file}:{one.mark.line})" for one in found.policy)
    rows = _phones(sides, head, found, phones, told, by_key)
    return Evidence(release, _released(former), writers, rows, rules, tuple(said))


def _gaps(chain: Chain, release: Release, former: Record | None) -> list[str]:
    """What is to be said of releases that should stand before this one. Raises OffhookError where others have them."""
    expected = release.number - 1
    if expected == (former.release.number if former is not None else 0):
        return []
    if chain.is_cut:
        message = f"this clone is shallow and lacks release {expected} of {release.environment}"
        raise OffhookError(message, hint="git fetch --unshallow")
    lowest = former.release.number + 1 if former is not None else 1
    which = f"release {expected} is" if lowest == expected else f"releases {lowest} to {expected} are"
    return [f"{which} not recorded: what changed then stands here"]


def _source(history: History, record: Record, said: list[str]) -> str | None:
    """The commit that was released; None where no record leads to it, which is said.

    What the record leads to is pushed with it: a clone that lacks it is one that is shallow, and is refused.
    """
    release = record.release
    if not release.commit:
        said.append(f"release {release.number} was made from a work tree: git does not have what was in it")
        return None
    if release.commit not in named_parents(history.git, record.commit):
        said.append(f"the record of release {release.number} does not lead to its commit {release.commit[:10]}")
        return None
    if not has_commit(history.git, release.commit):
        message = f"this clone lacks the commit {release.commit[:10]} of release {release.number}"
        raise OffhookError(message, hint="git fetch --unshallow brings what a shallow clone lacks")
    return release.commit


def _released(record: Record | None) -> Release | None:
    return None if record is None else record.release


def _writers(
    sides: Sides, base: str, head: str, found: Diff, release: Release
) -> tuple[tuple[Wrote, ...], dict[Key, tuple[str, ...]]]:
    """The commits that changed what differs, the newest first, and which of them changed what."""
    wanted = {
        phone.mac: {PRESENCE} if phone.status != CHANGED else {one.parameter for one in phone.changes}
        for phone in found.phones
    }
    history = sides.history
    trust = trust_at(history, base)
    now = int(datetime.fromisoformat(release.at).timestamp())
    writers: list[Wrote] = []
    by_key: dict[Key, tuple[str, ...]] = {}
    for old, new, undone in ((base, head, False), (head, base, True)):
        commits = between(history, old, new)
        made = brought(sides, commits, wanted) if commits else {}
        for key, ids in made.items():
            by_key[key] = by_key.get(key, ()) + ids
        used = {one for ids in made.values() for one in ids}
        merged = reviews(history, new, used, within=set(commits))
        writers += [_wrote(history, one, merged.get(one), trust, now, undone=undone) for one in commits if one in used]
    return tuple(writers), by_key


def _wrote(history: History, commit: str, review: str | None, trust: Trust, now: int, *, undone: bool) -> Wrote:
    about = history.commit(commit)
    signature = judge(history, commit, trust, now=max(now, about.committed))
    return Wrote(commit, about.author, about.email, _utc(about.when), about.subject, review, signature, undone)


def _utc(when: int) -> str:
    """A commit's time; one that cannot be is 1970, as git shows it."""
    try:
        moment = datetime.fromtimestamp(when, UTC)
    except (ValueError, OverflowError, OSError):
        moment = datetime.fromtimestamp(0, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _phones(
    sides: Sides,
    head: str,
    found: Diff,
    phones: Phones,
    told: Mapping[str, Told],
    by_key: Mapping[Key, tuple[str, ...]],
) -> tuple[Phone, ...]:
    carried = {*phones.changed, *phones.added, *phones.removed}
    rows = {
        phone.mac: Phone(
            phone.mac,
            phone.status,
            phone.model,
            phone.site or "",
            _altered(phone, by_key),
            by_key.get((phone.mac, PRESENCE), ()),
            phone.mac in carried,
            told.get(phone.mac),
        )
        for phone in found.phones
    }
    rest = _unchanged(sides, head, phones, told, without=rows.keys())
    return tuple(sorted((*rows.values(), *rest), key=lambda one: one.mac))


def _altered(phone: PhoneChange, by_key: Mapping[Key, tuple[str, ...]]) -> tuple[Altered, ...]:
    """The parameters of a phone that was there before and is still; all that another is told came or left with it."""
    if phone.status != CHANGED:
        return ()
    return tuple(
        Altered(one.parameter, *shown_sides(one), one.secret, by_key.get((phone.mac, one.parameter), ()))
        for one in phone.changes
    )


def _unchanged(
    sides: Sides, head: str | None, phones: Phones, told: Mapping[str, Told], *, without: Iterable[str] = ()
) -> tuple[Phone, ...]:
    """The phones that a record names, or that were told, of which git knows no change; sorted by MAC."""
    status = {mac: word for word, macs in _by_status(phones) for mac in macs}
    macs = sorted((status.keys() | told.keys()) - set(without))
    side = sides.of(head, many=len(macs) > _MANY) if head is not None and macs else None
    rows = []
    for mac in macs:
        phone = side.phone(mac) if side is not None else None
        model, site = (phone.model, phone.site or "") if phone is not None else ("", "")
        rows.append(Phone(mac, status.get(mac, ""), model, site, (), (), mac in status, told.get(mac)))
    return tuple(rows)


def _by_status(phones: Phones) -> Sequence[tuple[str, tuple[str, ...]]]:
    return (CHANGED, phones.changed), (ADDED, phones.added), (REMOVED, phones.removed)


_MANY = 500
"""From here on an inventory is read whole: to look phones up one by one takes longer."""
