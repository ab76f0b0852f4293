"""The account's load, kept together by all workers (requirements R03, R04): see `domain.exposure` for the rule.

Every worker reads `order-exposure` whole and publishes the records of its own symbols: at once when a signal's wish is
asked, granted or withdrawn; a moment after anything else changed. Between the orders being written and the record that
counts them, the hold counts them: what is in flight is counted twice for a moment, never not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from itertools import islice
from typing import Protocol

import msgspec

from domain.exposure import AccountPeak, Hold, SymbolLoad, account_load, day_begins_ns, day_of, recent, week_begins
from domain.instruments import Instrument
from domain.limits import AccountLoad
from domain.money import ZERO
from domain.orders import Order, PositionSide, Side
from domain.positions import PositionState
from domain.protection import Role
from streams.broadcast import Entry
from streams.ports import Clock, Log
from tables.orders import OrderTable
from tables.positions import PositionTable
from tables.receipt import Receipt

replace = msgspec.structs.replace
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(SymbolLoad).decode
_decode_peak = msgspec.json.Decoder(AccountPeak).decode

PEAK_KEY = b"$account"
"""Key of the account's own record: no symbol has a dollar sign."""


class ReadBack(Protocol):
    """Waits until the record at an offset of a broadcast topic has been read here (`Broadcasts.read_back`)."""

    async def __call__(self, topic: str, offset: int) -> None: ...


