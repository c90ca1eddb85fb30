"""A boot under way: asks for one file after another, and gathers the requests and the warnings."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from offhook.phone.fetch import Fetch, fetch, printable
from offhook.phone.request import (
    FORBIDDEN,
    NOT_FOUND,
    OK,
    REFUSED,
    SKIPPED,
    TIMEOUT,
    UNREACHABLE,
    Answer,
    FetchOptions,
    Request,
)
from offhook.phone.target import Target

_ABSENT = frozenset({NOT_FOUND, FORBIDDEN})  # object stores say "forbidden" where a file does not exist
_LOST = frozenset({TIMEOUT, REFUSED, UNREACHABLE})


class ServerLostError(Exception):
    """The phone cannot go on and keeps what it has. The message says which file and why."""


@dataclass(slots=True)
class Run:
    """What a boot has gathered so far. `start` is its base, with credentials and root; `fetch` gives files."""

    start: Target
    options: FetchOptions
    fetch: Fetch = fetch
    requests: list[Request] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    complete: bool = True

    def warn(self, message: str) -> None:
        """Note what the reader should know."""
        self.warnings.append(message)

    def miss(self, message: str) -> None:
        """Note what keeps the phone from being all that its files say."""
        self.warnings.append(message)
        self.complete = False

    def ask(self, target: Target, kind: str) -> Answer:
        """Fetch one file, where the phone may, and note the request."""
        target = self._belonging(target)
        if self._may_ask(target):
            answer = self.fetch(target, self.options)
        else:
            answer = Answer(SKIPPED, message="another scheme, host or port than the boot began with")
        self.note(target, kind, answer)
        return answer

    def note(self, target: Target, kind: str, answer: Answer) -> None:
        """Add a request to the trace."""
        self.requests.append(Request(target.url, answer.result, len(answer.body), kind, answer.message))

    def look_for(self, target: Target, kind: str) -> bytes | None:
        """Return the content of a file that may exist, or None where it does not.

        Raises ServerLostError for any other answer, because it does not tell whether the file exists.
        """
        answer = self.ask(target, kind)
        if answer.result == OK:
            return answer.body
        if answer.result in _ABSENT:
            return None
        raise ServerLostError(outcome(target, answer))

    def _belonging(self, target: Target) -> Target:
        """Return the target with the credentials and the root of the boot, where it is at the same origin."""
        if target.origin != self.start.origin:
            return target
        if not target.username:
            target = replace(target, username=self.start.username, password=self.start.password)
        return replace(target, root=self.start.root)

    def _may_ask(self, target: Target) -> bool:
        """A server must never make the phone read this machine's files, whatever is allowed."""
        if target.origin == self.start.origin:
            return True
        return self.options.allow_other_hosts and target.scheme != "file"


def is_lost(answer: Answer) -> bool:
    """Tell whether the server could not be asked at all."""
    return answer.result in _LOST


def outcome(target: Target, answer: Answer) -> str:
    """Return "time.cfg: not found" for a warning, with the reason where there is one."""
    why = f": {answer.message}" if answer.message else ""
    return f"{short_name(target)}: {answer.result}{why}"


def short_name(target: Target) -> str:
    """Return the file's own name for a warning."""
    return printable(target.name.rpartition("/")[2] or target.url)
