"""Positions: what is stored, what the fills add up to, what the venue shows (requirements P03, P05).

    1. equal: done. What has just changed is not judged
    2. different: the symbol's executions are asked for and go through the join; look again
    3. still different, but the venue's row is older than our last fill (`streams.row_age`): it says nothing, and is
       looked at again in the next round; `streams.recovery` tells of it if it stays so
    4. still different: an alert with all three figures
    5. a spot position is what was bought and sold through orders; the wallet must have at least that. It is told of and
       never corrected: a wallet knows no entry price, and coins come and go by transfers
    6. others are corrected only when nothing else can explain it: no order of the symbol open or uncertain, every
       update applied, two reads of the venue that agree with each other, a history lag apart, and our own row unchanged
       meanwhile. Then the venue's word is published to `order-updates`, and the join takes it, like everything else

Payments (funding) change no size. The venue's list of them is read with every validation, and what our tables miss goes
through the join too.

Nothing here touches an order: a position that differs is no reason to drop what works.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice

from domain.instruments import Instrument
from domain.money import ZERO, plain
from domain.orders import OrderState, PositionSide, Side
from domain.positions import Position
from domain.protection import Role
from domain.updates import FillKind, FillReport, Origin
from exchanges.venue import Balance, Trading, VenuePosition
from streams.alerting import Alerts
from streams.applied import Applied
from streams.hooks import Hooks
from streams.ports import Clock
from streams.reconciling import Reconciler
from streams.row_age import is_older
from streams.updates import UpdatePublisher
from streams.venue_lists import Lists, Payments
from tables.orders import OrderTable
from tables.positions import PositionTable

_log = logging.getLogger(__name__)

_NS = 1_000_000_000
_AFTER_ALL_OF_ITS_MOMENT = 10**19
"""As a venue's sequence: behind every execution of the same time."""
_ROWS_AT_A_TIME = 200


@dataclass(frozen=True, slots=True)
class PositionSettings:
    """`look_back_s`: how far executions are asked for when a position differs. `settle_s`: what changed less than so
    long before the venue was asked is not judged; also the least pause between the two reads of a correction."""

    account: str
    look_back_s: float = 86_400.0
    settle_s: float = 3.0


@dataclass(frozen=True, slots=True)
class PositionItem:
    """A position's result in words; `agrees` and `corrected` say the rest. `older`: the venue's row is from before
    what we know, so that nothing was compared."""

    side: PositionSide
    agrees: bool
    words: str
    corrected: bool = False
    older: bool = False


