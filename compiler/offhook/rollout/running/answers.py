"""What phones answered, as records keep it: a row a phone, from how far a campaign is."""

from __future__ import annotations

from datetime import UTC, datetime

from offhook.publish.releases.told import MAX_WHY, STATES, Told
from offhook.rollout.campaign.progress import SWITCHED, PhoneState, Progress
from offhook.rollout.running.keeping import Campaign


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
