"""What every test has: a cache of its own run, never the developer's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the cache file of every fleet below the run's temporary folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OFFHOOK_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
