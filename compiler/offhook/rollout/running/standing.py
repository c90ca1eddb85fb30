"""Which campaign stands on an environment, by the state's head; and one whose journal is lost, as far as that tells."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from offhook.publish.carry.carrying import REVERT, campaign_id, next_manifest
from offhook.publish.plan.partial import staying, without
from offhook.publish.plan.prepared import Prepared
from offhook.publish.roots.root import State
from offhook.publish.state.head import Intent, read_json
from offhook.rollout.campaign.progress import ENDED, NEW, OLD, RESUMED, REVERTING, SENT, SWITCHED, SWITCHING, Progress
from offhook.rollout.campaign.rows import Row
from offhook.rollout.campaign.steps import Plan
from offhook.rollout.running.keeping import Campaign, Keeping
from offhook.texts import count


def is_reverting(intent: Intent) -> bool:
    """Tell whether the last run of a campaign was reverting it."""
    return intent.campaign.endswith(REVERT)


def switched_by(state: State, intent: Intent | None) -> set[str]:
    """Return the phones that a campaign's runs switched, or began to."""
    waves = () if intent is None else intent.waves
    return {mac for wave in waves for mac in read_json(state, wave.phones) or ()}


def only_switched(prepared: Prepared, campaign: Campaign, keeping: Keeping, warn: Callable[[str], None]) -> Prepared:
    """Return the publish that goes back, without phones that were not switched, and would have other settings today.

    Both tell who was switched: the state's head, and the journal. When all are, the last step may have begun, which
    writes what is left.
    """
    switched = switched_by(prepared.state, prepared.before.head.intent)
    switched |= {mac for mac, one in keeping.progress().phones.items() if one.to}
    unsure = prepared.leftover.files if switched >= campaign.targets.keys() else ()
    stay = staying(prepared, switched, unsure=unsure)
    if stay:
        warn(
            f"{count(len(stay), 'phone')} that this rollout did not switch would have other settings than before "
            "(a secret has changed) and keep their files: the next deploy stages them"
        )
    return without(prepared, stay, unsure=unsure)


def unreleased(progress: Progress) -> list[Row]:
    """Return what is to be said of a campaign whose waves are done while its release is not in place."""
    if progress.condition != ENDED:
        return []
    return [Row(REVERTING if progress.reverted else RESUMED, why=f"{progress.why}, and it is not released yet")]


def recover(prepared: Prepared, plan: Plan, keeping: Keeping, intent: Intent, *, opened: str) -> Campaign:
    """Return a campaign whose journal is lost, with a new journal of what the state's head still tells.

    Whoever may have been told is taken as told now: nobody is told twice within its window. Where it was being
    reverted, that run's waves are those that went to its tree, the old one; and it is a person's to go on with that.
    """
    now = time.time()
    there, other = (OLD, NEW) if is_reverting(intent) else (NEW, OLD)
    rows = [Row(REVERTING, at=now, why="a person reverted it")] if is_reverting(intent) else []
    for wave in intent.waves:
        to = there if wave.to == NEW else other
        for mac in read_json(prepared.state, wave.phones) or ():
            if mac in plan.targets:
                rows.append(Row(SWITCHING, mac, now, to=to))
                rows += [Row(SWITCHED, mac, now, to=to), Row(SENT, mac, now, status=1)] if wave.done else []
    campaign = replace(
        campaign_of(prepared, plan),
        id=campaign_id(intent),
        release=next_manifest(prepared).release,
        opened=opened,
        by=intent.owner,
    )
    with keeping.journal(campaign, first=lambda: keeping.begin(campaign)) as (journal, _):
        journal.add(rows)
    keeping.is_of(intent.id)
    return campaign


def campaign_of(prepared: Prepared, plan: Plan) -> Campaign:
    """Return what a prepared publish and its plan say of a campaign."""
    return Campaign(
        id="",
        environment=prepared.place.environment.name,
        release=prepared.manifest.release,
        before=prepared.manifest.release,
        commit=prepared.commit,
        sealed=prepared.survey.sealed,
        opened="",
        at="",
        by="",
        reason="",
        allowed=(),
        tells=True,
        windows=True,
        waves=plan.waves,
        targets=plan.targets,
    )
