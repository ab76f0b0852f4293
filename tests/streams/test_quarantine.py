"""A record that keeps failing is put aside; one that fails by accident comes again."""

from __future__ import annotations

import pytest
from quiet_venue import NOW
from table_cases import signal_row
from trading_desk import TOPICS, Desk, FreeTurn

from domain.plans import TradingState
from streams import boards
from streams.ports import Revoked, Turn
from streams.quarantine import MAX_FAILURES, Quarantine
from streams.record import Record, RecordFailed
from tables.receipt import Receipt
from tables.signals import SignalResult, SignalState

RECORD = Record(TOPICS.signals, 0, 7, b"BTCUSDT", b"the signal", (), NOW)


def guarded(desk: Desk, handle):
    return Quarantine(log=desk.log, topics=TOPICS, signals=desk.signals, clock=desk.clock).around(handle)


async def broken(_turn: Turn) -> None:
    raise ZeroDivisionError("a bug")


async def test_an_error_ends_the_process_until_it_comes_for_the_third_time() -> None:
    desk = Desk()
    handle = guarded(desk, broken)

    for _ in range(MAX_FAILURES - 1):
        with pytest.raises(ZeroDivisionError):
            await handle(FreeTurn(RECORD))
    await handle(FreeTurn(RECORD))  # returns: the record counts as finished

    (letter,) = desk.log.records[TOPICS.signals_dead]
    assert letter.value == b"the signal"
    assert dict(letter.headers)["__streams.errors.exception"] == b"QUARANTINED"
    (control,) = desk.log.records[TOPICS.controls]
    assert boards.decode_control(control.value).state is TradingState.HALTED
    assert boards.decode_control(control.value).scope == "BTCUSDT"
    assert len(desk.log.records[TOPICS.alerts]) == 1


async def test_what_was_put_aside_is_not_worked_on_when_it_comes_once_more() -> None:
    desk = Desk()
    for _ in range(MAX_FAILURES - 1):
        with pytest.raises(ZeroDivisionError):
            await guarded(desk, broken)(FreeTurn(RECORD))
    await guarded(desk, broken)(FreeTurn(RECORD))
    worked: list[Turn] = []

    async def mended(turn: Turn) -> None:
        worked.append(turn)

    await guarded(desk, mended)(FreeTurn(RECORD))

    assert worked == []
    assert desk.signals.is_put_aside(0, str(RECORD.source))


async def test_each_record_has_a_count_of_its_own() -> None:
    desk = Desk()
    handle = guarded(desk, broken)

    for offset in range(MAX_FAILURES * 2):
        with pytest.raises(ZeroDivisionError):
            await handle(FreeTurn(Record(TOPICS.signals, 0, offset, b"BTCUSDT", b"", (), NOW)))


async def test_a_turn_that_is_taken_away_is_no_failure() -> None:
    desk = Desk()

    async def revoked(_turn: Turn) -> None:
        raise Revoked("rebalance")

    for _ in range(MAX_FAILURES + 1):
        with pytest.raises(Revoked):
            await guarded(desk, revoked)(FreeTurn(RECORD))

    assert desk.signals.failures(0, str(RECORD.source)) == 0


async def test_a_signal_that_was_planned_before_its_record_was_put_aside_has_an_end() -> None:
    desk = Desk()
    planned = signal_row(source=str(RECORD.source), state=SignalState.PLANNED, result=SignalResult.NONE, done_ns=0)
    desk.signals.put(0, planned, Receipt())

    for _ in range(MAX_FAILURES - 1):
        with pytest.raises(ZeroDivisionError):
            await guarded(desk, broken)(FreeTurn(RECORD))
    await guarded(desk, broken)(FreeTurn(RECORD))

    row = desk.signals.get(0, planned.symbol, planned.signal_id)
    assert row is not None
    assert (row.state, row.code, row.done_ns > 0) == (SignalState.DONE, "QUARANTINED", True)


class Runs:
    """A handler of runs with a bug that one record wakes."""

    def __init__(self, bad: int, *, traceless: bool = True) -> None:
        self.bad = bad
        self.traceless = traceless
        self.handled: list[int] = []
        self.passed: list[int] = []

    def handle(self, records: list[Record]) -> None:
        for record in records:
            if record.offset == self.bad:
                raise RecordFailed(record, ZeroDivisionError("a bug"), traceless=self.traceless)
            self.handled.append(record.offset)

    def pass_over(self, record: Record) -> None:
        self.passed.append(record.offset)


