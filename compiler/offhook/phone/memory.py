"""What a phone remembers between boots: a JSON file of parameter -> value, both text."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from offhook.problem import OffhookError


def read_memory(path: str | Path) -> dict[str, str]:
    """Return the settings in the file; none where there is no file, as on a phone from the factory.

    Raises OffhookError where the file cannot be read or holds anything else.
    """
    try:
        content = json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise OffhookError(f"{path} cannot be read: {os.strerror(error.errno or 0).lower()}") from error
    except (ValueError, RecursionError) as error:
        raise OffhookError(f"{path} is not JSON", hint="remove it to begin with a phone from the factory") from error
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise OffhookError(f"{path} is not a JSON object of texts")
    try:
        "".join([*content, *content.values()]).encode()
    except UnicodeEncodeError as error:
        raise OffhookError(f"{path} is not a JSON object of texts") from error
    return content


def write_memory(path: str | Path, settings: Mapping[str, str]) -> None:
    """Write the settings, sorted by name, so that a reader sees the old file or the new one.

    Only the owner may read the file: a phone's settings hold its passwords. Raises OffhookError where
    it cannot be written.
    """
    path = Path(path)
    text = json.dumps(dict(settings), ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    try:
        _replace(path, text.encode())
    except OSError as error:
        raise OffhookError(f"{path} cannot be written: {os.strerror(error.errno or 0).lower()}") from error


def _replace(path: Path, content: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
