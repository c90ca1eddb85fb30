"""A campaign as a pure step: what is to be done next.

Comes in: a `Plan`, the `Progress` that the journal tells, with everything that has happened folded in, and the time.
Goes out: a `Step`: rows, and one action. Whoever drives it brings the rows to the journal's disk, folds them in,
carries the action out, adds what came of it as rows, and asks again. So it can be killed between any two of these: what
was begun and not ended is begun again, and a phone that may have been notified is not notified again before `again_s`.

A phone is switched only when all waves before its own have passed their gates, and only inside its site's window.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from offhook.rollout.campaign.asks import ask
from offhook.rollout.campaign.gate import counts, judge, over_budget
from offhook.rollout.campaign.progress import (
    ENDED,
    FORGIVEN,
    NEW,
    OLD,
    PASSED,
    PAUSED,
    RESUMED,
    REVERTING,
    STOPPED,
    SWITCHING,
    WAIVED,
    Progress,
)
from offhook.rollout.campaign.rows import Row
from offhook.rollout.campaign.sends import fitting, tell
from offhook.rollout.campaign.steps import Done, Plan, Step, Stop, Switch, Verify, Wait
from offhook.rollout.campaign.waves import Wave


def resume(progress: Progress, now: float, *, waive: int = 0) -> list[Row]:
    """Return the rows by which a person lets a campaign go on: failures so far are forgiven, and a gate waived."""
    forgiven = [Row(FORGIVEN, mac, now) for mac in sorted(progress.failed)]
    waived = [Row(WAIVED, at=now, wave=waive)] if waive else []
    return [*forgiven, *waived, Row(RESUMED, at=now)]


def step(plan: Plan, progress: Progress, now: float) -> Step:
    """Return what is to be done now. Changes nothing."""
    if progress.condition == ENDED:
        return Step(Done(progress.why))
    if progress.condition == STOPPED:
        return Step(Stop(progress.why, progress.on_new()))
    if progress.condition == PAUSED:
        return Step(Wait(None, progress.why))
    if progress.condition == REVERTING:
        return _revert(plan, progress, now)
    why = over_budget(progress, plan.budget)
    if why:
        return _stopped(progress, why, now)
    wave = next((one for one in plan.waves if one.number not in progress.passed), None)
    if wave is None:
        return Step(Done("every wave is done"), (Row(ENDED, at=now, why="every wave is done"),))
    return _in_wave(plan, progress, wave, now)


def _in_wave(plan: Plan, progress: Progress, wave: Wave, now: float) -> Step:
    states = {mac: progress.of(mac) for mac in wave.macs}
    unsure = tuple(mac for mac, one in states.items() if one.to and not one.switched)
    if unsure:
        return Step(Switch(unsure, NEW))
    if unseen := _unseen(plan, progress, states):
        return Step(Verify(unseen))
    opened = {site: plan.is_open(mac, now) for site, mac in {plan.targets[mac].site: mac for mac in states}.items()}
    changeable = [mac for mac in states if opened[plan.targets[mac].site]]
    telling = tell(plan, progress, [mac for mac in changeable if states[mac].switched], now)
    if isinstance(telling, Step):
        return telling
    fit = fitting(plan, progress, changeable, now)
    if fit:
        return Step(Switch(fit, NEW), tuple(Row(SWITCHING, mac, now, to=NEW) for mac in fit))
    open_ended = [mac for mac, one in states.items() if not one.outcome]
    if open_ended:
        return _wait(plan, progress, open_ended, telling, now)
    return _at_gate(plan, progress, wave, now)


def _at_gate(plan: Plan, progress: Progress, wave: Wave, now: float) -> Step:
    """Every phone has its outcome: the wave is watched for a while, and judged."""
    states = [progress.of(mac) for mac in wave.macs]
    since = max(max(one.outcome_at, one.sent_at) for one in states)
    if progress.at > since and progress.why == "":
        since = progress.at
    until = since + plan.config.gate.wait_s
    if wave.number in progress.waived:
        return Step(Wait(now, f"the gate of wave {wave.number} is waived"), (Row(PASSED, at=now, wave=wave.number),))
    if now < until:
        return Step(Wait(until, f"wave {wave.number} ({wave.name}) is watched"))
    asking = _asking(plan, progress, wave, now)
    if asking is not None:
        return asking
    verdict = judge(plan.config.gate, counts(wave.macs, progress), plan.seen)
    said = f"wave {wave.number} ({wave.name}): {'; '.join(verdict.words) or 'nothing to judge'}"
    if verdict.passed:
        return Step(Wait(now, said), (Row(PASSED, at=now, wave=wave.number, why=said),))
    return _stopped(progress, said, now)


def _asking(plan: Plan, progress: Progress, wave: Wave, now: float) -> Step | None:
    """The questions whether a wave's phones are registered, or the wait for their answers; None where none are left."""
    if not plan.asks:
        return None
    asking = ask(plan, progress, wave.macs, now)
    if isinstance(asking, Step):
        return asking
    why = f"wave {wave.number} ({wave.name}) is asked whether its phones are registered"
    return Step(Wait(asking, why)) if asking < float("inf") else None


def _revert(plan: Plan, progress: Progress, now: float) -> Step:
    """Every phone that was switched goes back at once, in no waves and outside of windows: something is wrong."""
    plan = replace(plan, windows={})
    new = progress.on_new()
    if new:
        rows = tuple(Row(SWITCHING, mac, now, to=OLD) for mac in new if progress.of(mac).to != OLD)
        return Step(Switch(new, OLD), rows)
    back = [mac for mac in plan.targets if progress.of(mac).to == OLD]
    if unseen := _unseen(plan, progress, back):
        return Step(Verify(unseen))
    telling = tell(plan, progress, back, now)
    if isinstance(telling, Step):
        return telling
    untold = [mac for mac in back if not progress.of(mac).outcome]
    if untold:
        return _wait(plan, progress, untold, telling, now)
    why = "every phone that was switched is back"
    return Step(Done(why), (Row(ENDED, at=now, why=why),))


def _unseen(plan: Plan, progress: Progress, macs: Iterable[str]) -> tuple[str, ...]:
    """Those of some switched phones that nobody has looked at yet."""
    states = ((mac, progress.of(mac)) for mac in macs if plan.config.verify)
    return tuple(mac for mac, one in states if one.switched and not one.verified and not one.outcome)


def _wait(plan: Plan, progress: Progress, macs: Iterable[str], telling: float, now: float) -> Step:
    """Until the next NOTIFY is due, the next window opens, or an answer that may be missing is given up."""
    states = [(mac, progress.of(mac)) for mac in macs]
    told = {mac: progress.told_at(mac) + plan.again_s for mac, one in states if one.sends}
    answers = [at for at in told.values() if at > now]
    sites = {plan.targets[mac].site: mac for mac, _ in states if told.get(mac, now) <= now}
    openings = [plan.next_chance(mac, now) for mac in sites.values()]
    times = [one for one in (telling, *answers, *openings) if one is not None and now < one < float("inf")]
    if answers:
        why = f"{len(answers):,} {'phone has' if len(answers) == 1 else 'phones have'} not answered yet"
    elif telling > now and telling in times:
        why = "the next NOTIFY is not due yet"
    else:
        why = f"{len(states):,} {'phone waits' if len(states) == 1 else 'phones wait'} for a maintenance window"
        return Step(Wait(min(times, default=None), why, for_window=True))
    return Step(Wait(min(times, default=None), why))


def _stopped(progress: Progress, why: str, now: float) -> Step:
    return Step(Stop(why, progress.on_new()), (Row(STOPPED, at=now, why=why),))
