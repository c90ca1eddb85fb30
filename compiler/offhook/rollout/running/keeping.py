"""Where a campaign is kept: what it is (campaign.json), its journal, and which run wrote that last.

In the git folder of the fleet's repository, below `offhook/ENV`: never committed, and there for every work tree.
Another clone may have gone on since: the state's head names the last run, and only the journal that knows it counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from offhook.git.repository import open_git
from offhook.problem import OffhookError
from offhook.rollout.campaign.progress import Progress
from offhook.rollout.campaign.waves import Wave
from offhook.rollout.running.files import replace_file
from offhook.rollout.running.journal import Journal, damaged, open_journal, read_journal
from offhook.rollout.who import Target

FORMAT = 1
CAMPAIGN, JOURNAL = "campaign.json", "journal"
WATCHED = "watched"
_RUNS = "runs"
_ROW = tuple(one.name for one in fields(Target))


@dataclass(frozen=True, slots=True)
class Campaign:
    """What a campaign is, and stays: who wanted what, and every phone with its wave.

    `id` knows it; `release` is the number that it will have, `before` the one that the root was at, 0 for none.
    `commit` is "" for a work tree. `opened` is the keyed digest of its tree, secrets opened. `allowed` are the limits
    that were passed over by name. `tells` and `windows` are those of a `Manner`.
    """

    id: str
    environment: str
    release: int
    before: int
    commit: str
    sealed: str
    opened: str
    at: str
    by: str
    reason: str
    allowed: tuple[str, ...]
    tells: bool
    windows: bool
    waves: tuple[Wave, ...]
    targets: Mapping[str, Target]

    def wave_of(self) -> dict[str, int]:
        """Return MAC -> the number of its wave."""
        return {mac: wave.number for wave in self.waves for mac in wave.macs}


@dataclass(frozen=True, slots=True)
class Keeping:
    """The folder of an environment's campaign."""

    folder: Path

    def campaign(self) -> Campaign | None:
        """Return the last campaign of this clone, None where there was none. Raises OffhookError for a damaged one.

        One whose journal is gone is none: nobody could say how far it is.
        """
        path = self.folder / CAMPAIGN
        if not (self.folder / JOURNAL).exists():
            return None
        try:
            return parse_campaign(path.read_bytes(), str(path))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OffhookError(f"{path}: {(error.strerror or 'refused').lower()}", hint="look at its rights") from error

    def progress(self) -> Progress:
        """Return how far it is, by its journal; also while another process writes it."""
        held = read_journal(self.folder / JOURNAL)
        progress = Progress()
        progress.take(held.rows if held is not None else ())
        return progress

    def knows(self, run: str) -> bool:
        """Tell whether all that a run did is in the journal here: it was written, or brought, from that one."""
        if not all((self.folder / name).exists() for name in (CAMPAIGN, JOURNAL)):
            return False
        try:
            return run in (self.folder / _RUNS).read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError):
            return False

    def is_of(self, *runs: str) -> None:
        """Say that the journal here knows these runs: the last one, and the one that is about to begin."""
        replace_file(self.folder / _RUNS, "".join(f"{run}\n" for run in runs).encode())

    def begin(self, campaign: Campaign) -> None:
        """Put a new campaign in the place of the last one: only for whoever has the journal's lock.

        Raises OffhookError where the disk refuses.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name in (JOURNAL, WATCHED, _RUNS):
                (self.folder / name).unlink(missing_ok=True)
            replace_file(self.folder / CAMPAIGN, campaign_bytes(campaign))
        except OSError as error:
            raise OffhookError(
                f"{self.folder}: {(error.strerror or 'refused').lower()}; the campaign's journal is kept there",
                hint="make room, or look at its rights",
            ) from error

    @contextmanager
    def journal(
        self, campaign: Campaign, *, first: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[Journal, Progress]]:
        """Yield the open journal of a campaign, and how far it is. Raises OffhookError where another run writes it.

        `first` is done under its lock, before it is read: a new campaign begins there, and no other run loses its own.
        """
        with open_journal(self.folder / JOURNAL, {"campaign": campaign.id}, first=first) as journal:
            if journal.held.about.get("campaign") != campaign.id:
                raise damaged(str(journal.path))
            progress = Progress()
            progress.take(journal.held.rows)
            yield journal, progress


def keeping_of(root: Path, environment: str) -> Keeping:
    """Return where an environment's campaign is kept. Raises OffhookError where the fleet is in no repository."""
    return Keeping(open_git(root).objects.parent / "offhook" / environment)


def campaign_bytes(campaign: Campaign) -> bytes:
    """Return a campaign as JSON."""
    plain = {one.name: getattr(campaign, one.name) for one in fields(campaign) if one.name not in ("waves", "targets")}
    body = {
        "format": FORMAT,
        **plain,
        "waves": [asdict(wave) for wave in campaign.waves],
        "targets": [[getattr(target, name) for name in _ROW] for target in campaign.targets.values()],
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def parse_campaign(content: bytes, place: str) -> Campaign:
    """Return the campaign. Raises OffhookError where it is none."""
    try:
        body: dict[str, Any] = json.loads(content)
        if body.pop("format") != FORMAT:
            raise OffhookError(f"{place} is of a format that this offhook does not know", hint="a newer one wrote it")
        waves = tuple(Wave(one["number"], one["name"], tuple(one["macs"])) for one in body.pop("waves"))
        rows = [dict(zip(_ROW, one, strict=True)) for one in body.pop("targets")]
        targets = {row["mac"]: Target(**{**row, "also": tuple(row["also"])}) for row in rows}
        if {mac for wave in waves for mac in wave.macs} != targets.keys():
            raise ValueError
        return Campaign(**{**body, "allowed": tuple(body["allowed"])}, waves=waves, targets=targets)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise OffhookError(
            f"{place} is damaged: it is not what offhook wrote",
            hint="move it away, and run `offhook rollout resume` or `revert`: the state knows who was switched",
        ) from error
