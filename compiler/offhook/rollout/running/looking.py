"""Looking at what switched phones would fetch: virtual phones boot from the environment's url, and are held against
the tree that they were switched to.

What is wrong is looked at again for a while: a cache in front of the root takes its time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from offhook.phone.request import FetchOptions
from offhook.publish.carry.carrying import next_manifest
from offhook.publish.plan.prepared import Prepared
from offhook.verify.compare import EQUAL, SLOW, Verdict
from offhook.verify.expected import Released
from offhook.verify.fetching import with_credentials
from offhook.verify.verification import verdicts_of

_AGAIN_S = (1.0, 2.0, 4.0)
_AGAIN_CLOUDFRONT_S = (2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 90.0)
"""An invalidation of CloudFront takes a minute or two."""

_SLOW_S = 60.0
_AT_ONCE = 32
_FTP_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Looking:
    """How to look: from which URL, with which options, by how many processes."""

    url: str
    options: FetchOptions
    processes: int = 1


def look_of(
    prepared: Prepared, looking: Looking, *, sleep: Callable[[float], None] = time.sleep
) -> Callable[[Sequence[str]], dict[str, str]]:
    """Return what boots some of a prepared publish's phones, and tells what is wrong with what they get, by MAC.

    Raises OffhookError, at once, where the password that phones fetch with cannot be opened.
    """
    options = with_credentials(looking.options, prepared.rule, looking.url, trusted=True)
    expected = Released(next_manifest(prepared), prepared.tree.key, 0, None)
    pauses = _AGAIN_CLOUDFRONT_S if prepared.place.environment.cloudfront else _AGAIN_S
    at_once = _FTP_AT_ONCE if looking.url.startswith("ftp:") else _AT_ONCE

    def once(macs: Sequence[str]) -> dict[str, str]:
        found, _ = verdicts_of(
            macs,
            looking.url,
            expected,
            options=options,
            slow_s=_SLOW_S,
            at_once=max(1, at_once // looking.processes),
            processes=min(looking.processes, len(macs)),
        )
        return {one.mac: words(one) for one in found if one.verdict not in (EQUAL, SLOW)}

    def look(macs: Sequence[str]) -> dict[str, str]:
        wrong = once(macs)
        for pause in pauses:
            if not wrong:
                break
            sleep(pause)
            wrong = once(sorted(wrong))
        return wrong

    return look


def words(one: Verdict) -> str:
    """Return what is wrong with what a phone would get, on one line."""
    told = [one.note, *(f"{file.url}: {file.message or file.result}" for file in one.files[:1])]
    return ": ".join(filter(None, [f"it would get something else ({one.verdict})", *told]))
