"""What must hold when the faults have stopped and all is quiet: our tables, topics and the venue's books agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from itertools import product

import msgspec

from domain.commands import by_timer, decode_command
from domain.errors import InvalidInput
from domain.ids import is_ours
from domain.instruments import Instrument
from domain.money import ZERO
from domain.orders import TRANSITIONS, Order, OrderState, PositionSide, Sums, VenueState
from domain.positions import PositionState, after_fill
from domain.signals import Signal, parse_signal
from domain.updates import Absence, Call, CallOutcome, Result, decode_update
from simulation.group import Owners
from simulation.listing import coin_of
from simulation.sides import OPENS
from simulation.venue_orders import ACCOUNT, INSTANCE, VenueOrder
from simulation.verdict_account import of_account
from simulation.verdict_attempts import of_attempts, plans_ever
from simulation.verdict_protection import missing_stops, of_protection
from streams.origin import Origin, origin_of
from streams.record import Record
from streams.schemas import OrderEvent, PositionEvent
from streams.updates import MARK
from tables.orders import decode_order
from tables.signals import SignalResult, SignalState

_NOT_AT_VENUE = frozenset({OrderState.REJECTED, OrderState.FAILED, OrderState.EXPIRED, OrderState.DRY_RUN})
_ENDS = {
    VenueState.FILLED: OrderState.FILLED,
    VenueState.CANCELLED: OrderState.CANCELLED,
    VenueState.REJECTED: OrderState.REJECTED,
    VenueState.EXPIRED: OrderState.EXPIRED,
}
_WAITS = {VenueState.UNTRIGGERED: OrderState.UNTRIGGERED, VenueState.TRIGGERED: OrderState.TRIGGERED}


def findings(owners: Owners, instruments: list[Instrument]) -> list[str]:
    """Every disagreement, as sentences."""
    return [
        *_orders_against_books(owners),
        *_rows_without_books(owners),
        *_positions_against_books(owners, instruments),
        *_coins_against_wallet(owners, instruments),
        *_one_order_per_signal(owners),
        *_signals(owners),
        *_commands(owners),
        *_order_events(owners),
        *_position_events(owners),
        *_tables_are_their_changelogs(owners),
        *_nothing_parked(owners),
        *_conclusions_against_books(owners),
        *of_protection(owners),
        *of_attempts(owners),
        *of_account(owners),
    ]


# -- orders and positions ------------------------------------------------------------------------------------------


def _rows(owners: Owners) -> Iterator[tuple[int, Order]]:
    for partition in range(owners.around.broker.partitions):
        for _, value in owners.rows["orders"].scan(partition, b"o/"):
            yield partition, decode_order(value)


def _row_of(owners: Owners, order: VenueOrder) -> Order | None:
    instrument = order.new.instrument
    partition = owners.around.broker.partition_of(instrument.symbol.encode())
    if is_ours(INSTANCE, order.client_id):
        return owners.orders.get(partition, order.client_id)
    return owners.orders.by_venue_id(partition, instrument, ACCOUNT, order.venue_id)


def _orders_against_books(owners: Owners) -> Iterator[str]:
    for order in owners.around.books.orders.values():
        row = _row_of(owners, order)
        name = f"order {order.client_id or '(by hand)'} = {order.venue_id}"
        if row is None:
            yield f"{name} has no row"
            continue
        pairs = (
            ("state", row.state, _expected_state(order)),
            ("executed", _plain(row.cumulative), _plain(order.cumulative)),
            ("fills", _plain(row.fills), _plain(order.cumulative)),
            ("quantity", row.current_quantity, order.quantity),
            ("price", row.current_price, order.price),
            ("venue id", row.venue_order_id, order.venue_id),
            ("role", row.role, order.role),
            ("trigger price", row.evidence.trigger_price, order.trigger_price),
            ("parent", row.parent_order_id, order.parent),
        )
        for what, ours, theirs in pairs:
            if ours != theirs:
                yield f"{name}: {what} is {ours}, the venue's is {theirs}"


def _expected_state(order: VenueOrder) -> OrderState:
    if order.state in _ENDS:
        return _ENDS[order.state]
    if order.state in _WAITS:
        return _WAITS[order.state]
    return OrderState.PARTIALLY_FILLED if order.cumulative.quantity else OrderState.ACKNOWLEDGED


def _plain(sums: Sums) -> tuple[Decimal, Decimal, dict[str, Decimal]]:
    return sums.quantity, sums.value, {currency: fee for currency, fee in sums.fees.items() if fee}


def _rows_without_books(owners: Owners) -> Iterator[str]:
    books = owners.around.books
    for _, row in _rows(owners):
        if row.client_order_id in books.by_client_id or row.venue_order_id in books.orders:
            continue
        if row.state not in _NOT_AT_VENUE:
            yield f"order {row.order_id} is {row.state}, and the venue never took it"


def _positions_against_books(owners: Owners, instruments: list[Instrument]) -> Iterator[str]:
    """Every side is the fold of the venue's executions, and nothing is on a side that the account does not have."""
    books = owners.around.books
    for instrument, side in product(instruments, PositionSide):
        symbol = instrument.label
        theirs = PositionState()
        for fill in books.fills_of_side(instrument, side):
            theirs = after_fill(theirs, fill)
        partition = owners.partition_of(instrument.symbol)
        ours = owners.positions.get(partition, instrument, ACCOUNT, side).state
        if ours != theirs:
            yield f"position of {symbol} ({side}) is {ours}, by the venue's fills it is {theirs}"
        if side is not PositionSide.NET and ours.size * OPENS[side].sign < 0:
            yield f"the {side} side of {symbol} is {ours.size}: more was closed than there was"


