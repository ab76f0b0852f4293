"""What must hold in the end of the account's load: every process's picture of it is the venue's own, nothing is held
for what came to its end, and the rates were kept."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import product

from domain.exposure import day_of
from domain.money import ZERO
from domain.plans import Decision, TradingState
from domain.positions import PositionState, after_fill
from domain.protection import Role
from simulation.group import Owners
from simulation.listing import coin_of
from simulation.market import MARK
from simulation.verdict_attempts import plans_ever

_MINUTE_NS = 60_000_000_000


def of_account(owners: Owners) -> Iterator[str]:
    """Every disagreement, as sentences."""
    if not owners.around.weather.account:
        return
    yield from _nothing_held(owners)
    if owners.around.weather.flat_prices:
        yield from _as_in_the_books(owners)
    yield from _rate_kept(owners)
    yield from _losses_halted(owners)


def _nothing_held(owners: Owners) -> Iterator[str]:
    for worker in owners.workers:
        for record in worker.board.records():
            if record.pending or record.held:
                yield f"{worker.life.name}: {record.name} keeps {record.pending} asked for and {record.held} held"


def _as_in_the_books(owners: Owners) -> Iterator[str]:
    books, now_ns = owners.around.books, owners.around.clock.now_ns()
    exposure = profit = traded = ZERO
    orders = 0
    for instrument, side in product(books.instruments(), books.sides.names):
        state = PositionState()
        for fill in books.fills_of_side(instrument, side):
            state = after_fill(state, fill)
        own = [o for o in books.orders.values() if (o.new.instrument, o.new.position_side) == (instrument, side)]
        live = [order for order in own if order.live and order.role is Role.NONE]
        opening = sum((order.leaves for order in live if order.opens), ZERO)
        exposure += (abs(state.size) + opening) * (1 if instrument.inverse else MARK)
        orders += len(live)
        traded += state.bought + state.sold if instrument.inverse else state.bought_value + state.sold_value
        won = state.realised + state.unrealised(MARK, instrument) + state.funding
        profit += won * (MARK if instrument.inverse else 1)
        profit -= sum((fee * (MARK if coin == coin_of(instrument) else 1) for coin, fee in state.fees.items()), ZERO)
    for worker in owners.workers:
        load = worker.board.load(None)
        pairs: tuple[tuple[str, Decimal | int, Decimal | int], ...] = (
            ("exposure", load.exposure, exposure),
            ("open orders", load.open_orders, orders),
            ("profit", worker.board.profit(), profit),
            ("traded today", load.traded_today, traded),
            ("loss", load.loss_today, max(ZERO, -profit)),
        )
        for what, ours, theirs in pairs:
            if ours != theirs:
                yield f"{worker.life.name} (day {day_of(now_ns)}): {what} is {ours}, by the venue's books {theirs}"


def _rate_kept(owners: Owners) -> Iterator[str]:
    most = owners.around.weather.max_orders_per_minute
    if not most:
        return
    granted: dict[str, int] = {}
    for _, row in plans_ever(owners):
        for plan in row.plans:
            if plan.decision is Decision.EXECUTE:
                opening = [(intent.order_id, plan) for intent in plan.intents if not intent.reduce_only]
                granted |= {order_id: each.planned_at_ns for order_id, each in opening}
                granted |= {f"{plan.source} {amend.order_id}": plan.planned_at_ns for amend in plan.amends}
    moments = sorted(granted.values())
    for first, last in zip(moments, moments[most:], strict=False):
        if last - first < _MINUTE_NS:
            yield f"{most + 1} orders were decided within {(last - first) / 1e9:.3f} s, the limit is {most} a minute"
            return


def _losses_halted(owners: Owners) -> Iterator[str]:
    most = owners.around.weather.max_daily_loss
    for worker in owners.workers:
        lost = worker.board.load(None).loss_today
        halted = [each for each in worker.view.controls() if each.state is TradingState.HALTED]
        if most and lost >= most and not halted:
            yield f"{worker.life.name}: {lost} was lost, the limit is {most}, and trading goes on"
