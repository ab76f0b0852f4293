"""What would be decided about a signal now, gate by gate, without doing anything (requirement D13)."""

from __future__ import annotations

from domain.drafts import position_side_of
from domain.ids import trace_id
from domain.instruments import Instrument
from domain.orders import Side
from domain.planning import plan_signal
from domain.plans import Plan
from domain.signals import Signal
from streams.facts import FactsGatherer
from streams.ports import Clock
from streams.signal_agent import SignalSettings
from tables.signals import SignalTable


class Explainer:
    """Plans like the signal agent, on the state as it stands, and forgets the plan. Nothing is reserved or written."""

    def __init__(self, *, signals: SignalTable, facts: FactsGatherer, clock: Clock, settings: SignalSettings) -> None:
        self._signals = signals
        self._facts = facts
        self._clock = clock
        self._settings = settings

    async def explain(self, partition: int, signal: Signal) -> Plan:
        """The plan for a signal whose symbol's partition is ours. Raises `VenueError` if the rules can't be had."""
        settings = self._settings
        instrument = Instrument(settings.venue, signal.category or settings.categories[0], signal.symbol)
        row = self._signals.get(partition, signal.symbol, signal.signal_id)
        attempt = 1 if row is None else row.attempt + 1
        side = position_side_of(signal, settings.plan.position_mode, instrument.category)
        facts = await self._facts.gather(
            partition,
            instrument,
            attempt,
            side,
            self._clock.now_ns(),
            buys=signal.signal_type is Side.BUY,
            strategy_id=signal.strategy_id,
        )
        source = f"plan-{trace_id(signal.signal_id)}"
        return plan_signal(signal, facts, settings.plan, instrument=instrument, source=source, phase=1)
