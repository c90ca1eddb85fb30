"""A run of a campaign: begun, taken up again, or reverted; from a prepared publish to a released tree.

The journal's lock, the open route and the hold on the environment are taken in this order, and only then anything is
written. A run ends with the campaign done (the tree is released), or standing: stopped, paused, interrupted, or left
until a maintenance window opens. A standing campaign keeps its intent in the state's head, so that no other publish
switches what it holds back.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from offhook.problem import OffhookError
from offhook.publish.carry.carrying import (
    REVERT,
    begin,
    campaign_id,
    hold_of,
    next_manifest,
    recorder,
    refuse,
    refuse_within_campaign,
)
from offhook.publish.carry.cloudfront import invalidate
from offhook.publish.carry.publication import Progress as FilesProgress
from offhook.publish.carry.publication import Publication
from offhook.publish.plan.prepared import Prepared
from offhook.publish.releases.recording import record_waiting, released_by
from offhook.publish.state.head import read_head
from offhook.publish.state.hold import SOONER, Hold, Lost, Patience
from offhook.rollout.campaign.next import resume as rows_of_resume
from offhook.rollout.campaign.progress import (
    ENDED,
    PAUSED,
    REVERTING,
    RUNNING,
    STOPPED,
    Progress,
)
from offhook.rollout.campaign.rows import Row
from offhook.rollout.campaign.steps import Action, Done, Plan, Wait
from offhook.rollout.running.answers import told_of
from offhook.rollout.running.copies import Copies
from offhook.rollout.running.driver import Listening, drive, steady
from offhook.rollout.running.fetched import Watch
from offhook.rollout.running.hands import Look, RealHands
from offhook.rollout.running.journal import Journal
from offhook.rollout.running.keeping import Campaign, Keeping
from offhook.rollout.running.planning import Manner
from offhook.rollout.running.standing import campaign_of, only_switched, unreleased
from offhook.rollout.running.teller import Route, Teller

USUAL = Patience()


@dataclass(frozen=True, slots=True)
class Desk:
    """Whoever runs a campaign: where it is kept, what it looks with and tells by, and whom it tells how it goes.

    `look` and `route` are None where nobody looks, or is told. `leaves` says that the run ends where only a maintenance
    window is waited for, `heeds_pause` that a person's wish for a pause, left before, is not taken back by this run.
    """

    keeping: Keeping
    look: Look | None
    route: Route | None
    watch: Watch | None
    warn: Callable[[str], None]
    show: Callable[[Progress, Action], None] = lambda progress, action: None
    files: FilesProgress = lambda step, done, of: None
    leaves: bool = False
    heeds_pause: bool = False
    processes: int = 1
    patience: Patience = USUAL


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run came to. `release` is 0 where nothing was released: the campaign stands, and `why` says why.

    `refusal` is what the world refused in mid-run.
    """

    campaign: Campaign
    progress: Progress
    why: str
    release: int = 0
    interrupted: bool = False
    reverted: bool = False
    is_waiting: bool = False
    refusal: OffhookError | None = None
    warnings: tuple[str, ...] = field(default=())


def start(
    prepared: Prepared,
    plan: Plan,
    desk: Desk,
    *,
    manner: Manner,
    allowed: Iterable[str],
    opened: str,
    reason: str,
    adopt: bool = False,
    about: Callable[[Campaign], None] = lambda campaign: None,
) -> Ran:
    """Begin a campaign, and run it. Raises OffhookError where a limit, another campaign or the world refuses."""
    refuse(prepared, adopt=adopt)
    refuse_within_campaign(prepared)
    if prepared.is_nothing:
        warning = record_waiting(prepared.root, prepared.state, prepared.before.head)
        return _nothing(prepared, plan, tuple(filter(None, [warning])))
    manifest = next_manifest(prepared)
    campaign = replace(
        campaign_of(prepared, plan),
        id=secrets.token_hex(8),
        release=manifest.release,
        opened=opened,
        at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        by=released_by(prepared.root),
        reason=reason,
        allowed=tuple(allowed),
        tells=manner.tells,
        windows=manner.windows,
    )
    about(campaign)

    def begins() -> None:
        if read_head(prepared.state).version != prepared.before.version:
            # what this run would put its journal in the place of may be the one of a rollout that stands
            raise Lost(f"{prepared.state.name}: another publish was sooner", hint=SOONER)
        desk.keeping.begin(campaign)

    return _run(prepared, plan, campaign, desk, campaign.id, lambda progress, now: [], begins)


