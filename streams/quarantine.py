"""The end of fail-stop: a record that keeps failing is put aside, it must not take every worker down in turn (J05).

An error that nobody expected ends the process, and the record comes again: most such errors pass with a restart. The
count of failures is durable on the record's partition. At the third one the record goes to the dead letters, its symbol
is halted for whatever the error left half done, and an alert tells a person.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec

from domain.plans import TradingState
from streams import boards, schemas
from streams.dead_letters import dead_letter
from streams.hooks import Hooks
from streams.origin import origin_of
from streams.outbox import Outgoing
from streams.ports import Clock, Inbox, Log, Revoked, Turn
from streams.record import Record, RecordFailed
from streams.topics import Topics
from tables.receipt import Receipt
from tables.signals import SignalResult, SignalState, SignalTable

_log = logging.getLogger(__name__)

MAX_FAILURES = 3
"""Twice may be the world's doing (a disk, a broker, a bug that a state of this minute woke); three times is the
record's."""

LEASE_POLL_S = 0.02

Handle = Callable[[Turn], Coroutine[Any, Any, None]]
HandleRun = Callable[[list[Record]], None]


class Quarantine:
    """Stands around the handlers of lanes and of runs."""

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
        self._aside: dict[int, tuple[int, frozenset[str]]] = {}
        """By partition: the generation it was read in, and the sources put aside before that."""

    def around(self, handle: Handle) -> Handle:
        """The handler, with its unexpected errors counted. Raises them the first times: the process then ends."""

        async def guarded(turn: Turn) -> None:
            if self._failures(turn.record) >= MAX_FAILURES:  # the process ended when it was being put aside
                await self._put_aside(turn, RuntimeError("its errors stand in the log"))
                return
            try:
                await handle(turn)
            except Revoked:
                raise
            except Exception as error:
                failures, counted = self._count(turn.record)
                await turn.wait(counted.durable())
                if failures < MAX_FAILURES:
                    raise
                await self._put_aside(turn, error)

        return guarded

    def around_runs(
        self, handle: HandleRun, inbox: Inbox, pass_over: Callable[[Record], None]
    ) -> Callable[[list[Record]], Awaitable[None]]:
        """The same for a handler that says by `RecordFailed` which record of a run it was. `pass_over` finishes one
        that was put aside; the run goes on behind it."""

        async def guarded(records: list[Record]) -> None:
            aside = self._aside_before(records[0])
            while records:
                good = _how_many_before(aside, records)
                try:
                    handle(records[:good])
                    given_up = records[good : good + 1]
                except RecordFailed as failed:
                    await self._failed_in_run(failed)
                    given_up = [failed.record]
                for record in given_up:
                    pass_over(record)
                    records = [each for each in records if each.offset > record.offset]
                    await self._log.room()
                    while inbox.is_current(record) and not inbox.may_act(record):
                        await self._clock.sleep(LEASE_POLL_S)  # the lease is in doubt
                    if not inbox.is_current(record):
                        for each in records:
                            inbox.forgotten(each)
                        return
                if not given_up:
                    return

        return guarded

    def _aside_before(self, record: Record) -> frozenset[str]:
        """What a former process put aside, and had not committed when it ended: whatever it was that failed then, these
        are not handled any more."""
        generation, sources = self._aside.get(record.partition, (-1, frozenset[str]()))
        if generation != record.generation:
            sources = self._signals.all_put_aside(record.partition)
            self._aside[record.partition] = record.generation, sources
        return sources

    async def _failed_in_run(self, failed: RecordFailed) -> None:
        """Raises `failed` the first times; returns when the record is put aside. One of which something is in the rows
        ends the process each time: the rest of it would be lost."""
        record = failed.record
        if not failed.traceless:
            raise failed
        failures, counted = self._count(record)
        await counted.durable()
        if failures < MAX_FAILURES:
            raise failed
        await self._letter(record, failed.error).durable()
        aside = Receipt()
        self._signals.put_aside(record.partition, str(record.source), aside)
        await aside.durable()

    def _failures(self, record: Record) -> int:
        return self._signals.failures(record.partition, str(record.source))

    def _count(self, record: Record) -> tuple[int, Receipt]:
        """One more failure at this place of the log; durable before anything follows from it."""
        failures, receipt = self._failures(record) + 1, Receipt()
        self._signals.put_failures(record.partition, str(record.source), failures, receipt)
        return failures, receipt

    async def _put_aside(self, turn: Turn, error: Exception) -> None:
        """A signal or a command."""
        record = turn.record
        receipt = self._letter(record, error)
        # Its orders wait for its turn no longer: whoever asks the venue may conclude what became of them.
        origin, symbol = str(origin_of(record).source), _symbol_of(record)
        self._signals.put_aside(record.partition, origin, receipt)
        self._end_signal(record.partition, symbol, origin, _sentence(record, error), receipt)
        self._withdraw(symbol, origin)
        await turn.wait(receipt.durable())

    def _letter(self, record: Record, error: Exception) -> Receipt:
        """The dead letter, the halt of the symbol and the alert, under way."""
        _log.error("record %s failed %s times and is put aside", record.source, MAX_FAILURES, exc_info=error)
        symbol, sentence = _symbol_of(record), _sentence(record, error)
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
        return receipt

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


def _how_many_before(aside: frozenset[str], records: list[Record]) -> int:
    if not aside:
        return len(records)
    return next((number for number, each in enumerate(records) if str(each.source) in aside), len(records))


def _symbol_of(record: Record) -> str:
    return (record.key or b"").decode(errors="replace").upper()


def _sentence(record: Record, error: Exception) -> str:
    return (
        f"record {record.source} failed {MAX_FAILURES} times and was put aside; its symbol is halted until "
        f"somebody has looked at its orders and arms it again: {error!r:.500}"
    )
