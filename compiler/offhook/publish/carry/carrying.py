"""One publish from its plan to its release: refuse, take the hold, carry, and write down what was done."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from offhook import __version__
from offhook.problem import OffhookError
from offhook.publish.carry.cloudfront import invalidate
from offhook.publish.carry.publication import Progress, Publication
from offhook.publish.plan.intended import OLD, write_intended
from offhook.publish.plan.limits import Verdict
from offhook.publish.plan.prepared import Prepared, limits_said
from offhook.publish.releases.recording import (
    newest_recorded,
    record_bytes,
    record_waiting,
    release_of_manifest,
    released_by,
)
from offhook.publish.releases.told import Told
from offhook.publish.state.head import Intent, Wave, read_head
from offhook.publish.state.hold import SOONER, Hold, Lost, Patience, new_intent, take_hold
from offhook.publish.state.manifest import Manifest
from offhook.texts import one_line

USUAL = Patience()

REVERT = "/revert"
"""What an intent's campaign ends with where the last run took it back."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a publish did: the release's number (that of the last one where no file changed), and how many files."""

    release: int
    is_new: bool
    written: int
    deleted: int
    warnings: tuple[str, ...] = ()


def carry(
    prepared: Prepared,
    *,
    adopt: bool = False,
    rollback_of: int | None = None,
    reason: str = "",
    patience: Patience = USUAL,
    processes: int = 1,
    progress: Progress = lambda step, done, of: None,
    say: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Make the root hold the tree, record the release, and return what was done.

    Raises OffhookError where a limit or the world refuses.
    """
    refuse(prepared, adopt=adopt)
    refuse_within_campaign(prepared)
    state, steps = prepared.state, prepared.steps
    if prepared.is_nothing:
        warning = record_waiting(prepared.root, state, prepared.before.head)
        return Outcome(prepared.manifest.release, False, 0, 0, tuple(filter(None, [warning])))
    manifest = next_manifest(prepared)
    with hold_of(prepared, patience=patience, say=say) as hold:
        publication = begin(prepared, hold, processes=processes, progress=progress)
        publication.upload()
        publication.switch()
        publication.finish(manifest, recorder(prepared, manifest, rollback_of=rollback_of, reason=reason))
        head = hold.head
    warnings = [
        invalidate(prepared.place, (*steps.writes, *steps.deletes)),
        record_waiting(prepared.root, state, head),
    ]
    written, deleted = len(steps.writes), len(steps.deletes)
    return Outcome(manifest.release, prepared.is_release, written, deleted, tuple(filter(None, warnings)))


def refuse(prepared: Prepared, *, adopt: bool) -> None:
    """Raise OffhookError where limits are exceeded, or strangers' files stand in the way."""
    if prepared.exceeded:
        raise OffhookError(
            "this publish exceeds its limits: " + "; ".join(one.message for one in prepared.exceeded),
            hint=_way_out(prepared.exceeded),
        )
    if prepared.strangers and not adopt:
        if read_head(prepared.state).version != prepared.before.version:
            raise Lost(f"{prepared.state.name}: another publish was sooner", hint=SOONER)
        first, more = prepared.strangers[0], len(prepared.strangers) - 1
        others = f" and {more:,} more" if more else ""
        raise OffhookError(
            f"{prepared.place.name} has {first}{others}, which offhook did not write",
            hint="look at what they are; --adopt overwrites them",
        )


def refuse_within_campaign(prepared: Prepared) -> None:
    """Raise OffhookError where a rollout is under way: a publish would switch at once what it holds back."""
    standing = campaign_fault(prepared)
    if standing is not None:
        raise standing


def campaign_fault(prepared: Prepared) -> OffhookError | None:
    """Return why nothing may be published now: a rollout is under way. None where there is none."""
    intent = prepared.before.head.intent
    if intent is None or not intent.campaign:
        return None
    name = prepared.place.environment.name
    return OffhookError(
        f"a rollout to {name}, begun by {intent.owner}, is not done yet",
        hint=f"offhook rollout status {name}; then rollout resume {name}, or rollout revert {name}",
    )


