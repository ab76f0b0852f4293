"""Positions and the ledger of fills that each is the fold of.

    p/<venue>/<category>/<symbol>/<account>/<side>                       the position after its last fill
    l/<the same>/<executed at><venue sequence>/<execution id>            one fill, with the state after it
    m/<the same>/<execution id>                                          where it stands, if not at its own time

A ledger row that was written by a record which the position has not applied does not count: the record comes again.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from domain.instruments import Instrument
from domain.orders import PositionSide
from domain.positions import (
    CLOCK_JUMP_NS,
    FillKey,
    LedgerEntry,
    Position,
    PositionState,
    after_fill,
    fill_key,
    has_sequence,
    key_between,
)
from domain.updates import FillKind, FillReport
from tables.keys import join
from tables.receipt import Receipt
from tables.rows import Rows

replace = msgspec.structs.replace
_encoder = msgspec.json.Encoder()
_position = msgspec.json.Decoder(Position)
_entry = msgspec.json.Decoder(LedgerEntry)


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """That a fill's ledger row doesn't stand at its own time; `offset` as the row's."""

    placed_ns: int
    offset: int


_moved = msgspec.json.Decoder(Moved)


class PositionTable:
    """Typed access to the rows. Every method names the partition, which is the symbol's."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def get(self, partition: int, instrument: Instrument, account: str, side: PositionSide) -> Position:
        """The position; an empty one where there has been no fill."""
        value = self.rows.get(partition, join(b"p", *_where(instrument, account, side)))
        if value is None:
            return Position(instrument=instrument, account=account, side=side)
        position: Position = _position.decode(value)
        return position

    def all(self, partition: int) -> Iterator[Position]:
        """Every position of the partition."""
        for _, value in self.rows.scan(partition, b"p/"):
            yield _position.decode(value)

    def of_symbol(self, partition: int, instrument: Instrument) -> Iterator[Position]:
        """The positions of one instrument, every account and side."""
        for _, value in self.rows.scan(partition, join(b"p", *_market(instrument)) + b"/"):
            yield _position.decode(value)

    def entry(self, partition: int, fill: FillReport) -> LedgerEntry | None:
        """The ledger's row of this fill."""
        key = fill_key(fill)
        value = self.rows.get(partition, _ledger_key(fill, key))
        if value is None and (moved := self.rows.get(partition, _moved_key(fill))) is not None:
            key = replace(key, executed_ns=_moved.decode(moved).placed_ns)
            value = self.rows.get(partition, _ledger_key(fill, key))
        return None if value is None else _entry.decode(value)

    def entries(self, partition: int, fill: FillReport) -> Iterator[LedgerEntry]:
        """The ledger's rows of this execution on every side of its instrument. The side of one that no order caused
        follows from the position mode in which the venue's row is read, so it is another after a switch."""
        for side in PositionSide:
            if (entry := self.entry(partition, replace(fill, position_side=side))) is not None:
                yield entry

    def ledger(
        self,
        partition: int,
        instrument: Instrument,
        account: str,
        side: PositionSide,
        *,
        after: LedgerEntry | None = None,
    ) -> Iterator[LedgerEntry]:
        """The fills of a position in the venue's execution order, beyond `after`."""
        prefix = join(b"l", *_where(instrument, account, side)) + b"/"
        last = None if after is None else _ledger_key(after.fill, after.key)
        for _, value in self.rows.scan(partition, prefix, after=last):
            yield _entry.decode(value)

    def last_before(
        self, partition: int, instrument: Instrument, account: str, side: PositionSide, at_ns: int
    ) -> LedgerEntry | None:
        """The newest fill that the venue executed before a time, ns UTC."""
        prefix = join(b"l", *_where(instrument, account, side)) + b"/"
        for _, value in self.rows.scan(partition, prefix, after=prefix + b"%020d" % at_ns, reverse=True):
            entry: LedgerEntry = _entry.decode(value)
            return entry
        return None

    def last_change(self, partition: int, position: Position) -> FillReport | None:
        """The newest fill of the position, or word of the venue, that says how much is held: payments do not."""
        prefix = join(b"l", *_where(position.instrument, position.account, position.side)) + b"/"
        for _, value in self.rows.scan(partition, prefix, reverse=True):
            entry: LedgerEntry = _entry.decode(value)
            says = entry.fill.fill_kind is not FillKind.FUNDING and (entry.fill.quantity or _taken_over(entry.fill))
            if says and entry.offset <= position.applied_offset:
                return entry.fill
        return None

    def apply(self, partition: int, fill: FillReport, order_id: str, offset: int, receipt: Receipt) -> Position | None:
        """Put a new fill in its place and fold again what follows it. None if the position has this record already.

        Ledger rows are written before the position: after a crash the position tells which of them count.
        """
        position = self.get(partition, fill.instrument, fill.account, fill.position_side)
        if position.applied_offset >= offset:
            return None
        key = self._place(partition, fill, position)
        if position.last is None or key > position.last:
            state, last = position.state, key
            following: list[LedgerEntry] = []
        else:
            state, following = self._around(partition, fill, key, position.applied_offset)
            last = position.last
        state = after_fill(state, fill)
        placed_ns = 0 if key.executed_ns == fill.executed_ns else key.executed_ns
        if placed_ns:
            moved = Moved(placed_ns=placed_ns, offset=offset)
            self.rows.put(partition, _moved_key(fill), _encoder.encode(moved), receipt)
        entry = LedgerEntry(fill=fill, order_id=order_id, offset=offset, after=state, placed_ns=placed_ns)
        again = []
        for later in following:
            state = after_fill(state, later.fill)
            again.append(_folded_again(later, state))
        if again:
            entry = replace(entry, told_after=entry.after, told_state=state)
        for row in (entry, *again):
            self.rows.put(partition, _ledger_key(row.fill, row.key), _encoder.encode(row), receipt)
        position = replace(
            position,
            state=state,
            last=last,
            applied_offset=offset,
            updated_ns=max(position.updated_ns, fill.received_ns),
            version=position.version + 1,
            taken_over_ns=max(position.taken_over_ns, fill.executed_ns if _taken_over(fill) else 0),
        )
        where = _where(fill.instrument, fill.account, fill.position_side)
        self.rows.put(partition, join(b"p", *where), _encoder.encode(position), receipt)
        return position

    def discard_uncounted(self, partition: int, fill: FillReport, receipt: Receipt) -> None:
        """Delete the fill's ledger row if the position does not contain it: what wrote it did not outlive a crash. The
        rows behind it may be folded with it already; they are folded without it before it goes, as a crash may come
        again."""
        entry = self.entry(partition, fill)
        applied_offset = self.get(partition, fill.instrument, fill.account, fill.position_side).applied_offset
        if entry is not None and entry.offset > applied_offset:
            state, following = self._around(partition, fill, entry.key, applied_offset)
            for later in following:
                state = after_fill(state, later.fill)
                if later.after != state:
                    row = _folded_as_told(later, state)
                    self.rows.put(partition, _ledger_key(row.fill, row.key), _encoder.encode(row), receipt)
            self.rows.put(partition, _ledger_key(fill, entry.key), None, receipt)
        moved = self.rows.get(partition, _moved_key(fill))  # it is written first, and may be all there is
        if moved is not None and _moved.decode(moved).offset > applied_offset:
            self.rows.put(partition, _moved_key(fill), None, receipt)

    def _place(self, partition: int, fill: FillReport, position: Position) -> FillKey:
        """By the venue's sequence among the fills of `CLOCK_JUMP_NS` around it, else by its time."""
        key, last = fill_key(fill), position.last
        if last is None or not has_sequence(fill):
            return key
        if key > last and (0 < last.venue_sequence <= key.venue_sequence or not _is_near(key, last)):
            return key
        before: FillKey | None = None
        after: FillKey | None = None
        prefix = join(b"l", *_where(fill.instrument, fill.account, fill.position_side)) + b"/"
        for _, value in self.rows.scan(partition, prefix, reverse=True):
            entry: LedgerEntry = _entry.decode(value)
            other = entry.key
            if other.executed_ns < key.executed_ns - CLOCK_JUMP_NS:
                break
            if entry.offset > position.applied_offset:
                continue
            if _taken_over(entry.fill) and other < key:  # what was executed since is no part of what was taken over
                before = other
                break
            if not (has_sequence(entry.fill) and _is_near(key, other)):
                continue
            if other.venue_sequence <= key.venue_sequence:
                before = other
                break
            after = other
        return key_between(fill, before, after)

    def _around(
        self, partition: int, fill: FillReport, key: FillKey, applied_offset: int
    ) -> tuple[PositionState, list[LedgerEntry]]:
        """The state before a late fill, and the entries after it that count."""
        prefix = join(b"l", *_where(fill.instrument, fill.account, fill.position_side)) + b"/"
        following: list[LedgerEntry] = []
        for _, value in self.rows.scan(partition, prefix, reverse=True):
            entry: LedgerEntry = _entry.decode(value)
            if entry.offset > applied_offset or entry.key == key:
                continue
            if entry.key < key:
                return entry.after, following[::-1]
            following.append(entry)
        return PositionState(), following[::-1]


