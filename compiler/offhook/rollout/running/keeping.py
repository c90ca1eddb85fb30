"""Where a campaign is kept: what it is (campaign.json), its journal, and what a person wishes of it.

In the git folder of the fleet's repository, below `offhook/ENV`: never committed, and there for every work tree. A run
that ends, but for a kill, leaves a copy in the environment's state, so that another machine can take the campaign up;
a run that begins takes that copy away, because it will soon be old.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from offhook.git.repository import open_git
from offhook.problem import OffhookError
from offhook.publish.roots.root import State
from offhook.rollout.campaign.progress import Progress
from offhook.rollout.campaign.waves import Wave
from offhook.rollout.running.files import replace_file
from offhook.rollout.running.journal import Journal, damaged, is_written, open_journal, parse, read_journal
from offhook.rollout.who import Target

FORMAT = 1
_CAMPAIGN, _JOURNAL, _WISH = "campaign.json", "journal", "wish"
_COPIES = "campaigns"
PAUSE = "pause"
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
        path = self.folder / _CAMPAIGN
        if not (self.folder / _JOURNAL).exists():
            return None
        try:
            return parse_campaign(path.read_bytes(), str(path))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OffhookError(f"{path}: {(error.strerror or 'refused').lower()}", hint="look at its rights") from error

    def progress(self) -> Progress:
        """Return how far it is, by its journal; also while another process writes it."""
        held = read_journal(self.folder / _JOURNAL)
        progress = Progress()
        progress.take(held.rows if held is not None else ())
        return progress

    def is_worked_on(self) -> bool:
        """Tell whether a process on this machine works on it now."""
        return is_written(self.folder / _JOURNAL)

    def begin(self, campaign: Campaign) -> None:
        """Put a new campaign in the place of the last one. Raises OffhookError where the disk refuses."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name in (_JOURNAL, _WISH):
                (self.folder / name).unlink(missing_ok=True)
            replace_file(self.folder / _CAMPAIGN, campaign_bytes(campaign))
        except OSError as error:
            raise OffhookError(
                f"{self.folder}: {(error.strerror or 'refused').lower()}; the campaign's journal is kept there",
                hint="make room, or look at its rights",
            ) from error

    @contextmanager
    def journal(self, campaign: Campaign) -> Iterator[tuple[Journal, Progress]]:
        """Yield the open journal of a campaign, and how far it is. Raises OffhookError where another run writes it."""
        with open_journal(self.folder / _JOURNAL, {"campaign": campaign.id}) as journal:
            if journal.held.about.get("campaign") != campaign.id:
                raise damaged(str(journal.path))
            progress = Progress()
            progress.take(journal.held.rows)
            yield journal, progress

    def wish(self, word: str = "") -> None:
        """Leave a wish for the run that has the journal; "" takes it away."""
        with suppress(FileNotFoundError):
            if word:
                (self.folder / _WISH).write_text(word, encoding="utf-8")
            else:
                (self.folder / _WISH).unlink()

    def wished(self) -> str:
        """Return the wish that was left, "" for none."""
        try:
            return (self.folder / _WISH).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return ""


def keeping_of(root: Path, environment: str) -> Keeping:
    """Return where an environment's campaign is kept. Raises OffhookError where the fleet is in no repository."""
    return Keeping(open_git(root).objects.parent / "offhook" / environment)


def bring(keeping: Keeping, state: State, id_: str) -> bool:
    """Bring a campaign that another machine left in the state here; False where it left none."""
    about = state.read(f"{_COPIES}/{id_}/{_CAMPAIGN}")
    content = state.read(f"{_COPIES}/{id_}/{_JOURNAL}")
    if about is None or content is None:
        return False
    campaign = parse_campaign(about, f"{state.name}/{_COPIES}/{id_}")
    if campaign.id != id_:
        raise damaged(f"{state.name}/{_COPIES}/{id_}")
    parse(content, f"{state.name}/{_COPIES}/{id_}/{_JOURNAL}")
    keeping.begin(campaign)
    replace_file(keeping.folder / _JOURNAL, content)
    return True


def leave(keeping: Keeping, state: State, id_: str) -> None:
    """Leave a copy of a campaign in the state, for other machines."""
    for name in (_CAMPAIGN, _JOURNAL):
        state.write(f"{_COPIES}/{id_}/{name}", (keeping.folder / name).read_bytes())


def take_away(state: State, id_: str) -> None:
    """Take the copy out of the state: a run begins, and will know more than it."""
    state.delete([f"{_COPIES}/{id_}/{name}" for name in (_JOURNAL, _CAMPAIGN)])


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
            f"{place} is damaged: it is not what offhook wrote", hint="offhook rollout revert goes back without it"
        ) from error
