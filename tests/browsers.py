"""A real browser for tests: Chromium without a window and without a network, driven by Playwright.

Where it is missing the test is skipped with the reason, in CI it fails (`peers.missing`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import peers

AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PHONE, LAPTOP, PAPER = (390, 844), (1280, 800), (720, 1000)


@dataclass
class Tab:
    """An open page, what its console said, and what it asked for beside its own file."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def open(self, path: Path) -> None:
        """Open a file from disk."""
        self.page.goto(path.as_uri())
        self.asked.remove(path.as_uri())

    def violations(self) -> list[str]:
        """Return what axe-core finds at level AA, and against good practice: rule and element."""
        self.page.evaluate(_axe())
        found = self.page.evaluate("only => axe.run(document, {runOnly: only, resultTypes: ['violations']})", AA)
        return [f"{one['id']}: {node['html'][:200]}" for one in found["violations"] for node in one["nodes"]]

    def wait(self, condition: str) -> None:
        """Wait until an expression is true; pages forbid what Playwright's own waiting does."""
        for _ in range(200):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"never true: {condition}")

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        element = "document.documentElement"
        return int(self.page.evaluate(f"{element}.scrollWidth - {element}.clientWidth"))


@cache
def _axe() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")


@contextmanager
def chromium() -> Iterator[Any]:
    """Start a browser and give it; one for a whole test."""
    executable = peers.program("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        peers.missing("playwright is not installed")
    with sync_playwright() as playwright:
        # the sandbox needs rights that root in a container does not have
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=executable, args=flags)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def tab(
    browser: Any, *, size: tuple[int, int] = LAPTOP, scheme: str = "light", media: str = "screen", script: bool = True
) -> Iterator[Tab]:
    """Give an empty page of a size in pixels, with the network off."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, offline=True, java_script_enabled=script
    )
    try:
        made = Tab(context.new_page())
        made.page.emulate_media(media=media)
        made.page.on("console", lambda message: made.said.append(message.text))
        made.page.on("pageerror", lambda error: made.said.append(str(error)))
        made.page.on("request", lambda request: made.asked.append(request.url))
        yield made
    finally:
        context.close()