def _coins_against_wallet(owners: Owners, instruments: list[Instrument]) -> Iterator[str]:
    """A spot position is what the account's executions have brought of its coin, fees in that coin gone; an inverse one
    that is flat has won the coins by which what was bought was worth more than what was sold."""
    books = owners.around.books
    for instrument in instruments:
        state = owners.positions.get(
            owners.partition_of(instrument.symbol), instrument, ACCOUNT, PositionSide.NET
        ).state
        if instrument.spot and state.size != (coins := books.wallet.swapped(instrument, coin_of(instrument))):
            yield f"the position of {instrument} is {state.size}, and {coins} came to the wallet"
        if instrument.inverse and not state.size:
            fills = [fill for order in books.orders.values() for fill in order.fills if fill.instrument == instrument]
            won = sum((fill.side.sign * fill.value for fill in fills), ZERO)
            if state.realised != won:
                yield f"{instrument} has realised {state.realised}, and {won} coins were won"


def _one_order_per_signal(owners: Owners) -> Iterator[str]:
    """At most one attempt of a signal was ever taken by the venue (a late rejection takes nothing), and every record
    was attempted once."""
    attempts: dict[str, set[int]] = defaultdict(set)
    taken: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
    for _, row in _rows(owners):
        order = owners.around.books.by_client_id.get(row.order_id)
        if row.signal is not None:
            attempts[row.signal.source].add(row.signal.attempt)
        if row.signal is not None and order is not None and order.accepted:
            taken[row.instrument.symbol, row.signal.signal_id][row.signal.attempt] = row.order_id
    for (symbol, signal_id), orders in taken.items():
        if len(orders) > 1:
            yield f"{len(orders)} attempts of signal {signal_id} of {symbol} came to the venue: {orders}"
    for source, numbers in attempts.items():
        if len(numbers) > 1:
            yield f"the signal at {source} was attempted {len(numbers)} times"


# -- signals and commands ------------------------------------------------------------------------------------------


def _readable_signals(owners: Owners) -> Iterator[tuple[Record, Origin, Signal]]:
    for source, stored in owners.around.broker.all(owners.around.topics.signals):
        record = Record(*source, stored.key, stored.value, stored.headers, stored.timestamp_ns)
        origin = origin_of(record)
        try:
            signal = parse_signal(stored.value, record_time_ns=origin.timestamp_ns, max_bytes=262_144)
        except InvalidInput:
            continue
        yield record, origin, signal


