"""The end of fail-stop: a record that keeps failing is put aside, so that it can't take every worker down in turn.

An error that nobody expected ends the process, and the record comes again: most such errors pass with a restart. The
count of failures is durable on the record's partition. At the third one the record goes to the dead letters, its symbol
is halted for whatever the error left half done, and an alert tells a person.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from domain.plans import TradingState
from streams import boards, schemas
from streams.dead_letters import dead_letter
from streams.hooks import Hooks
from streams.origin import origin_of
from streams.outbox import Outgoing
from streams.ports import Clock, Log, Revoked, Turn
from streams.topics import Topics
from tables.receipt import Receipt
from tables.signals import SignalResult, SignalState, SignalTable

_log = logging.getLogger(__name__)

MAX_FAILURES = 3
"""Twice may be the world's doing (a disk, a broker, a bug that a state of this minute woke); three times is the
record's."""

Handle = Callable[[Turn], Coroutine[Any, Any, None]]


class Quarantine:
    """Stands around the handlers of lanes."""

    def __init__(
        self,
        *,
        log: Log,
        topics: Topics,
        signals: SignalTable,
        clock: Clock,
        hooks: Hooks | None = None,
        withdraw: Callable[[str, str], None] = lambda _symbol, _source: None,
    ) -> None:
        """`withdraw(symbol, source)` frees what was asked of the account for a signal that is put aside."""
        self._log = log
        self._topics = topics
        self._signals = signals
        self._clock = clock
        self._hooks = hooks or Hooks()
        self._withdraw = withdraw

    def around(self, handle: Handle) -> Handle:
        """The handler, with its unexpected errors counted. Raises them the first times: the process then ends."""

        async def guarded(turn: Turn) -> None:
            if self._failures(turn) >= MAX_FAILURES:  # the process ended when it was being put aside
                await self._put_aside(turn, RuntimeError("its errors stand in the log"))
                return
            try:
                await handle(turn)
            except Revoked:
                raise
            except Exception as error:
                if await self._count(turn) < MAX_FAILURES:
                    raise
                _log.exception("record %s failed %s times and is put aside", turn.record.source, MAX_FAILURES)
                await self._put_aside(turn, error)

        return guarded

    def _failures(self, turn: Turn) -> int:
        return self._signals.failures(turn.record.partition, str(turn.record.source))

    async def _count(self, turn: Turn) -> int:
        """One more failure at this place of the log; durable before anything follows from it."""
        failures = self._failures(turn) + 1
        receipt = Receipt()
        self._signals.put_failures(turn.record.partition, str(turn.record.source), failures, receipt)
        await turn.wait(receipt.durable())
        return failures

    async def _put_aside(self, turn: Turn, error: Exception) -> None:
        record = turn.record
        symbol = (record.key or b"").decode(errors="replace").upper()
        sentence = (
            f"record {record.source} failed {MAX_FAILURES} times and was put aside; its symbol is halted until "
            f"somebody has looked at its orders and arms it again: {error!r:.500}"
        )
        out = [dead_letter(self._topics.dead(record.topic), record, "QUARANTINED", [sentence])]
        out += self._halt(symbol, sentence) if symbol else []
        alert = schemas.Alert(
            alert_id=f"{record.source}-QUARANTINED",
            code="QUARANTINED",
            severity="critical",
            sentence=sentence,
            symbol=symbol,
            at_ns=self._clock.now_ns(),
            source=str(record.source),
        )
        headers = schemas.event_headers("alert/1", alert.alert_id)
        out.append(Outgoing(self._topics.alerts, 0, alert.alert_id.encode(), schemas.encode(alert), headers))
        self._hooks.on_dead_letter("QUARANTINED")
        self._hooks.on_alert("QUARANTINED")
        receipt = Receipt()
        for each in out:
            self._log.append(each.topic, each.partition, each.key, each.value, receipt, each.headers)
        # Its orders wait for its turn no longer: whoever asks the venue may conclude what became of them.
        origin = str(origin_of(record).source)
        self._signals.put_aside(record.partition, origin, receipt)
        self._end_signal(record.partition, symbol, origin, sentence, receipt)
        self._withdraw(symbol, origin)
        await turn.wait(receipt.durable())

    def _end_signal(self, partition: int, symbol: str, origin: str, sentence: str, receipt: Receipt) -> None:
        """A signal that was planned has its end too; what its orders did, if any were meant, they tell themselves."""
        row = self._signals.begun_by(partition, symbol, origin)
        if row is None or row.state is SignalState.DONE:
            return
        ended = msgspec.structs.replace(
            row,
            state=SignalState.DONE,
            result=SignalResult.UNCERTAIN if row.order_ids else SignalResult.FAILED,
            code="QUARANTINED",
            reason=sentence,
            next_due_ns=0,
            done_ns=self._clock.now_ns(),
        )
        self._signals.put(partition, ended, receipt)

    def _halt(self, symbol: str, sentence: str) -> list[Outgoing]:
        control = boards.Control(
            scope=symbol,
            state=TradingState.HALTED,
            reason=sentence,
            set_by="quarantine",
            at_ns=self._clock.now_ns(),
        )
        return [Outgoing(self._topics.controls, 0, symbol.encode(), boards.encode(control))]
