"""A campaign's plan, and what it may do next: the words between the pure step and whoever carries it out."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from offhook.rollout.campaign.config import Config
from offhook.rollout.campaign.progress import REGISTERED
from offhook.rollout.campaign.rows import Row
from offhook.rollout.campaign.waves import Wave
from offhook.rollout.campaign.windows import Window, closes_at, is_open, next_opening
from offhook.rollout.who import Target


@dataclass(frozen=True, slots=True)
class Plan:
    """A campaign. `targets` has every phone of every wave; `windows` is site -> window, None or missing: always open.

    `rates`: ("registrar", host:port) or ("site", id) -> NOTIFYs a second. `seen` are those of "fetched" and
    "registered" that somebody tells. `again_s` is how long after a NOTIFY of unknown outcome no other one is sent: more
    than a transaction lasts (RFC 3261 §17.1.2.2, timer F: 32 s). `tells` is False where nobody is to be told. `ahead_s`
    is how far the clocks that people look at, which windows go by, are ahead of the one that the campaign goes by.
    """

    waves: tuple[Wave, ...]
    targets: Mapping[str, Target]
    config: Config
    budget: int
    windows: Mapping[str, Window | None] = field(default_factory=dict)
    rates: Mapping[Hashable, float] = field(default_factory=dict)
    seen: frozenset[str] = frozenset()
    again_s: float = 120.0
    tells: bool = True
    ahead_s: float = 0.0

    @property
    def asks(self) -> bool:
        """Tell whether phones are asked whether they are registered: the gate wants it, and somebody tells."""
        return self.config.gate.registered is not None and REGISTERED in self.seen

    def window(self, mac: str) -> Window | None:
        """Return when a phone may be changed; None: always."""
        return self.windows.get(self.targets[mac].site) if self.config.respects_windows else None

    def is_open(self, mac: str, now: float) -> bool:
        """Tell whether a phone may be changed now."""
        return is_open(self.window(mac), now + self.ahead_s)

    def closes_at(self, mac: str, now: float) -> float | None:
        """Return until when it may, None for ever."""
        found = closes_at(self.window(mac), now + self.ahead_s)
        return None if found is None else found - self.ahead_s

    def next_chance(self, mac: str, now: float) -> float | None:
        """Return when its window opens; where it is open, and had no room, when it opens again; None: never."""
        closing = self.closes_at(mac, now) if self.is_open(mac, now) else None
        found = next_opening(self.window(mac), (now if closing is None else closing) + self.ahead_s)
        return None if found is None else found - self.ahead_s

    def places(self, mac: str) -> tuple[Hashable, ...]:
        """Return what a phone's NOTIFY passes, as far as it has a rate."""
        return self.places_of(self.targets[mac])

    def places_of(self, target: Target) -> tuple[Hashable, ...]:
        """Return what a NOTIFY passes, as far as it has a rate."""
        return tuple(one for one in (("registrar", target.registrar), ("site", target.site)) if one in self.rates)


@dataclass(frozen=True, slots=True)
class Send:
    """One NOTIFY, due at `at`. `also` are phones of the campaign that hear the same one: its outcome is theirs, too.

    With `asks` it is no NOTIFY, but the question whether they are registered, which changes nothing.
    """

    at: float
    mac: str
    also: tuple[str, ...] = ()
    asks: bool = False

    def rows(self, state: str, at: float, *, status: int = 0, why: str = "") -> list[Row]:
        """Return what came of it, for every phone that it was for."""
        return [Row(state, mac, at, status=status, why=why) for mac in (self.mac, *self.also)]


@dataclass(frozen=True, slots=True)
class Switch:
    """Switch these phones to the new tree, or back to the old one; afterwards each is told as switched."""

    macs: tuple[str, ...]
    to: str


@dataclass(frozen=True, slots=True)
class Verify:
    """Look at what these phones would fetch; afterwards each is told as verified or wrong."""

    macs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Notify:
    """Send these NOTIFYs or questions, each when it is due; what comes of each is told when it comes."""

    sends: tuple[Send, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is to be done before `until` (None: before somebody says so), or before something happens.

    `for_window` tells that nothing but a maintenance window that is to open is waited for.
    """

    until: float | None
    why: str
    for_window: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """The campaign stands until a person decides. `new` are the phones that have, or may have, the new settings."""

    why: str
    new: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """There is nothing left to do."""

    why: str


End = Wait | Stop | Done
"""What a run can end on."""

Action = Switch | Verify | Notify | End


@dataclass(frozen=True, slots=True)
class Step:
    """What to write ahead, and then what to do."""

    action: Action
    rows: tuple[Row, ...] = ()
