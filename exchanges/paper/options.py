"""What can be set about a paper exchange before it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

FIRST_UID = 100_001
DEFAULT_MARKET_INTERVAL_S = 0.5


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key pair and the account (`uid`) that it opens. Several keys may open one account.

    With a public key (PEM) for a secret the calls are signed by RSA, with its private counterpart.
    """

    key: str
    secret: str = field(repr=False)
    uid: int = FIRST_UID


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Requests per second and account, by group of endpoints; None counts and shows, but refuses nothing.

    Source: Bybit v5, "Rate Limit": 10/s for the order calls of contracts, 20/s for those of spot (amending one: 10/s),
    50/s for questions, 25/s for the log of transactions, 10/s for settings and 5/s for those that are seldom asked or
    set; an address may send 600 requests in 5 s, or it is shut out for 10 minutes. What is public is limited by the
    address alone.
    """

    orders_per_s: int | None = None
    spot_orders_per_s: int | None = None
    queries_per_s: int | None = None
    settings_per_s: int | None = None
    logs_per_s: int | None = None
    seldom_per_s: int | None = None
    requests_per_5s_of_address: int | None = None
    address_ban_s: int = 600

    @classmethod
    def of_the_venue(cls) -> RateLimits:
        """The limits that the venue documents."""
        return cls(
            orders_per_s=10,
            spot_orders_per_s=20,
            queries_per_s=50,
            settings_per_s=10,
            logs_per_s=25,
            seldom_per_s=5,
            requests_per_5s_of_address=600,
        )


@dataclass(frozen=True, slots=True)
class PaperOptions:
    """Options of a paper exchange.

    `database` None keeps the books in memory; `cache_mib` is for pages of those on disk, 0 as SQLite has it.
    `market_interval_s` 0 freezes the market: it then moves only when the control API says so. `deposit` is in USDT, for
    each account, when its books are opened; `coins` are amounts of other coins. Fee rates are fractions of the value.
    `ack_delay_s` holds back the acknowledgements of the streams, because clients in the field register a subscription
    after they have sent it.
    `id_salt` goes into order and execution ids; None draws one when the books are opened, so that two sets of books
    never give the same id twice.

    `replay` is a file of recorded prices (`replay.py`), played `replay_speed` times as fast as it was recorded, 0 as
    fast as it goes; at its end the markets stand still, or it begins again (`replay_loops`).
    """

    host: str = "127.0.0.1"
    port: int = 9101
    database: Path | None = None
    cache_mib: int = 0
    keys: tuple[ApiKey, ...] = (ApiKey("paper-key", "paper-secret"),)
    seed: int = 1
    market_interval_s: float = DEFAULT_MARKET_INTERVAL_S
    deposit: Decimal = Decimal(100_000)
    leverage: Decimal = Decimal(10)
    maker_fee_rate: Decimal = Decimal("0.0002")
    taker_fee_rate: Decimal = Decimal("0.00055")
    spot_maker_fee_rate: Decimal = Decimal("0.001")
    spot_taker_fee_rate: Decimal = Decimal("0.001")
    coins: tuple[tuple[str, Decimal], ...] = ()
    latency_s: float = 0.0
    ack_delay_s: float = 0.02
    public_interval_s: float = 0.1
    rate_limits: RateLimits = RateLimits()
    max_open_orders_per_symbol: int = 500
    unfilled_history_s: int = 24 * 3600
    id_salt: str | None = None
    replay: Path | None = None
    replay_speed: float = 1.0
    replay_loops: bool = False

    def __post_init__(self) -> None:
        if not self.keys:
            raise ValueError("NO_KEYS: a paper exchange needs at least one API key")
        if len({pair.key for pair in self.keys}) != len(self.keys):
            raise ValueError("KEY_TWICE: each API key may be given once")
        if self.replay_speed < 0:
            raise ValueError(f"SPEED_NEGATIVE: replay_speed={self.replay_speed}")
        if self.market_interval_s < 0:
            raise ValueError(f"INTERVAL_NEGATIVE: market_interval_s={self.market_interval_s}")
