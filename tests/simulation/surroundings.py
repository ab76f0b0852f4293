"""What outlives a process, and how every process is set up."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from decimal import Decimal

from domain.instruments import Instrument
from domain.limits import Limits
from domain.orders import Side
from domain.plans import PlanSettings, PositionMode
from simulation.books import Books
from simulation.broker import Broker
from simulation.calls import Road
from simulation.effects import Effects
from simulation.market import SimulatedMarket
from simulation.venue_orders import INSTANCE
from simulation.virtual_time import SimulatedClock, VirtualLoop
from simulation.weather import Weather
from streams.topics import Topics


@dataclass(slots=True)
class Surroundings:
    """What outlives a process."""

    loop: VirtualLoop
    clock: SimulatedClock
    broker: Broker
    topics: Topics
    books: Books
    road: Road
    market: SimulatedMarket
    effects: Effects
    weather: Weather
    chance: random.Random
    orders_grow_stale: bool = True
    """While it is so; replacing what is stale would go on for ever."""
    sent_up_to: dict[tuple[Instrument, Side], int] = field(default_factory=dict)
    """Per instrument and side the offset of the last signal that was sent, whichever process did it."""


def plan_settings(weather: Weather, *, dry_run: bool) -> PlanSettings:
    """What orders are decided by."""
    return PlanSettings(
        instance=INSTANCE,
        dry_run=dry_run,
        allow_short=weather.allow_short,
        cancel_opposite_orders_only=weather.opposite_only,
        cancel_partially_filled=weather.cancel_partially_filled,
        signal_max_age_ns=int(weather.signal_max_age_s * 1_000_000_000),
        market_order_spread_threshold=Decimal("0.003"),
        enable_order_splitting=bool(weather.split_over),
        max_single_order_size=Decimal(weather.split_over) if weather.split_over else None,
        split_interval_ns=int(weather.part_s * 1_000_000_000),
        scale_in_mode=weather.scale_in,
        position_mode=PositionMode.HEDGE if weather.hedge else PositionMode.ONE_WAY,
    )


def limits(weather: Weather) -> Limits:
    """What the whole account may carry, and lose."""
    return Limits(
        max_exposure=Decimal(weather.max_exposure) if weather.max_exposure else None,
        max_open_orders=weather.max_open_orders or None,
        max_orders_per_minute=weather.max_orders_per_minute or None,
        max_daily_loss=Decimal(weather.max_daily_loss) if weather.max_daily_loss else None,
        max_drawdown=Decimal(weather.max_drawdown) if weather.max_drawdown else None,
    )
