"""What a campaign leaves in its environment's state: a copy, when a run ends, for other machines; and a person's wish.

A copy lies under the id of the run that left it, and the state's head names the last run: whoever finds the one under
the other knows that nobody has gone on since. A run that was killed leaves none. Beside it lies whether that run only
waited for a maintenance window: machines may go on with such a one. A person's wish that the campaign rests is under no
run: it lasts until a person goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from offhook.problem import OffhookError
from offhook.publish.roots.root import State
from offhook.rollout.running.files import replace_file
from offhook.rollout.running.journal import Busy, damaged, locked, parse
from offhook.rollout.running.keeping import CAMPAIGN, JOURNAL, Keeping, parse_campaign

_HEAR_S = 2.0
_PAUSE = "pause"
_WINDOW = "window"
_FOLDER = "campaigns"


@dataclass(frozen=True, slots=True)
class Copies:
    """What is in a state of one campaign, by its id."""

    state: State
    campaign: str

    def bring(self, keeping: Keeping, run: str) -> bool:
        """Bring what a run left here, where it left it whole; False where it did not, or another run is at it here.

        Raises OffhookError where it is damaged.
        """
        about, content = self.state.read(self._path(run, CAMPAIGN)), self.state.read(self._path(run, JOURNAL))
        if about is None or content is None:
            return False
        place = f"{self.state.name}/{_FOLDER}/{self.campaign}/{run}"
        campaign = parse_campaign(about, place)
        if campaign.id != self.campaign:
            raise damaged(place)
        parse(content, place)
        try:
            with locked(keeping.folder / JOURNAL):
                if not keeping.knows(run):  # a run here may have begun meanwhile
                    keeping.begin(campaign)
                    replace_file(keeping.folder / JOURNAL, content)
                    keeping.is_of(run)
        except Busy:
            return False
        return True

    def leave(self, keeping: Keeping, run: str) -> None:
        """Leave a copy of what a run knew when it ended."""
        for name in (CAMPAIGN, JOURNAL):
            self.state.write(self._path(run, name), (keeping.folder / name).read_bytes())

    def forget(self, run: str, *, wish: bool = True) -> None:
        """Delete what a run left: another one knows more, or the campaign is done; and what a person wished of it."""
        left = [self._path(run, name) for name in (JOURNAL, CAMPAIGN, _WINDOW)]
        self.state.delete([*left, self._path(_PAUSE)] if wish else left)

    def say_waiting(self, run: str) -> None:
        """Say that a run ended only because a maintenance window is waited for."""
        self.state.write(self._path(run, _WINDOW), b"")

    def is_waiting(self, run: str) -> bool:
        """Tell whether a run said that; where the state cannot be asked, it did not."""
        return self._has(run, _WINDOW)

    def ask_for_pause(self) -> None:
        """Leave the wish that the campaign rests, whatever run is under way, until a person goes on with it."""
        self.state.write(self._path(_PAUSE), b"")

    def wants_pause(self) -> bool:
        """Tell whether somebody left that wish; where the state cannot be asked, nobody did."""
        return self._has(_PAUSE)

    def heard(self) -> Callable[[], bool]:
        """Return what tells that of a run that goes on: the state is asked at once, and every other second."""
        asked = -_HEAR_S

        def heard() -> bool:
            nonlocal asked
            if time.monotonic() - asked < _HEAR_S:
                return False
            asked = time.monotonic()
            return self.wants_pause()

        return heard

    def _has(self, *names: str) -> bool:
        with suppress(OffhookError):
            return self.state.read(self._path(*names)) is not None
        return False

    def _path(self, *names: str) -> str:
        return "/".join((_FOLDER, self.campaign, *names))
