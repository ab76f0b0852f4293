"""The simulation against handlers that protect, amend, rehearse or share wrongly: each must be found, as
`test_mutations.py` says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from domain.orders import Order
from domain.plans import Amend
from domain.protection import Role
from exchanges.venue import NewOrder
from simulation.seasons import amending, protecting, rehearsing, sharing, staggered
from simulation.weather import Weather
from simulation.worker import Worker
from simulation.world import Mutate, simulate
from streams.amending import Taken, taken_by
from streams.ports import Turn
from tables.orders import OrderTable
from tables.receipt import Receipt

SEEDS = range(2000, 2150)

Season = Callable[[int], Weather]


def out_of_sight(seed: int) -> Weather:
    """Resting orders take signals up, and neither the stream nor what is read shows it for seconds; a process lives,
    and signals come again."""
    return replace(
        amending(seed),
        symbols=1,
        partitions=1,
        signals=60,
        repeats=0.6,
        conflicts=0.0,
        misplaced=0.0,
        garbage=0.0,
        stale=0.0,
        commands=0,
        by_hand=0,
        busy_s=120.0,
        crashes=0,
        handovers=0,
        lease_doubts=0,
        lost_request=0.0,
        lost_reply=0.3,
        late_request=0.2,
        no_connection=0.0,
        rate_limited=0.0,
        server_error=0.0,
        maintenance=0,
        halts=0,
        history_lag_s=5.0,
        stale_read=0.9,
        dropped=0.95,
        allow_short=True,
        opposite_only=False,
        signal_max_age_s=60.0,
        stale_order_s=0.0,
    )


def found_in(season: Season, mutate: Mutate) -> str:
    """The first violation that some seed finds; empty if none does."""
    for seed in SEEDS:
        run = simulate(seed, season(seed), mutate)
        if run.violations:
            return run.violations[0]
    return ""


# -- what protects positions ---------------------------------------------------------------------------------------


def protection_not_sent(worker: Worker) -> None:
    """An order goes out without what its signal wants to go with it."""
    create = worker.venue.create

    async def bare(order: NewOrder) -> str:
        return await create(NewOrder(**{name: getattr(order, name) for name in _FIELDS}))

    worker.venue.create = bare  # type: ignore[method-assign]


_FIELDS = (
    *("instrument", "client_order_id", "side", "order_type", "quantity", "price", "time_in_force"),
    *("reduce_only", "post_only", "position_side"),
)


def children_count_as_orders(worker: Worker) -> None:
    """What the venue keeps for a position is planned on like an order."""
    worker.facts._orders = Seen(worker.orders.rows, lambda order: msgspec.structs.replace(order, role=Role.NONE))


class Seen(OrderTable):
    """Shows open orders in another light; those that come to None are not shown."""

    def __init__(self, rows: Any, light: Callable[[Order], Order | None]) -> None:
        super().__init__(rows)
        self._light = light

    def open_orders(self, partition: int, symbol: str) -> list[Order]:
        """In that light."""
        seen = [self._light(order) for order in super().open_orders(partition, symbol)]
        return [order for order in seen if order is not None]


def stops_set_without_a_record(worker: Worker) -> None:
    """A stop-loss is asked for before its command's row is durable."""
    if worker.auto_stop is not None:
        worker.auto_stop._signals.put_command = lambda *_arguments: None  # type: ignore[method-assign]


def stops_stay_where_they_are(worker: Worker) -> None:
    """A stop-loss that stands is never moved, wherever the entry goes."""
    if worker.auto_stop is None:
        return
    stop = worker.auto_stop
    to_set = stop._to_set

    async def only_where_none_is(partition: int, position: Any) -> Decimal | None:
        return None if stop._protecting(partition, position) else await to_set(partition, position)

    stop._to_set = only_where_none_is  # type: ignore[method-assign]


# -- resting orders that take signals up ---------------------------------------------------------------------------


