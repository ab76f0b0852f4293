"""A signal's turn, in numbered steps. Each says what is durable after it; a crash between any two is repaired by the
record coming again.

    1. take the record: bad → dead letters (streams.refused); another symbol's key or partition → published again there
    2. know it: new, redelivered, duplicate, conflict, or a failed one tried again    (a repeat's verdict is durable)
    3. plan; the whole plan is one record on the signal's row        (plan durable: before cancels, or with step 5)
    4. if the plan cancels: cancel, wait for the venue's evidence, plan the creates on the state after it
    5. write the intents                                                     (plan durable, order rows durable)
    6. send each: token, then checks and call as one step      } streams.submitting   (outcome durable in the log)
    7. publish each outcome and wait until it is applied       }
    8. write what became of the signal                                       (row done; the record is finished)

A redelivered signal executes its stored plan and never plans again; an intent that a former turn may have sent is
asked for at the venue first. The plan and its intents are appended together and awaited once. They lie in two
changelogs, so a crash may leave intents without their plan: nothing was sent of those, and whoever plans for the
record again discards them first (decision 0009).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from domain.errors import InvalidInput
from domain.events import EventKind
from domain.merging import created
from domain.plans import Decision, Intent, Plan, PlanSettings
from streams.account import Account
from streams.amending import Amender, Taken
from streams.applied import Applied
from streams.cancelling import Canceller
from streams.clearance import Clearance
from streams.deciding import Decider
from streams.facts import FactsGatherer
from streams.hooks import Hooks
from streams.intents import intended_order
from streams.outbox import Outgoing
from streams.part_sender import PartSender
from streams.parts import WaitingParts, due_parts
from streams.ports import Clock, Log, Turn
from streams.refused import RefusedRecords
from streams.signal_events import SignalEvents
from streams.signal_intake import SignalIntake, Work, watch_timestamp
from streams.signal_results import (
    AMEND_NOT_CONFIRMED,
    RESULT_OF,
    RETRY,
    UNTRIED,
    first_row,
    order_ids_of,
    result_of_orders,
    verdict_on,
    with_repeat,
)
from streams.submitting import Submitter
from streams.symbol_gates import SymbolGates
from streams.topics import Topics
from streams.unsettled import left_without_plan
from streams.updates import mark_in
from tables.orders import OrderTable
from tables.receipt import Receipt
from tables.signals import SignalResult, SignalRow, SignalState, SignalTable

replace = msgspec.structs.replace


@dataclass(frozen=True, slots=True)
class SignalSettings:
    """`plan` decides orders; the rest is where they go and how a record is read."""

    plan: PlanSettings
    venue: str
    categories: tuple[str, ...]
    """The first is what signals mean that name none."""
    account: str
    max_bytes: int = 262_144
    far_timestamp_ns: int = 10_000_000_000


class SignalAgent:
    """Handles one signal at a time within a symbol; lanes run symbols side by side."""

    def __init__(
        self,
        *,
        log: Log,
        topics: Topics,
        orders: OrderTable,
        signals: SignalTable,
        facts: FactsGatherer,
        submitter: Submitter,
        canceller: Canceller,
        applied: Applied,
        gates: SymbolGates,
        clock: Clock,
        settings: SignalSettings,
        hooks: Hooks | None = None,
        amender: Amender | None = None,
        account: Account | None = None,
    ) -> None:
        self._log = log
        self._topics = topics
        self._events = SignalEvents(log, topics)
        self._intake = SignalIntake(log, topics, self._events, settings.venue, settings.categories, settings.max_bytes)
        self._orders = orders
        self._signals = signals
        self._facts = facts
        self._canceller = canceller
        self._announced = applied.announced
        self._clearance = Clearance(orders=orders, gates=gates, applied=applied, clock=clock)
        self._clock = clock
        self._settings = settings
        self._hooks = hooks or Hooks()
        self._refused = RefusedRecords(log=log, intake=self._intake, orders=orders, signals=signals, hooks=self._hooks)
        self._amender = amender
        self._decider = Decider(
            facts=facts,
            account=account,
            orders=orders,
            parts=WaitingParts(log=log, topics=topics, signals=signals, clock=clock),
            clock=clock,
            settings=settings.plan,
        )
        self._sender = PartSender(
            orders=orders,
            facts=facts,
            submitter=submitter,
            clearance=self._clearance,
            expires_at_ns=self._decider.expires_at_ns,
            max_age_ns=settings.plan.signal_max_age_ns,
        )

    async def handle(self, turn: Turn) -> None:
        """One record of `signals`. Returns when all it causes is durable."""
        work = await self._take(turn)  # 1
        if work is None:
            return
        self._hooks.on_step("taken")
        await self._execute(turn, work)

    async def _execute(self, turn: Turn, work: Work) -> None:
        planned = Receipt()
        row = await self._know(turn, work, planned)  # 2, 3
        if row is None or row.state is SignalState.DONE:
            return
        work = work.as_planned(row.plan)
        self._hooks.on_step("planned")
        row = await self._cancel_first(turn, work, row, planned)  # 4
        if row.state is SignalState.DONE:
            return
        self._hooks.on_step("cancelled")
        if row.plan.amends and row.after_cancels is None:
            row = await self._amend(turn, work, row, planned)  # 4
            if row.state is SignalState.DONE:
                return
        await self._decider.stop_others(turn, row)
        due = due_parts(row.standing_plan, self._clock.now_ns())
        maybe_sent, told = await self._write_intents(turn, work, row, due, planned)  # 5
        await self._decider.give_back(turn, row, len(due))
        self._hooks.on_step("intended")
        await self._clearance.to_send(turn, work.signal.symbol, self._decider.expires_at_ns(work), reduces=work.reduces)
        await self._sender.send(turn, work, due, maybe_sent)  # 6, 7
        self._hooks.on_step("submitted")
        if len(due) < len(row.standing_plan.intents):
            await self._wait_for_parts(turn, row, len(due), told)
            return
        await self._finish(turn, row, told)  # 8
        self._hooks.on_step("done")

    # -- 1 -------------------------------------------------------------------------------------------------------

    async def _take(self, turn: Turn) -> Work | None:
        try:
            work = self._intake.read(turn.record)
        except InvalidInput as error:
            await self._refuse(turn, error, self._refused.begun_by(turn.record))
            return None
        if isinstance(work, Outgoing):
            await self._publish(turn, [work])
            return None
        watch_timestamp(work, self._settings.far_timestamp_ns, self._hooks)
        return work

    async def _refuse(self, turn: Turn, error: InvalidInput, row: SignalRow | None) -> SignalRow | None:
        """`row`: what the record had begun when it was not refused yet. Returns what became of that."""
        if row is not None and row.state is SignalState.DONE:
            await self._tell_end(turn, row)
            return row
        await self._refused.put_aside(turn, error, row)
        if row is None:
            return None
        self._facts.given_up(row.source)
        row, result = self._refused.end_of(turn.record.partition, row)
        return await self._end(turn, row, result, error.code, error.sentence)

    async def _tell_end(self, turn: Turn, row: SignalRow) -> None:
        await self._decider.give_back(turn, row, 0)  # a wish that was withdrawn, but not durably
        await self._publish(turn, self._events.end(row))

    # -- 2, 3 ----------------------------------------------------------------------------------------------------

    async def _know(self, turn: Turn, work: Work, planned: Receipt) -> SignalRow | None:
        """The row whose plan is to be executed, durable with `planned`; None when the record needs nothing more."""
        partition, signal = turn.record.partition, work.signal
        row = self._signals.get(partition, signal.symbol, signal.signal_id)
        if row is None:
            return await self._plan_first(turn, work, None, planned)
        if row.source == work.source:
            if row.state is SignalState.DONE:
                await self._tell_end(turn, row)
            elif (error := self._intake.objection(row.plan, self._settings.account)) is not None:
                row = await self._refuse(turn, error, row)
            else:
                self._decider.take_again(partition, row)
            return row
        verdict = next((repeat.verdict for repeat in row.repeats if repeat.source == work.source), "")
        if not verdict:
            if turn.record.offset <= row.last_offset:
                return None  # an earlier attempt, redelivered after a later one: its turn was over
            # What came of the earlier attempt may be among the updates of a former owner.
            await self._clearance.to_send(turn, signal.symbol, self._decider.expires_at_ns(work), reduces=work.reduces)
            verdict = verdict_on(work, row, self._orders, partition, dry_run=self._settings.plan.dry_run)
            if verdict == RETRY:
                return await self._plan_first(turn, work, row, planned)
            row = replace(row, repeats=with_repeat(row.repeats, work.source, verdict), last_offset=turn.record.offset)
            await self._write(turn, row)
        if verdict == RETRY:
            return None  # it had an attempt of its own, and was sent home twice
        told = self._events.repeat(row, work.source, EventKind(verdict), turn.record.timestamp_ns)
        await self._publish(turn, told)
        return None

    async def _plan_first(self, turn: Turn, work: Work, earlier: SignalRow | None, planned: Receipt) -> SignalRow:
        attempt = 1 if earlier is None else earlier.attempt + 1
        await self._clear_to_plan(turn, work, attempt)
        plan = await self._decider.plan(turn, work, attempt, phase=1)
        row = first_row(work, plan, earlier, turn.record)
        return await self._settle_plan(turn, row, plan, planned)

    async def _clear_to_plan(self, turn: Turn, work: Work, attempt: int) -> None:
        """Wait until the symbol is clear for a plan. Intents that a former turn of this very record left without
        their plan were never sent: they go, instead of keeping their own signal waiting."""
        symbol, until_ns = work.signal.symbol, self._decider.expires_at_ns(work)
        if self._clearance.is_clear(turn, symbol):
            return
        # A wish to cancel one may still be unread.
        await self._clearance.to_send(turn, symbol, until_ns, reduces=work.reduces)
        discarded = Receipt()
        for order in self._orders.open_orders(turn.record.partition, symbol):
            if left_without_plan(order, work.source, attempt):
                self._orders.discard_intent(turn.record.partition, order, discarded)
                self._facts.discarded(order)
        if not discarded.complete:
            await turn.wait(discarded.durable())
            # What had to wait for them goes on.
            await self._publish(turn, [mark_in(self._topics, turn.record.partition)])
        await self._clearance.to_plan(turn, symbol, until_ns, reduces=work.reduces)

    async def _settle_plan(self, turn: Turn, row: SignalRow, plan: Plan, planned: Receipt) -> SignalRow:
        """Write the row with its plan, durable with `planned`; a plan that executes nothing is the signal's end, and
        is told."""
        if plan.decision is not Decision.EXECUTE:
            end = {"result": RESULT_OF[plan.decision], "code": plan.code, "reason": plan.reason}
            row = replace(row, state=SignalState.DONE, done_ns=self._clock.now_ns(), **end)
        self._signals.put(turn.record.partition, row, planned)
        if row.state is SignalState.DONE:
            await turn.wait(planned.durable())
            self._hooks.on_signal_end(row.result)
            await self._publish(turn, self._events.end(row))
        return row

    # -- 4 -------------------------------------------------------------------------------------------------------

    async def _cancel_first(self, turn: Turn, work: Work, row: SignalRow, planned: Receipt) -> SignalRow:
        if not row.plan.cancels or row.after_cancels is not None:
            return row
        await turn.wait(planned.durable())
        if row.plan.dry_run:  # what would be gone by now is left out of the state
            gone = frozenset(cancel.order_id for cancel in row.plan.cancels)
            return await self._plan_again(turn, work, row, planned, without=gone)
        reasons = {cancel.order_id: cancel.reason for cancel in row.plan.cancels}
        for order in await self._canceller.cancel_together(turn, reasons, command_id=f"{work.source}-cancel"):
            if not order.state.terminal:
                reason = f"order {order.order_id} could not be cancelled first: it is {order.state}"
                return await self._end(turn, row, SignalResult.FAILED, "CANCEL_NOT_CONFIRMED", reason)
        return await self._plan_again(turn, work, row, planned)

    async def _plan_again(
        self, turn: Turn, work: Work, row: SignalRow, planned: Receipt, without: Collection[str] = ()
    ) -> SignalRow:
        """The second phase: what the first one did away with, or counted on, is gone."""
        await self._clear_to_plan(turn, work, row.attempt)
        plan = await self._decider.plan(turn, work, row.attempt, phase=2, without=without)
        row = replace(row, after_cancels=plan, order_ids=order_ids_of(plan))
        return await self._settle_plan(turn, row, plan, planned)

    async def _amend(self, turn: Turn, work: Work, row: SignalRow, planned: Receipt) -> SignalRow:
        """Let the resting orders take the signal up; one that has ended meanwhile leaves it to an order of its own."""
        if self._amender is None:
            raise LookupError("a plan amends, and nobody here can")
        await turn.wait(planned.durable())
        if row.plan.dry_run:
            self._facts.take_back(row.plan)
            named = ", ".join(amend.order_id for amend in row.plan.amends)
            return await self._end(turn, row, SignalResult.DRY_RUN, "DRY_RUN", f"order {named} would be amended")
        until_ns = self._decider.expires_at_ns(work)
        await self._clearance.to_send(turn, row.symbol, until_ns, reduces=work.reduces)
        for amend in row.plan.amends:
            wish, reason = f"{work.source}-amend", f"takes up signal {row.signal_id}"
            order, taken = await self._amender.amend(turn, amend, command_id=wish, reason=reason, until_ns=until_ns)
            self._facts.amended(row.plan, amend, taken=taken is not Taken.NO)
            if taken is Taken.ENDED:
                return await self._plan_again(turn, work, row, planned)
            if taken is not Taken.YES:
                await self._decider.give_back(turn, row, 0)
                # What may have been taken is never wanted again.
                result = SignalResult.FAILED if taken is Taken.NO else SignalResult.UNCERTAIN
                reason = f"order {amend.order_id} could not be amended: it is {order.state}, {order.reason}"
                return await self._end(turn, replace(row, order_ids=()), result, AMEND_NOT_CONFIRMED, reason)
        await self._decider.give_back(turn, row, 0)
        return await self._end(turn, row, SignalResult.EXECUTED, "", "")

    # -- 5 -------------------------------------------------------------------------------------------------------

    async def _wait_for_parts(self, turn: Turn, row: SignalRow, sent: int, told: Receipt) -> None:
        """The turn ends; the next goes on with what is due by then. Somebody may have ended the signal meanwhile."""
        if not told.complete:
            await turn.wait(told.durable())
        now = self._signals.get(turn.record.partition, row.symbol, row.signal_id)
        if now is not None and now.source == row.source and now.state is SignalState.DONE:
            return
        await self._write(turn, replace(row, next_due_ns=row.standing_plan.intents[sent].due_ns))

    async def _write_intents(
        self, turn: Turn, work: Work, row: SignalRow, intents: tuple[Intent, ...], planned: Receipt
    ) -> tuple[frozenset[str], Receipt]:
        """Write what is not written, and wait until plan and intents are durable. Returns the orders that a former
        turn wrote and may have sent, and the receipt of the first events."""
        partition = turn.record.partition
        maybe_sent = set()
        told: list[Outgoing] = []
        for intent in intents:
            order = self._orders.get(partition, intent.order_id)
            if order is not None:
                maybe_sent.add(intent.order_id)
                first = next(self._orders.history(partition, order.order_id))
            else:
                order = intended_order(work.signal, row, row.standing_plan, intent, work.instrument)
                first = created(order, source=work.source, origin="signal")
                self._orders.put(partition, order, [first], planned)
            told.append(self._events.created(order, first))
        await turn.wait(planned.durable())
        receipt = self._append(told)
        for intent in intents:
            order = self._orders.get(partition, intent.order_id)
            if order is not None and order.sequence == 1:  # else nobody asks any more
                self._announced.add(partition, intent.order_id)
        return frozenset(maybe_sent), receipt

    # -- 8 -------------------------------------------------------------------------------------------------------

    async def _finish(self, turn: Turn, row: SignalRow, told: Receipt) -> None:
        """`told`: the events that must be durable too before the record is finished."""
        orders = [self._orders.get(turn.record.partition, order_id) for order_id in row.order_ids]
        states = [order.state for order in orders if order is not None]
        reason = next((order.reason for order in orders if order is not None and order.state in UNTRIED), "")
        if not told.complete:
            await turn.wait(told.durable())
        await self._end(turn, row, result_of_orders(states), "", reason)

    async def _end(self, turn: Turn, row: SignalRow, result: SignalResult, code: str, reason: str) -> SignalRow:
        await self._decider.give_back(turn, row, 0)  # whichever way it ends, nothing is held for it
        done_ns = self._clock.now_ns()
        row = replace(
            row, state=SignalState.DONE, result=result, code=code, reason=reason, done_ns=done_ns, next_due_ns=0
        )
        await self._write(turn, row)
        self._hooks.on_signal_end(row.result)
        await self._publish(turn, self._events.end(row))
        return row

    # -- durable -------------------------------------------------------------------------------------------------

    async def _write(self, turn: Turn, row: SignalRow) -> None:
        receipt = Receipt()
        self._signals.put(turn.record.partition, row, receipt)
        await turn.wait(receipt.durable())

    async def _publish(self, turn: Turn, records: list[Outgoing]) -> None:
        if records:
            await turn.wait(self._append(records).durable())

    def _append(self, records: list[Outgoing]) -> Receipt:
        receipt = Receipt()
        for record in records:
            self._log.append(record.topic, record.partition, record.key, record.value, receipt, record.headers)
        return receipt
