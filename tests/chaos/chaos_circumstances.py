"""What a seed draws before anything runs: how many parts there are, and with which settings."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "ADAUSDT", "LINKUSDT", "LTCUSDT")
LINEAR = tuple((symbol, "linear") for symbol in SYMBOLS)
OTHERS = (("BTCUSDT", "spot"), ("ETHUSDT", "spot"), ("BTCUSD", "inverse"), ("ETHUSD", "inverse"))

_ALWAYS: dict[str, Any] = {  # Any: settings have many types
    "instance": "chaos",
    "account": "chaos",
    "reconcile_interval_s": 20.0,
    "position_validation_interval_s": 30.0,
    "paper_deposit": 50_000_000,
    "max_exposure": 10_000_000,  # never reached, but every order is asked for in the log
}
_SHORT: dict[str, Any] = {
    "session_timeout_s": 6.0,
    "history_lag_s": 1.0,
    "receive_window_ms": 2_000,
    "venue_timeout_s": 4.0,
    "doubt_s": 2.0,
    "drain_limit_s": 12.0,
}


@dataclass(frozen=True, slots=True)
class Circumstances:
    """`settings` are changes of the defaults; `lanes` is how many things go wrong side by side."""

    workers: int
    gateways: int
    lanes: int
    rate_per_s: float
    settings: dict[str, Any]

    @property
    def markets(self) -> tuple[tuple[str, str], ...]:
        """Symbol and category of everything that is traded."""
        return LINEAR + (OTHERS if "categories" in self.settings else ())

    @property
    def hedges(self) -> bool:
        """Whether a symbol may have a long and a short position at once."""
        return self.settings.get("position_mode") == "hedge"

    @property
    def splits(self) -> bool:
        """Whether a signal may have several orders."""
        return bool(self.settings.get("enable_order_splitting"))

    @property
    def session_s(self) -> float:
        """How long a worker may be silent before the group goes on without it."""
        return float(self.settings.get("session_timeout_s", 10.0))


def drawn(draw: random.Random, *, workers: int = 0) -> Circumstances:
    """What this seed gives; `workers` says how many there are instead."""
    settings = _ALWAYS | {
        "partitions": draw.choice([3, 8]),
        "paper_seed": draw.randrange(1_000_000),
        "paper_market_interval_s": draw.choice([0.1, 0.5]),
        "paper_latency_s": draw.choice([0.0, 0.05, 0.2]),
        "allow_short": draw.random() < 0.7,
        "scale_in_mode": draw.choice(["replace", "new", "amend"]),
        "venue_orders_per_s": draw.choice([10.0, 50.0]),
        "signal_max_age_s": draw.choice([20.0, 60.0, 300.0]),
        "cancel_opposite_orders_only": draw.random() < 0.3,
        "cancel_partially_filled": draw.random() < 0.3,
        "auto_stop_loss": draw.random() < 0.25,
        "enable_balance_check": draw.random() < 0.8,
    }
    if draw.random() < 0.35:
        interval_s = draw.choice([0.0, 0.5])
        settings |= {"enable_order_splitting": True, "max_single_order_size": 400, "split_interval_s": interval_s}
    if draw.random() < 0.3:
        settings |= {"cancel_stale_order_timeout_s": 10.0, "stale_action": draw.choice(["cancel", "replace"])}
    if draw.random() < 0.5:
        settings |= _SHORT
    if draw.random() < 0.25:
        settings |= {"categories": "linear,spot,inverse", "paper_coins": "BTC=100,ETH=1000"}
    if draw.random() < 0.2:
        settings |= {"position_mode": "hedge"}
    gateways = draw.choice([1, 1, 1, 2])
    return Circumstances(
        workers=workers or draw.choice([1, 2, 2, 3]),
        gateways=gateways,
        lanes=draw.choice([1, 2, 2]),
        rate_per_s=draw.choice([3.0, 6.0]),
        settings=settings | {"gateways": gateways},
    )
