"""What every test has: a cache of its own run, never the developer's; and an interrupt that interrupts."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the cache file of every fleet below the run's temporary folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OFFHOOK_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="session")
def interrupts() -> None:
    """Take SIGINT as from a terminal: `nohup` and a shell's `&` leave it ignored, to programs that tests start, too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
