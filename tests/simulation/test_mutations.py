"""The simulation against handlers that do their steps in a wrong order: each mistake must be found within seconds.

A simulation that finds nothing proves nothing unless it would find something.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from domain.errors import VenueError
from domain.events import Transition
from domain.orders import Order
from domain.updates import Update
from simulation.weather import Weather, drawn
from simulation.worker import Worker
from simulation.world import Mutate, simulate
from streams.outbox import Outgoing
from streams.ports import Turn
from streams.position_check import PositionItem
from streams.reconciling import Finding
from streams.record import Record, Source
from tables.receipt import Receipt
from tables.signals import SignalTable

SEEDS = range(1000, 1120)


def found_by(mutate: Mutate) -> str:
    """The first violation that some seed finds; empty if none does."""
    for seed in SEEDS:
        for weather in (rough(seed), rough_road(seed), crowd(seed)):
            run = simulate(seed, weather, mutate)
            if run.violations:
                return run.violations[0]
    return ""


def rough(seed: int) -> Weather:
    """The seed's weather, with crashes and slowness in every run."""
    return replace(
        drawn(seed),
        crashes=5,
        effects_between_crashes=60,
        down_s=15.0,
        slow_delivery=0.3,
        by_hand=3,
        receive_window_s=1.0,
        history_lag_s=0.0 if seed % 2 else 2.0,
    )


def rough_road(seed: int) -> Weather:
    """The seed's weather with a process that lives, and requests that get lost or come late, but no other faults."""
    return replace(
        drawn(seed),
        crashes=0,
        handovers=0,
        lost_request=0.5,
        late_request=0.7,
        lost_reply=0.0,
        no_connection=0.0,
        rate_limited=0.0,
        server_error=0.0,
        failed_read=0.0,
        refused=0.0,
        maintenance=0,
        stale_read=0.0,
        history_lag_s=0.0,
        receive_window_s=5.0,
        signals=25,
        symbols=4,
        busy_s=60.0,
        halts=6,
        commands=0,
        by_hand=0,
    )


def in_parts(seed: int) -> Weather:
    """The same road, for orders that are split and go together."""
    return replace(
        rough_road(seed), split_over=60, part_s=0.0, lost_reply=0.4, rate_limited=0.3, dropped=0.9, receive_window_s=1.0
    )


def crowd(seed: int) -> Weather:
    """The seed's weather with everybody at work on one symbol, and a process that dies often."""
    return replace(
        drawn(seed),
        symbols=1,
        partitions=1,
        signals=25,
        commands=12,
        by_hand=6,
        busy_s=30.0,
        nameless=0.5,
        crashes=8,
        effects_between_crashes=40,
        down_s=2.0,
        slow_broker=0.2,
    )


def intents_not_awaited(worker: Worker) -> None:
    """The venue is called while the intents' rows are still on their way to the broker."""
    agent = worker.signal_agent
    write_intents = agent._write_intents

    class Impatient:
        def __init__(self, turn: Turn) -> None:
            self.record = turn.record

        async def wait(self, awaitable: Coroutine[Any, Any, object]) -> None:
            awaitable.close()

    async def write_and_go(turn: Turn, *arguments: Any) -> tuple[frozenset[str], Receipt]:
        return await write_intents(Impatient(turn), *arguments)  # type: ignore[arg-type]

    agent._write_intents = write_and_go  # type: ignore[method-assign, assignment]


def plans_not_awaited(worker: Worker) -> None:
    """The plan's row is on its way while the plan is executed."""
    agent = worker.signal_agent

    settle_plan = agent._settle_plan

    async def write_and_go(turn: Turn, row: Any, plan: Any, _planned: Receipt) -> Any:
        return await settle_plan(turn, row, plan, Receipt())

    agent._settle_plan = write_and_go  # type: ignore[method-assign]


def updates_finished_at_once(worker: Worker) -> None:
    """An update's record counts as finished before its rows and events are durable."""
    outbox = worker.order_agent._outbox
    submit = outbox.submit

    def finish_first(partition: int, rows: Receipt, records: list[Any], done: Callable[[], None]) -> None:
        done()
        submit(partition, rows, records, lambda: None)

    outbox.submit = finish_first  # type: ignore[method-assign]


