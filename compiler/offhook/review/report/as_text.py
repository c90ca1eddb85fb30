"""A report as text for a terminal and for a file: nothing is cut, since it is evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from click import style

from offhook.git.signatures import spoken
from offhook.publish.releases.evidence import Evidence, Phone, Wrote
from offhook.review.report.words import ID, Alike, alike, answer, author, headline, moment, remark, source, values
from offhook.texts import listed, one_line, visible


def report_text(found: Sequence[Evidence]) -> str:
    """Return the releases, the oldest first, each with its commits and its phones."""
    return "\n\n".join("\n".join(_release(one)) for one in found)


def _release(one: Evidence) -> Iterator[str]:
    release = one.release
    yield style(f"{release.environment}, release {release.number}: {moment(release.at)}", bold=True)
    yield f"  by {one_line(release.by)}"
    against = f", compared with release {one.before.number} ({source(one.before)})" if one.before else ""
    yield f"  from {source(release)}{against}"
    if release.rollback_of is not None:
        yield f"  rollback of release {release.rollback_of}"
    if release.reason:
        yield f"  reason: {one_line(release.reason)}"
    yield from (style(f"  note: {visible(line)}", fg="yellow") for line in one.notes)
    yield from (f"  rule: {visible(line)}" for line in one.rules)
    for commit in one.commits:
        yield ""
        yield from _commit(commit)
    for group in alike(one.phones):
        yield ""
        yield from _group(group, one)
    if not one.phones:
        yield "  no phone changed"


def _commit(one: Wrote) -> Iterator[str]:
    words = f"{one.id[:ID]}  {moment(one.at)}{f'  {one.review}' if one.review else '  no pull request named'}"
    yield f"  {style(words, fg='yellow')}{'  taken back' if one.undone else ''}"
    yield f"    {one_line(one.subject)}"
    yield f"    {author(one)}, {spoken(one.signature)}"


def _group(group: Alike, evidence: Evidence) -> Iterator[str]:
    phone = group.example
    by = f"  {_ids(phone.commits)}" if phone.commits else ""
    yield f"  {style(headline(group), bold=True)}{by}"
    if said := remark(phone, evidence):
        yield f"    {said}"
    for change in phone.changes:
        by = f"  {_ids(change.commits)}" if change.commits else ""
        yield f"    {visible(change.parameter)}  {values(change)}{style(by, fg='yellow')}"
    width = max(len(visible(one.site)) for one in group.phones)
    yield from (_phone(one, width) for one in group.phones)


def _phone(one: Phone, width: int) -> str:
    site = f"  {visible(one.site).ljust(width)}" if width else ""
    at = f"{moment(one.told.at)}  " if one.told else ""
    wave = f" (wave {one.told.wave})" if one.told and one.told.wave else ""
    return f"      {one.mac}{site}  {at}{answer(one.told)}{wave}"


def _ids(commits: Sequence[str]) -> str:
    return listed((one[:ID] for one in commits), limit=len(commits))
