"""Positions looked at by the clock: their pictures at regular moments (requirement P02), and warnings of losses (P04).

Nothing here writes a row; a worker looks at the positions of its own partitions.

*Snapshots.* Moments are multiples of the interval since 1970. Every open position is published for each moment, and one
that has been closed since the moment before, once more. What a former owner has published for the present moment is
read from the topic first; should two owners take the same picture after all, its id is the same.

*Losses.* A position that loses more than a part of what it cost is told of once, by an event and an alert, until that
is over. Whether it has been told stands in the alert, so that another worker, or this one after a restart, knows.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal

from domain.instruments import Instrument, Quote
from domain.losses import loss_to_warn_of
from domain.money import plain
from domain.orders import PositionSide
from domain.positions import Position
from streams import schemas
from streams.alert_board import MANAGER, AlertBoard, AlertState, action_record, folded_id, resolution
from streams.hooks import Hooks
from streams.ports import Clock, Log
from streams.topics import Topics
from tables.positions import PositionTable
from tables.receipt import Receipt
from tables.rows import NotOurs

_log = logging.getLogger(__name__)

_NS = 1_000_000_000
_SCHEMA, _SNAPSHOT_SCHEMA = "loss-event/1", "position-snapshot/1"
_CODES = {
    PositionSide.NET: "UNREALIZED_LOSS",
    PositionSide.LONG: "UNREALIZED_LOSS_LONG",
    PositionSide.SHORT: "UNREALIZED_LOSS_SHORT",
}

Taken = Callable[[int, int], Awaitable[frozenset[str]]]
"""(partition, moment in ns) → ids of the snapshots of that moment that stand on the topic already."""


@dataclass(frozen=True, slots=True)
class PositionWatchSettings:
    """`snapshot_s`: between snapshots. `loss_threshold`: the part of its cost that a position may lose; None: no
    warnings. `look_s`: between looks. A mark older than `mark_age_s` says nothing."""

    snapshot_s: float = 300.0
    loss_threshold: Decimal | None = None
    look_s: float = 0.5
    mark_age_s: float = 60.0


class PositionWatch:
    """Looks at the positions of our partitions. `taken` asks the topic, `is_open` says whether the tables are ours."""

    def __init__(
        self,
        *,
        log: Log,
        topics: Topics,
        positions: PositionTable,
        mark: Callable[[Instrument], Quote | None],
        board: AlertBoard,
        taken: Taken,
        is_open: Callable[[], bool],
        clock: Clock,
        settings: PositionWatchSettings,
        hooks: Hooks | None = None,
    ) -> None:
        self._log = log
        self._topics = topics
        self._positions = positions
        self._mark = mark
        self._board = board
        self._taken = taken
        self._is_open = is_open
        self._clock = clock
        self._settings = settings
        self._hooks = hooks or Hooks()
        self._moments: dict[int, int] = {}
        """By partition of ours: the last moment that was published."""
        self._warned: dict[int, dict[str, bool]] = {}
        """By partition of ours and position: whether its loss has been told."""

    async def run(self) -> None:
        """Look for as long as the worker runs."""
        while True:
            await self._clock.sleep(self._settings.look_s)
            if self._is_open():
                await self.look()

    async def look(self) -> None:
        """Look once at every partition of ours. What goes meanwhile is the next owner's to look at."""
        ours = self._positions.rows.partitions()
        for kept in (self._moments, self._warned):
            for gone in kept.keys() - ours:
                del kept[gone]
        for partition in sorted(ours):
            await self._clock.sleep(0)
            try:
                await self._look_at(partition)
            except NotOurs:
                _log.debug("partition %d went while its positions were looked at", partition)

    async def _look_at(self, partition: int) -> None:
        interval_ns = int(self._settings.snapshot_s * _NS)
        moment_ns = self._clock.now_ns() // interval_ns * interval_ns
        last_ns = self._moments.get(partition)
        if last_ns != moment_ns:
            known = await self._taken(partition, moment_ns) if last_ns is None else frozenset()
            await self._take(partition, moment_ns, moment_ns - interval_ns, known)
            self._moments[partition] = moment_ns
        if self._settings.loss_threshold is not None:
            await self._warn(partition, self._settings.loss_threshold)

    # -- snapshots -----------------------------------------------------------------------------------------------

    async def _take(self, partition: int, moment_ns: int, before_ns: int, known: frozenset[str]) -> None:
        receipt = Receipt()
        for position in list(self._positions.all(partition)):
            if not position.state.size and position.updated_ns < before_ns:
                continue
            quote = self._fresh_mark(position.instrument)
            picture = schemas.position_snapshot(position, moment_ns, self._clock.now_ns(), quote)
            if picture.event_id in known:
                continue
            await self._log.room()
            headers = schemas.event_headers(_SNAPSHOT_SCHEMA, picture.event_id)
            key = position.instrument.symbol.encode()
            self._log.append(self._topics.position_snapshots, partition, key, schemas.encode(picture), receipt, headers)
        await receipt.durable()

    def _fresh_mark(self, instrument: Instrument) -> Quote | None:
        quote = self._mark(instrument)
        if quote is None or self._clock.now_ns() - quote.at_ns > self._settings.mark_age_s * _NS:
            return None
        return quote

    # -- losses --------------------------------------------------------------------------------------------------

    async def _warn(self, partition: int, threshold: Decimal) -> None:
        warned = self._warned.setdefault(partition, {})
        receipt = Receipt()
        for position in list(self._positions.all(partition)):
            name = schemas.position_id(position)
            before = warned.get(name)
            if before is None:
                before = warned[name] = self._stands(position)
            quote = self._fresh_mark(position.instrument)
            if quote is None or (not before and not position.state.size):
                continue
            unrealised = position.state.unrealised(quote.mark, position.instrument)
            now = loss_to_warn_of(position.state, unrealised, threshold, warned=before)
            if now is not before:
                warned[name] = now
                self._tell(partition, position, quote, unrealised, threshold, receipt, begins=now)
        await receipt.durable()

    def _stands(self, position: Position) -> bool:
        """Whether the alert says that it was told and is not over. A person who resolves it does not end the loss."""
        known = self._board.get(folded_id(_CODES[position.side], position.instrument.symbol))
        return known is not None and not (known.state is AlertState.RESOLVED and known.changed_by == MANAGER)

    def _tell(
        self,
        partition: int,
        position: Position,
        quote: Quote,
        unrealised: Decimal,
        threshold: Decimal,
        receipt: Receipt,
        *,
        begins: bool,
    ) -> None:
        at_ns, symbol = self._clock.now_ns(), position.instrument.symbol
        kind = schemas.LOSS_WARNING if begins else schemas.LOSS_WARNING_OVER
        event = schemas.loss_event(position, kind, quote, unrealised, threshold, at_ns)
        headers = schemas.event_headers(_SCHEMA, event.event_id)
        self._log.append(
            self._topics.position_events, partition, symbol.encode(), schemas.encode(event), receipt, headers
        )
        sentence = _sentence(position, quote, unrealised, threshold)
        _log.warning("%s: %s", kind, sentence, extra={"symbol": symbol, "code": _CODES[position.side]})
        if begins:
            self._raise(position, event.event_id, sentence, at_ns, receipt)
        else:
            self._resolve(position, sentence, at_ns, receipt)

    def _raise(self, position: Position, event_id: str, sentence: str, at_ns: int, receipt: Receipt) -> None:
        code, symbol = _CODES[position.side], position.instrument.symbol
        alert = schemas.Alert(
            alert_id=f"{code}-{event_id}",
            code=code,
            severity="warning",
            sentence=sentence,
            symbol=symbol,
            at_ns=at_ns,
            source="marks",
        )
        headers = schemas.event_headers("alert/1", alert.alert_id)
        key = alert.alert_id.encode()
        self._log.append(self._topics.alerts, 0, key, schemas.encode(alert), receipt, headers)
        self._hooks.on_alert(code)

    def _resolve(self, position: Position, sentence: str, at_ns: int, receipt: Receipt) -> None:
        alert = folded_id(_CODES[position.side], position.instrument.symbol)
        key, value, headers = action_record(resolution(alert, sentence, at_ns))
        self._log.append(self._topics.alerts, 0, key, value, receipt, headers)


def _sentence(position: Position, quote: Quote, unrealised: Decimal, threshold: Decimal) -> str:
    state = position.state
    if not state.size:
        return f"the position in {position.instrument.symbol} is closed"
    return (
        f"the position of {plain(state.size)} {position.instrument.symbol} that cost {plain(state.cost)} has an "
        f"unrealised profit of {plain(unrealised)} at the mark {plain(quote.mark)}; the limit is a loss of "
        f"{plain(threshold * 100)} % of its cost"
    )