def updates(count: int) -> list[Record]:
    return [Record(TOPICS.order_updates, 0, offset, b"BTCUSDT", b"told", (), NOW) for offset in range(count)]


async def test_j05_an_update_that_fails_three_times_is_put_aside_and_its_run_goes_on_behind_it() -> None:
    desk, runs = Desk(), Runs(bad=1)
    quarantine = Quarantine(log=desk.log, topics=TOPICS, signals=desk.signals, clock=desk.clock)
    handle = quarantine.around_runs(runs.handle, desk.inbox, runs.pass_over)

    for _ in range(MAX_FAILURES - 1):
        with pytest.raises(RecordFailed, match="order-updates-0-1: ZeroDivisionError"):
            await handle(updates(3))
    assert runs.passed == []
    runs.handled.clear()
    await handle(updates(3))

    assert (runs.handled, runs.passed) == ([0, 2], [1])
    (letter,) = desk.log.records[TOPICS.order_updates_dead]
    assert (letter.value, dict(letter.headers)["__streams.errors.offset"]) == (b"told", b"1")
    (control,) = desk.log.records[TOPICS.controls]
    assert boards.decode_control(control.value).scope == "BTCUSDT"
    (alert,) = desk.log.records[TOPICS.alerts]
    assert b"order-updates-0-1 failed 3 times" in (alert.value or b"")

    again = Runs(bad=9)  # the process ended before it committed that; the next one has no bug
    quarantine = Quarantine(log=desk.log, topics=TOPICS, signals=desk.signals, clock=desk.clock)
    await quarantine.around_runs(again.handle, desk.inbox, again.pass_over)(updates(4))

    assert (again.handled, again.passed) == ([0, 2, 3], [1])
    assert len(desk.log.records[TOPICS.order_updates_dead]) == 1


async def test_an_update_that_is_half_in_the_rows_is_never_put_aside() -> None:
    desk, runs = Desk(), Runs(bad=0, traceless=False)
    quarantine = Quarantine(log=desk.log, topics=TOPICS, signals=desk.signals, clock=desk.clock)
    handle = quarantine.around_runs(runs.handle, desk.inbox, runs.pass_over)

    for _ in range(MAX_FAILURES + 2):
        with pytest.raises(RecordFailed):
            await handle(updates(1))

    assert (runs.passed, desk.log.records[TOPICS.order_updates_dead]) == ([], [])


async def test_the_rest_of_a_run_waits_while_the_lease_is_in_doubt() -> None:
    desk, runs = Desk(), Runs(bad=0)
    quarantine = Quarantine(log=desk.log, topics=TOPICS, signals=desk.signals, clock=desk.clock)
    handle = quarantine.around_runs(runs.handle, desk.inbox, runs.pass_over)
    for _ in range(MAX_FAILURES - 1):
        with pytest.raises(RecordFailed):
            await handle(updates(2))

    desk.inbox.may_act = lambda _record: len(looks) > 2 or looks.append(runs.handled[:])  # type: ignore[method-assign]
    looks: list[list[int]] = []
    await handle(updates(2))

    assert (looks, runs.handled) == ([[], [], []], [1])


async def test_a_run_that_is_taken_away_while_a_record_is_put_aside_is_left_to_its_next_owner() -> None:
    desk, runs, forgotten = Desk(), Runs(bad=0), []
    quarantine = Quarantine(log=desk.log, topics=TOPICS, signals=desk.signals, clock=desk.clock)
    desk.inbox.forgotten = lambda record: forgotten.append(record.offset)  # type: ignore[method-assign]
    handle = quarantine.around_runs(runs.handle, desk.inbox, runs.pass_over)
    for _ in range(MAX_FAILURES - 1):
        with pytest.raises(RecordFailed):
            await handle(updates(3))

    desk.inbox.current = False
    await handle(updates(3))

    assert (runs.handled, runs.passed, forgotten) == ([], [0], [1, 2])
