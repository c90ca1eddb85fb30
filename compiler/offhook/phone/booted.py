"""A boot for tests of other projects: what came of it, and assertions whose messages say what a phone was told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from offhook.phone.boot import BootResult, FetchOptions, Request, boot
from offhook.phone.fetch import HIDDEN
from offhook.phone.trace import render_trace, shown_settings

_DEFAULTS = FetchOptions()


@dataclass(frozen=True, slots=True)
class Booted:
    """A phone after a boot. Its assertions return it, and raise AssertionError with the trace; no password is in it."""

    result: BootResult
    options: FetchOptions

    @property
    def settings(self) -> dict[str, str]:
        """Return all that the phone has, parameter -> value. It may hold secrets."""
        return dict(self.result.settings)

    @property
    def requests(self) -> tuple[Request, ...]:
        """Return the requests in order."""
        return self.result.requests

    def again(self, url: str | None = None) -> Booted:
        """Return the phone after one more boot: it keeps what nothing tells it otherwise."""
        return virtual_phone(self.result.mac, url or self.result.url, memory=self.result.memory, options=self.options)

    def assert_complete(self) -> Booted:
        """Demand that something was found, and that every file which was named to the phone came."""
        if not self.result.complete:
            raise AssertionError("\n".join(("the boot is not complete", *self.result.warnings, *self._trace())))
        return self

    def assert_has(self, settings: Mapping[str, str | None]) -> Booted:
        """Demand these settings, among others; None demands that the phone is told no such parameter."""
        wrong = {name: value for name, value in settings.items() if self.result.settings.get(name) != value}
        if wrong:
            raise AssertionError("\n".join((*self._differences(wrong), *self._trace())))
        return self

    def assert_settings(self, settings: Mapping[str, str]) -> Booted:
        """Demand these settings and no others."""
        more = dict.fromkeys(name for name in self.result.settings if name not in settings)
        return self.assert_has({**settings, **more})

    def _differences(self, wrong: Mapping[str, str | None]) -> list[str]:
        names = list(shown_settings(dict.fromkeys(wrong, "")))
        return [f"{name}: expected {_said(name, wrong[name])}, has {_said(name, self._has(name))}" for name in names]

    def _has(self, name: str) -> str | None:
        return self.result.settings.get(name)

    def _trace(self) -> list[str]:
        return ["", render_trace(self.result)]


def virtual_phone(
    mac: str,
    url: str,
    *,
    memory: Mapping[str, str] = MappingProxyType({}),
    options: FetchOptions = _DEFAULTS,
    **changes: object,
) -> Booted:
    """Boot a phone with this MAC from this URL; `changes` are fields of `options`, such as `username="phone"`.

    Raises OffhookError for a MAC or a URL that is none, TypeError for an option that is none.
    """
    chosen = replace(options, **changes)  # type: ignore[arg-type]
    return Booted(boot(mac, url, memory=memory, options=chosen), chosen)


def _said(name: str, value: str | None) -> str:
    if value is None:
        return "nothing"
    shown = shown_settings({name: value})[name]
    return HIDDEN if shown == HIDDEN else repr(shown)
