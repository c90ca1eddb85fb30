"""Files that are replaced in one step: whoever reads sees the old or the new content, whole, also after a crash."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from offhook.problem import OffhookError


def replace_file(path: Path, content: bytes) -> None:
    """Put a content in a file's place, on the disk. Raises OffhookError where the disk refuses."""
    new = path.with_name(path.name + ".new")
    try:
        with new.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        raise OffhookError(
            f"{path} cannot be written: {(error.strerror or 'refused').lower()}",
            hint="make room, or look at its rights",
        ) from error
