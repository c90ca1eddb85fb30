"""A whole verification: every phone booted and judged, those that differ once more beside what is compiled."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from offhook.phone.request import FetchOptions
from offhook.verify.compare import DIFFERS, VERDICTS, Verdict, judge
from offhook.verify.expected import Compiled, Expected, Released
from offhook.verify.many import AT_ONCE, boot_many
from offhook.verify.probes import Finding


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of it: a verdict for each phone in the order of their MACs, findings and notes.

    `target` is what was asked for, `against` what phones were held against, in words. `release` and `commit` are 0 and
    "" where that is no release, or of no commit. `took_s` is the time of the boots.
    """

    target: str
    url: str
    against: str
    release: int
    commit: str
    verdicts: tuple[Verdict, ...] = field(repr=False)
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    took_s: float

    @property
    def counts(self) -> Mapping[str, int]:
        """Return how many phones have each verdict; all verdicts, in the order of reports."""
        found = Counter(one.verdict for one in self.verdicts)
        return {verdict: found[verdict] for verdict in VERDICTS}

    @property
    def is_good(self) -> bool:
        """Tell whether every phone gets what it should."""
        return self.counts[VERDICTS[0]] == len(self.verdicts)


def verdicts_of(
    macs: Sequence[str],
    url: str,
    expected: Expected,
    *,
    options: FetchOptions,
    compile_anew: Callable[[Released], Compiled | None] = lambda _: None,
    slow_s: float,
    at_once: int = AT_ONCE,
    processes: int = 1,
    watching: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> tuple[list[Verdict], float]:
    """Return a verdict for each MAC, and the seconds that the boots took.

    Held against a release, phones that differ boot once more, beside what `compile_anew` makes of it: only that names
    parameters. It is called where some differ, and returns None where nothing can be compiled. `watching` stands
    around each round of boots, whose progress goes to `offhook.parallel.watched_by`.
    """

    def booted(chosen: Sequence[str], against: Expected) -> list[Verdict]:
        with watching():
            return boot_many(
                chosen,
                url,
                lambda result, seconds: judge(result, against, seconds=seconds, slow_s=slow_s),
                options=options,
                at_once=at_once,
                processes=processes,
            )

    start = time.perf_counter()
    found = booted(macs, expected)
    took = time.perf_counter() - start
    differing = [one.mac for one in found if one.verdict == DIFFERS]
    made = compile_anew(expected) if differing and isinstance(expected, Released) else None
    if made is None:
        return found, took
    again = dict(zip(differing, booted(differing, made), strict=True))
    return [again.get(one.mac, one) for one in found], took