def fills_taken_for_the_end(worker: Worker) -> None:
    """Single fills that add up to what an order was are taken for its end, although it may have been amended."""
    amender = worker.amender

    async def settle(turn: Turn, amend: Amend, _deadline_ns: int) -> Taken:
        def over(order: Order) -> bool:
            return order.state.terminal or taken_by(order, amend) is Taken.YES

        if not await amender._calls.until(turn, amend.order_id, over, 15.0):
            return Taken.UNKNOWN
        order = amender._calls.order(turn.record.partition, amend.order_id)
        return Taken.YES if taken_by(order, amend) is Taken.YES else Taken.ENDED

    amender._settle = settle  # type: ignore[method-assign]


def unconfirmed_amendments_wanted_again(worker: Worker) -> None:
    """What could not be confirmed is taken for refused."""
    amend = worker.amender.amend

    async def certain(*arguments: Any, **named: Any) -> tuple[Order, Taken]:
        order, taken = await amend(*arguments, **named)
        return order, Taken.NO if taken is Taken.UNKNOWN else taken

    worker.amender.amend = certain  # type: ignore[method-assign]
    impatient(worker)


def impatient(worker: Worker) -> None:
    """An amendment is left unconfirmed after a second. No mistake: more of them are."""
    worker.amender._timeout_s = 1.0


def amended_without_a_wish(worker: Worker) -> None:
    """The venue is asked for other terms before the wish is on record."""

    async def ignored(*_arguments: object, **_named: object) -> None:
        """Nothing is put on record."""

    worker.amender._calls.record = ignored  # type: ignore[method-assign]
    worker.amender._is_on_record = lambda *_wish: True  # type: ignore[method-assign]


def amended_whatever_came(worker: Worker) -> None:
    """Nothing is looked at between the wait for a token and the call that amends."""
    worker.amender._objection = lambda *_terms: None  # type: ignore[method-assign]


# -- dry runs ------------------------------------------------------------------------------------------------------


def dry_runs_send(worker: Worker) -> None:
    """What was meant for real is sent in a dry run."""
    worker.submitter._attempts._trading = worker.venue


def rehearsed_orders_sent(worker: Worker) -> None:
    """An order that was decided in a dry run is sent by a process that is live."""

    class Blind(OrderTable):
        def get(self, partition: int, order_id: str) -> Order | None:
            order = super().get(partition, order_id)
            if order is None or order.signal is None:
                return order
            signal = msgspec.structs.replace(order.signal, dry_run=False)
            return msgspec.structs.replace(order, signal=signal)

    worker.submitter._attempts._orders = Blind(worker.orders.rows)


# -- an account that is shared -------------------------------------------------------------------------------------


def wishes_never_withdrawn(worker: Worker) -> None:
    """A wish that comes to nothing stays in the log."""
    release = worker.board.release

    def keeps(instrument: Any, source: str, left: Any = None) -> Receipt:
        known = worker.board._base(instrument)
        return Receipt() if source in known.pending else release(instrument, source, left)

    worker.board.release = keeps  # type: ignore[method-assign]


def waiting_parts_forgotten(worker: Worker) -> None:
    """Parts of split orders that wait for their time count for nothing."""
    worker.facts._waiting = lambda *_place: iter(())  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("season", "mutate"),
    [
        (protecting, protection_not_sent),
        (protecting, children_count_as_orders),
        (protecting, stops_set_without_a_record),
        (protecting, stops_stay_where_they_are),
        (amending, fills_taken_for_the_end),
        (out_of_sight, unconfirmed_amendments_wanted_again),
        (amending, amended_without_a_wish),
        (amending, amended_whatever_came),
        (rehearsing, dry_runs_send),
        (rehearsing, rehearsed_orders_sent),
        (sharing, wishes_never_withdrawn),
        (staggered, waiting_parts_forgotten),
    ],
    ids=lambda value: value.__name__,
)
def test_a_mistake_in_what_goes_beyond_single_orders_is_found(season: Season, mutate: Mutate) -> None:
    assert found_in(season, mutate), f"no seed of {SEEDS} finds it"


def test_a_process_that_leaves_amendments_unconfirmed_early_makes_no_mistake_by_that() -> None:
    runs = [simulate(seed, out_of_sight(seed), impatient) for seed in SEEDS[:20]]

    assert [run.violations for run in runs if run.violations] == []
