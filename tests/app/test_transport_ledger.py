"""The ledger: what may be committed while records finish in any order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.transport.ledger import Commit, Ledger, OutOfOrder
from app.transport.offset_metadata import SPAN
from streams.record import Record, Source

TOPIC = "signals"
PARTITION = (TOPIC, 0)
NOTHING = Commit(0)


def record(offset: int, generation: int = 1, partition: int = 0) -> Record:
    return Record(TOPIC, partition, offset, b"BTCUSDT", b"{}", (), 0, generation)


def opened(committed: Commit = NOTHING, generation: int = 1) -> Ledger:
    ledger = Ledger()
    ledger.start(PARTITION, committed.offset, committed, generation)
    return ledger


def take(ledger: Ledger, *offsets: int) -> list[Record]:
    taken = [record(offset) for offset in offsets]
    assert all(ledger.take(one, one.offset) for one in taken)
    return taken


def test_the_lowest_record_that_is_not_finished_holds_the_offset() -> None:
    ledger = opened()
    first, second, third = take(ledger, 0, 1, 2)
    assert ledger.committable() == {}
    ledger.finished(third)
    ledger.finished(second)
    assert ledger.committable() == {PARTITION: Commit(0, ahead=(1, 2))}
    ledger.finished(first)
    assert ledger.committable() == {PARTITION: Commit(3)}


def test_what_the_former_owner_finished_is_not_taken_again() -> None:
    ledger = opened(Commit(4, ahead=(6, 7)))
    (fourth, fifth) = take(ledger, 4, 5)
    assert not ledger.take(record(6), 6)
    ledger.finished(fourth)
    assert ledger.committable() == {PARTITION: Commit(5, ahead=(6, 7))}
    assert not ledger.take(record(7), 7)
    (eighth,) = take(ledger, 8)
    ledger.finished(eighth)
    ledger.finished(fifth)
    assert ledger.committable() == {PARTITION: Commit(9)}
    assert ledger.finished_total == 3


def test_only_so_much_is_told_of_what_is_ahead() -> None:
    ledger = opened()
    taken = take(ledger, *range(SPAN + 10))
    for one in taken[1:]:
        ledger.finished(one)
    assert ledger.committable()[PARTITION].ahead[-1] == SPAN


def test_a_forgotten_record_holds_the_commit_for_good() -> None:
    ledger = opened()
    first, second, third = take(ledger, 0, 1, 2)
    ledger.finished(first)
    ledger.forgotten(second)
    ledger.finished(third)
    assert ledger.committable() == {PARTITION: Commit(1, ahead=(2,))}


def test_offsets_are_offered_until_the_coordinator_has_accepted_them() -> None:
    ledger = opened()
    (first,) = take(ledger, 0)
    ledger.finished(first)
    assert ledger.committable() == {PARTITION: Commit(1)}
    assert ledger.committable() == {PARTITION: Commit(1)}
    ledger.committed({PARTITION: Commit(1)})
    assert ledger.committable() == {}


def test_a_record_delivered_twice_is_taken_once() -> None:
    ledger = opened()
    take(ledger, 0)
    assert not ledger.take(record(0), 0)
    assert len(ledger) == 1


def test_records_lost_between_fetch_and_handler_are_noticed() -> None:
    ledger = opened()
    take(ledger, 0)
    with pytest.raises(OutOfOrder, match="expected offset 1, the delivery starts at 3"):
        ledger.take(record(3), 3)


def test_offsets_that_the_log_does_not_have_are_no_loss() -> None:
    ledger = opened()
    take(ledger, 0)
    assert ledger.take(record(5), 1)
    ledger.finished(record(0))
    ledger.finished(record(5))
    assert ledger.committable() == {PARTITION: Commit(6)}


def test_a_record_of_an_earlier_generation_changes_nothing() -> None:
    ledger = opened(generation=1)
    (old,) = take(ledger, 0)
    ledger.start(PARTITION, 0, Commit(0), 2)
    assert not ledger.take(record(0, generation=1), 0)
    ledger.finished(old)
    assert ledger.committable() == {}
    assert ledger.take(record(0, generation=2), 0)


def test_the_oldest_unfinished_records_are_named() -> None:
    ledger = opened()
    taken = take(ledger, 0, 1, 2)
    ledger.finished(taken[0])
    assert ledger.unfinished() == [Source(TOPIC, 0, 1), Source(TOPIC, 0, 2)]


async def test_it_is_idle_when_partitions_with_unfinished_records_are_gone() -> None:
    ledger = opened()
    take(ledger, 0, 1)
    ledger.revoke()
    await ledger.idle()
    assert len(ledger) == 0


@given(st.integers(1, 40), st.randoms(use_true_random=False), st.sampled_from(["finished", "mixed"]))
def test_the_commit_never_passes_a_record_that_is_not_finished(n: int, chance: random.Random, mode: str) -> None:
    ledger = opened()
    waiting: list[Record] = []
    finished: set[int] = set()
    offset = 0
    while offset < n or waiting:
        if offset < n and (not waiting or chance.random() < 0.5):
            waiting += take(ledger, offset)
            offset += 1
            continue
        one = waiting.pop(chance.randrange(len(waiting)))
        if mode == "mixed" and chance.random() < 0.2:
            ledger.forgotten(one)
        else:
            ledger.finished(one)
            finished.add(one.offset)
        lowest = next((at for at in range(n + 1) if at not in finished), n)
        assert ledger.watermark(PARTITION) == min(lowest, offset)
        committable = ledger.committable().get(PARTITION, NOTHING)
        assert set(range(committable.offset)) | set(committable.ahead) <= finished
    assert len(ledger) == 0


@given(st.integers(1, 30), st.integers(1, 6), st.randoms(use_true_random=False))
def test_through_any_handovers_nothing_is_left_out_and_nothing_committed_comes_again(
    n: int, owners: int, chance: random.Random
) -> None:
    committed, finished = NOTHING, set[int]()
    for owner in range(1, owners + 1):
        ledger = opened(committed, owner)
        told = set(range(committed.offset)) | set(committed.ahead)
        last = owner == owners
        reach = n if last else chance.randint(committed.offset, n)
        for offset in range(committed.offset, reach):
            one = record(offset, owner)
            taken = ledger.take(one, offset)
            assert taken == (offset not in told)
            if taken and (last or chance.random() < 0.5):
                ledger.finished(one)
                finished.add(offset)
            elif taken and chance.random() < 0.5:
                ledger.forgotten(one)
        if last or chance.random() < 0.7:  # else killed before it committed
            committed = ledger.committable().get(PARTITION, committed)
            assert set(range(committed.offset)) | set(committed.ahead) <= finished
    assert finished == set(range(n))
    assert committed == Commit(n)
