"""The lease: how long after a heartbeat a side effect may start."""

from __future__ import annotations

import pytest

from app.transport.lease import Lease

S = 1_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now = 100 * S

    def __call__(self) -> int:
        return self.now


def test_there_is_none_before_the_first_heartbeat() -> None:
    lease = Lease(10, 2, Clock())
    assert not lease.good()
    assert lease.age_s() is None


def test_it_lasts_for_the_session_less_the_margin_from_the_sending() -> None:
    clock = Clock()
    lease = Lease(10, 2, clock)
    sent = lease.now_ns()
    clock.now += 3 * S  # the reply took its time
    lease.renew(sent)
    clock.now = sent + 8 * S - 1
    assert lease.good()
    clock.now += 1
    assert not lease.good()


def test_a_late_reply_to_an_older_heartbeat_takes_nothing_back() -> None:
    clock = Clock()
    lease = Lease(10, 2, clock)
    lease.renew(clock.now)
    lease.renew(clock.now - 5 * S)
    assert lease.age_s() == 0


def test_whoever_waits_is_told_when_it_is_good_again() -> None:
    clock = Clock()
    lease = Lease(10, 2, clock)
    told: list[int] = []
    lease.on_regained(lambda: told.append(clock.now))
    lease.renew(clock.now)
    lease.renew(clock.now)
    clock.now += 9 * S
    lease.renew(clock.now - 9 * S)
    assert len(told) == 1
    lease.renew(clock.now)
    assert len(told) == 2


def test_a_margin_beyond_the_session_is_refused() -> None:
    with pytest.raises(ValueError, match="LEASE_MARGIN: 10 s is not within the session time-out, 10 s"):
        Lease(10, 10)
