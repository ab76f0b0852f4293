"""What planning asks of the account beyond the instrument: limits, the whole load, what others reserve, and leave to
add to it (requirements R02, R03, R04)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from domain.exposure import Hold, wish_of
from domain.instruments import Instrument
from domain.limits import AccountLoad, Limits
from domain.plans import Plan
from streams.exposure import ExposureBoard
from streams.limits_board import LimitsBoard
from streams.ports import Clock, Turn

_UNDECIDED_S = 2.0
_TRIES = 4


@dataclass(frozen=True, slots=True)
class Look:
    """What a plan may know of the whole account. `load`: where a limit asks for it. `before`: the offset at which its
    own wish stands, as wishes behind it don't count; None: all count. Not `known`: nothing may be added."""

    load: AccountLoad | None = None
    before: int | None = None
    known: bool = True


MakePlan = Callable[[Look], Plan]
"""Plans on the facts as they are now, with this look at the account, and reserves from the balance, in one step."""


class Account:
    """Limits and load. A plan that adds to the load of an account with limits, or takes from a balance that other
    workers plan on too, needs leave: it is asked for in the log (see `domain.exposure`), and the plan is made again on
    the load as it stood there."""

    def __init__(self, *, limits: LimitsBoard, board: ExposureBoard, clock: Clock) -> None:
        self._limits = limits
        self._board = board
        self._clock = clock

    def limits(self, symbol: str) -> Limits:
        """In force for the symbol."""
        return self._limits.of(symbol)

    def look(self, instrument: Instrument, before: int | None = None) -> Look:
        """What the account carries, wishes of others included."""
        limited = self._limits.of(instrument.symbol).of_the_account
        return Look(self._board.load(instrument, before) if limited else None, before)

    def reserved(self, currency: str, balance_at_ns: int, look: Look) -> Decimal:
        """What other workers' orders may take from a balance of that time."""
        return self._board.reserved(currency, balance_at_ns, look.before)

    async def with_leave(self, turn: Turn, plan: Plan, make: MakePlan, take_back: Callable[[Plan], None]) -> Plan:
        """The plan that may be executed: this one if it needs no leave, else one made on the load at its own place."""
        instrument, source = plan.instrument, plan.source
        for _ in range(_TRIES):
            wish = self._wish_of(plan)
            if wish is None:
                self._board.release(instrument, source)  # a turn that ended early may have asked for it
                return plan
            at = await turn.wait(self._board.ask(instrument, source, wish))
            for undecided in (self._board.undecided(instrument, at), False):
                take_back(plan)
                plan = make(self.look(instrument, at))
                wanted = self._wish_of(plan)
                if wanted is not None and wish.covers(wanted):
                    self._board.grant(instrument, source)
                    return plan
                if wanted is not None or not undecided:
                    break
                # Others that stand before this one may yet withdraw, and leave room for it.
                await turn.wait(self._board.decided(instrument, at, _UNDECIDED_S))
            self._board.release(instrument, source)
        take_back(plan)
        return make(Look(known=False))  # it grew with every look: nothing is added on a load that is not known

    def _wish_of(self, plan: Plan) -> Hold | None:
        return wish_of(plan, self._clock.now_ns(), balance_shared=not self._board.alone)

    def held(self, plan: Plan, since_part: int) -> Hold | None:
        """What the plan's orders from this part on still add: it stays held."""
        return wish_of(plan, self._clock.now_ns(), since_part=since_part)

    def changed(self, instrument: Instrument) -> None:
        """Orders of the instrument are others than before, and no update tells of it."""
        self._board.note(instrument)

    def executes(self, plan: Plan) -> None:
        """A stored plan is executed again: what it was granted stands, though a crash may have kept that from the
        log."""
        self._board.grant(plan.instrument, plan.source)

    def holds(self, instrument: Instrument, source: str) -> bool:
        """Whether something is asked for the signal, or held."""
        return self._board.holds(instrument, source)

    async def settled(self, instrument: Instrument, source: str, left: Hold | None = None) -> None:
        """The plan's orders are written, or will not be; `left`: still to come. Returns when that is durable."""
        await self._board.release(instrument, source, left).durable()
