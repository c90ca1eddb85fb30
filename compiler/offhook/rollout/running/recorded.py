"""A campaign's last step: what each phone answered goes into git, beside the release that it was told of.

Comes in: a run that came to its end. Goes out: an outcome on refs/offhook/ENV (`publish.releases.outcomes`), pushed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from offhook.problem import OffhookError
from offhook.publish.releases.outcomes import STATES, Told, add_outcomes
from offhook.publish.releases.recording import released_by
from offhook.publish.releases.records import push_releases
from offhook.publish.releases.told import MAX_WHY
from offhook.rollout.campaign.progress import SWITCHED, PhoneState, Progress
from offhook.rollout.running.keeping import Campaign

if TYPE_CHECKING:
    from offhook.rollout.running.run import Ran


def record_outcomes(root: Path, ran: Ran) -> str:
    """Write down what phones answered; return a warning, "" where all went well.

    Of one that was reverted it is said of the release that is there again: that is what they were told to fetch; and
    how they had taken what was taken back.
    Nothing is written for a campaign that did not end with a release: there is none that it could be said of.
    """
    told = told_of(ran.campaign, ran.progress, reverted=ran.reverted)
    if not (told and ran.release):
        return ""
    environment = ran.campaign.environment
    try:
        add_outcomes(root, environment, ran.release, told, by=released_by(root))
        push_releases(root, environment)
    except OffhookError as error:
        return f"what phones answered to release {ran.release} of {environment} is not with the others: {error.message}"
    return ""


def told_of(campaign: Campaign, progress: Progress, *, reverted: bool) -> tuple[Told, ...]:
    """Return what became of each phone, as records keep it; not of those to which nothing was done."""
    waves = campaign.wave_of()
    back = f"the rollout of {campaign.commit[:10] or 'a work tree'} was taken back" if reverted else ""
    found = ((mac, one, _last(one)) for mac, one in sorted(progress.phones.items()))
    return tuple(
        Told(
            mac,
            datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            one.state if one.state in STATES else SWITCHED,
            one.status,
            _why(one, back)[:MAX_WHY],
            waves.get(mac, 0),
        )
        for mac, one, at in found
        if at
    )


def _why(state: PhoneState, back: str) -> str:
    before = f"before: {state.before}" if state.before else ""
    return "; ".join(filter(None, (back, state.why, before)))


def _last(state: PhoneState) -> float:
    return max(state.outcome_at, state.sent_at, state.fetched_at, state.registered_at)