def position_index(_key: bytes, _value: bytes) -> list[bytes]:
    """Positions are found by their keys."""
    return []


def decode_position(value: bytes) -> Position:
    """A position's row."""
    position: Position = _position.decode(value)
    return position


def _folded_again(entry: LedgerEntry, after: PositionState) -> LedgerEntry:
    """The entry behind a late fill. Its event was told from what stood there before."""
    return replace(
        entry, after=after, told_after=entry.told_after or entry.after, told_state=entry.told_state or entry.after
    )


def _folded_as_told(entry: LedgerEntry, after: PositionState) -> LedgerEntry:
    """The entry without the late fill before it: as it was, if its event was told from just that."""
    as_told = entry.told_after == after == entry.told_state
    return replace(entry, after=after, **({"told_after": None, "told_state": None} if as_told else {}))


def _taken_over(fill: FillReport) -> bool:
    return fill.fill_kind is FillKind.TAKEN_OVER


def _market(instrument: Instrument) -> tuple[str, str, str]:
    return instrument.venue, instrument.category, instrument.symbol


def _where(instrument: Instrument, account: str, side: PositionSide) -> tuple[str, str, str, str, str]:
    return (*_market(instrument), account, side)


def _is_near(one: FillKey, other: FillKey) -> bool:
    return abs(one.executed_ns - other.executed_ns) <= CLOCK_JUMP_NS


def _ledger_key(fill: FillReport, key: FillKey) -> bytes:
    where = _where(fill.instrument, fill.account, fill.position_side)
    return join(b"l", *where, f"{key.executed_ns:020d}{key.venue_sequence:020d}", key.execution_id)


def _moved_key(fill: FillReport) -> bytes:
    return join(b"m", *_where(fill.instrument, fill.account, fill.position_side), fill.execution_id)
