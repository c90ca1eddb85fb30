"""What the formats of a report have in common: phones with equal changes side by side, and the words for an answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from offhook.diff.change import ADDED, CHANGED, REMOVED
from offhook.publish.releases.evidence import Altered, Evidence, Phone, Wrote
from offhook.publish.releases.release import Release
from offhook.publish.releases.told import Told
from offhook.texts import count, one_line, visible

ID = 10
"""How many digits of a commit's id are shown to people."""

_STATES = {"gave-up": "gave up", "untold": "not told"}
_NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Alike:
    """Phones to which the same happened by the same commits, sorted by MAC."""

    phones: tuple[Phone, ...]

    @property
    def example(self) -> Phone:
        """Return the first phone."""
        return self.phones[0]


def alike(phones: Iterable[Phone]) -> list[Alike]:
    """Return phones with equal changes side by side: what changed first, the largest first."""
    found: dict[object, list[Phone]] = {}
    for phone in phones:
        key = (phone.status, phone.changes, phone.commits, phone.is_carried)
        found.setdefault(key, []).append(phone)
    made = [Alike(tuple(members)) for members in found.values()]
    order = (CHANGED, ADDED, REMOVED, "")
    return sorted(
        made,
        key=lambda one: (
            order.index(one.example.status),
            not one.example.changes,
            -len(one.phones),
            one.example.mac,
        ),
    )


def title(found: Sequence[Evidence]) -> str:
    """Return "production, release 12" or "production, releases 9 to 12"."""
    first, last = found[0].release, found[-1].release
    span = f"release {first.number}" if first is last else f"releases {first.number} to {last.number}"
    return f"{first.environment}, {span}"


def headline(group: Alike) -> str:
    """Return what happened to how many phones: "47 phones changed"."""
    return f"{count(len(group.phones), 'phone')} {group.example.status or 'told, and not changed'}"


def remark(phone: Phone, evidence: Evidence) -> str:
    """Return what is to be said of phones whose record and whose settings disagree, "" where they do not."""
    if not phone.status:
        return ""
    if not phone.is_carried:
        return "their settings differ, and by the record their files did not change"
    is_known = evidence.before is not None and not evidence.notes
    if phone.status == CHANGED and not phone.changes and is_known:
        return "their files changed, and no setting did: a secret that git does not hold, or another offhook"
    return ""


def values(change: Altered) -> str:
    """Return "+1 -> +2", or what is known of a secret."""
    if change.secret and change.new is not None:
        return f"{visible(change.new)} {change.secret}"
    old, new = (_NOTHING if one is None else visible(one) for one in (change.old, change.new))
    return f"{old} -> {new}"


def answer(told: Told | None) -> str:
    """Return what became of telling a phone: "answered 200: OK", "gave up: no answer within 32 s"."""
    if told is None:
        return "nothing is noted"
    status = f" {told.status}" if told.status else ""
    why = f": {visible(told.why)}" if told.why else ""
    return f"{_STATES.get(told.state, told.state)}{status}{why}"


def moment(at: str) -> str:
    """Return 2026-11-23T10:21:00Z as people read it: 2026-11-23 10:21:00 UTC."""
    return f"{at[:10]} {at[11:19]} UTC"


def source(release: Release | None) -> str:
    """Return a release's commit in short."""
    return "" if release is None else release.commit[:ID] or "a work tree"


def author(one: Wrote) -> str:
    """Return "Anna <anna@example.com>"."""
    return one_line(f"{one.author} <{one.email}>")
