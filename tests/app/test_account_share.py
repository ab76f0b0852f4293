"""Workers that share an account's rate limits: together they never have more than all of it (requirement X07)."""

from __future__ import annotations

import random

import pytest

from app.account_share import HEARD_S, LAPSE_S, AccountShare
from streams.boards import Heartbeat

STEP_S = 0.1
COUNTED_S = 1.0
"""The venue counts calls within a second."""


class Room:
    """Workers and the one log of their heartbeats; time moves by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.log: dict[str, tuple[float, Heartbeat]] = {}
        self.shares: dict[str, int] = {}
        self.last_s: dict[tuple[str, int], float] = {}
        """When a worker last had a share of a size."""
        self.workers: dict[str, AccountShare] = {}

    def monotonic_s(self) -> float:
        return self.now_s

    def comes(self, name: str) -> AccountShare:
        def share_with(workers: int) -> None:
            self.shares[name] = workers

        self.workers[name] = AccountShare(name=name, heard=self._heard, share_with=share_with, clock=self)
        return self.workers[name]

    def goes(self, name: str) -> None:
        """Killed: nobody is told."""
        del self.workers[name], self.shares[name]

    def says(self, name: str) -> None:
        """A heartbeat is read by everybody, by who said it too; who hears of somebody new answers at once."""
        worker = self.workers[name]
        self.log[name] = self.now_s, Heartbeat(role="worker", name=name, sharing=worker.sharing)
        answering = [other for other, each in self.workers.items() if each.heard()]
        worker.read_back()
        for other in answering:
            self.says(other)

    def passes(self, seconds: float) -> None:
        """Everybody says that it lives; what is used together is looked at all the time."""
        for _ in range(round(seconds / STEP_S)):
            self.now_s += STEP_S
            for name in list(self.workers):
                self.says(name)
            self.look()

    def look(self) -> None:
        """What the venue may have counted within its window is no more than the limit."""
        for name, workers in self.shares.items():
            if workers:
                self.last_s[name, workers] = self.now_s
        most: dict[str, float] = {}
        for (name, workers), at_s in self.last_s.items():
            if self.now_s - at_s < COUNTED_S:
                most[name] = max(most.get(name, 0.0), 1 / workers)
        assert sum(most.values()) <= 1.0 + 1e-9, (self.now_s, most, self.shares)

    def _heard(self) -> list[Heartbeat]:
        return [beat for at_s, beat in self.log.values() if self.now_s - at_s < HEARD_S]


@pytest.fixture
def room() -> Room:
    return Room()


def test_x07_a_worker_alone_has_everything_once_it_has_heard_itself(room: Room) -> None:
    room.comes("a")
    assert room.shares == {"a": 0}

    room.says("a")

    assert room.shares == {"a": 1}


def test_x07_who_joins_takes_nothing_before_the_others_take_less(room: Room) -> None:
    room.comes("a")
    room.passes(1.0)
    room.comes("b")

    room.says("b")
    assert room.shares == {"a": 2, "b": 0}
    room.passes(0.9)
    assert room.shares == {"a": 2, "b": 0}, "what was sent before is still counted by the venue"
    room.passes(0.5)

    assert room.shares == {"a": 2, "b": 2}


def test_x07_workers_that_start_at_once_share_at_once(room: Room) -> None:
    for name in "abc":
        room.comes(name)

    room.passes(3.0)

    assert room.shares == {"a": 3, "b": 3, "c": 3}


def test_x07_what_a_worker_had_goes_to_the_others_when_it_was_not_heard_for_long(room: Room) -> None:
    room.comes("a")
    room.comes("b")
    room.passes(3.0)
    room.goes("b")

    room.passes(HEARD_S - 1.0)
    assert room.shares == {"a": 2}
    room.passes(2.0)

    assert room.shares == {"a": 1}


def test_x07_who_does_not_hear_itself_takes_nothing_and_joins_anew(room: Room) -> None:
    room.comes("a")
    cut = room.comes("b")
    room.passes(3.0)
    del room.workers["b"]
    room.passes(LAPSE_S)
    cut.lapse()
    assert room.shares == {"a": 2, "b": 0}

    room.passes(HEARD_S)
    room.workers["b"] = cut
    room.says("b")
    assert room.shares == {"a": 2, "b": 0}
    room.passes(2.0)

    assert room.shares == {"a": 2, "b": 2}


def test_x07_who_says_nothing_of_its_part_is_not_waited_for_forever(room: Room) -> None:
    room.log["old"] = room.now_s + 3600.0, Heartbeat(role="worker", name="old")
    room.comes("a")

    for _ in range(100):
        room.now_s += STEP_S
        room.says("a")

    assert room.shares == {"a": 2}


@pytest.mark.parametrize("seed", range(30))
def test_x07_however_they_come_and_go_they_never_have_more_than_all_of_it(room: Room, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 -- repeatable chance
    for number in range(40):
        chance = draw.random()
        if chance < 0.5 or not room.workers:
            room.comes(f"w{number}")
        elif chance < 0.75:
            room.goes(draw.choice(sorted(room.workers)))
        room.passes(draw.choice([0.1, 0.3, 1.0, 6.0]))

    room.passes(10.0)

    assert set(room.shares.values()) <= {len(room.workers)}
