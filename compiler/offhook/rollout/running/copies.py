"""What a campaign leaves in its environment's state: a copy, when a run ends, for other machines; and a person's wish.

A copy lies under the id of the run that left it, and the state's head names the last run: whoever finds the one under
the other knows that nobody has gone on since. A run that was killed leaves none.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from offhook.problem import OffhookError
from offhook.publish.roots.root import State
from offhook.rollout.running.files import replace_file
from offhook.rollout.running.journal import Busy, damaged, locked, parse
from offhook.rollout.running.keeping import CAMPAIGN, JOURNAL, Keeping, parse_campaign

_PAUSE = "pause"
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

    def forget(self, run: str) -> None:
        """Delete what a run left, and what a person wished of it: another one knows more, or the campaign is done."""
        self.state.delete([*(self._path(run, name) for name in (JOURNAL, CAMPAIGN)), self._path(_PAUSE)])

    def ask_for_pause(self) -> None:
        """Leave the wish that the run that is under way, wherever it is, lets the campaign rest."""
        self.state.write(self._path(_PAUSE), b"")

    def wants_pause(self) -> bool:
        """Tell whether somebody left that wish; where the state cannot be asked, nobody did."""
        with suppress(OffhookError):
            return self.state.read(self._path(_PAUSE)) is not None
        return False

    def _path(self, *names: str) -> str:
        return "/".join((_FOLDER, self.campaign, *names))
