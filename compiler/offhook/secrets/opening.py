"""Opening secrets: the last step before a file leaves for the phones, in memory only.

Comes in: the names that a tree refers to, and the `secrets:` mapping of fleet.yaml or of an environment. Goes out:
`Opened`, which gives a value to who asks for it by name and shows none. Every value obeys the byte rules that hold for
all that a phone reads (`offhook.texts`): a line break in a password must not begin a second setting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from offhook.problem import Mark, OffhookError
from offhook.secrets.answers import Answer, Closed, Fault, Found, Hidden, Request
from offhook.secrets.opened_text import OpenedText
from offhook.secrets.providers import aws_secretsmanager, aws_ssm, env, sops
from offhook.secrets.reference import PREFIX, secret_name
from offhook.source import InventoryFile
from offhook.texts import text_fault

DEFAULT = "sops"
PROVIDERS: Mapping[str, Callable[[Request], Answer]] = {
    DEFAULT: sops.fetch,
    "env": env.fetch,
    "aws-ssm": aws_ssm.fetch,
    "aws-secretsmanager": aws_secretsmanager.fetch,
}
"""The word after `provider:`, and who answers."""


class SecretsError(OffhookError):
    """Secrets that cannot be opened: all of them, each with its reason and next step in `faults`."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: fault.sort_key))
        if len(self.faults) == 1:
            super().__init__(str(self.faults[0]), hint=self.faults[0].hint)
        else:
            title = f"secrets cannot be opened, for {len(self.faults)} reasons"
            super().__init__(title, hint="\n  ".join(_lines(self.faults)))


class Opened(Closed):
    """Opened secrets by name. Nothing but `value` gives one: not repr, comparing, pickling, copying or a debugger."""

    __slots__ = ("__values",)

    def __init__(self, values: Mapping[str, Hidden]) -> None:
        self.__values = dict(values)

    def __repr__(self) -> str:
        return f"<opened secrets: {len(self.__values)}>"

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names, sorted."""
        return tuple(sorted(self.__values))

    def value(self, name: str) -> str:
        """Return the value of a secret that was asked for. Raises KeyError for another name: that is a bug."""
        return self.__values[name].reveal()

    def joined(self, other: Opened) -> Opened:
        """Return the secrets of both; where both have a name, this one's value."""
        return Opened({**other.__values, **self.__values})


def open_secrets(
    names: Iterable[str],
    *,
    provider: Mapping[str, Any],
    files: Iterable[InventoryFile] = (),
    environment: Mapping[str, str],
    places: Mapping[str, Mark] | None = None,
) -> Opened:
    """Return the values of all names ("berlin/alice"). Where there is no name nobody is asked.

    `provider` is the `secrets:` mapping that holds (its `provider` is sops where it says none); `files` are the
    secrets files at the commit that is published, read by sops only; `environment` is the process's (boto3, for AWS,
    reads its credentials from os.environ and from its own files). `places` tells where the inventory refers to a
    name, for messages. Raises SecretsError with every name that is missing, refused or unfit for a
    phone; ValueError for what is no name, which is a bug.
    """
    wanted = tuple(sorted(set(names)))
    kind = provider.get("provider", DEFAULT)
    if kind not in PROVIDERS:
        raise OffhookError(f'no provider of secrets is called "{kind}"', hint=f"one of {', '.join(PROVIDERS)}")
    if any(secret_name(PREFIX + name) is None for name in wanted):
        raise ValueError("no name of a secret")  # not shown: it may be a value, given by mistake
    if not wanted:
        return Opened({})
    environment = {name: OpenedText(value) for name, value in environment.items()}
    request = Request(wanted, provider, tuple(files), environment, places or {})
    answer = PROVIDERS[kind](request)
    faults = [*answer.faults, *_unanswered(request, answer)]
    faults += [
        fault for name in wanted if name in answer.values for fault in _unfit(name, answer.values[name], request)
    ]
    if faults:
        raise SecretsError(faults)
    return Opened({name: answer.values[name].value for name in wanted})


def _unanswered(request: Request, answer: Answer) -> Iterator[Fault]:
    """What no provider may do: pass over a name in silence."""
    said = {name for fault in answer.faults for name in fault.names}
    for name in request.names:
        if name not in answer.values and name not in said:
            place = request.places.get(name)
            yield Fault(f'secret "{name}": its provider says nothing of it', "", place, (name,))


def _unfit(name: str, found: Found, request: Request) -> Iterator[Fault]:
    fault = text_fault(found.value.reveal())
    if fault is not None:
        yield Fault(f'secret "{name}" holds {fault}', found.hint, found.mark or request.places.get(name), (name,))


def _lines(faults: tuple[Fault, ...]) -> Iterator[str]:
    """The faults' lines; a next step that several share follows the last of them."""
    for hint, group in groupby(faults, key=lambda fault: fault.hint):
        yield from map(str, group)
        if hint:
            yield f"  {hint}"
