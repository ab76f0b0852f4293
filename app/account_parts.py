"""The account's limits and load in a worker: the board, what it hears, and the watch over losses (R03, R04)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import msgspec

from app.engine import Engine
from app.settings import Settings
from domain.events import Transition
from domain.exposure import AccountPeak, day_of
from domain.instruments import Instrument
from domain.orders import Order
from domain.plans import TradingState
from domain.risk import loss_reached
from domain.updates import FillReport
from exchanges.clock import SystemClock
from streams import boards
from streams.broadcast import Broadcasts
from streams.exposure import ExposureBoard
from streams.hooks import Hooks
from streams.limits_board import LimitsBoard
from streams.market_view import MarketView
from streams.ports import Clock, Log
from streams.reservations import Reservations
from streams.symbol_gates import SymbolGates
from streams.topics import Topics
from tables.orders import OrderTable
from tables.positions import PositionTable

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.25
_LOOKS_BETWEEN_WORTHS = 4
_AT_A_TIME = 5
"""Symbols whose figures are worked out in one step of the loop, a few milliseconds."""


def noting(hooks: Hooks | None, board: ExposureBoard) -> Hooks:
    """The hooks, and the board is told of every symbol that something happened to."""
    known = hooks or Hooks()

    def on_fill(fill: FillReport) -> None:
        known.on_fill(fill)
        board.filled(fill.instrument, fill.executed_ns)

    def on_transition(order: Order, transition: Transition) -> None:
        known.on_transition(order, transition)
        board.note(order.instrument)

    return replace(known, on_fill=on_fill, on_transition=on_transition)


class LossWatch:
    """Keeps the account's highest profit, publishes the records that changed, and halts trading when a limit on losses
    is reached: once for each day and each height, so that an operator who arms again is not overruled."""

    def __init__(
        self,
        *,
        log: Log,
        topics: Topics,
        board: ExposureBoard,
        limits: LimitsBoard,
        is_certain: Callable[[], bool],
        alert: Callable[[str, str], None],
        clock: Clock,
    ) -> None:
        """`is_certain`: whether nobody else can have been given our partitions. Who may have lost them would write over
        what their owner tells."""
        self._log = log
        self._topics = topics
        self._board = board
        self._limits = limits
        self._is_certain = is_certain
        self._alert = alert
        self._clock = clock
        self._told: set[str] = set()

    async def run(self) -> None:
        """Look for as long as the worker runs."""
        looks = 0
        while True:
            await self._clock.sleep(LOOK_EVERY_S)
            if not self._is_certain():
                continue
            looks += 1
            now_and_then, limited = looks % _LOOKS_BETWEEN_WORTHS == 0, self._limits.any_of_the_account()
            if limited and now_and_then:
                self._board.note_all()
            await self._refresh(awaited=limited or not self._board.alone)
            await self.look()

    async def _refresh(self, *, awaited: bool) -> None:
        """Where nothing is limited, and no other worker plans, nobody waits for the figures: a few symbols at each look
        are enough."""
        while self._board.refresh(_AT_A_TIME) and awaited:
            await self._clock.sleep(0)

    async def look(self) -> None:
        """Compare what the account won and lost with its limits, once."""
        limits = self._limits.everywhere()
        if limits.max_daily_loss is None and limits.max_drawdown is None:
            return
        self._tell_of_uncounted()
        profit, known = self._board.profit(), self._board.peak
        if profit > known.peak or not self._board.knows_peak:
            await self._board.tell_peak(AccountPeak(peak=max(profit, known.peak), halted=known.halted))
        load = self._board.load(None)
        reached = loss_reached(limits.max_daily_loss, limits.max_drawdown, load)
        if reached is None:
            return
        code, sentence = reached
        day = day_of(self._clock.now_ns())
        once = f"{code}:{day}" if code == "MAX_DAILY_LOSS" else f"{code}:{self._board.peak.peak}"
        if once in self._board.peak.halted:
            return
        await self._halt(code, sentence)
        await self._board.tell_peak(msgspec.structs.replace(self._board.peak, halted=(*self._board.peak.halted, once)))

    def _tell_of_uncounted(self) -> None:
        """Once for each currency: a limit on losses that does not see all of them must not look as if it did."""
        for currency in sorted(self._board.uncounted - self._told):
            self._alert("FEE_NOT_COUNTED", f"fees in {currency} count in no loss: its price in dollars is not known")
        self._told = set(self._board.uncounted)

    async def _halt(self, code: str, sentence: str) -> None:
        control = boards.Control(
            scope=boards.EVERYWHERE,
            state=TradingState.HALTED,
            reason=f"{code}: {sentence}",
            set_by="risk",
            at_ns=self._clock.now_ns(),
        )
        await self._log.publish(self._topics.controls, control.scope.encode(), boards.encode(control), partition=0)
        self._alert(code, f"trading is halted: {sentence}")
        _log.error("trading is halted: %s", sentence, extra={"code": code})


def exposure_board(
    settings: Settings,
    topics: Topics,
    engine: Engine,
    broadcasts: Broadcasts,
    market: MarketView,
    orders: OrderTable,
    positions: PositionTable,
    reservations: Reservations,
    gates: SymbolGates,
) -> ExposureBoard:
    """The board of the account's load; `broadcasts` must let it listen."""

    def mark(instrument: Instrument) -> Decimal | None:
        """The venue's mark, else its last trade."""
        quote = market.mark(instrument)
        return None if quote is None else quote.mark or quote.last or None

    return ExposureBoard(
        log=engine.log,
        topic=topics.order_exposure,
        partitions=settings.partitions,
        read_back=broadcasts.read_back,
        orders=orders,
        positions=positions,
        reservations=reservations,
        mark=mark,
        dollars=market.dollars,
        worth=lambda: market.worth(settings.account),
        clock=SystemClock(),
        worker=settings.worker_id,
        venue=settings.venue.value,
        is_caught_up=gates.is_caught_up,
    )
