"""Boards of the account's load that read and write one topic, each a worker's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from fakes import MemoryRows
from table_cases import instrument

from domain.exposure import SymbolLoad
from domain.orders import Order
from streams.broadcast import Entry
from streams.exposure import ExposureBoard
from streams.ports import Headers
from streams.reservations import Reservations
from streams.symbol_gates import SymbolGates
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

    def append(
        self,
        topic: str,
        _partition: int,
        key: bytes,
        value: bytes | None,
        receipt: Receipt,
        _headers: Headers = (),
        on_ack: Callable[[int], None] | None = None,
    ) -> None:
        offset = self.written
        entry = None if value is None else Entry(value, NOW_S * 1_000_000_000, offset)
        self.written += 1
        for board in self.boards:
            board.heard(topic, key, entry)
        if on_ack is not None:
            on_ack(offset)


async def read_back(_topic: str, _offset: int) -> None:
    return


def board(
    log: LoadLog,
    worker: str,
    *,
    orders: Sequence[Order] = (),
    positions: PositionTable | None = None,
    gates: SymbolGates | None = None,
) -> ExposureBoard:
    """A worker's, with these in its tables. Without `gates`, nothing of a former owner is unread."""
    table = OrderTable(MemoryRows([0], order_index))
    for each in orders:
        table.put(0, each, [], Receipt())
    made = ExposureBoard(
        log=log,  # type: ignore[arg-type]  # as much of it as is asked for
        topic=TOPIC,
        partitions=1,
        read_back=read_back,
        orders=table,
        positions=PositionTable(MemoryRows([0], position_index)) if positions is None else positions,
        reservations=Reservations(),
        mark=lambda _instrument: Decimal(50_000),
        dollars=lambda _currency: Decimal(1),
        worth=lambda: None,
        clock=Clock(),  # type: ignore[arg-type]  # as above
        worker=worker,
        venue="paper",
        is_caught_up=gates.is_caught_up if gates is not None else lambda _partition: True,
    )
    log.boards.append(made)
    return made


def told(of: ExposureBoard) -> SymbolLoad:
    """The instrument's record, after what is to be told of it was."""
    of.refresh(10)
    [record] = of.records()
    return record
