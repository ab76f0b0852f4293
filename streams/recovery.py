"""Agreeing with the venue: before a partition's symbols trade, and at intervals from then on (Y01, Y02, O07, P03).

    1. the partition becomes ours: every symbol is shut
    2. the updates that a former owner's calls led to are applied; symbols without unfinished orders and without a
       position are open
    3. the venue's lists are read, until the venue answers; each symbol is compared, and opens
    4. at once, and then every `interval_s`, the lists are read again, and every symbol is compared, open or not; the
       first time, and every `positions_s`, positions also with all of their fills and with the venue's payments. What
       the venue does not answer for in step 3 goes on being asked for, and keeps nothing of this waiting

It asks once and applies what is found. What is not found stays in doubt: a signal that comes again, or a timer's
command, concludes under the conditions of absence.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from domain.errors import NotAccepted, RateLimited, VenueError
from domain.instruments import Instrument
from streams.alerting import Alerts
from streams.applied import Applied
from streams.comparing import Comparer, Item, Verdict
from streams.ports import Clock, Log
from streams.position_check import PositionCheck, PositionItem
from streams.reconciling import Reconciler
from streams.symbol_gates import SymbolGates
from streams.uncompared import WHOLE, Uncompared, is_of_the_symbol, is_refused
from streams.venue_lists import ListReader, Lists
from tables.orders import OrderTable
from tables.positions import PositionTable
from tables.rows import NotOurs

_log = logging.getLogger(__name__)

_NS = 1_000_000_000

_AWAY_AFTER = 3
"""So many symbols of a round for which the venue did not answer: it is away for all."""
_TRIES = 3
"""So often a symbol is asked for, before it opens, until the rounds no longer wait for it."""
_LASTING_ROUNDS = 1.5
"""What has failed for longer than so many intervals has failed in three rounds in a row."""

_PAYMENTS = "payments"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RecoverySettings:
    """`parallel`: symbols compared at a time. `pause_s`: before a venue that did not answer is asked again.
    `interval_s`: between rounds; `positions_s`: between validations of positions with all of their fills.
    `merge_s`: partitions whose rounds come so shortly after a reading began share it, and a demand that is older counts
    as one of then. `payments_s`: how far back payments on positions are listed."""

    venue: str
    categories: tuple[str, ...]
    parallel: int = 8
    pause_s: float = 1.0
    interval_s: float = 300.0
    positions_s: float = 3_600.0
    merge_s: float = 2.0
    payments_s: float = 86_400.0


@dataclass(slots=True)
class Comparison:
    """What comparing came to, item by item (requirement Y03)."""

    orders: list[Item] = field(default_factory=list)
    positions: dict[Instrument, list[PositionItem]] = field(default_factory=dict)
    failures: dict[str, VenueError] = field(default_factory=dict)
    """By symbol, or `payments`: what the venue did not answer, on demand."""

    def count(self, *verdicts: Verdict) -> int:
        """How many orders came to one of these."""
        return sum(item.verdict in verdicts for item in self.orders)


class Recovery:
    """Keeps each partition of ours in agreement with the venue, from its assignment to its revocation."""

    def __init__(
        self,
        *,
        reconciler: Reconciler,
        lists: ListReader,
        comparer: Comparer,
        position_check: PositionCheck,
        orders: OrderTable,
        positions: PositionTable,
        gates: SymbolGates,
        applied: Applied,
        alerts: Alerts,
        log: Log,
        clock: Clock,
        settings: RecoverySettings,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._reconciler = reconciler
        self._lists = lists
        self._comparer = comparer
        self._position_check = position_check
        self._orders = orders
        self._positions = positions
        self._gates = gates
        self._applied = applied
        self._log = log
        self._clock = clock
        self._settings = settings
        self._on_failure = on_failure
        self._uncompared = Uncompared(alerts=alerts, clock=clock, lasting_s=_LASTING_ROUNDS * settings.interval_s)
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def assigned(self, partition: int) -> None:
        """The partition is ours and its tables are recovered; called before its records flow."""
        self.revoked(partition)
        self._gates.assign(partition, self._unfinished(partition), self._clock.now_ns())
        task = asyncio.create_task(self._keep(partition), name=f"recovery-{partition}")
        task.add_done_callback(self._ended)
        self._tasks[partition] = task

    def revoked(self, partition: int) -> None:
        """The partition is no longer ours: what it asks for is another's business."""
        self._gates.revoke(partition)
        self._uncompared.revoked(partition)
        if (task := self._tasks.pop(partition, None)) is not None:
            task.cancel()

    async def compare(
        self, partition: int, symbols: Sequence[str] | None = None, asked_ns: int | None = None
    ) -> Comparison:
        """Compare on demand: these symbols, or every symbol of the partition with anything to compare. `asked_ns`: when
        somebody asked (None: now). Readings of the lists are shared, but none that began earlier will do: it may not
        show what they ask for. Raises `VenueError` when the lists can't be read."""
        not_before_ns = self._not_before_ns(asked_ns)
        lists = await self._lists.read(not_before_ns)
        wanted = sorted(self._symbols(partition, lists)) if symbols is None else symbols
        found = Comparison()
        found.failures = await self._each(
            wanted, lambda symbol: self._compare(partition, symbol, lists, found, thorough=True)
        )
        try:
            await self._bring_payments(partition, symbols, not_before_ns)
        except VenueError as error:
            found.failures[_PAYMENTS] = error
        return found

    def _not_before_ns(self, asked_ns: int | None) -> int:
        """When a reading must have begun. Other machines' clocks may be ahead, and questions may have waited long."""
        now_ns = self._clock.now_ns()
        asked_ns = now_ns if asked_ns is None else min(asked_ns, now_ns)
        return max(asked_ns, now_ns - int(self._settings.merge_s * _NS))

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A bug here would leave symbols shut without a word."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(error)

    # -- one partition's life ------------------------------------------------------------------------------------

    async def _keep(self, partition: int) -> None:
        """Until the partition is taken away. What is under way then may read once more before it is cancelled."""
        try:
            await self._agree(partition)
        except* NotOurs:
            if self._is_ours(partition):
                raise

    def _is_ours(self, partition: int) -> bool:
        current = self._tasks.get(partition) is asyncio.current_task()
        return current and partition in self._orders.rows.partitions() & self._positions.rows.partitions()

    async def _agree(self, partition: int) -> None:
        await self._reconciler.catch_up(partition)
        symbols = self._unfinished(partition)
        self._gates.caught_up(partition, symbols)
        self._applied.touch_all()
        async with asyncio.TaskGroup() as group:
            if symbols:
                tried = asyncio.Event()
                group.create_task(self._open(partition, symbols, tried))
                await tried.wait()
            await self._rounds(partition)

    async def _rounds(self, partition: int) -> None:
        """For as long as the partition is ours."""
        validated_ns = await self._first_round(partition)
        while True:
            await self._clock.sleep(self._until_next_round_s())
            now_ns = self._clock.now_ns()
            thorough = now_ns - validated_ns >= self._settings.positions_s * _NS
            if await self._round(partition, thorough=thorough) and thorough:
                validated_ns = now_ns

    async def _first_round(self, partition: int) -> int:
        """Compare everything: again, ever more seldom, until the venue answers. Returns when that was, ns UTC."""
        pause_s = self._settings.pause_s
        while not await self._round(partition, thorough=True):
            await self._clock.sleep(pause_s)
            pause_s = min(2 * pause_s, self._settings.interval_s)
        return self._clock.now_ns()

    async def _open(self, partition: int, symbols: set[str], tried: asyncio.Event) -> None:
        """Compare until the venue answers: a symbol whose orders are unknown does not grow. `tried` is set when every
        symbol is open, or was asked for so often in vain that nothing else should wait for it."""
        first = await self._insist(partition, lambda: self._lists.read(self._gates.since_ns(partition)))
        places = asyncio.Semaphore(self._settings.parallel)
        tries = dict.fromkeys(symbols, 0)

        def has_tried(symbol: str, times: int) -> None:
            tries[symbol] += times
            if min(tries.values()) >= _TRIES:
                tried.set()

        def failed(symbol: str, error: VenueError) -> None:
            has_tried(symbol, 1)
            if tries[symbol] >= _TRIES and is_refused(error):
                self._gates.refused(partition, symbol, str(error))
                self._uncompared.failed(partition, symbol, error, at_once=True)

        async def open_one(symbol: str) -> None:
            told: Lists | None = first

            async def once() -> None:
                nonlocal told
                found = Comparison()
                lists, told = told, None  # the next try is with what the venue shows then
                async with places:  # not while it waits for its next try: others would wait with it
                    lists = lists or await self._lists.read(self._not_before_ns(0))
                    await self._compare_answered(partition, symbol, lists, found, thorough=False)
                self._compared(partition, symbol, found)

            await self._insist(partition, once, lambda error: failed(symbol, error))
            self._gates.open(partition, symbol)
            self._applied.touch(symbol)
            has_tried(symbol, _TRIES)

        async with asyncio.TaskGroup() as group:
            for symbol in sorted(symbols):
                group.create_task(open_one(symbol))

    async def _round(self, partition: int, *, thorough: bool) -> bool:
        """One comparison in the background; False when the venue did not answer, and should be asked again soon."""
        found = Comparison()
        try:
            not_before_ns = self._not_before_ns(0)
            lists = await self._lists.read(not_before_ns)
            unanswered, away = await self._compare_all(partition, lists, found, thorough=thorough)
            if thorough:
                await self._bring_payments(partition, None, not_before_ns)
            if away is not None:
                raise away
        except VenueError as error:
            _log.warning("partition %d could not be compared with the venue: %s", partition, error)
            self._uncompared.failed(partition, WHOLE, error)
            return False
        self._uncompared.compared(partition, WHOLE)
        changed = found.count(Verdict.CHANGED, Verdict.ADOPTED, Verdict.MISSING)
        _log.log(
            logging.WARNING if changed else logging.DEBUG,
            "partition %d: %d orders compared with the venue, %d differed",
            partition,
            len(found.orders),
            changed,
        )
        return not unanswered

    async def _compare_all(
        self, partition: int, lists: Lists, found: Comparison, *, thorough: bool
    ) -> tuple[int, VenueError | None]:
        """Every symbol, whatever becomes of others: (how many the venue has not answered for as yet, the error that
        ended it early). It ends when the venue looks away: then the rest would be asked in vain.

        Those that failed the last time come last, so that they keep no other from its turn, and are compared
        thoroughly: that is what they may have missed.
        """
        symbols = self._symbols(partition, lists)
        self._uncompared.keep(partition, symbols)
        failures: dict[str, VenueError] = {}
        away: VenueError | None = None
        doubts = 0
        for symbol in sorted(symbols, key=lambda symbol: (self._uncompared.knows(partition, symbol), symbol)):
            again = self._uncompared.knows(partition, symbol)
            try:
                await self._compare_answered(partition, symbol, lists, found, thorough=thorough or again)
            except VenueError as error:
                failures[symbol] = error
                _log.warning("%s could not be compared with the venue: %s", symbol, error, extra={"symbol": symbol})
                doubts += not again and not is_of_the_symbol(error)  # one that always fails tells nothing of the rest
                if isinstance(error, RateLimited) or doubts >= _AWAY_AFTER:
                    away = error
                    break
            else:
                self._compared(partition, symbol, found)
        unanswered = 0
        for symbol, failure in failures.items():
            own = is_of_the_symbol(failure)
            lasting = self._uncompared.failed(partition, symbol, failure, tell=own or away is None)
            unanswered += not own and not lasting
        return unanswered, away

    def _compared(self, partition: int, symbol: str, found: Comparison) -> None:
        """The venue answered for the symbol. What it showed of a position may be too old to say anything: that is no
        reason to ask sooner, or to keep the symbol shut, but for a person if it stays so."""
        for category in self._settings.categories:
            for item in found.positions.get(Instrument(self._settings.venue, category, symbol), ()):
                if item.older:
                    self._uncompared.failed(partition, symbol, NotAccepted("OLD_POSITION_ROW", item.words))
                    return
        self._uncompared.compared(partition, symbol)

    async def _compare_answered(
        self, partition: int, symbol: str, lists: Lists, found: Comparison, *, thorough: bool
    ) -> None:
        """As `_compare`; raises the venue's error where it did not answer for one of the orders."""
        before = len(found.orders)
        await self._compare(partition, symbol, lists, found, thorough=thorough)
        for item in found.orders[before:]:
            if item.error is not None:
                raise item.error

    async def _compare(self, partition: int, symbol: str, lists: Lists, found: Comparison, *, thorough: bool) -> None:
        found.orders += await self._comparer.orders_of(partition, symbol, lists)
        for category in self._settings.categories:
            instrument = Instrument(self._settings.venue, category, symbol)
            items = await self._position_check.check(partition, instrument, lists, thorough=thorough)
            if items or len(self._settings.categories) == 1:
                found.positions[instrument] = items

    async def _bring_payments(self, partition: int, symbols: Sequence[str] | None, not_before_ns: int) -> None:
        """What the venue paid on positions of these symbols, or of all of the partition, and nobody told."""
        payments = await self._lists.payments(not_before_ns, self._settings.payments_s)
        mine = [row for row in payments.rows if self._log.partition_of(row.instrument.symbol.encode()) == partition]
        wanted = [row for row in mine if symbols is None or row.instrument.symbol in symbols]
        await self._position_check.bring_payments(partition, replace(payments, rows=wanted))

    # -- which symbols, and how many at a time -------------------------------------------------------------------

    def _unfinished(self, partition: int) -> set[str]:
        """Symbols with unfinished orders or with a position: of others there is nothing to ask."""
        held = {each.instrument.symbol for each in self._positions.all(partition) if each.state.size}
        return set(self._orders.open_symbols(partition)) | held

    def _symbols(self, partition: int, lists: Lists) -> set[str]:
        theirs = set(lists.symbols) | {each.instrument.symbol for each in lists.positions if each.size}
        own = {symbol for symbol in theirs if self._log.partition_of(symbol.encode()) == partition}
        return self._unfinished(partition) | own

    async def _each(self, symbols: Sequence[str], work: Callable[[str], Awaitable[None]]) -> dict[str, VenueError]:
        """What the venue did not answer, by symbol: one that can't be compared stops no other."""
        places, failures = asyncio.Semaphore(self._settings.parallel), dict[str, VenueError]()

        async def one(symbol: str) -> None:
            try:
                async with places:
                    await work(symbol)
            except VenueError as error:
                failures[symbol] = error

        async with asyncio.TaskGroup() as group:
            for symbol in symbols:
                group.create_task(one(symbol))
        return failures

    async def _insist(
        self, partition: int, ask: Callable[[], Awaitable[T]], on_failure: Callable[[VenueError], None] = lambda _: None
    ) -> T:
        """Until the venue answers; `on_failure` is told each time it does not. Meanwhile the symbols that wait may
        only reduce. A refusal is asked about ever more seldom: it takes calls from those that are answered."""
        pause_s = self._settings.pause_s
        while True:
            try:
                answer = await ask()
            except VenueError as error:
                _log.warning("partition %d waits for the venue: %s", partition, error)
                self._gates.unanswered(partition, str(error))
                self._applied.touch_all()  # what only reduces goes on
                on_failure(error)
                wait_s = error.retry_after_s if isinstance(error, RateLimited) else 0.0
                longer_s = min(2 * pause_s, self._settings.interval_s)
                pause_s = longer_s if is_of_the_symbol(error) else self._settings.pause_s
                await self._clock.sleep(max(pause_s, wait_s))
            else:
                self._gates.answered(partition)
                return answer

    def _until_next_round_s(self) -> float:
        """To the next multiple of the interval: all partitions, and all workers, look at the same time, so that a
        worker's partitions share their reading."""
        interval_ns = int(self._settings.interval_s * _NS)
        return (interval_ns - self._clock.now_ns() % interval_ns) / _NS
