"""What a process that has ended leaves: what its orders may take from a balance that does not show them yet, and holds
of signals that are over (requirements R02, R04).

Reservations are in memory, and what is told of them in `order-exposure` is a moment old. The tables say the rest: plans
of the last minutes say what each of their orders takes, and the orders from when on the venue had them.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from domain.exposure import Taking
from domain.orders import Order
from domain.plans import Decision, Plan
from streams.exposure import FORMER_OWNER_NS, ExposureBoard
from streams.facts import addition_of
from streams.ports import Clock
from streams.reservations import Reservations
from tables.orders import OrderTable
from tables.signals import SignalRow, SignalState, SignalTable

_LATELY_NS = 120_000_000_000
"""A plan is executed within its signal's age and the work on one order, and a balance older than its limit does not
count: what was planned before that is shown by every balance that does."""


class TakenBefore:
    """Counts again what a process that has ended counted, and gives back what it could not."""

    def __init__(
        self,
        *,
        orders: OrderTable,
        signals: SignalTable,
        reservations: Reservations,
        board: ExposureBoard,
        clock: Clock,
        clock_error_ns: int,
    ) -> None:
        self._orders = orders
        self._signals = signals
        self._reservations = reservations
        self._board = board
        self._clock = clock
        self._clock_error_ns = clock_error_ns

    def assigned(self, partition: int) -> None:
        """The partition is ours: so is what its orders take."""
        now_ns = self._clock.now_ns()
        for row in self._signals.planned_since(partition, now_ns - _LATELY_NS):
            plan = row.standing_plan
            if plan.decision is Decision.EXECUTE and not plan.dry_run:
                taking = dict(self._of(partition, row, plan))
                self._reservations.inherit(plan.instrument, taking, now_ns + FORMER_OWNER_NS)

    def let_go(self, partition: int) -> None:
        """Signals of the partition that have come to their end hold nothing of the account's limits: a crash may have
        kept their owner from saying so."""
        for instrument, source in self._board.held_in(partition):
            row = self._signals.begun_by(partition, instrument.symbol, source)
            if row is not None and row.state is SignalState.DONE:
                self._board.release(instrument, source)

    def _of(self, partition: int, row: SignalRow, plan: Plan) -> Iterator[tuple[str, Taking]]:
        for intent in plan.intents:
            order = self._orders.get(partition, intent.order_id)
            if not intent.need or _takes_nothing(order, row):
                continue
            known_ns = 0 if order is None or order.in_doubt else order.times.acknowledged_ns or order.times.updated_ns
            yield intent.order_id, self._taking(row, plan, intent.need, known_ns)
        for amend in plan.amends:
            if amend.need:
                yield addition_of(plan, amend), self._taking(row, plan, amend.need, row.done_ns)

    def _taking(self, row: SignalRow, plan: Plan, amount: Decimal, known_ns: int) -> Taking:
        """`known_ns`: when the venue was known to have it; 0: it may come to the venue yet."""
        shown_after_ns = known_ns + self._clock_error_ns if known_ns else None
        return Taking(source=row.source, currency=plan.facts.currency, amount=amount, shown_after_ns=shown_after_ns)


def _takes_nothing(order: Order | None, row: SignalRow) -> bool:
    """What was planned and is not written yet will be, when the signal's record comes again."""
    if order is None:
        return row.state is SignalState.DONE
    return order.state.terminal and not order.cumulative.quantity
