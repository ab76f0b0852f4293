"""What planning asks of the account beyond the symbol: limits, the whole load, and leave to add to it (R03, R04)."""

from __future__ import annotations

from collections.abc import Callable

from domain.exposure import Hold, wish_of
from domain.limits import AccountLoad, Limits
from domain.plans import Plan
from streams.exposure import ExposureBoard
from streams.limits_board import LimitsBoard
from streams.ports import Clock, Turn

_UNDECIDED_S = 2.0
_TRIES = 4

MakePlan = Callable[[AccountLoad | None], Plan]
"""Plans on the facts as they are now, with this load, and reserves from the balance, in one step."""


class Account:
    """Limits and load. A plan that adds to the load of an account with limits needs leave: it is asked for in the log
    (see `domain.exposure`), and the plan is made again on the load as it stood there."""

    def __init__(self, *, limits: LimitsBoard, board: ExposureBoard, clock: Clock) -> None:
        self._limits = limits
        self._board = board
        self._clock = clock

    def limits(self, symbol: str) -> Limits:
        """In force for the symbol."""
        return self._limits.of(symbol)

    def load(self, symbol: str) -> AccountLoad | None:
        """What the account carries, wishes of others included; None where no limit asks for it."""
        return self._board.load(symbol) if self._limits.of(symbol).of_the_account else None

    async def with_leave(self, turn: Turn, plan: Plan, make: MakePlan, take_back: Callable[[Plan], None]) -> Plan:
        """The plan that may be executed: this one if it needs no leave, else one made on the load at its own place."""
        symbol, source = plan.instrument.symbol, plan.source
        for _ in range(_TRIES):
            wish = wish_of(plan, self._clock.now_ns())
            if wish is None:
                return plan
            at = await turn.wait(self._board.ask(symbol, source, wish))
            for undecided in (self._board.undecided(symbol, at), False):
                take_back(plan)
                plan = make(self._board.load(symbol, at))
                wanted = wish_of(plan, self._clock.now_ns())
                if wanted is not None and wanted.exposure <= wish.exposure and wanted.orders <= wish.orders:
                    self._board.grant(symbol, source)
                    return plan
                if wanted is not None or not undecided:
                    break
                # Others that stand before this one may yet withdraw, and leave room for it.
                await turn.wait(self._board.decided(symbol, at, _UNDECIDED_S))
            self._board.release(symbol, source)
        take_back(plan)
        return make(None)  # it grew with every look: nothing is added on a load that is not known

    async def settled(self, symbol: str, source: str, left: Hold | None = None) -> None:
        """The plan's orders are written, or will not be; `left`: still to come. Returns when that is durable."""
        await self._board.release(symbol, source, left).durable()
