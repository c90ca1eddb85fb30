"""Whoever sends a campaign's NOTIFYs, beside a registrar with ten thousand phones: pace, and nobody forgotten."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from offhook.problem import OffhookError
from offhook.rollout.campaign.steps import Send
from offhook.rollout.routes import registrar
from offhook.rollout.routes.call import Call
from offhook.rollout.running.teller import Answer, Job, Teller
from phone_farm import farm

RATE = 2000.0
PHONES = 10_000
PLACES = ("registrar",)


def jobs(users: Sequence[str], port: int) -> list[Job]:
    return [Job(Send(0.0, user), Call(user, user, f"127.0.0.1:{port}"), PLACES, 0.0) for user in users]


def tell(users: Sequence[str], port: int, *, enough: int, resumed: bool) -> list[Answer]:
    """Tell phones until so many have answered; the rest is left where it is."""
    found: list[Answer] = []
    settings = registrar.Settings()
    with Teller(lambda: registrar.opened(settings), {"registrar": RATE}, resumed=resumed) as teller:
        for job in jobs(users, port):
            teller.tell(job)
        while len(found) < enough:
            found += teller.answers(1.0)
    return found


def most_in_a_second(times: Sequence[float]) -> int:
    most = start = 0
    for end, at in enumerate(times):
        while at - times[start] >= 1:
            start += 1
        most = max(most, end - start + 1)
    return most


@pytest.mark.peer
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 10))])
def test_no_second_holds_more_than_the_rate_wherever_it_is_interrupted(seed: int) -> None:
    luck = random.Random(seed)
    users = [f"u{number:05d}" for number in range(PHONES)]
    with farm() as phones:
        left, resumed = users, False
        for enough in (luck.randrange(1, PHONES), luck.randrange(1, PHONES // 2), PHONES):
            tell(left, phones.port, enough=min(enough, len(left)), resumed=resumed)
            phones.settle()
            told = set(phones.users())
            left, resumed = [user for user in users if user not in told], True
            if not left:
                break
        times = [at for at, _ in phones.told]
        assert sorted(phones.users()) == users  # each once
    assert most_in_a_second(times) <= RATE * 1.02


def test_a_route_that_does_not_open_is_told_on_entering() -> None:
    def opened() -> object:
        raise OffhookError("nobody is there")

    with pytest.raises(OffhookError, match="nobody is there"), Teller(opened, {}, resumed=False):  # type: ignore[arg-type]
        pass


def test_an_address_that_is_none_is_that_phones_answer() -> None:
    settings = registrar.Settings()
    with Teller(lambda: registrar.opened(settings), {}, resumed=False) as teller:
        teller.tell(Job(Send(0.0, "a"), Call("a", "a", "pbx test"), (), 0.0))
        (answer,) = teller.answers(30.0)
    assert (answer.send.mac, answer.outcome.word) == ("a", "no address")
    assert teller.under_way == 0