def recorder(
    prepared: Prepared,
    manifest: Manifest,
    *,
    rollback_of: int | None = None,
    reason: str = "",
    told: Iterable[Told] = (),
) -> Callable[[str], bytes] | None:
    """Return what makes the release's record, given the manifest's path; None where nothing new is released.

    `told` is what phones answered already.
    """
    if not prepared.is_release:
        return None

    def record(path: str) -> bytes:
        name = prepared.place.name
        release = release_of_manifest(
            manifest, path, name, prepared.moved, rollback_of=rollback_of, reason=one_line(reason)
        )
        return record_bytes(release, prepared.moved, told)

    return record


def campaign_id(intent: Intent | None) -> str:
    """Return which campaign stands on an environment, "" for none."""
    return "" if intent is None else intent.campaign.removesuffix(REVERT)


def hold_of(
    prepared: Prepared,
    *,
    patience: Patience,
    say: Callable[[str], None],
    campaign: str = "",
    commit: str | None = None,
    run: str = "",
) -> Hold:
    """Return the hold on the environment, with the intent of this publish in its head. Raises Lost.

    `campaign` is the rollout that it is part of: phones that earlier runs of it switched stay named in the head.
    `commit` is what that one rolls out, where it is reverted. `run` is the id of its intent, "" for a new one.
    """
    state, head = prepared.state, prepared.before.head
    plan = write_intended(state, prepared.survey, prepared.steps, prepared.leftover)
    commit = prepared.commit if commit is None else commit
    intent = new_intent(plan, commit, prepared.survey.sealed, prepared.place.root, id_=run)
    intent = replace(intent, campaign=campaign, waves=_waves_before(prepared.before.head.intent, campaign))
    head = replace(head, intent=intent, key=prepared.tree.key.of_text("key", ""))
    try:
        return take_hold(state, prepared.before, head, place=prepared.place.identity, patience=patience, say=say)
    except Lost:
        with suppress(OffhookError):
            state.delete([plan])
        raise


def _waves_before(former: Intent | None, campaign: str) -> tuple[Wave, ...]:
    """What earlier runs of a campaign switched; when it begins to be reverted they are not at the tree of its run."""
    if former is None or not campaign or campaign_id(former) != campaign.removesuffix(REVERT):
        return ()
    if former.campaign == campaign:
        return former.waves
    return tuple(replace(wave, to=OLD) for wave in former.waves)


def begin(prepared: Prepared, hold: Hold, *, processes: int, progress: Progress) -> Publication:
    """Return the publication, for which this run has the hold; what stopped runs left is gone."""
    publication = Publication(
        prepared.place,
        prepared.state,
        hold,
        prepared.tree,
        prepared.survey,
        prepared.steps,
        progress,
        processes,
    )
    if prepared.manifest.release == 0:
        prepared.tree.key.keep(prepared.state)
    if prepared.before.head.intent is not None:
        publication.tidy()
    return publication


def next_manifest(prepared: Prepared) -> Manifest:
    """Return the manifest of the root as it will be."""
    former = prepared.manifest
    if not prepared.is_release:
        return former
    fleet = prepared.fleet
    last = former.release or newest_recorded(prepared.root, prepared.place.environment.name)
    return Manifest(
        release=last + 1,
        environment=prepared.place.environment.name,
        root=prepared.place.root,
        commit=prepared.commit,
        at=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        by=released_by(prepared.root),
        version=__version__,
        layout=fleet.layout,
        sealed=prepared.survey.sealed,
        files=prepared.survey.files,
        phones=prepared.survey.phones,
        limits=limits_said(prepared.rule),
        signing=dict(prepared.rule.inventory.fleet.signing),
    )


def _way_out(exceeded: Sequence[Verdict]) -> str:
    """What would allow it, to paste."""
    flags = " ".join(
        f"--allow {one}" for one in dict.fromkeys(one for verdict in exceeded for one in verdict.overrides)
    )
    lines = []
    if any(verdict.limit == "changed" for verdict in exceeded):
        lines.append("save the plan (--dry-run --plan FILE), have it reviewed, and apply it (--apply FILE)")
    lines.append(f"or allow it by name: {flags}" if lines else f"allow it by name: {flags}")
    lines.append("or by a line with a last day under limits.allow in fleet.yaml")
    return "\n  ".join(lines)