def events_before_rows(worker: Worker) -> None:
    """Events go out without waiting for the rows they tell of."""
    outbox = worker.order_agent._outbox
    submit = outbox.submit

    def told_first(partition: int, rows: Receipt, records: list[Any], done: Callable[[], None]) -> None:
        submit(partition, Receipt(), records, lambda: rows.then(done))

    outbox.submit = told_first  # type: ignore[method-assign]


def venue_not_asked_on_redelivery(worker: Worker) -> None:
    """An intent that a former turn may have sent is sent without a look."""
    submitter = worker.submitter
    submit = submitter._submit

    async def never_sent(turn: Turn, order_id: str, expires_at_ns: int, maybe_sent: bool, **named: Any) -> None:
        await submit(turn, order_id, expires_at_ns, False, **named)

    submitter._submit = never_sent  # type: ignore[method-assign]


def one_silence_is_absence(worker: Worker) -> None:
    """The first answer without the order is taken for its absence."""
    reconciler = worker.reconciler

    async def settle(partition: int, order_id: str, deadline_ns: int) -> Finding:
        order = worker.orders.get(partition, order_id)
        if order is None or not order.in_doubt:
            return Finding.FOUND
        try:
            return await reconciler.ask(order)
        except VenueError:
            return Finding.UNANSWERED

    reconciler.settle = settle  # type: ignore[method-assign]


def gates_always_open(worker: Worker) -> None:
    """Symbols trade before the venue was asked for their unfinished orders."""
    for waits in (worker.signal_agent, worker.submitter, worker.amender):
        waits._clearance._gates = OpenGates()  # type: ignore[assignment]


class OpenGates:
    """Never shut."""

    def is_open(self, partition: int, symbol: str) -> bool:
        return True

    def lets_through(self, partition: int, order: Order) -> bool:
        return True


def fills_counted_again(worker: Worker) -> None:
    """An execution that is told twice counts twice."""
    worker.orders.fill = lambda *_arguments: None  # type: ignore[method-assign]


def outcome_not_applied(worker: Worker) -> None:
    """A turn ends when its outcome is in the log, without waiting until the order's row knows it."""
    attempts = worker.submitter._attempts
    alone, together = attempts.alone, attempts.together

    def forgotten(at: Any) -> Any:
        return at._replace(offset=-1) if isinstance(at, Source) else at

    async def forgetful(*arguments: Any) -> Any:
        return forgotten(await alone(*arguments))

    async def forgetful_of_all(*arguments: Any) -> Any:
        return {order_id: forgotten(at) for order_id, at in (await together(*arguments)).items()}

    attempts.alone, attempts.together = forgetful, forgetful_of_all  # type: ignore[method-assign]


def parts_sent_again_while_others_are_in_doubt(worker: Worker) -> None:
    """Of several orders whose call had no answer, one is sent again before the venue was asked for the others."""

    async def unasked(turn: Turn, expiries: Mapping[str, int]) -> set[str]:
        return set()

    worker.submitter.look_for = unasked  # type: ignore[method-assign]


def redelivered_signals_planned_again(worker: Worker) -> None:
    """A signal that comes again is planned again instead of executing its stored plan."""
    worker.signal_agent._signals = Forgetful(worker.signals.rows)


class Forgetful(SignalTable):
    """Writes signals and never finds them."""

    def get(self, partition: int, symbol: str, signal_id: str) -> None:
        """Nothing."""


def parked_updates_dropped_on_release(worker: Worker) -> None:
    """A parked update's row is deleted when its copy is sent, not when the copy is applied.

    The comparison would bring back what a crash loses then, so this process does without it.
    """
    others_not_compared(worker)
    belonging = worker.order_agent._belonging
    release = belonging.release_parked

    def hasty(record: Any, symbol: str) -> Any:
        for _, key, _ in worker.orders.parked(record.partition, symbol):
            copies = release(record, symbol)
            worker.orders.unpark(record.partition, key, Receipt())
            return copies
        return []

    belonging.release_parked = hasty  # type: ignore[method-assign]


