"""How an environment wants its releases rolled out.

Comes in: `rollout:` of an environment, schema-valid, and `notify.rate`. Goes out: a `Config` with every default filled
in, shares as whole percents and times in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PHONES, SHARE, SITES, MODELS, LABELS, REST = "phones", "share", "sites", "models", "labels", "rest"

_WAVES: tuple[Mapping[str, Any], ...] = ({PHONES: 1}, {SHARE: "1%"}, {SHARE: "10%"}, {REST: True})
_GATE = {"answered": "90%", "wait": "5 min"}
_FAILURES = "5%"
_RATE = "20/s"
_UNITS_S = {"s": 1, "min": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class WaveRule:
    """Which phones one wave takes. `amount` is a number of phones or a percent; `names` are sites, models or labels."""

    kind: str
    amount: int = 0
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GateRule:
    """What a wave must show: whole percents, None where nothing is asked; and how long it is watched, in seconds."""

    answered: int
    fetched: int | None
    registered: int | None
    wait_s: int


@dataclass(frozen=True, slots=True)
class Config:
    """How to roll out. `failures` is a number of phones, or a share such as "5%" of those that change."""

    waves: tuple[WaveRule, ...]
    gate: GateRule
    failures: int | str
    verify: bool
    respects_windows: bool


def config_of(said: Mapping[str, Any]) -> Config:
    """Return the configuration that `rollout:` says; what it leaves out has its default."""
    gate = {**_GATE, **said.get("gate", {})}
    return Config(
        waves=tuple(_wave(one) for one in said.get("waves", _WAVES)),
        gate=GateRule(
            answered=_percent(gate["answered"]),
            fetched=_percent(gate["fetched"]) if "fetched" in gate else None,
            registered=_percent(gate["registered"]) if "registered" in gate else None,
            wait_s=seconds_of(gate["wait"]),
        ),
        failures=said.get("failures", _FAILURES),
        verify=said.get("verify", True),
        respects_windows=said.get("window", "respect") == "respect",
    )


def budget(failures: int | str, phones: int) -> int:
    """Return how many of so many phones may fail; a share is never less than 1."""
    if isinstance(failures, int):
        return failures
    return max(1, phones * _percent(failures) // 100)


def rate_per_s(text: str = _RATE) -> float:
    """Return a rate such as 20/s, 600/min or 1000/h as NOTIFYs a second; without one, what holds unless said."""
    number, _, unit = text.partition("/")
    return int(number) / _UNITS_S[unit]


def seconds_of(text: str) -> int:
    """Return a time such as 90 s, 5 min or 2 h in seconds."""
    number, _, unit = text.partition(" ")
    return int(number) * _UNITS_S[unit]


def _wave(said: Mapping[str, Any]) -> WaveRule:
    ((kind, value),) = said.items()
    if kind == PHONES:
        return WaveRule(kind, value)
    if kind == SHARE:
        return WaveRule(kind, _percent(value))
    return WaveRule(kind, names=() if kind == REST else tuple(value))


def _percent(text: str) -> int:
    return int(text.rstrip("%"))
