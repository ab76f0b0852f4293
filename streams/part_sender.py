"""Sending the orders of a plan that are due: step 6 and 7 of a signal's way, for all of them.

Orders that nobody has sent go in one call, as many as the venue and its rate limit take. What a former turn may have
sent is asked for at the venue first, one by one. Whatever is in doubt is settled before the next call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import takewhile

from domain.orders import Order
from domain.plans import Intent
from streams.clearance import Clearance
from streams.facts import FactsGatherer
from streams.parts import part_expires_ns
from streams.ports import Turn
from streams.reconciling import Finding
from streams.signal_intake import Work
from streams.submitting import Submitter
from tables.orders import OrderTable


class PartSender:
    """Brings intents whose rows are durable to their outcomes. `expires_at_ns` tells when a signal expires."""

    def __init__(
        self,
        *,
        orders: OrderTable,
        facts: FactsGatherer,
        submitter: Submitter,
        clearance: Clearance,
        expires_at_ns: Callable[[Work], int],
        max_age_ns: int,
    ) -> None:
        self._orders = orders
        self._facts = facts
        self._submitter = submitter
        self._clearance = clearance
        self._expires_at_ns = expires_at_ns
        self._max_age_ns = max_age_ns

    async def send(self, turn: Turn, work: Work, due: Sequence[Intent], maybe_sent: Collection[str]) -> None:
        """Send what is due. An order is insisted on unless it is the last: the next one waits for it."""
        partition, waiting, last = turn.record.partition, list(due), due[-1].order_id if due else ""
        absent = await self._look_for(turn, work, [each for each in due if each.order_id in maybe_sent])
        while waiting:
            together = self._together(partition, waiting, maybe_sent)
            await self._wait_for_others(turn, work, waiting[0], absent)
            if len(together) > 1:
                expiries = {intent.order_id: self._expiry_ns(work, intent) for intent in together}
                tried = await self._submitter.submit_together(turn, expiries, last=last)
            else:
                await self._send_one(turn, work, waiting[0], maybe_sent, absent, insist=waiting[0].order_id != last)
                tried = [waiting[0].order_id]
            for order_id in tried:
                absent.discard(order_id)
                order = self._orders.get(partition, order_id)
                if order is not None:
                    self._facts.settled(order)
            waiting = [intent for intent in waiting if intent.order_id not in tried]

    async def _look_for(self, turn: Turn, work: Work, intents: Sequence[Intent]) -> set[str]:
        """Where the venue may have several of them, it is asked for all before one is sent again; returns those that it
        surely does not have."""
        doubtful = [intent for intent in intents if self._doubtful(turn.record.partition, intent)]
        if len(doubtful) < 2:
            return set()
        return await self._submitter.look_for(
            turn, {intent.order_id: self._expiry_ns(work, intent) for intent in doubtful}
        )

    def _together(self, partition: int, waiting: Sequence[Intent], maybe_sent: Collection[str]) -> list[Intent]:
        """The first ones that may go in one call."""
        fresh = list(
            takewhile(lambda each: each.order_id not in maybe_sent and self._doubtful(partition, each), waiting)
        )
        first = self._orders.get(partition, waiting[0].order_id)
        return [] if first is None else fresh[: self._submitter.most_together(first.instrument.category)]

    def _doubtful(self, partition: int, intent: Intent) -> Order | None:
        order = self._orders.get(partition, intent.order_id)
        return order if order is not None and order.in_doubt else None

    async def _send_one(
        self,
        turn: Turn,
        work: Work,
        intent: Intent,
        maybe_sent: Collection[str],
        absent: Collection[str],
        *,
        insist: bool,
    ) -> None:
        if self._doubtful(turn.record.partition, intent) is None:
            return
        await self._submitter.submit(
            turn,
            intent.order_id,
            expires_at_ns=self._expiry_ns(work, intent),
            maybe_sent=intent.order_id in maybe_sent,
            insist=insist,
            finding=Finding.ABSENT if intent.order_id in absent else None,
        )

    async def _wait_for_others(self, turn: Turn, work: Work, intent: Intent, absent: Collection[str]) -> None:
        order = self._doubtful(turn.record.partition, intent)
        if intent.part and order is not None:
            expires_ns = self._expiry_ns(work, intent)
            await self._clearance.to_send_next(turn, order, expires_ns, reduces=work.reduces, besides=absent)

    def _expiry_ns(self, work: Work, intent: Intent) -> int:
        return part_expires_ns(intent, self._expires_at_ns(work), self._max_age_ns, work.signal.expires_at_ns)
