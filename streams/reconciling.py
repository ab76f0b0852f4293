"""Asking the venue about one order, and what may be concluded from its answers.

The venue's read endpoints are eventually consistent: an accepted order may be missing from each of them for a while.
So an answer is evidence, silence is not. Absence is a finding with conditions:

    1. not before the latest moment at which a request of ours can have been accepted: its outcome was written, or the
       partition became ours, plus the venue's receive window, clock error and history lag. (`times.sent_ns` is the
       first of several sendings, so it says nothing of the last.)
    2. two full passes over all endpoints, a history lag apart, both without the order
    3. not while updates of a former owner are unread: the order's outcome may be among them
    4. the order is younger than the time for which the venue keeps orders without fills in its history

An order that the venue has had is another matter: that it is not shown contradicts the venue's own word. Such an order
is kept and asked for until nothing more can be learnt, and then it is `closed_unknown`, with an alert: it was accepted
and is shown by nothing well after every lag, or the venue's last word on it is older than the venue's memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import msgspec

from domain.comparing import is_another_order
from domain.errors import RateLimited, VenueError
from domain.merging import known_at_venue
from domain.money import plain
from domain.orders import Evidence, Order, Sums
from domain.updates import ID_CONFLICT, Absence, Call, CallOutcome, FillReport, OrderReport, Origin, Result
from exchanges.venue import OrderRef, Trading
from streams.applied import Applied
from streams.ports import Clock
from streams.record import Source
from streams.symbol_gates import SymbolGates
from streams.updates import UpdatePublisher
from tables.orders import OrderTable

_NS = 1_000_000_000
_CLOCK_MARGIN_S = 60.0
"""Beyond the permitted error of our clock: costs nothing when executions are asked for."""


class Finding(StrEnum):
    """What asking came to."""

    FOUND = "found"
    ABSENT = "absent"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class ReconcileSettings:
    """`clock_error_s`: how far our clock may be off the venue's. `pause_s`: between attempts to reach the venue.
    `unseen_s`: for so long after its acceptance, beyond every lag, an order may be shown nowhere. `looks_apart_s`: two
    looks that are further apart say nothing together (three history lags, if that is more)."""

    clock_error_s: float = 1.0
    pause_s: float = 0.5
    unseen_s: float = 60.0
    looks_apart_s: float = 900.0


@dataclass(slots=True)
class _Unseen:
    """Full passes in a row that did not show an order which the venue has had: our clock at the first and the last of
    them, and what the venue had said of the order by then."""

    first_ns: int
    last_ns: int
    said: tuple[Evidence, Sums]


class Reconciler:
    """Asks the venue about single orders. Never writes rows: what it learns goes through `order-updates`."""

    def __init__(
        self,
        *,
        trading: Trading,
        publisher: UpdatePublisher,
        orders: OrderTable,
        applied: Applied,
        gates: SymbolGates,
        clock: Clock,
        settings: ReconcileSettings,
    ) -> None:
        self._trading = trading
        self._publisher = publisher
        self._orders = orders
        self._applied = applied
        self._gates = gates
        self._clock = clock
        self._settings = settings
        self._unseen: dict[str, _Unseen] = {}
        """By order that the venue has had, the one looked at last at the end."""

    async def catch_up(self, partition: int) -> None:
        """Wait until all updates that are in the log by now are applied: what is known already needs no asking, and
        what the venue does not show may be in them."""
        await self._applied.reached(await self._publisher.mark(partition))

    async def ask(self, order: Order) -> Finding:
        """One pass over all endpoints for one order; what is found is applied when this returns.

        Raises `VenueError` when the venue can't be asked.
        """
        ref = OrderRef(order.instrument, order.client_order_id or order.order_id, order.venue_order_id)
        report = await self._trading.order(ref)
        at: Source | None = None
        if report is not None and order.in_doubt and is_another_order(order, report):
            return await self._conflict(order, report)
        if report is not None:
            at = await self._publisher.publish(self.as_reconciled(report, order))
            ref = replace(ref, venue_order_id=report.venue_order_id)
        executed = report.cumulative.quantity if report is not None else order.evidence.cumulative.quantity
        # An order in doubt that the lists of orders don't show may still have traded.
        if executed > order.fills.quantity or (report is None and order.in_doubt):
            at = await self._bring_fills(order, ref, report) or at
        if at is None:
            return Finding.ABSENT
        self.shown(order)
        await self._applied.reached(at)
        return Finding.FOUND

    def shown(self, order: Order) -> None:
        """The venue shows the order: that it was not shown before says nothing any more."""
        self._unseen.pop(order.order_id, None)

    async def _conflict(self, order: Order, report: OrderReport) -> Finding:
        """The venue refuses ours for good: somebody else's order has its id. That one is adopted (requirement X02)."""
        sentence = (
            f"the venue has another order under this id: {report.side} {plain(report.quantity)}, "
            f"ours {order.side} {plain(order.quantity)}"
        )
        await self._publisher.publish(self.as_reconciled(report, order))
        refusal = CallOutcome(
            instrument=order.instrument,
            account=order.account,
            origin=Origin.RECONCILE,
            received_ns=self._clock.now_ns(),
            client_order_id=order.order_id,
            venue_order_id=report.venue_order_id,
            call=Call.CREATE,
            result=Result.REFUSED,
            code=ID_CONFLICT,
            sentence=sentence,
        )
        await self._applied.reached(await self._publisher.publish(refusal))
        return Finding.FOUND

    async def settle(self, partition: int, order_id: str, deadline_ns: int) -> Finding:
        """Ask until the order is found or found absent under the conditions; UNANSWERED at the deadline (ns UTC)."""
        passes = 0
        while True:
            order = self._orders.get(partition, order_id)
            if order is None or not order.in_doubt:
                return Finding.FOUND
            try:
                finding = await self.ask(order)
            except VenueError as error:
                finding, passes = Finding.UNANSWERED, 0
                pause_s = max(self._settings.pause_s, error.retry_after_s if isinstance(error, RateLimited) else 0.0)
            else:
                if finding is Finding.FOUND:
                    return finding
                remaining_s = (self.conclusive_from_ns(partition, order) - self._clock.now_ns()) / _NS
                if remaining_s <= 0 and self._gates.is_open(partition, order.instrument.symbol):
                    passes += 1
                    if passes >= 2:
                        return Finding.ABSENT
                pause_s = self._pause_s(remaining_s)
            if self._clock.now_ns() + pause_s * _NS >= deadline_ns:
                return Finding.UNANSWERED
            await self._clock.sleep(pause_s)

    def conclusive_from_ns(self, partition: int, order: Order) -> int:
        """From when an answer without the order says something: condition 1."""
        times = order.times
        return self.arrives_by_ns(
            max(times.sent_ns, times.created_ns, times.updated_ns, self._gates.since_ns(partition))
        )

    def arrives_by_ns(self, sent_by_ns: int) -> int:
        """From when every answer shows what a request did that left before `sent_by_ns`."""
        traits = self._trading.traits
        wait_s = traits.receive_window_s + self._settings.clock_error_s + traits.history_lag_s
        return sent_by_ns + int(wait_s * _NS)

    def may_lag(self, partition: int, order: Order) -> bool:
        """Whether the last that was heard of the order is so fresh that the venue's lists need not show it yet."""
        return self._clock.now_ns() < self.conclusive_from_ns(partition, order)

    def out_of_reach(self, order: Order) -> bool:
        """Whether the venue may have had the order and would not show it any more: condition 4. Then its absence does
        not say that it never was."""
        age_s = (self._clock.now_ns() - order.times.created_ns) / _NS
        return known_at_venue(order) or age_s > self._trading.traits.unfilled_history_s

    async def give_up_unseen(self, partition: int, order: Order) -> bool:
        """Called after a full pass that did not show an order which the venue has had. True when that was enough to
        conclude `closed_unknown`, which is applied then. It takes an earlier pass, a history lag ago or more, and
        nothing between them: an order that rests for a day may well be missed once at its begin and once at its end."""
        now_ns = self._clock.now_ns()
        lag_ns = int(self._trading.traits.history_lag_s * _NS)
        apart_ns = max(int(self._settings.looks_apart_s * _NS), 3 * lag_ns)
        said = order.evidence, order.fills
        unseen = self._unseen.pop(order.order_id, None)
        if unseen is None or unseen.said != said or now_ns - unseen.last_ns > apart_ns:
            unseen = _Unseen(now_ns, now_ns, said)
        unseen.last_ns = now_ns
        self._unseen[order.order_id] = unseen
        self._forget_unseen(now_ns - apart_ns)
        two_passes = now_ns > unseen.first_ns and now_ns - unseen.first_ns >= lag_ns
        if not two_passes or now_ns < self.gone_from_ns(order):
            return False
        if not self._gates.is_caught_up(partition):
            return False
        self._unseen.pop(order.order_id)
        await self.conclude_absent(order, "the venue had the order and shows it nowhere any more; its end is not known")
        return True

    def _forget_unseen(self, before_ns: int) -> None:
        """Looks that the next one would not go with. Most of these orders have ended since, by what the stream said."""
        while next(iter(self._unseen.values())).last_ns < before_ns:  # the one looked at just now is not
            del self._unseen[next(iter(self._unseen))]

    def gone_from_ns(self, order: Order) -> int:
        """From when an order that the venue has had may be called gone although nothing shows its end."""
        traits = self._trading.traits
        lag_s = traits.receive_window_s + self._settings.clock_error_s + traits.history_lag_s
        last_word_ns = max(order.evidence.terms_at_ns, order.times.acknowledged_ns, order.times.created_ns)
        shown = bool(order.evidence.terms_at_ns or order.fills.quantity)
        return last_word_ns + int((lag_s + (traits.unfilled_history_s if shown else self._settings.unseen_s)) * _NS)

    async def conclude_absent(self, order: Order, sentence: str) -> None:
        """Write the conclusion about an order that was found absent, and wait until it is applied."""
        out_of_reach = self.out_of_reach(order)
        at = await self._publisher.publish(
            Absence(
                instrument=order.instrument,
                account=order.account,
                origin=Origin.RECONCILE,
                received_ns=self._clock.now_ns(),
                client_order_id=order.order_id,
                conclusion=None if out_of_reach else Result.EXPIRED,
                closed_unknown=out_of_reach,
                passes=2,
                sentence=sentence,
                known_until_ns=order.times.updated_ns,
            )
        )
        await self._applied.reached(at)

    async def _bring_fills(self, order: Order, ref: OrderRef, report: OrderReport | None) -> Source | None:
        """The order's executions, through the join. Those that we have are dropped there by their ids. `report`: its
        row, if the venue has shown it."""
        fills = await self._trading.executions(
            order.instrument.category,
            since_ns=self._executed_from_ns(order, report),
            symbol=order.instrument.symbol,
            ref=ref,
        )
        at = None
        for fill in fills:
            if not _belongs(fill, ref):
                continue  # a venue that does not narrow the question down as asked
            at = await self._publisher.publish(self.as_reconciled(fill, order))
        return at

    def _executed_from_ns(self, order: Order, report: OrderReport | None) -> int:
        """No execution of an order of ours is older than its intent, and none of somebody else's than its placement:
        the venue keeps years, in pages of days. 0 where no row tells when that was: our row of such an order says only
        when we first heard of it."""
        created_ns = order.times.created_ns if order.ours else report.created_ns if report is not None else 0
        return max(0, created_ns - int((self._settings.clock_error_s + _CLOCK_MARGIN_S) * _NS))

    def as_reconciled(self, update: OrderReport | FillReport, order: Order) -> OrderReport | FillReport:
        """Named by our id, so that it finds its order even where the venue does not repeat it."""
        return msgspec.structs.replace(
            update,
            origin=Origin.RECONCILE,
            received_ns=self._clock.now_ns(),
            client_order_id=order.order_id if order.ours else update.client_order_id,
        )

    def _pause_s(self, remaining_s: float) -> float:
        """Ask often at first, as most answers come soon; then once more when silence begins to count."""
        lag_s = self._trading.traits.history_lag_s
        return min(max(remaining_s, lag_s, 0.05), max(self._settings.pause_s, lag_s))


def _belongs(fill: FillReport, ref: OrderRef) -> bool:
    if ref.venue_order_id:
        return fill.venue_order_id == ref.venue_order_id
    return fill.client_order_id == ref.client_order_id
