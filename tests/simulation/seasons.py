"""Weathers of a kind: what a seed draws, with one more part of the order manager at work."""

from __future__ import annotations

import random
from dataclasses import replace

from domain.instruments import INVERSE, LINEAR, SPOT
from domain.plans import ScaleInMode
from simulation.weather import Weather, drawn


def protecting(seed: int) -> Weather:
    """Signals bring take-profits and stop-losses, the market triggers them, and a stop-loss may follow by itself."""
    chance = _chance("protecting", seed)
    return replace(
        drawn(seed),
        protected=chance.choice((0.0, 0.3, 0.8)),
        triggered=chance.choice((0.05, 0.2)),
        auto_stop=chance.random() < 0.7,
        by_hand=chance.choice((0, 0, 5, 12)),
        scale_in=chance.choice(tuple(ScaleInMode)),
    )


def amending(seed: int) -> Weather:
    """Resting orders take signals up."""
    chance = _chance("amending", seed)
    return replace(
        drawn(seed),
        scale_in=ScaleInMode.AMEND,
        symbols=chance.randint(1, 2),
        signals=chance.randint(10, 30),
        repeats=chance.choice((0.1, 0.5)),
        by_hand=chance.choice((0, 0, 0, 5)),
        split_over=0,
    )


def rehearsing(seed: int) -> Weather:
    """Processes are started in a dry run, or for real, as it comes."""
    chance = _chance("rehearsing", seed)
    return replace(
        drawn(seed),
        dry_run=chance.choice((0.3, 0.5, 1.0)),
        crashes=chance.randint(2, 6),
        repeats=chance.choice((0.1, 0.5)),
        scale_in=chance.choice((ScaleInMode.REPLACE, ScaleInMode.AMEND)),
        protected=chance.choice((0.0, 0.3)),
    )


def hedging(seed: int) -> Weather:
    """Symbols have a long and a short side, and signals of both."""
    chance = _chance("hedging", seed)
    return replace(
        drawn(seed),
        hedge=True,
        symbols=chance.randint(1, 3),
        signals=chance.randint(10, 30),
        allow_short=chance.random() < 0.9,
        by_hand=chance.choice((0, 5, 12)),
        sideless=chance.choice((0.0, 0.3, 1.0)),
        protected=chance.choice((0.0, 0.0, 0.5)),
        triggered=chance.choice((0.0, 0.1)),
        auto_stop=chance.random() < 0.3,
        scale_in=chance.choice(tuple(ScaleInMode)),
    )


def coins(seed: int) -> Weather:
    """Spot pairs and inverse contracts, which take, win and lose coins; sometimes there are few of these."""
    chance = _chance("coins", seed)
    tight = chance.random() < 0.5
    return replace(
        drawn(seed),
        categories=chance.choice(((SPOT,), (INVERSE,), (SPOT, INVERSE), (LINEAR, SPOT, INVERSE))),
        symbols=chance.randint(1, 2),
        signals=chance.randint(10, 40),
        by_hand=0 if tight else chance.choice((0, 5, 12)),
        deposit=chance.choice((0, 3, 10)),
        transfers=0 if tight else chance.choice((0, 3, 8)),
        balance=chance.choice((300, 1000)) if tight else 0,
        account=True,
        flat_prices=tight,
        allow_short=not tight and chance.random() < 0.7,
        skew_s=0.0 if tight else drawn(seed).skew_s,
        protected=chance.choice((0.0, 0.3)),
        auto_stop=chance.random() < 0.3,
        triggered=chance.choice((0.0, 0.1)),
        scale_in=chance.choice(tuple(ScaleInMode)),
    )


def sharing(seed: int) -> Weather:
    """Several processes share an account and its limits."""
    chance = _chance("sharing", seed)
    workers = chance.choice((1, 2, 2, 3))
    return replace(
        drawn(seed),
        workers=workers,
        partitions=max(workers, chance.randint(2, 4)),
        symbols=4,
        signals=chance.randint(10, 40),
        busy_s=chance.choice((10.0, 30.0, 60.0)),
        account=True,
        flat_prices=True,
        allow_short=False,
        by_hand=0,
        skew_s=0.0,
        slow_broadcasts=chance.choice((0.0, 0.1, 0.4)),
        max_exposure=chance.choice((0, 300, 800)),
        max_open_orders=chance.choice((0, 3, 6)),
        max_orders_per_minute=chance.choice((0, 0, 5)),
        max_daily_loss=chance.choice((0, 0, 5)),
        balance=chance.choice((0, 500, 1500)),
        scale_in=chance.choice(tuple(ScaleInMode)),
        split_over=chance.choice((0, 0, 60)),
    )


def sharing_sides(seed: int) -> Weather:
    """The same, in hedge mode: the limits count both sides."""
    chance = _chance("sharing sides", seed)
    return replace(sharing(seed), hedge=True, allow_short=True, sideless=chance.choice((0.0, 0.3)))


def staggered(seed: int) -> Weather:
    """An account that is shared, where orders of one symbol wait with parts for seconds, and others come meanwhile."""
    chance = _chance("staggered", seed)
    return replace(
        hurried(sharing(seed), delayed=0.0),
        symbols=1,
        signals=30,
        split_over=60,
        part_s=chance.choice((1.0, 6.0)),
        scale_in=chance.choice(tuple(ScaleInMode)),
        max_exposure=chance.choice((0, 300)),
        max_open_orders=chance.choice((0, 6)),
        balance=chance.choice((0, 0, 500)),
        crashes=chance.choice((0, 0, 4)),
    )


def drifting(seed: int) -> Weather:
    """A shared account with clocks that differ, and balances that the stream tells, late and in no order."""
    chance = _chance("drifting", seed)
    weather = replace(
        sharing(seed),
        balance=chance.choice((500, 500, 1500)),
        clocks_apart_s=chance.choice((0.0, 0.1, 0.25, 2.0)),
        receive_window_s=5.0,
        told_balances=chance.random() < 0.8,
    )
    if chance.random() < 0.6:
        return weather
    return replace(
        hurried(weather, delayed=chance.choice((0.0, 0.5))), crashes=chance.choice((0, 6)), effects_between_crashes=200
    )


def hurried(weather: Weather, *, delayed: float) -> Weather:
    """People send all the time, nothing but the balance stands against it, and all works, but that messages come late:
    what a balance shows decides from moment to moment."""
    return replace(
        weather,
        signals=60,
        busy_s=15.0,
        delayed=delayed,
        balance=1000,
        max_exposure=0,
        max_open_orders=0,
        max_orders_per_minute=0,
        max_daily_loss=0,
        signal_max_age_s=60.0,
        split_over=0,
        commands=0,
        crashes=0,
        handovers=0,
        lease_doubts=0,
        slow_broker=0.0,
        slow_delivery=0.0,
        slow_broadcasts=0.0,
        lost_request=0.0,
        lost_reply=0.0,
        late_request=0.0,
        no_connection=0.0,
        rate_limited=0.0,
        refused=0.0,
        server_error=0.0,
        failed_read=0.0,
        maintenance=0,
        late_reject=0.0,
        taker_cancel=0.0,
        misplaced=0.0,
        garbage=0.0,
        stale=0.0,
        halts=0,
    )


def _chance(kind: str, seed: int) -> random.Random:
    return random.Random(f"{kind} {seed}")  # noqa: S311 -- a simulation, not a secret
