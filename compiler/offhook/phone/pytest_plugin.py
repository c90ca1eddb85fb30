"""The virtual phone as a pytest plugin: fixtures for whoever tests a provisioning server. pytest finds it by itself.

`virtual_phone(mac, url)` boots a phone and returns an `offhook.phone.booted.Booted`. A project overrides
`virtual_phone_options` for what all of its phones log in with, trust and wait for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    # every run of pytest loads this module: what it needs comes with the first test that uses it
    from offhook.phone.boot import FetchOptions
    from offhook.phone.booted import Booted


@pytest.fixture(scope="session")
def virtual_phone_options() -> FetchOptions:
    """Return how phones fetch: credentials, authorities, limits. Override it in conftest.py."""
    from offhook.phone.boot import FetchOptions

    return FetchOptions()


@pytest.fixture(scope="session")
def virtual_phone(virtual_phone_options: FetchOptions) -> Callable[..., Booted]:
    """Return what boots a phone: `virtual_phone(mac, url, memory=..., username=...)`."""
    from offhook.phone import booted

    return partial(booted.virtual_phone, options=virtual_phone_options)