class ExposureBoard:
    """Reads every symbol's record, writes those of our own."""

    def __init__(
        self,
        *,
        log: Log,
        topic: str,
        read_back: ReadBack,
        orders: OrderTable,
        positions: PositionTable,
        mark: Callable[[Instrument], Decimal | None],
        worth: Callable[[], Decimal | None],
        clock: Clock,
        worker: str,
        venue: str,
        category: str,
    ) -> None:
        self._log = log
        self._topic = topic
        self._read_back = read_back
        self._orders = orders
        self._positions = positions
        self._mark = mark
        self._worth = worth
        self._clock = clock
        self._worker = worker
        self._venue = venue
        self._category = category
        self._records: dict[str, SymbolLoad] = {}
        self._own: dict[str, SymbolLoad] = {}
        self._asked_at: dict[tuple[str, str], int] = {}
        """Offset at which each pending wish was first seen."""
        self._changed = asyncio.Event()
        self._dirty: dict[str, None] = {}
        """Symbols that something happened to, those that have waited longest first."""
        self._midnight: dict[tuple[str, int], PositionState] = {}
        self.peak = AccountPeak(peak=ZERO)
        self.knows_peak = False

    # -- reading -----------------------------------------------------------------------------------------------------

    def heard(self, topic: str, key: bytes, entry: Entry | None) -> None:
        """A record of any broadcast topic; those of others are not ours to read."""
        if topic != self._topic:
            return
        if key == PEAK_KEY:
            if entry is not None:
                self._heard_peak(entry.value)
            return
        symbol = key.decode(errors="replace")
        try:
            record = None if entry is None else _decode(entry.value)
        except msgspec.DecodeError:
            record = None  # nobody of ours writes such
        if record is None or entry is None:
            self._records.pop(symbol, None)
        else:
            self._records[symbol] = record
            for source in record.pending:
                self._asked_at.setdefault((symbol, source), entry.offset)
            if record.worker != self._worker and symbol in self._own and self._is_ours(symbol):
                self._dirty.setdefault(symbol)  # a former owner wrote late: our own figures stand
        for known in [each for each in self._asked_at if each[0] == symbol]:
            if record is None or known[1] not in record.pending:
                del self._asked_at[known]
        self._changed.set()
        self._changed = asyncio.Event()

    def _heard_peak(self, value: bytes) -> None:
        try:
            told = _decode_peak(value)
        except msgspec.DecodeError:
            return
        halted = tuple(sorted({*self.peak.halted, *told.halted}))
        highest = max(self.peak.peak, told.peak) if self.knows_peak else told.peak
        self.peak, self.knows_peak = AccountPeak(peak=highest, halted=halted), True

    def records(self) -> list[SymbolLoad]:
        """Every symbol's record, as read."""
        return [self._records[symbol] for symbol in sorted(self._records)]

    def load(self, symbol: str, before: int | None = None) -> AccountLoad:
        """The account's load for a plan of the symbol: with the wishes that stand before the offset, or with all."""

        def stands_before(other: str, source: str) -> bool:
            return other != symbol and (before is None or self._asked_at.get((other, source), -1) < before)

        return account_load(
            symbol,
            self._records.values(),
            stands_before,
            self._clock.now_ns(),
            peak=self.peak.peak,
            worth=self._worth(),
        )

    def profit(self) -> Decimal:
        """Of all symbols, everything ever."""
        return sum((record.profit for record in self._records.values()), ZERO)

    # -- wishes ------------------------------------------------------------------------------------------------------

    async def ask(self, symbol: str, source: str, hold: Hold) -> int:
        """Ask for what the signal's orders will add; returns the offset at which the wish stands, once it is read."""
        own = self._base(symbol)
        own = replace(own, pending={**own.pending, source: hold}, held=_without(own.held, source))
        self._own[symbol] = self._standing(own)
        at = await self._log.publish(self._topic, symbol.encode(), _encode(self._own[symbol]), partition=0)
        await self._read_back(self._topic, at.offset)
        return self._asked_at.get((symbol, source), at.offset)

    def grant(self, symbol: str, source: str) -> None:
        """The wish fits: it is held until the orders are written."""
        own = self._base(symbol)
        hold = own.pending.get(source)
        if hold is None:
            return
        now_ns = self._clock.now_ns()
        sent = (*recent(own.sent, now_ns), replace(hold, at_ns=now_ns))
        pending, held = _without(own.pending, source), {**own.held, source: hold}
        self._append(replace(own, pending=pending, held=held, sent=sent))

    def release(self, symbol: str, source: str, left: Hold | None = None) -> Receipt:
        """The orders are written, or will not be; `left` is what is still to come of them."""
        own = self._base(symbol)
        if source not in own.pending and source not in own.held:
            return Receipt()
        held = _without(own.held, source)
        if left is not None:
            held[source] = left
        return self._append(replace(own, pending=_without(own.pending, source), held=held))

    def undecided(self, symbol: str, before: int) -> bool:
        """Whether a wish of another symbol stands before the offset and is not decided."""
        return any(name != symbol and at < before for (name, _), at in self._asked_at.items())

    async def decided(self, symbol: str, before: int, timeout_s: float) -> None:
        """Wait until no other wish before the offset is undecided, at the longest so long."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while self.undecided(symbol, before):
            changed, remaining_s = self._changed, end - loop.time()
            if remaining_s <= 0:
                return
            try:
                await asyncio.wait_for(changed.wait(), remaining_s)
            except TimeoutError:
                return

    # -- what stands -------------------------------------------------------------------------------------------------

    def note(self, symbol: str) -> None:
        """Something of the symbol changed."""
        self._dirty.setdefault(symbol)

    def assigned(self, partition: int) -> None:
        """The partition is ours: so are the records of its symbols, and the holds of the former owner."""
        symbols = {position.instrument.symbol for position in self._positions.all(partition)}
        symbols |= set(self._orders.open_symbols(partition))
        symbols |= {symbol for symbol in self._records if self._log.partition_of(symbol.encode()) == partition}
        for symbol in symbols:
            self._own.pop(symbol, None)
        self._dirty |= dict.fromkeys(sorted(symbols))

    def revoked(self, partition: int) -> None:
        """The partition is no longer ours."""
        for symbol in [each for each in self._own if self._log.partition_of(each.encode()) == partition]:
            del self._own[symbol]

    def note_all(self) -> None:
        """The worth of every position of ours moves with the market."""
        for partition in self._positions.rows.partitions():
            for position in self._positions.all(partition):
                self._dirty.setdefault(position.instrument.symbol)

    def refresh(self, at_most: int) -> int:
        """Publish the records of symbols that something happened to, so many at most: each takes a look at its orders
        and positions, and the loop has other work. Returns how many symbols are left."""
        for symbol in list(islice(self._dirty, at_most)):
            del self._dirty[symbol]
            if not self._is_ours(symbol):
                continue
            own, now_ns = self._base(symbol), self._clock.now_ns()
            fresh = self._standing(replace(own, sent=recent(own.sent, now_ns)))
            if replace(fresh, at_ns=0) != replace(own, at_ns=0) or symbol not in self._own:
                self._tell(fresh)
        return len(self._dirty)

    async def tell_peak(self, peak: AccountPeak) -> None:
        """Publish the account's own record, and wait until it is read."""
        at = await self._log.publish(self._topic, PEAK_KEY, _encode(peak), partition=0)
        await self._read_back(self._topic, at.offset)

    def _append(self, record: SymbolLoad) -> Receipt:
        return self._tell(self._standing(record))

    def _tell(self, record: SymbolLoad) -> Receipt:
        self._own[record.symbol] = record
        receipt = Receipt()
        self._log.append(self._topic, 0, record.symbol.encode(), _encode(record), receipt)
        return receipt

    def _base(self, symbol: str) -> SymbolLoad:
        own = self._own.get(symbol) or self._records.get(symbol)
        return SymbolLoad(symbol=symbol, worker=self._worker) if own is None else replace(own, worker=self._worker)

    def _is_ours(self, symbol: str) -> bool:
        ours = self._orders.rows.partitions() & self._positions.rows.partitions()
        return self._log.partition_of(symbol.encode()) in ours

    def _standing(self, record: SymbolLoad) -> SymbolLoad:
        """The record with the figures of our tables as they are."""
        symbol, now_ns = record.symbol, self._clock.now_ns()
        partition, today = self._log.partition_of(symbol.encode()), day_of(now_ns)
        instrument = Instrument(self._venue, self._category, symbol)
        orders = [
            order
            for order in self._orders.open_orders(partition, symbol)
            if order.instrument == instrument and not order.state.terminal and order.role is Role.NONE
        ]
        mark = self._mark(instrument)
        value_price = Decimal(1) if instrument.category == "inverse" else mark
        day_mark = record.day_mark if record.day == today and record.day_mark is not None else mark
        exposure = traded_today = traded_week = profit = profit_today = ZERO
        sides = list(self._positions.of_symbol(partition, instrument))
        for position in sides:
            state = position.state
            price = mark if mark is not None else state.average_entry
            begun = self._at_midnight(partition, position.account, position.side, instrument, today)
            monday = self._at_midnight(partition, position.account, position.side, instrument, week_begins(today))
            traded_today += _traded(state) - _traded(begun)
            traded_week += _traded(state) - _traded(monday)
            worth, before = _profit(state, price), _profit(begun, price if day_mark is None else day_mark)
            profit += worth
            profit_today += worth - before
            own = [order for order in orders if order.position_side is position.side]
            exposure += _exposure(state.size, own, price if value_price is mark else value_price)
        shown = {position.side for position in sides}
        bare = [order for order in orders if order.position_side not in shown]
        for side in {order.position_side for order in bare}:
            exposure += _exposure(ZERO, [order for order in bare if order.position_side is side], value_price)
        return replace(
            record,
            exposure=exposure,
            orders=len(orders),
            day=today,
            day_mark=day_mark,
            traded_today=traded_today,
            traded_this_week=traded_week,
            profit=profit,
            profit_today=profit_today,
            at_ns=now_ns,
        )

    def _at_midnight(
        self, partition: int, account: str, side: PositionSide, instrument: Instrument, day: int
    ) -> PositionState:
        """The position as the day began, from its ledger."""
        key = (f"{instrument}/{account}/{side}", day)
        known = self._midnight.get(key)
        if known is not None:
            return known
        state = PositionState()
        entry = self._positions.last_before(partition, instrument, account, side, day_begins_ns(day))
        if entry is not None:
            state = entry.after
        if len(self._midnight) > _KEPT_MIDNIGHTS:
            self._midnight.clear()
        self._midnight[key] = state
        return state


_KEPT_MIDNIGHTS = 10_000


def _without(holds: dict[str, Hold], source: str) -> dict[str, Hold]:
    return {name: hold for name, hold in holds.items() if name != source}


def _traded(state: PositionState) -> Decimal:
    return state.bought_value + state.sold_value


def _profit(state: PositionState, price: Decimal) -> Decimal:
    """Realised and unrealised, less the fees that were paid in the quote currency (every fee, where there is one
    currency of fees: the account's own)."""
    unrealised = state.unrealised(price) if state.size else ZERO
    return state.realised + unrealised + state.funding - sum(state.fees.values(), ZERO)


def _exposure(size: Decimal, orders: list[Order], price: Decimal | None) -> Decimal:
    """Notional towards the side on which the position may become larger."""
    worst = ZERO
    for side in Side:
        opening = [order for order in orders if order.side is side and not order.reduce_only]
        held = max(ZERO, size * side.sign)
        left = sum((order.leaves for order in opening), ZERO)
        closing = max(ZERO, -size * side.sign)
        if price is None:
            value = sum((order.leaves * (order.current_price or ZERO) for order in opening), ZERO)
        else:
            value = (held + max(ZERO, left - closing)) * price
        worst = max(worst, value)
    return worst