class PositionCheck:
    """Compares the positions of single instruments with what the venue showed."""

    def __init__(
        self,
        *,
        trading: Trading,
        reconciler: Reconciler,
        publisher: UpdatePublisher,
        orders: OrderTable,
        positions: PositionTable,
        applied: Applied,
        alerts: Alerts,
        clock: Clock,
        settings: PositionSettings,
        hooks: Hooks | None = None,
    ) -> None:
        self._trading = trading
        self._reconciler = reconciler
        self._publisher = publisher
        self._orders = orders
        self._positions = positions
        self._applied = applied
        self._alerts = alerts
        self._clock = clock
        self._settings = settings
        self._hooks = hooks or Hooks()
        self._adding = asyncio.Lock()

    async def check(
        self,
        partition: int,
        instrument: Instrument,
        lists: Lists,
        *,
        thorough: bool,
    ) -> list[PositionItem]:
        """Compare with what the venue showed. `thorough`: also with the sum of every fill. Raises `VenueError` when the
        venue can't be asked for more."""
        ours = self._ours(partition, instrument)
        if instrument.spot:
            shown = [owned(position, lists.balances) for position in ours]
        else:
            shown = [each for each in lists.positions if each.instrument == instrument]
        sides = {position.side for position in ours} | {each.side for each in shown}
        return [
            await self._check_side(partition, instrument, side, _size(shown, side), lists.begun_ns, thorough=thorough)
            for side in sorted(sides)
        ]

    def _ours(self, partition: int, instrument: Instrument) -> list[Position]:
        account = self._settings.account
        return [each for each in self._positions.of_symbol(partition, instrument) if each.account == account]

    def _stored(self, partition: int, instrument: Instrument, side: PositionSide) -> Position:
        return self._positions.get(partition, instrument, self._settings.account, side)

    async def _check_side(
        self,
        partition: int,
        instrument: Instrument,
        side: PositionSide,
        theirs: Decimal,
        shown_at_ns: int,
        *,
        thorough: bool,
    ) -> PositionItem:
        subject = f"{instrument}-{side}"
        if thorough:
            async with self._adding:  # all partitions begin at once, and trading goes on beside one of them
                stored = self._stored(partition, instrument, side)
                added = await self._added_up(partition, stored)
            same_row = self._stored(partition, instrument, side).version == stored.version
            if added != stored.state.size and same_row:
                return self._tell(subject, stored, added, theirs)
        stored = self._stored(partition, instrument, side)
        if stored.state.size == theirs:
            return self._agreed(instrument, side)
        if stored.updated_ns > shown_at_ns - int(self._settings.settle_s * _NS):
            return PositionItem(side, True, "it has just changed: not judged")
        for pause_s in (0.0, self._settings.settle_s):  # a fill may come between the two questions of one look
            await self._clock.sleep(pause_s)
            await self._bring_executions(partition, instrument)
            stored = self._stored(partition, instrument, side)
            shown = await self._shown(stored)
            if stored.state.size == _size(shown, side):
                return self._agreed(instrument, side, "after its executions were asked for")
        if self._stored(partition, instrument, side).version != stored.version:
            return PositionItem(side, True, "it has just changed: not judged")
        if any(order.in_doubt for order in self._orders.open_orders(partition, instrument.symbol)):
            return PositionItem(side, False, "an order in doubt may explain the difference: not judged")
        if self._is_older(partition, stored, shown):
            return self._not_compared(stored, shown)
        return await self._differs(partition, stored, shown, subject)

    async def _shown(self, stored: Position) -> Sequence[VenuePosition]:
        """What the venue shows of the position now."""
        if stored.instrument.spot:
            return [owned(stored, {each.currency: each for each in await self._trading.balances()})]
        return await self._trading.positions(stored.instrument.category, stored.instrument.symbol)

    def _is_older(self, partition: int, stored: Position, shown: Sequence[VenuePosition]) -> bool:
        """Whether the venue's row may be from before our last fill. A wallet has no age."""
        if stored.instrument.spot:
            return False
        row = next((each for each in shown if each.side is stored.side), None)
        return is_older(row, self._positions.last_change(partition, stored))

    def _not_compared(self, stored: Position, shown: Sequence[VenuePosition]) -> PositionItem:
        words = (
            f"the venue's row ({plain(_size(shown, stored.side))}) is older than our last fill, after which there is "
            f"{plain(stored.state.size)}: not judged"
        )
        _log.info("position %s-%s: %s", stored.instrument, stored.side, words)
        return PositionItem(stored.side, False, words, older=True)

    def _agreed(self, instrument: Instrument, side: PositionSide, words: str = "") -> PositionItem:
        self._alerts.over("POSITION_MISMATCH", f"{instrument}-{side}", instrument.symbol)
        self._hooks.on_compared("position" if words else "")
        return PositionItem(side, True, words)

    def _tell(self, subject: str, stored: Position, added: Decimal, theirs: Decimal) -> PositionItem:
        sentence = (
            f"position {subject}: stored {plain(stored.state.size)}, from its fills {plain(added)}, "
            f"the venue's {plain(theirs)}"
        )
        _log.error("%s", sentence, extra={"symbol": stored.instrument.symbol, "code": "POSITION_MISMATCH"})
        self._alerts.tell("POSITION_MISMATCH", subject, sentence, stored.instrument.symbol)
        self._hooks.on_compared("position")
        return PositionItem(stored.side, False, sentence)

    async def _added_up(self, partition: int, position: Position) -> Decimal:
        """The size that the ledger's fills add up to, in no order: a sum of its own, not the fold. A ledger is long:
        others get their turn in between, and a fill that comes meanwhile makes another version of the position."""
        size, last = ZERO, None
        where = position.instrument, position.account, position.side
        while True:
            entries = list(islice(self._positions.ledger(partition, *where, after=last), _ROWS_AT_A_TIME))
            for entry in entries:
                fill = entry.fill
                if entry.offset <= position.applied_offset and fill.fill_kind is not FillKind.FUNDING:
                    size = fill.change if fill.fill_kind is FillKind.TAKEN_OVER else size + fill.change
            if len(entries) < _ROWS_AT_A_TIME:
                return size
            last = entries[-1]
            await asyncio.sleep(0)

    async def _bring_executions(self, partition: int, instrument: Instrument) -> None:
        since_ns = max(0, self._clock.now_ns() - int(self._settings.look_back_s * _NS))
        fills = await self._trading.executions(
            instrument.category, since_ns=since_ns, symbol=instrument.symbol, origin=Origin.RECONCILE
        )
        await self._bring(fill for fill in fills if self._is_new(partition, fill))

    async def bring_payments(self, partition: int, payments: Payments) -> None:
        """Publish the payments that our tables miss. They show in no size: only the venue's list of them tells. Those
        that have just come may be on their way, and are judged the next time."""
        settled_ns = payments.begun_ns - int(self._settings.settle_s * _NS)
        settled = [row for row in payments.rows if row.executed_ns <= settled_ns]
        if any(self._is_new(partition, row) for row in settled):
            await self._reconciler.catch_up(partition)
        missed = [row for row in settled if self._is_new(partition, row)]
        for row in missed:
            _log.warning("a payment on %s that nobody told of: %s", row.instrument, row.execution_id)
            self._hooks.on_compared("payment")
        await self._bring(missed)

    def _is_new(self, partition: int, fill: FillReport) -> bool:
        if fill.orderless:
            return not any(self._positions.entries(partition, fill))
        return self._orders.fill(partition, fill) is None and self._positions.entry(partition, fill) is None

    async def _bring(self, fills: Iterable[FillReport]) -> None:
        """Through the join; returns when they are applied."""
        at = None
        for fill in fills:
            at = await self._publisher.publish(fill)
        if at is not None:
            await self._applied.reached(at)

    # -- what remains different ----------------------------------------------------------------------------------

    async def _differs(
        self, partition: int, stored: Position, shown: Sequence[VenuePosition], subject: str
    ) -> PositionItem:
        theirs = _size(shown, stored.side)
        item = self._tell(subject, stored, await self._added_up(partition, stored), theirs)
        if stored.instrument.spot:
            return item  # a wallet knows no entry, and coins may come and go by transfers: it is for a person to judge
        await self._reconciler.catch_up(partition)
        if not self._is_quiet(partition, stored):
            return item
        lag_s = self._trading.traits.history_lag_s
        await self._clock.sleep(max(lag_s, self._settings.settle_s))
        # What the first reading showed is in the list of executions by now, if the venue has executions for it.
        await self._bring_executions(partition, stored.instrument)
        again = await self._shown(stored)
        await self._reconciler.catch_up(partition)
        if _word(shown, stored.side) != _word(again, stored.side) or not self._is_quiet(partition, stored):
            return item
        if self._is_older(partition, stored, again):
            return item
        await self._take_over(stored, again)
        self._alerts.over("POSITION_MISMATCH", subject, stored.instrument.symbol)
        return replace(item, corrected=True)

    def _is_quiet(self, partition: int, stored: Position) -> bool:
        """Whether nothing of the symbol is under way: no order open or uncertain, no update waiting for its order, and
        the row as it was."""
        symbol = stored.instrument.symbol
        orders = self._orders.open_orders(partition, symbol)
        # What waits for its trigger to protect a position stands as long as that does, and changes nothing before.
        waits = [order for order in orders if order.role is not Role.NONE and order.state is OrderState.UNTRIGGERED]
        busy = len(waits) < len(orders) or self._orders.parked(partition, symbol)
        now = self._stored(partition, stored.instrument, stored.side)
        return not busy and now.version == stored.version

    async def _take_over(self, stored: Position, shown: Sequence[VenuePosition]) -> None:
        size, entry, updated_ns = _word(shown, stored.side)
        opened = stored.last is None
        last_ns = stored.last.executed_ns if stored.last is not None else 0
        name = f"{'opened' if opened else 'corrected'}-{stored.instrument.symbol}-{stored.side}-{stored.version}"
        at = await self._publisher.publish(
            FillReport(
                instrument=stored.instrument,
                account=stored.account,
                origin=Origin.RECONCILE,
                received_ns=self._clock.now_ns(),
                venue_order_id=name,
                execution_id=name,
                side=Side.BUY if size >= 0 else Side.SELL,
                price=entry,
                quantity=abs(size),
                fee=ZERO,
                fee_currency="",
                executed_ns=max(updated_ns, last_ns),
                venue_sequence=_AFTER_ALL_OF_ITS_MOMENT,
                fill_kind=FillKind.TAKEN_OVER,
                position_side=stored.side,
            )
        )
        await self._applied.reached(at)


def owned(position: Position, balances: Mapping[str, Balance]) -> VenuePosition:
    """What the wallet has of a spot position, as if the venue had shown it: all of it, or what there is where that is
    less. Coins that were deposited, borrowed, or bought for another pair, are nobody's position."""
    size, where = position.state.size, position.instrument
    coins = [coin for coin in (*position.state.fees, *balances) if where.is_base(coin)]
    coin = max(coins, key=len, default="")
    total = balances[coin].total if coin in balances else ZERO
    return VenuePosition(
        instrument=where,
        side=position.side,
        size=min(size, max(ZERO, total)),
        average_entry=position.state.average_entry,
        mark=ZERO,
        unrealised=ZERO,
        updated_ns=0,
    )


def _word(shown: Sequence[VenuePosition], side: PositionSide) -> tuple[Decimal, Decimal, int]:
    """(size, average entry, venue's time of its last change) of a side; flat if it is not shown."""
    for each in shown:
        if each.side is side:
            return each.size, each.average_entry if each.size else ZERO, each.updated_ns
    return ZERO, ZERO, 0


def _size(shown: Sequence[VenuePosition], side: PositionSide) -> Decimal:
    return _word(shown, side)[0]