def go_on(prepared: Prepared, plan: Plan, campaign: Campaign, desk: Desk, *, opened: str) -> Ran:
    """Take a standing campaign up again, with its plan. Raises OffhookError where the tree is not what it was."""

    def rows(progress: Progress, now: float) -> list[Row]:
        if progress.reverted:
            raise being_reverted(campaign.environment)
        if prepared.survey.sealed != campaign.sealed or (campaign.opened and opened != campaign.opened):
            raise OffhookError(
                "the tree is not the one that this rollout began with: "
                "secrets have changed, or this is another offhook",
                hint=f"offhook rollout revert {campaign.environment}, then deploy anew",
            )
        if progress.condition not in (STOPPED, PAUSED):
            return []
        waive = _gate_of(campaign, progress) if progress.condition == STOPPED else 0
        return rows_of_resume(progress, now, waive=waive)

    return _run(prepared, plan, campaign, desk, campaign.id, rows)


def being_reverted(environment: str) -> OffhookError:
    """Return the refusal of all but going on with a revert."""
    return OffhookError(
        "this rollout is being reverted", hint=f"offhook rollout revert {environment} goes on with that"
    )


def revert(prepared: Prepared, plan: Plan, campaign: Campaign, desk: Desk) -> Ran:
    """Switch every phone back that a standing campaign switched, and no other.

    `prepared` publishes the release before it, with today's secrets.
    """
    prepared = only_switched(prepared, campaign, desk.keeping, desk.warn)

    def rows(progress: Progress, now: float) -> list[Row]:
        return [] if progress.reverted else [Row(REVERTING, at=now, why="a person reverted it")]

    return _run(prepared, plan, campaign, desk, campaign.id + REVERT, rows)


def _nothing(prepared: Prepared, plan: Plan, warnings: tuple[str, ...]) -> Ran:
    """What a run comes to that finds everything as it should be."""
    campaign, release = campaign_of(prepared, plan), prepared.manifest.release
    return Ran(campaign, Progress(condition=ENDED), "there was nothing to do", release, warnings=warnings)