def others_not_compared(worker: Worker) -> None:
    """Orders of others are known from the stream only, and positions from what is known of orders. No mistake: it
    takes away what would mend one."""
    comparer, check = worker.recovery._comparer, worker.recovery._position_check

    async def nothing_differs(*_arguments: object, **_options: object) -> list[PositionItem]:
        return []

    comparer._strangers = lambda *_arguments: ()  # type: ignore[method-assign]
    check.check = nothing_differs  # type: ignore[method-assign]


def conclusions_told_without_the_beginning(worker: Worker) -> None:
    """A wish or a conclusion is told of an order whose first event a crash has kept back."""
    events = worker.order_agent._events

    def told(record: Record, order: Order, transitions: Sequence[Transition], update: Update) -> list[Outgoing]:
        return [outgoing for transition in transitions for outgoing in events._of_transition(record, order, transition)]

    events.of_update = told  # type: ignore[method-assign]


def stored_plans_pass_the_gate(worker: Worker) -> None:
    """A stored plan is executed before the venue was asked for the symbol's orders."""

    async def at_once(turn: Turn, symbol: str, until_ns: int) -> None:
        """No waiting."""

    worker.signal_agent._clearance.to_send = at_once  # type: ignore[method-assign]


def log_not_caught_up(worker: Worker) -> None:
    """A new owner acts before what the former one has learnt is applied."""

    async def at_once(partition: int) -> None:
        """No waiting."""

    worker.reconciler.catch_up = at_once  # type: ignore[method-assign]


def one_wish_ends_another(worker: Worker) -> None:
    """Whoever gives up a cancel goes on without saying that the order's end is still wanted."""
    worker.canceller._calls.record = ignored  # type: ignore[method-assign]


async def ignored(*_arguments: object, **_named: object) -> None:
    """Nothing is put on record."""


def silence_counts_from_the_first_sending(worker: Worker) -> None:
    """Absence is concluded by the time of the first request, although a later one may still be on its way."""
    reconciler, settled = worker.reconciler, worker.reconciler.conclusive_from_ns

    def from_first(partition: int, order: Order) -> int:
        times = msgspec.structs.replace(order.times, updated_ns=0)
        return settled(partition, msgspec.structs.replace(order, times=times))

    reconciler.conclusive_from_ns = from_first  # type: ignore[method-assign]


def commands_conclude_over_signals(worker: Worker) -> None:
    """A command concludes absence while the order's own signal may still send it."""
    worker.command_agent._awaits_its_turn = lambda *_arguments: False  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "mutate",
    [
        intents_not_awaited,
        plans_not_awaited,
        updates_finished_at_once,
        events_before_rows,
        venue_not_asked_on_redelivery,
        one_silence_is_absence,
        gates_always_open,
        fills_counted_again,
        redelivered_signals_planned_again,
        outcome_not_applied,
        parked_updates_dropped_on_release,
        commands_conclude_over_signals,
        silence_counts_from_the_first_sending,
        conclusions_told_without_the_beginning,
        stored_plans_pass_the_gate,
        log_not_caught_up,
        one_wish_ends_another,
    ],
    ids=lambda mutate: mutate.__name__,
)
def test_a_wrong_order_of_steps_is_found(mutate: Mutate) -> None:
    assert found_by(mutate), f"no seed of {SEEDS} finds it"


def test_a_part_sent_again_while_others_are_in_doubt_is_found() -> None:
    runs = (simulate(seed, in_parts(seed), parts_sent_again_while_others_are_in_doubt) for seed in SEEDS)

    assert any(run.violations for run in runs), f"no seed of {SEEDS} finds it"


def test_parts_that_go_together_make_no_mistake_on_the_same_road() -> None:
    runs = [simulate(seed, in_parts(seed)) for seed in range(1000, 1010)]

    assert [run.violations for run in runs if run.violations] == []


def test_a_process_that_does_not_compare_what_others_do_makes_no_mistake_by_that() -> None:
    runs = [simulate(seed, crowd(seed), others_not_compared) for seed in range(1000, 1020)]

    assert [run.violations for run in runs if run.violations] == []
