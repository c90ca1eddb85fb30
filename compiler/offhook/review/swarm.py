"""A swarm of phones as text and JSON: pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from click import style

from offhook.phone.swarm import COMPLETE, Swarm, percentile
from offhook.texts import count

_SHARES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
_BAR = 30
_LATE_S = 0.5


def swarm_text(found: Swarm) -> str:
    """Return what became of the phones, the latencies as a table, and the requests over the time as bars."""
    return "\n".join(_lines(found))


def swarm_json(found: Swarm) -> str:
    """Return the same in the shape of schema/output/swarm.schema.json."""
    body = {
        "phones": found.phones,
        "seed": found.seed,
        "spread": found.spread_s,
        "took": round(found.took_s, 3),
        "boots": {**found.states, "seconds": _latencies(found.boots)},
        "requests": {
            "count": len(found.requests),
            "per_second": round(_rate(found), 1),
            "results": dict(found.results),
            "seconds": _latencies(found.requests),
        },
        "bytes": found.bytes,
        "timeline": [
            {"from": round(start, 3), "requests": number, "slowest": round(slowest, 4)}
            for start, number, slowest in _timeline(found)
        ],
        "late": round(found.late, 3),
    }
    return json.dumps(body, indent=1, ensure_ascii=False)


def _latencies(ordered: Sequence[float]) -> Mapping[str, Any]:
    shares = {name: round(percentile(ordered, share), 4) for name, share in _SHARES}
    return {**shares, "max": round(ordered[-1] if ordered else 0.0, 4)}


def _rate(found: Swarm) -> float:
    return len(found.requests) / found.took_s if found.took_s else 0.0


def _timeline(found: Swarm) -> Iterator[tuple[float, int, float]]:
    step = found.took_s / len(found.starts)
    for part, (number, slowest) in enumerate(zip(found.starts, found.slowest, strict=True)):
        yield part * step, number, slowest


def _lines(found: Swarm) -> Iterator[str]:
    yield (
        f"{count(found.phones, 'phone')} within {found.spread_s:g} s (seed {found.seed}), all done after"
        f" {found.took_s:.1f} s"
    )
    for state, number in found.states.items():
        if number or state == COMPLETE:
            colour = ("green" if number == found.phones else None) if state == COMPLETE else "red"
            yield f"  {style(state.ljust(12), fg=colour)}{number:,}"
    yield ""
    yield f"{'ms':<10}" + "".join(f"{name:>9}" for name in (*dict(_SHARES), "max"))
    for name, ordered in (("a request", found.requests), ("a boot", found.boots)):
        yield f"{name:<10}" + "".join(f"{value * 1000:>9.1f}" for value in _latencies(ordered).values())
    yield ""
    results = ", ".join(f"{number:,} {result}" for result, number in found.results.items())
    yield f"{count(len(found.requests), 'request')} ({results}), {_rate(found):,.0f} a second, {found.bytes:,} bytes"
    yield ""
    yield f"{'from':>8}  {'requests':>8}  {'slowest':>8}"
    most = max(found.starts, default=0) or 1
    for start, number, slowest in _timeline(found):
        bar = "#" * round(number / most * _BAR)
        yield f"{start:>6.1f} s  {number:>8,}  {slowest * 1000:>5.0f} ms  {bar}".rstrip()
    if found.late > _LATE_S:
        yield ""
        warning = style("warning:", fg="yellow")
        yield f"{warning} this machine is too slow for it: phones started up to {found.late:.1f} s late"
