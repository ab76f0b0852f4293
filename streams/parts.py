"""Parts of a split order that wait for their time (requirement D08).

A lane never sleeps: a signal whose next part is not due ends its turn as `planned`, with the time in its row. Timers
publish the signal's record once more when that has come, marked with where it came from first, and the turn that
follows goes on with the stored plan. So a restart loses nothing, and a part is sent once however often it is asked for.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from domain.drafts import stops_same_side
from domain.orders import OrderType, Side
from domain.plans import Intent, Plan, PlanSettings
from streams.origin import again
from streams.ports import Clock, Log
from streams.topics import Topics
from tables.receipt import Receipt
from tables.signals import SignalResult, SignalRow, SignalState, SignalTable

replace = msgspec.structs.replace

_ASK_AGAIN_NS = 10_000_000_000


def due_parts(plan: Plan, now_ns: int) -> tuple[Intent, ...]:
    """The orders that may go out by now."""
    return tuple(intent for intent in plan.intents if intent.due_ns <= now_ns)


def next_due_ns(plan: Plan, now_ns: int) -> int:
    """When the next order may go out; 0 when none waits."""
    return min((intent.due_ns for intent in plan.intents if intent.due_ns > now_ns), default=0)


def part_expires_ns(intent: Intent, signal_expires_ns: int, max_age_ns: int, own_expiry_ns: int | None) -> int:
    """A part's age counts from when it was due; the signal's own expiry holds for all of them."""
    if not intent.due_ns:
        return signal_expires_ns
    by_age_ns = intent.due_ns + max_age_ns
    return by_age_ns if own_expiry_ns is None else min(by_age_ns, own_expiry_ns)


class WaitingParts:
    """Finds signals with parts that wait; wakes those that are due, ends those that are wanted no more."""

    def __init__(self, *, log: Log, topics: Topics, signals: SignalTable, clock: Clock) -> None:
        self._log = log
        self._topics = topics
        self._signals = signals
        self._clock = clock
        self._woken: dict[tuple[str, int], int] = {}

    async def run(self, interval_s: float) -> None:
        """Wake what is due, again and again, until cancelled."""
        while True:
            await self._clock.sleep(interval_s)
            for partition in sorted(self._signals.rows.partitions()):
                if partition in self._signals.rows.partitions():  # it may have gone while another was looked at
                    await self.wake(partition)

    async def wake(self, partition: int) -> int:
        """Publish the records of signals with a part that is due; returns how many."""
        now_ns, woken = self._clock.now_ns(), 0
        for row in list(self._signals.waiting(partition)):
            if row.next_due_ns <= now_ns:
                woken += await self.bring(row)
        return woken

    async def bring(self, row: SignalRow) -> bool:
        """Publish the signal's record once more, for its turn to go on; False where that was done a moment ago."""
        now_ns, key = self._clock.now_ns(), (row.source, row.next_due_ns)
        if now_ns - self._woken.get(key, 0) < _ASK_AGAIN_NS:
            return False
        if len(self._woken) > 10_000:
            self._woken.clear()
        self._woken[key] = now_ns
        headers = again(row.source, row.plan.facts.record_time_ns)
        await self._log.publish(self._topics.signals, row.symbol.encode(), row.value.encode(), headers)
        return True

    def stop(
        self,
        partition: int,
        symbol: str,
        sides: Collection[Side],
        reason: str,
        receipt: Receipt,
        *,
        but: str = "",
        category: str = "",
    ) -> list[SignalRow]:
        """End the symbol's signals (of one category, or of all) that wait with parts towards these sides: what was sent
        stays, the rest is not sent. `but`: a signal that is left alone. Returns the rows as they are now."""
        ended = []
        for row in list(self._signals.waiting(partition, symbol)):
            intents = row.standing_plan.intents
            if row.signal_id == but or not intents or intents[0].side not in sides:
                continue
            if category not in {"", row.standing_plan.instrument.category}:
                continue
            ended.append(ended_early(row, reason, self._clock.now_ns()))
            self._signals.put(partition, ended[-1], receipt)
        return ended


def ended_early(row: SignalRow, reason: str, now_ns: int) -> SignalRow:
    """The row of a signal whose waiting parts are not sent any more. The first part never waits, so something was."""
    return replace(
        row,
        state=SignalState.DONE,
        result=SignalResult.DRY_RUN if row.standing_plan.dry_run else SignalResult.EXECUTED,
        code="PARTS_NOT_SENT",
        reason=reason,
        next_due_ns=0,
        done_ns=now_ns,
    )


def sides_stopped_by(plan: Plan, settings: PlanSettings) -> frozenset[Side]:
    """Towards which sides a signal that is executed ends the waiting parts of others: as it would cancel their orders
    if they rested (requirement C01)."""
    if not plan.intents:
        return frozenset()
    side, market = plan.intents[0].side, plan.intents[0].order_type is OrderType.MARKET
    same = stops_same_side(settings, market=market)
    return frozenset({side, side.opposite}) if same else frozenset({side.opposite})
