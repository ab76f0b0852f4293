"""Leave to add to the account's load is given back, whichever way a signal ends (requirement R04)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from fakes import MemoryRows
from table_cases import instrument, plan
from trading_desk import FreeTurn

from domain.limits import Limits
from domain.plans import Decision, Plan
from streams.account import Account, Look
from streams.broadcast import Entry
from streams.exposure import ExposureBoard
from streams.limits_board import LimitsBoard
from streams.ports import Turn
from streams.record import Record, Source
from streams.reservations import Reservations
from tables.orders import OrderTable, order_index
from tables.positions import PositionTable, position_index
from tables.receipt import Receipt

BTC, SOURCE, TOPIC = instrument(), "signals-0-7", "order-exposure"
NOW_S = 1_763_700_000


class Clock:
    """Stands still."""

    def now_ns(self) -> int:
        return NOW_S * 1_000_000_000


class LoadLog:
    """The topic of loads, read by everybody as it is written."""

    def __init__(self) -> None:
        self.boards: list[ExposureBoard] = []
        self.written = 0

    def partition_of(self, _key: bytes) -> int:
        return 0

    async def publish(self, topic: str, key: bytes, value: bytes, partition: int | None = None) -> Source:
        self.append(topic, 0, key, value, Receipt())
        return Source(topic, 0, self.written - 1)

    def append(self, topic: str, _partition: int, key: bytes, value: bytes, receipt: Receipt) -> None:
        entry = Entry(value, NOW_S * 1_000_000_000, self.written)
        self.written += 1
        for board in self.boards:
            board.heard(topic, key, entry)


async def read_back(_topic: str, _offset: int) -> None:
    return


def board(log: LoadLog, worker: str) -> ExposureBoard:
    made = ExposureBoard(
        log=log,  # type: ignore[arg-type]  # as much of it as is asked for
        topic=TOPIC,
        partitions=1,
        read_back=read_back,
        orders=OrderTable(MemoryRows([0], order_index)),
        positions=PositionTable(MemoryRows([0], position_index)),
        reservations=Reservations(),
        mark=lambda _instrument: Decimal(50_000),
        dollars=lambda _currency: Decimal(1),
        worth=lambda: None,
        clock=Clock(),  # type: ignore[arg-type]  # as above
        worker=worker,
        venue="paper",
    )
    log.boards.append(made)
    return made


def account(of: ExposureBoard) -> Account:
    limits = LimitsBoard(Limits(max_exposure=Decimal(1_000_000)), dict)
    return Account(limits=limits, board=of, clock=Clock())  # type: ignore[arg-type]  # as above


def buying() -> Plan:
    return plan(
        source=SOURCE,
        reference_price=Decimal(50_000),
        facts=plan().facts.__class__(
            now_ns=0, account="main", attempt=1, rules=None, quote=None, limits=Limits(max_exposure=Decimal(1_000_000))
        ),
    )


def refusing(_look: Look | None = None) -> Plan:
    return plan(source=SOURCE, decision=Decision.EXPIRE, intents=(), code="SIGNAL_TOO_OLD")


def turn() -> Turn:
    return FreeTurn(Record("signals", 0, 7, b"BTCUSDT", b"", (), 0))  # type: ignore[return-value]  # a turn for tests


async def with_leave(of: ExposureBoard, first: Plan) -> Plan:
    return await account(of).with_leave(turn(), first, lambda _look: first, lambda _plan: None)


@pytest.mark.parametrize("granted", [False, True], ids=["asked", "granted"])
async def test_r04_what_a_former_owner_asked_for_is_withdrawn_when_the_signal_ends_without_orders(
    granted: bool,
) -> None:
    log = LoadLog()
    former, present = board(log, "former"), board(log, "present")
    if granted:
        await with_leave(former, buying())
    else:
        await former.ask(BTC, SOURCE, wish(former))
    assert present.holds(BTC, SOURCE)

    await with_leave(present, refusing())

    assert not present.holds(BTC, SOURCE)
    [record] = present.records()
    assert (record.pending, record.held) == ({}, {})


async def test_r04_what_was_asked_for_a_signal_that_is_put_aside_is_free_again() -> None:
    log = LoadLog()
    there = board(log, "there")
    await with_leave(there, buying())

    there.withdraw("BTCUSDT", SOURCE)

    assert not there.holds(BTC, SOURCE)


def wish(of: ExposureBoard) -> object:
    found = account(of).held(buying(), 0)
    assert found is not None
    return found