def _run(
    prepared: Prepared,
    plan: Plan,
    campaign: Campaign,
    desk: Desk,
    name: str,
    first: Callable[[Progress, float], list[Row]],
    begins: Callable[[], None] = lambda: None,
) -> Ran:
    warnings: list[str] = []
    run, copies, clock = secrets.token_hex(8), Copies(prepared.state, campaign.id), steady()
    with ExitStack() as stack:
        journal, progress = stack.enter_context(desk.keeping.journal(campaign, first=begins))
        if progress.phones:
            progress.begin_again(clock())
            if desk.watch is not None:
                desk.watch.go_on()
        rows = first(progress, clock())
        former = _former_run(prepared, campaign, desk.keeping)
        is_resumed = bool(progress.phones)
        teller = None
        if desk.route is not None and any(one.is_addressed for one in plan.targets.values()):
            teller = stack.enter_context(Teller(desk.route, plan.rates, resumed=is_resumed))
        desk.keeping.is_of(former, run)
        hold = stack.enter_context(
            hold_of(prepared, patience=desk.patience, say=desk.warn, campaign=name, commit=campaign.commit, run=run)
        )
        if former:
            copies.forget(former, wish=not desk.heeds_pause)
        stack.enter_context(_copied(copies, desk.keeping, hold, journal, run))
        journal.add(rows)
        journal.sync()
        progress.take(rows)
        publication = begin(prepared, hold, processes=desk.processes, progress=desk.files)
        hands = RealHands(plan, publication, desk.look, teller, desk.watch, desk.warn, clock)
        listening = Listening(copies.heard(), desk.show, desk.leaves)
        try:
            publication.upload()
            action = drive(plan, progress, journal, hands, listening=listening, clock=clock)
            if not isinstance(action, Done):
                waits = isinstance(action, Wait) and progress.condition == RUNNING
                if waits:
                    copies.say_waiting(run)
                return Ran(campaign, progress, action.why, is_waiting=waits)
            journal.compact(list(progress.rows()))
            release = _finish(prepared, publication, campaign, progress, is_revert=name != campaign.id)
        except (KeyboardInterrupt, OffhookError) as error:
            if hold.head.intent is None:  # it is released
                raise
            return _broken_off(error, campaign, progress, journal, hands, clock)
        with suppress(OffhookError):  # a wish that came too late harms nobody
            copies.forget(run)
        warnings += filter(None, [record_waiting(prepared.root, prepared.state, hold.head)])
    return Ran(campaign, progress, action.why, release, reverted=name != campaign.id, warnings=tuple(warnings))


def _broken_off(
    error: KeyboardInterrupt | OffhookError,
    campaign: Campaign,
    progress: Progress,
    journal: Journal,
    hands: RealHands,
    clock: Callable[[], float],
) -> Ran:
    """What a run came to that a person, or the world, ended; answers that had come by then are taken."""
    with suppress(OffhookError):
        rows = hands.news(0.0, clock())
        progress.take(rows)
        journal.add(rows)
        journal.sync()
    progress.take(unreleased(progress))
    if isinstance(error, OffhookError):
        return Ran(campaign, progress, error.message, refusal=error)
    return Ran(campaign, progress, "it was interrupted", interrupted=True)


def _former_run(prepared: Prepared, campaign: Campaign, keeping: Keeping) -> str:
    """The last run of a campaign that stands, "" where it begins. Raises Lost where the journal here is not its own."""
    intent = prepared.before.head.intent
    if campaign_id(intent) != campaign.id or intent is None:
        return ""
    if not keeping.knows(intent.id):
        raise Lost(f"{intent.owner} went on with this rollout meanwhile", hint="look at its status, and run this again")
    return intent.id


def _finish(
    prepared: Prepared, publication: Publication, campaign: Campaign, progress: Progress, *, is_revert: bool
) -> int:
    """Write what is left: files of phones whose settings are the same, and common ones; then release it."""
    publication.switch()
    manifest = next_manifest(prepared)
    record = recorder(
        prepared,
        manifest,
        rollback_of=campaign.before if is_revert else None,
        reason=campaign.reason,
        told=told_of(campaign, progress, reverted=is_revert),
    )
    publication.finish(manifest, record)
    invalidate(prepared.place, (*prepared.steps.writes, *prepared.steps.deletes))
    return manifest.release


@contextmanager
def _copied(copies: Copies, keeping: Keeping, hold: Hold, journal: Journal, run: str) -> Iterator[None]:
    """Leave a copy for other machines where the campaign stands after the run."""
    try:
        yield
    finally:
        if hold.head.intent is not None:
            with suppress(OffhookError, OSError):  # the journal's folder may be gone
                journal.sync()
                copies.leave(keeping, run)


def _gate_of(campaign: Campaign, progress: Progress) -> int:
    """The wave whose gate a campaign stands before: all its phones have their outcomes; 0 for none."""
    wave = next((one for one in campaign.waves if one.number not in progress.passed), None)
    if wave is None or not all(progress.of(mac).outcome for mac in wave.macs):
        return 0
    return wave.number
