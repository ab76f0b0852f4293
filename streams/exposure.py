"""The account's load, kept together by all workers (requirements R02, R03, R04): see `domain.exposure` for the rule.

Every worker reads `order-exposure` whole and publishes the records of its own instruments: at once when a signal's wish
is asked, granted or withdrawn; a moment after anything else changed. Between the orders being written and the record
that counts them, the hold counts them: what is in flight is counted twice for a moment, never not at all.

A record of a former owner may land late, behind ours: then ours is told again, once for each such record. Only who
certainly is the owner does so (`ExposureBoard.refresh`). A process that lost its partitions and does not know it yet
answers nothing, so no two ever answer each other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from decimal import Decimal
from itertools import islice
from typing import Protocol

import msgspec

from domain.exposure import (
    AccountPeak,
    Hold,
    SymbolLoad,
    account_load,
    load_name,
    not_less,
    recent,
    released,
    reserved_by,
    without,
)
from domain.instruments import Instrument
from domain.limits import AccountLoad
from domain.money import ZERO
from streams.broadcast import Entry
from streams.load_records import LoadRecords
from streams.ports import Clock, Log
from streams.reservations import Reservations
from streams.standing import Dollars, Standing
from tables.orders import OrderTable
from tables.positions import PositionTable
from tables.receipt import Receipt

replace = msgspec.structs.replace
_encode = msgspec.json.Encoder().encode
_decode_peak = msgspec.json.Decoder(AccountPeak).decode

PEAK_KEY = b"$account"
"""Key of the account's own record: no instrument's name has a dollar sign."""
CAUGHT_UP_KEY = b"$read/"
"""Of a record without a value, by which a worker knows that it has read what stands before it."""
FORMER_OWNER_NS = 10_000_000_000
"""A request that a former owner has sent arrives within the receive window, and shows in balances soon after."""
_PARTING_S = 2.0


class ReadBack(Protocol):
    """Waits until the record at an offset of a broadcast topic has been read here (`Broadcasts.read_back`)."""

    async def __call__(self, topic: str, offset: int) -> None: ...


class ExposureBoard:
    """Reads every instrument's record, writes those of our own."""

    def __init__(
        self,
        *,
        log: Log,
        topic: str,
        partitions: int,
        read_back: ReadBack,
        orders: OrderTable,
        positions: PositionTable,
        reservations: Reservations,
        mark: Callable[[Instrument], Decimal | None],
        dollars: Dollars,
        worth: Callable[[], Decimal | None],
        clock: Clock,
        worker: str,
        venue: str,
        is_caught_up: Callable[[int], bool],
    ) -> None:
        """`partitions`: how many the symbols are spread over; who owns them all plans alone. `is_caught_up`: whether
        what the former owner of a partition has learnt is applied (`SymbolGates.is_caught_up`)."""
        self._log = log
        self._topic = topic
        self._read_back = read_back
        self._orders = orders
        self._positions = positions
        self._reservations = reservations
        self._standing = Standing(orders=orders, positions=positions, mark=mark, dollars=dollars, clock=clock)
        self._worth = worth
        self._clock = clock
        self._worker = worker
        self._venue = venue
        self._partitions = partitions
        self._is_caught_up = is_caught_up
        self._records = LoadRecords()
        self._own: dict[str, SymbolLoad] = {}
        """Of our instruments: what was told last, or is to be told first."""
        self._untold: set[str] = set()
        """Names of ours under which another's record may stand: ours is told, be it as it was."""
        self._succeeded: set[int] = set()
        """Partitions whose former owners' holds are ours: a record that is heard before is no more than history."""
        self._dirty: dict[Instrument, None] = {}
        """Those that something happened to, the ones that have waited longest first."""
        self._behind: dict[Instrument, None] = {}
        """Those whose figures were worked out before their partition had caught up: they are once more when it has."""
        reservations.on_change = self.note
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
        name = key.decode(errors="replace")
        record = self._records.heard(name, entry)
        if not self._records.is_ours(name) and self._log.partition_of(_symbol_of(name)) in self._succeeded:
            self._heard_late(name, record)

    def _succeed(self, record: SymbolLoad) -> None:
        """The record of a former owner: what it counted in flight counts on until the balance must show it."""
        until_ns = self._clock.now_ns() + FORMER_OWNER_NS
        self._reservations.inherit(self._instrument(record), record.taking, until_ns)

    def _heard_late(self, name: str, record: SymbolLoad | None) -> None:
        """Another's record of an instrument of ours. Its wishes are void: what became orders was asked for, and read,
        before the instrument was ours. Its figures are older than ours, but while we are behind it may count what we
        have not read."""
        own = self._own.get(name)
        if record is not None:
            self._succeed(record)
            own = own or self._blank(self._instrument(record))
            is_behind = not self._is_caught_up(self._partition_of(self._instrument(record)))
            self._own[name] = own = not_less(own, record) if is_behind else own
        if own is not None:
            self._untold.add(name)
            self.note(self._instrument(own))

    def _heard_peak(self, value: bytes) -> None:
        try:
            told = _decode_peak(value)
        except msgspec.DecodeError:
            return
        halted = tuple(sorted({*self.peak.halted, *told.halted}))
        highest = max(self.peak.peak, told.peak) if self.knows_peak else told.peak
        self.peak, self.knows_peak = AccountPeak(peak=highest, halted=halted), True

    def records(self) -> list[SymbolLoad]:
        """Every instrument's record, as read."""
        return sorted(self._records.all(), key=lambda record: record.name)

    @property
    def alone(self) -> bool:
        """Whether every partition is ours, so that nobody else plans on the account's balance."""
        return len(self._orders.rows.partitions()) >= self._partitions

    def load(self, instrument: Instrument | None, before: int | None = None) -> AccountLoad:
        """The account's load for a plan of the instrument: with wishes that stand before the offset, or with all."""
        name = "" if instrument is None else load_name(instrument)
        return account_load(
            name,
            self._records.all(),
            lambda other, source: other != name and self._records.stands_before(other, source, before),
            self._clock.now_ns(),
            peak=self.peak.peak,
            worth=self._worth(),
        )

    def reserved(self, currency: str, balance_at_ns: int, before: int | None) -> Decimal:
        """What the orders of other workers may take from a balance of that time, wishes before the offset included.
        Those of ours are known better here (`Reservations`)."""
        ours = self._owned()
        if len(ours) >= self._partitions:
            return ZERO  # every plan asks, and there are as many records as symbols
        others = [
            record for record in self._records.all() if self._log.partition_of(record.symbol.encode()) not in ours
        ]
        return reserved_by(
            others, lambda name, source: self._records.stands_before(name, source, before), currency, balance_at_ns
        )

    @property
    def uncounted(self) -> frozenset[str]:
        """Currencies in which fees were taken here, and whose price nobody knows."""
        return frozenset(self._standing.uncounted)

    def profit(self) -> Decimal:
        """Of all instruments, everything ever."""
        return sum((record.profit for record in self._records.all()), ZERO)

    # -- wishes ------------------------------------------------------------------------------------------------------

    async def ask(self, instrument: Instrument, source: str, hold: Hold) -> int:
        """Ask for what the signal's orders will add; returns the offset at which the wish stands, once it is read."""
        own, offsets = self._base(instrument), list[int]()
        own = replace(own, pending={**own.pending, source: hold}, held=without(own.held, source))
        await self._tell(instrument, self._figured(instrument, own), offsets.append).durable()
        await self._read_back(self._topic, offsets[0])
        at = self._records.asked_at(load_name(instrument), source)
        return offsets[0] if at is None else at

    def grant(self, instrument: Instrument, source: str) -> None:
        """The wish fits: it is held until the orders are written."""
        own = self._base(instrument)
        hold = own.pending.get(source)
        if hold is None:
            return
        now_ns = self._clock.now_ns()
        sent = (*recent(own.sent, now_ns), replace(hold, at_ns=now_ns))
        pending, held = without(own.pending, source), {**own.held, source: hold}
        self._append(instrument, replace(own, pending=pending, held=held, sent=sent))

    def release(self, instrument: Instrument, source: str, left: Hold | None = None) -> Receipt:
        """The orders are written, or will not be; `left` is what is still to come of them."""
        own = self._base(instrument)
        if source not in own.pending and source not in own.held:
            return Receipt()
        is_behind = not self._is_caught_up(self._partition_of(instrument))
        return self._append(instrument, released(own, source, left, is_behind=is_behind))

    def holds(self, instrument: Instrument, source: str) -> bool:
        """Whether something is asked for the signal, or held."""
        known = self._own.get(load_name(instrument)) or self._records.get(load_name(instrument))
        return known is not None and (source in known.pending or source in known.held)

    def held_in(self, partition: int) -> list[tuple[Instrument, str]]:
        """(instrument, source) of the signals of a partition for which something is asked, or held."""
        return [
            (self._instrument(record), source)
            for record in self._records.all()
            if self._log.partition_of(record.symbol.encode()) == partition
            for source in (*record.pending, *record.held)
        ]

    def withdraw(self, symbol: str, source: str) -> None:
        """A signal of the symbol was put aside: whatever was asked for it, or is held, is free again."""
        for record in [*self._records.all(), *self._own.values()]:
            if record.symbol == symbol and (source in record.pending or source in record.held):
                self.release(self._instrument(record), source)

    def undecided(self, instrument: Instrument, before: int) -> bool:
        """Whether a wish of another instrument stands before the offset and is not decided."""
        return self._records.undecided(load_name(instrument), before)

    async def decided(self, instrument: Instrument, before: int, timeout_s: float) -> None:
        """Wait until no other wish before the offset is undecided, at the longest so long."""
        await self._records.decided(load_name(instrument), before, timeout_s)

    # -- what stands -------------------------------------------------------------------------------------------------

    def note(self, instrument: Instrument) -> None:
        """Something of the instrument changed."""
        self._dirty.setdefault(instrument)

    async def catch_up(self) -> None:
        """Read everything that is in the log by now: before `assigned`, as a former owner's last records, if they were
        still unread, would be overwritten by ours."""
        receipt, offset = Receipt(), asyncio.get_running_loop().create_future()
        self._log.append(self._topic, 0, CAUGHT_UP_KEY + self._worker.encode(), None, receipt, (), offset.set_result)
        await receipt.durable()
        await self._read_back(self._topic, await offset)

    def filled(self, instrument: Instrument, executed_ns: int) -> None:
        """A fill of the instrument was applied, executed at a time (ns UTC) that may be of a former day."""
        self._standing.filled(instrument, executed_ns)
        self.note(instrument)

    def assigned(self, partition: int) -> None:
        """The partition is ours: so are the records of its instruments, and the holds of the former owner. What was in
        the log by then has been read (`catch_up`)."""
        self._standing.forget()
        self._succeeded.add(partition)
        found = {position.instrument for position in self._positions.all(partition)}
        for symbol in self._orders.open_symbols(partition):
            found |= {order.instrument for order in self._orders.open_orders(partition, symbol)}
        for record in self._records.all():
            if self._log.partition_of(record.symbol.encode()) == partition:
                found.add(self._instrument(record))
                self._succeed(record)  # be it that of an earlier life of this worker
        for instrument in sorted(found):
            name = load_name(instrument)
            self._own[name] = self._records.get(name) or self._blank(instrument)
            self._untold.add(name)
            self.note(instrument)

    async def parting(self, partitions: frozenset[int]) -> None:
        """These partitions are no longer ours alone: what our orders may still take is told before others plan, those
        included whose turns were cut short, as the next owner goes on with them. Our tables are closed by now, so the
        other figures stay as they were told last."""
        leaving = [each for each in self._reservations.instruments() if self._partition_of(each) in partitions]
        self._succeeded -= partitions
        told = [self._tell(each, self._with_reservations(each, self._base(each))) for each in leaving]
        for instrument in leaving:
            self._reservations.leave(instrument)  # the record counts them from here on
        for name in [each for each in self._own if self._log.partition_of(_symbol_of(each)) in partitions]:
            del self._own[name]
            self._untold.discard(name)
        for each in [each for each in self._behind if self._partition_of(each) in partitions]:
            del self._behind[each]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PARTING_S):
                for receipt in told:
                    await receipt.durable()

    def note_all(self) -> None:
        """The worth of every position of ours moves with the market."""
        for partition in self._positions.rows.partitions():
            for position in self._positions.all(partition):
                self.note(position.instrument)

    def refresh(self, at_most: int) -> int:
        """Publish the records of instruments that something happened to, so many at most: each takes a look at its
        orders and positions, and the loop has other work. Returns how many are left.

        Only to be called while the group's lease is good. Where two believe that a partition is theirs, it is so for
        one of them at most; else each would write over what the other tells, for as long as both believe it."""
        for instrument in [each for each in self._behind if self._is_caught_up(self._partition_of(each))]:
            del self._behind[instrument]
            self.note(instrument)
        for instrument in list(islice(self._dirty, at_most)):
            del self._dirty[instrument]
            if not self._is_ours(instrument.symbol):
                continue
            own, now_ns = self._base(instrument), self._clock.now_ns()
            fresh = self._figured(instrument, replace(own, sent=recent(own.sent, now_ns)))
            if replace(fresh, at_ns=0) != replace(own, at_ns=0) or not self._stands(load_name(instrument)):
                self._tell(instrument, fresh)
        return len(self._dirty)

    async def tell_peak(self, peak: AccountPeak) -> None:
        """Publish the account's own record, and wait until it is read."""
        at = await self._log.publish(self._topic, PEAK_KEY, _encode(peak), partition=0)
        await self._read_back(self._topic, at.offset)

    def _append(self, instrument: Instrument, record: SymbolLoad) -> Receipt:
        return self._tell(instrument, self._figured(instrument, record))

    def _tell(self, instrument: Instrument, record: SymbolLoad, on_ack: Callable[[int], None] | None = None) -> Receipt:
        name, value, receipt = load_name(instrument), _encode(record), Receipt()
        self._own[name] = record
        self._untold.discard(name)
        self._records.appends(name, value)
        self._log.append(self._topic, 0, name.encode(), value, receipt, (), on_ack)
        return receipt

    def _stands(self, name: str) -> bool:
        """Whether what we have told of the instrument is the last word on it, as far as we have read."""
        return name in self._own and name not in self._untold

    def _figured(self, instrument: Instrument, record: SymbolLoad) -> SymbolLoad:
        partition = self._partition_of(instrument)
        fresh = self._standing.figures(partition, instrument, record)
        if not self._is_caught_up(partition):
            self._behind[instrument] = None
            fresh = not_less(fresh, record)
        return self._with_reservations(instrument, fresh)

    def _with_reservations(self, instrument: Instrument, record: SymbolLoad) -> SymbolLoad:
        return replace(record, taking=self._reservations.of(instrument))

    def _base(self, instrument: Instrument) -> SymbolLoad:
        name = load_name(instrument)
        own = self._own.get(name) or self._records.get(name) or self._blank(instrument)
        return replace(own, worker=self._worker)

    def _blank(self, instrument: Instrument) -> SymbolLoad:
        return SymbolLoad(symbol=instrument.symbol, category=instrument.category, worker=self._worker)

    def _instrument(self, record: SymbolLoad) -> Instrument:
        return Instrument(self._venue, record.category, record.symbol)

    def _partition_of(self, instrument: Instrument) -> int:
        return self._log.partition_of(instrument.symbol.encode())

    def _is_ours(self, symbol: str) -> bool:
        return self._log.partition_of(symbol.encode()) in self._owned()

    def _owned(self) -> frozenset[int]:
        return frozenset(self._orders.rows.partitions() & self._positions.rows.partitions())


def _symbol_of(name: str) -> bytes:
    return name.partition("/")[2].encode()