def _signals(owners: Owners) -> Iterator[str]:
    """Every signal came to an end that somebody was told of."""
    told = _told_sources(owners)
    homes = {str(origin.source) for record, origin, _ in _readable_signals(owners) if origin.hops}
    for record, origin, signal in _readable_signals(owners):
        partition = owners.around.broker.partition_of(signal.symbol.encode())
        if record.key != signal.symbol.encode() or record.partition != partition:
            if not origin.hops and str(record.source) not in homes:
                yield f"misplaced signal {record.source} was not sent home"
            continue
        row = owners.signals.get(partition, signal.symbol, signal.signal_id)
        if row is None:
            yield f"signal {signal.signal_id} at {record.source} has no row"
        elif row.state is not SignalState.DONE:
            yield f"signal {signal.signal_id} at {record.source} is {row.state} for ever"
        elif str(origin.source) not in told:
            yield f"nobody was told what became of signal {signal.signal_id} at {origin.source}"
        elif row.result is SignalResult.EXECUTED and not any(
            owners.orders.get(partition, order_id) for order_id in row.order_ids
        ):
            yield f"signal {signal.signal_id} is executed without an order"


def _told_sources(owners: Owners) -> set[str]:
    """Sources of the signals that some event speaks of. One that a resting order took up is told of by that order."""
    sources, taken_up = set[str](), set[str]()
    for _, stored in owners.around.broker.all(owners.around.topics.order_events):
        event = msgspec.json.decode(stored.value or b"")
        signal = event.get("signal")
        sources.add(signal["source"] if isinstance(signal, dict) else event["source"])
        taken_up.add(event.get("reason", ""))
    for _, row in plans_ever(owners):
        if f"takes up signal {row.signal_id}" in taken_up:
            sources.add(row.source)
    return sources


def _commands(owners: Owners) -> Iterator[str]:
    for source, stored in owners.around.broker.all(owners.around.topics.order_commands):
        try:
            command = decode_command(stored.value)
        except InvalidInput:
            continue
        if source.partition != owners.around.broker.partition_of(command.symbol.encode()):
            continue
        row = owners.signals.command(source.partition, command.command_id)
        if by_timer(command.command_id):
            if row is not None:
                yield f"command {command.command_id} at {source} left a row"
        elif row is None or not row.done:
            yield f"command {command.command_id} at {source} has no result"


# -- what was told -------------------------------------------------------------------------------------------------


def _order_events(owners: Owners) -> Iterator[str]:
    """Per order: numbered from 1 without a gap, first told in order, repeated with the same content, legal."""
    events: dict[str, dict[int, OrderEvent]] = defaultdict(dict)
    for _, stored in owners.around.broker.all(owners.around.topics.order_events):
        if dict(stored.headers).get("schema") != b"order-event/1":
            continue
        event = msgspec.json.decode(stored.value or b"", type=OrderEvent)
        known = events[event.order_id]
        if event.sequence in known:
            if _content(known[event.sequence]) != _content(event):
                yield (f"event {event.event_id} was told as {_content(known[event.sequence])} and as {_content(event)}")
        elif event.sequence != len(known) + 1:
            yield f"order {event.order_id}: event {event.sequence} was told after {len(known)} others"
            known[event.sequence] = event
        else:
            known[event.sequence] = event
    for _, row in _rows(owners):
        yield from _told_of(row, events.pop(row.order_id, {}))
    for order_id in events:
        yield f"events tell of order {order_id}, which has no row"


def _told_of(row: Order, events: dict[int, OrderEvent]) -> Iterator[str]:
    if sorted(events) != list(range(1, row.sequence + 1)):
        yield f"order {row.order_id} went through {row.sequence} transitions, events tell of {sorted(events)}"
        return
    for before, after in zip(events.values(), list(events.values())[1:], strict=False):
        if after.state_before is not before.state:
            yield f"order {row.order_id}: event {after.sequence} begins at {after.state_before}, not {before.state}"
    last = events[row.sequence]
    if last.state is not row.state:
        yield f"order {row.order_id} is {row.state}, its last event says {last.state}"
    for event in events.values():
        same = event.state is event.state_before
        if not same and event.state not in TRANSITIONS[event.state_before] and event.type != "corrected":
            yield f"order {row.order_id}: event {event.sequence} goes from {event.state_before} to {event.state}"


