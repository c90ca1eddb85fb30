"""The boot file: which cfg files a phone fetches, in which order.

Guide, "Editing Common Boot File": `include:config "path"` lines, relative to the boot file, fetched from
top to bottom, later values override earlier ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from offhook.flyingvoice.templates.render import template

COMMON = "y000000000000"
"""The name of the common boot and cfg file (guide, "Managing Boot Files")."""


@lru_cache(maxsize=1)
def _skeleton() -> str:
    return template("boot.j2").render(includes=["%s"])


def render_boot(paths: Iterable[str]) -> str:
    """Return the text of a boot file that includes the cfg files at `paths` (relative to it), in order."""
    includes = list(paths)
    if len(includes) == 1:
        return _skeleton() % includes[0]
    return template("boot.j2").render(includes=includes)
