"""What can be set about the Bybit adapter."""

from __future__ import annotations

from dataclasses import dataclass, field

from exchanges.http import Timeouts
from exchanges.rate_limit import Rate

REST_URL = "https://api.bybit.com"
STREAM_URL = "wss://stream.bybit.com/v5/private"

_ORDER_RATE = Rate(per_s=10, burst=10)
_QUERY_RATE = Rate(per_s=50, burst=50)
_ADDRESS_RATE = Rate(per_s=80, burst=400)


SETTLE_COINS = ("USDT", "USDC")
"""What linear contracts settle in."""


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The most calls that we make, by account and group of endpoints; fewer where the venue's headers say so.

    `address` is the limit of one network address over all calls: 600 per 5 s on the venue, of which we use two
    thirds, since breaking it bans the address for ten minutes. Source: Bybit v5, "Rate Limit".
    """

    create: Rate = _ORDER_RATE
    amend: Rate = _ORDER_RATE
    cancel: Rate = _ORDER_RATE
    query: Rate = _QUERY_RATE
    address: Rate = _ADDRESS_RATE


@dataclass(frozen=True, slots=True)
class StreamTimings:
    """The private stream's patience, seconds.

    The venue wants a ping every 20 s; a stream that said nothing for `silence_s`, pongs included, is dead. Waits
    between attempts double from `backoff_base_s` to `backoff_cap_s`, and start over when a connection held for
    `steady_s`. The cap keeps a return of the venue from going unnoticed for longer than 5 s (requirement J07), and
    is far from its limit of 500 connections in 5 minutes.
    """

    connect_s: float = 5.0
    answer_s: float = 5.0
    ping_s: float = 20.0
    silence_s: float = 45.0
    backoff_base_s: float = 0.25
    backoff_cap_s: float = 4.0
    steady_s: float = 10.0


@dataclass(frozen=True, slots=True)
class BybitOptions:
    """One account at Bybit, or at anything that speaks Bybit v5.

    `venue` is the name that instruments carry. `hedge` says that the account keeps two positions per contract.
    `settle_coins` are the coins that linear contracts settle in: without a symbol, questions are asked per coin.
    `history_lag_s` is how long an accepted order may be missing from every endpoint: the venue's creation is
    asynchronous and gives no figure, so this is ours.
    """

    key: str = field(repr=False)
    secret: str = field(repr=False)
    account: str = "main"
    venue: str = "bybit"
    rest_url: str = REST_URL
    stream_url: str = STREAM_URL
    categories: tuple[str, ...] = ("linear",)
    settle_coins: tuple[str, ...] = SETTLE_COINS
    hedge: bool = False
    receive_window_ms: int = 5000
    history_lag_s: float = 15.0
    timeouts: Timeouts = field(default_factory=Timeouts)
    rate_limits: RateLimits = field(default_factory=RateLimits)
    query_share: float = 1.0
    stream: StreamTimings = field(default_factory=StreamTimings)
    max_connections: int = 64

    def __post_init__(self) -> None:
        if not self.key or not self.secret:
            raise ValueError("NO_KEY: the Bybit adapter needs an API key and its secret")
        if unknown := set(self.categories) - {"linear", "inverse", "spot"}:
            raise ValueError(f"UNKNOWN_CATEGORY: {', '.join(sorted(unknown))}; known: linear, inverse, spot")