def _content(event: OrderEvent) -> tuple[object, ...]:
    cumulative = (event.cumulative_quantity, event.cumulative_value)
    return event.type, event.state_before, event.state, event.sequence, cumulative, event.reason


def _position_events(owners: Owners) -> Iterator[str]:
    """Every execution is told of."""
    told = set()
    for _, stored in owners.around.broker.all(owners.around.topics.position_events):
        told.add(msgspec.json.decode(stored.value or b"", type=PositionEvent).execution_id)
    books = owners.around.books
    fills = [fill for order in books.orders.values() for fill in order.fills] + books.funding
    for fill in fills:
        if fill.execution_id not in told:
            yield f"no position event tells of execution {fill.execution_id}"


# -- tables --------------------------------------------------------------------------------------------------------


def _tables_are_their_changelogs(owners: Owners) -> Iterator[str]:
    for name, rows in owners.rows.items():
        for partition in range(owners.around.broker.partitions):
            if rows.as_written(partition) != rows.folded(partition):
                yield f"table {name}, partition {partition} is not what its changelog says"


def _nothing_parked(owners: Owners) -> Iterator[str]:
    for partition in range(owners.around.broker.partitions):
        for key, _ in owners.rows["orders"].scan(partition, b"p/"):
            yield f"update {key.decode()} is parked for ever"


_NEVER_ARRIVED = frozenset({Result.REFUSED, Result.NOT_ACCEPTED, Result.EXPIRED})


def _conclusions_against_books(owners: Owners) -> Iterator[str]:
    """Nobody concluded that an order never arrived which the venue has, nor said accepted of one it never had."""
    books = owners.around.books
    for source, stored in owners.around.broker.all(owners.around.topics.order_updates):
        if stored.headers == MARK:
            continue
        update = decode_update(stored.value)
        taken = update.client_order_id in books.by_client_id
        if isinstance(update, Absence) and taken:
            yield f"{source} concludes that {update.client_order_id} is absent: the venue took it"
        if isinstance(update, CallOutcome) and update.call is Call.CREATE:
            if taken and update.result in _NEVER_ARRIVED:
                yield f"{source} says {update.result} of {update.client_order_id} ({update.code}): the venue took it"
            if not taken and update.result is Result.ACCEPTED:
                yield f"{source} says accepted of {update.client_order_id}: the venue never had it"
            if update.result in _NEVER_ARRIVED and _said_executed(owners, source.partition, update.client_order_id):
                yield f"{source} says {update.result} of {update.client_order_id}: its signal says executed"


def _said_executed(owners: Owners, partition: int, order_id: str) -> bool:
    """Whether the signal's end was written without a look at what came of its order. One of several parts may fail."""
    order = owners.orders.get(partition, order_id)
    if order is None or order.signal is None:
        return False
    row = owners.signals.get(partition, order.instrument.symbol, order.signal.signal_id)
    same = row is not None and row.attempt == order.signal.attempt
    return same and row is not None and len(row.order_ids) == 1 and row.result is SignalResult.EXECUTED


def unsettled(owners: Owners, workers: int) -> list[str]:
    """What is still under way."""
    broker, busy = owners.around.broker, list[str]()
    open_here = [each for each in owners.workers if each.inbox.is_open]
    if len(open_here) < workers:
        return ["a process is down, or between two generations"]
    for worker in open_here:
        for at, low in worker.inbox.watermarks().items():
            if low != broker.end(at):
                busy.append(f"{at[0]}-{at[1]} is finished up to {low} of {broker.end(at)}")
    for _, row in _rows(owners):
        if row.in_doubt or row.pending or row.missing_fills:
            busy.append(
                f"order {row.order_id} is {row.state} (local {row.local}, pending {row.pending or '-'}, "
                f"fills {row.fills.quantity} of {row.evidence.cumulative.quantity or ZERO})"
            )
    for partition in range(broker.partitions):
        busy.extend(f"signal {row.signal_id} waits with parts" for row in owners.signals.waiting(partition))
    busy.extend(missing_stops(owners))
    for worker in open_here:
        busy.extend(f"{symbol} is shut" for _, symbol in worker.gates.shut())
    return busy
