"""What must hold in the end of what protects positions (requirements P04, P07)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import msgspec

from domain.ids import is_ours
from domain.instruments import Instrument
from domain.money import plain
from domain.orders import PositionSide
from domain.protection import Role
from domain.stop_following import stop_command_id, stop_price
from simulation.group import Owners
from simulation.market import TICK
from simulation.venue_orders import ACCOUNT, INSTANCE, VenueOrder
from simulation.verdict_attempts import plans_ever
from simulation.watch import STOP_DISTANCE


def of_protection(owners: Owners) -> Iterator[str]:
    """Every disagreement, as sentences."""
    yield from _as_wanted(owners)
    yield from _one_of_each(owners)
    yield from _nobody_plans_on_them(owners)
    yield from _stops_follow(owners)


def _as_wanted(owners: Owners) -> Iterator[str]:
    """What an order brought along is what its signal wanted: nothing was dropped, nothing made up."""
    for order in owners.around.books.orders.values():
        if not is_ours(INSTANCE, order.client_id):
            continue
        partition = owners.partition_of(order.new.instrument.symbol)
        row = owners.orders.get(partition, order.client_id)
        if row is None or row.signal is None:
            continue
        signal = owners.signals.get(partition, order.new.instrument.symbol, row.signal.signal_id)
        if signal is None or signal.attempt != row.signal.attempt:
            continue
        fields = msgspec.json.decode(signal.value)
        wanted = {name: fields[name] for name in ("take_profit", "stop_loss") if name in fields}
        brought = {} if order.new.protection is None else order.new.protection.prices
        if {name: plain(price) for name, price in brought.items()} != wanted:
            yield f"order {order.client_id} brought {brought}, its signal wanted {wanted}"


def _one_of_each(owners: Owners) -> Iterator[str]:
    """Here too, at most one of each kind protects a position; it is as large as that, and on the side that closes."""
    books = owners.around.books
    for instrument, side in product(books.instruments(), PositionSide):
        partition, seen = owners.partition_of(instrument.symbol), set[Role]()
        size = owners.positions.get(partition, instrument, ACCOUNT, side).state.size
        for row in owners.orders.open_orders(partition, instrument.symbol):
            where = row.instrument, row.position_side
            if row.role is Role.NONE or row.state.terminal or where != (instrument, side):
                continue
            if row.role in seen:
                yield f"{instrument} ({side}) has two of {row.role}"
            seen.add(row.role)
            if row.side.sign * size >= 0 or row.current_quantity != abs(size):
                yield f"{row.role} {row.order_id} is {row.side} {row.current_quantity}, the position is {size}"


def _nobody_plans_on_them(owners: Owners) -> Iterator[str]:
    """What the venue keeps for a position neither makes way nor counts: no plan has seen it."""
    books = owners.around.books
    roles = {order.venue_id for order in books.orders.values() if order.role is not Role.NONE}
    children = set()
    for partition in range(owners.around.broker.partitions):
        for symbol in {order.new.instrument.symbol for order in books.orders.values()}:
            if owners.partition_of(symbol) == partition:
                rows = owners.orders.newest(partition, symbol)
                children |= {row.order_id for row in rows if row.venue_order_id in roles}
    for _, row in plans_ever(owners):
        seen = {order.order_id for order in row.standing_plan.facts.open_orders} & children
        if seen:
            yield f"signal {row.signal_id} was planned on {seen}, which only protect"


def missing_stops(owners: Owners) -> Iterator[str]:
    """Positions without the stop-loss that is to follow them."""
    for instrument, side, _ in _wrong_stops(owners):
        yield f"{instrument} ({side}) waits for its stop-loss"


def _stops_follow(owners: Owners) -> Iterator[str]:
    for _, _, sentence in _wrong_stops(owners):
        yield sentence


def _wrong_stops(owners: Owners) -> Iterator[tuple[Instrument, PositionSide, str]]:
    books = owners.around.books
    if not owners.around.weather.auto_stop or any(worker.dry_run for worker in owners.workers):
        return
    for instrument, side in product(books.instruments(), books.sides.names):
        followed = books.size_of(instrument, side) and not instrument.spot
        if followed and (sentence := _wrong_stop(owners, instrument, side)) is not None:
            yield instrument, side, sentence


def _wrong_stop(owners: Owners, instrument: Instrument, side: PositionSide) -> str | None:
    """What is wrong with a position's stop-loss: there is none, or one that was set from here stands elsewhere."""
    partition = owners.partition_of(instrument.symbol)
    position = owners.positions.get(partition, instrument, ACCOUNT, side)
    standing: list[VenueOrder] = owners.around.books.protections.of(instrument, Role.STOP_LOSS, side)
    if not standing or not position.state.size:
        return f"{instrument} ({side}) has no stop-loss, and {position.state.size} is held"
    wanted = stop_price(position.state.size, position.state.average_entry, STOP_DISTANCE, TICK)
    at = standing[0].trigger_price
    if standing[0].parent or at is None or at == wanted:
        return None
    asked = owners.signals.command(partition, stop_command_id(instrument.symbol, side, at))
    return None if asked is None else f"{instrument} ({side}): the stop-loss stands at {at}, it belongs to {wanted}"
