"""Opening the secrets of a fleet: by the provider that its environment names, or the fleet itself."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from offhook.compile import Fleet
from offhook.problem import Mark
from offhook.secrets.opening import Opened, open_secrets
from offhook.source import Source


def provider_of(fleet: Fleet) -> Mapping[str, Any]:
    """Return the `secrets:` mapping that holds for a fleet's environment."""
    environment = fleet.environment
    return (environment.secrets if environment else None) or fleet.inventory.fleet.secrets


def open_by(
    fleet: Fleet, names: Iterable[str], *, source: Source | None = None, places: Mapping[str, Mark] | None = None
) -> Opened:
    """Return the values of names by a fleet's provider, from its own secrets files or from those of another source.

    `places` and what is raised are those of `open_secrets`.
    """
    files = [file for file in (source or fleet.source).files if file.kind == "secret"]
    return open_secrets(names, provider=provider_of(fleet), files=files, environment=os.environ, places=places)
