"""Whether a partition was last worked on in a dry run, and what has to be so before that changes (requirement X10).

The mode of each partition stands in the topic `controls` under `run-mode/<partition>`; without a record it is live.
When a partition becomes a worker's, before any of its records is taken:

    1. another worker works in the other mode        → refused: a signal's partition would decide whether it is sent
    2. the mode is the one of the record             → nothing to be done
    3. live after a dry run: whatever is open here or at the venue is a reason to refuse. Orders would be planned next
       to others that nobody has looked after, on a position that the dry run did not move
    4. dry after live: what is open is told. It is tracked as ever, and nothing is sent for it
    5. the new mode is written and read back
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NoReturn, Protocol

import msgspec

from domain.errors import VenueError
from domain.money import plain
from domain.orders import Order
from exchanges.venue import Trading
from streams.boards import Heartbeat
from streams.broadcast import Entry
from streams.ports import Clock, Log
from tables.orders import OrderTable
from tables.positions import PositionTable
from tables.signals import SignalTable

KEY_PREFIX = b"run-mode/"
_NAMED = 20
"""So many open things are named; of more, how many."""


class Mode(StrEnum):
    """Whether orders are sent."""

    LIVE = "live"
    DRY_RUN = "dry_run"


class RunMode(msgspec.Struct, frozen=True, kw_only=True):
    """The mode in which a partition was last worked on, since when, and by which worker."""

    mode: Mode
    worker: str
    at_ns: int


class ReadBack(Protocol):
    """Waits until the record at an offset of a broadcast topic has been read here (`Broadcasts.read_back`)."""

    async def __call__(self, topic: str, offset: int) -> None: ...


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(RunMode).decode


class ModeKeeper:
    """Lets a worker take partitions in its own mode, or refuses. `refuse` ends the process with its reason and does not
    return; `alert` tells an operator (code, sentence)."""

    def __init__(
        self,
        *,
        mode: Mode,
        with_open: bool,
        worker: str,
        categories: Sequence[str],
        topic: str,
        log: Log,
        read_back: ReadBack,
        controls: Callable[[], Mapping[bytes, Entry]],
        heartbeats: Callable[[], Iterable[Heartbeat]],
        orders: OrderTable,
        positions: PositionTable,
        signals: SignalTable,
        trading: Trading,
        clock: Clock,
        refuse: Callable[[str], NoReturn],
        alert: Callable[[str, str], None],
    ) -> None:
        self._mode = mode
        self._with_open = with_open
        self._worker = worker
        self._categories = categories
        self._topic = topic
        self._log = log
        self._read_back = read_back
        self._controls = controls
        self._heartbeats = heartbeats
        self._orders = orders
        self._positions = positions
        self._signals = signals
        self._trading = trading
        self._clock = clock
        self._refuse = refuse
        self._alert = alert

    async def assigned(self, partitions: frozenset[int]) -> None:
        """The partitions are this worker's, their tables are recovered, and none of their records was taken."""
        if others := self._others():
            self._refuse(f"MODES_DIFFER: this worker is {self._mode}, {', '.join(others)} not: start all in one mode")
        changing = sorted(each for each in partitions if self._last(each) is not self._mode)
        if not changing:
            return
        found = self._open(changing)
        try:
            found = await self._open_at_venue(changing) | found
        except VenueError as error:
            if self._mode is Mode.LIVE and not self._with_open:
                self._refuse(f"LIVE_AFTER_DRY_RUN: the venue cannot be asked what is open: {error}")
        if found:
            self._judge(sorted(found.values()))
        for partition in changing:
            await self._note(partition)

    def _judge(self, found: list[str]) -> None:
        more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        words = f"{len(found)} open: {'; '.join(found[:_NAMED])}{more}"
        if self._mode is Mode.DRY_RUN:
            self._alert("DRY_RUN_WITH_OPEN", f"a dry run begins, and nothing is sent for what is open. {words}")
        elif self._with_open:
            self._alert("LIVE_WITH_OPEN", f"live after a dry run, as LIVE_WITH_OPEN wants it. {words}")
        else:
            self._refuse(f"LIVE_AFTER_DRY_RUN: {words}. Close them, or start with LIVE_WITH_OPEN=true")

    # -- what is known -------------------------------------------------------------------------------------------

    def _others(self) -> list[str]:
        """Workers that were heard of lately and work in the other mode."""
        dry = self._mode is Mode.DRY_RUN
        return sorted(
            f"worker {beat.name}"
            for beat in self._heartbeats()
            if beat.role == "worker" and beat.name != self._worker and beat.partitions and beat.dry_run is not dry
        )

    def _last(self, partition: int) -> Mode:
        entry = self._controls().get(_key(partition))
        try:
            return Mode.LIVE if entry is None else _decode(entry.value).mode
        except msgspec.DecodeError:
            return Mode.DRY_RUN if self._mode is Mode.LIVE else Mode.LIVE  # unreadable: look, whichever it was

    def _open(self, partitions: Iterable[int]) -> dict[str, str]:
        """What our rows say, by what it is."""
        found = {}
        for partition in partitions:
            for symbol in self._orders.open_symbols(partition):
                for order in self._orders.open_orders(partition, symbol):
                    if not order.state.terminal:
                        found[order.venue_order_id or order.order_id] = _order_words(order)
            for position in self._positions.all(partition):
                if position.state.size:
                    name, size = position.instrument.label, plain(position.state.size)
                    found[f"{name}/{position.side}"] = f"position {name} {position.side} of {size}"
            for row in self._signals.waiting(partition):
                if not row.standing_plan.dry_run:
                    found[row.source] = f"signal {row.signal_id} of {row.symbol}, with parts that wait"
        return found

    async def _open_at_venue(self, partitions: Iterable[int]) -> dict[str, str]:
        """What the venue says of the partitions' symbols, under the same keys."""
        wanted, found = frozenset(partitions), {}
        for category in self._categories:
            for report in await self._trading.open_orders(category):
                where = report.instrument
                if self._log.partition_of(where.symbol.encode()) in wanted:
                    words = f"{where.label} {report.side} {plain(report.quantity)}"
                    found[report.venue_order_id] = f"order {report.client_order_id or report.venue_order_id}: {words}"
            for position in await self._trading.positions(category):
                where = position.instrument
                if position.size and self._log.partition_of(where.symbol.encode()) in wanted:
                    words = f"position {where.label} {position.side} of {plain(position.size)}"
                    found[f"{where.label}/{position.side}"] = words
        return found

    async def _note(self, partition: int) -> None:
        record = RunMode(mode=self._mode, worker=self._worker, at_ns=self._clock.now_ns())
        at = await self._log.publish(self._topic, _key(partition), _encode(record), partition=0)
        await self._read_back(self._topic, at.offset)


def _key(partition: int) -> bytes:
    return KEY_PREFIX + b"%d" % partition


def _order_words(order: Order) -> str:
    what = f"{order.instrument.symbol} {order.side} {plain(order.leaves)}"
    return f"order {order.order_id}: {what}, {order.state}"
