"""From chosen phones to calls: one NOTIFY an address, however many phones hear it; and whom none can reach, and why.

Comes in: targets (`who`). Goes out: calls in the order of MACs, with the phones that each is for, and refusals.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from offhook.rollout.routes.call import Call
from offhook.rollout.who import Target
from offhook.sip.outcome import NO_ACCOUNT, NO_ADDRESS, SHARED, Outcome
from offhook.texts import listed

_RATE = re.compile(r"([1-9][0-9]{0,5})/(s|min|h)")
_SECONDS = {"s": 1, "min": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Planned:
    """One NOTIFY and the chosen phones that it is for, sorted; `also` are phones that hear it and were not chosen."""

    call: Call
    phones: tuple[Target, ...]
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A chosen phone that is told nothing, and why: NO_ACCOUNT, NO_ADDRESS or SHARED."""

    phone: Target
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Calls:
    """What will be sent, and what will not. `reboot` is what is asked for."""

    planned: tuple[Planned, ...] = ()
    refused: tuple[Refused, ...] = ()
    reboot: bool = False

    @property
    def macs(self) -> frozenset[str]:
        """The phones that were chosen."""
        return frozenset(
            [phone.mac for one in self.planned for phone in one.phones] + [one.phone.mac for one in self.refused]
        )

    @property
    def phones(self) -> int:
        """How many phones were chosen."""
        return len(self.macs)


def calls_for(targets: Iterable[Target], *, reboot: bool = False) -> Calls:
    """Return the calls to some phones. A reboot is never asked for where a phone that was not chosen hears it."""
    chosen = sorted(targets, key=lambda one: one.mac)
    macs = {one.mac for one in chosen}
    told = []
    refused = []
    for one in chosen:
        if not one.user:
            refused.append(Refused(one, Outcome(NO_ACCOUNT)))
        elif not one.is_addressed:
            refused.append(Refused(one, Outcome(NO_ADDRESS, detail="notify.contact has no value for this phone")))
        elif reboot and not macs.issuperset(one.also):
            refused.append(Refused(one, Outcome(SHARED, detail=listed(one.also))))
        else:
            told.append(one)
    return Calls(_planned(told, macs, reboot=reboot), tuple(refused), reboot)


def next_calls(calls: Calls, ended: Iterable[Call]) -> tuple[Planned, ...]:
    """Return the calls to the phones of some calls that ended, by the accounts that they have once they have fetched.

    Whom these wake, or restart, `calls_for` has thought of.
    """
    lost = set(ended)
    phones = [phone.fetched for one in calls.planned if one.call in lost for phone in one.phones if phone.other]
    return _planned(phones, calls.macs, reboot=calls.reboot)


def call_to(target: Target, *, reboot: bool = False, asks: bool = False) -> Call:
    """Return the call to a phone that has an address."""
    return Call(target.mac, target.user, _domain(target.registrar), target.contact, reboot=reboot, asks=asks)


def called(call: Call) -> str:
    """Return the SIP address that a call goes to."""
    return call.contact or call.address


def _planned(phones: Iterable[Target], macs: Collection[str], *, reboot: bool) -> tuple[Planned, ...]:
    together: dict[str, list[Target]] = {}
    for one in phones:
        together.setdefault(one.address, []).append(one)
    return tuple(
        Planned(
            call_to(group[0], reboot=reboot),
            tuple(group),
            tuple(sorted({mac for one in group for mac in one.also}.difference(macs))),
        )
        for group in together.values()
    )


def per_second(rate: str) -> float:
    """Return the NOTIFYs a second of a rate such as 20/s, 600/min or 1000/h: six digits at most. Raises ValueError."""
    found = _RATE.fullmatch(rate)
    if found is None:
        raise ValueError(rate)
    return int(found[1]) / _SECONDS[found[2]]


def _domain(registrar: str) -> str:
    """The registrar as an address has it: without the usual port, so that DNS may say another one (RFC 3263, 4.2)."""
    return registrar.removesuffix(":5060")
