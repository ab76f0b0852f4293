"""What the web views are given: tables to read, and ways to ask the rest of the process for things."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from aiohttp import web

from app.metrics import Metrics
from app.snapshot_log import SnapshotLog
from domain.commands import Command
from domain.instruments import Instrument
from streams.alert_board import AlertAction, FoldedAlert
from streams.boards import Control
from streams.explaining import Explainer
from streams.exposure import ExposureBoard
from streams.limits_board import LimitsBoard, ScopeLimits
from streams.signal_door import SignalDoor
from tables.queries import MAX_SCANNED
from tables.rows import Rows


class Scope(StrEnum):
    """What a key allows: `trade` includes `read`."""

    READ = "read"
    TRADE = "trade"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that is let in. Only its SHA-256 (hex) is kept; `name` says whose it is, in logs and records."""

    name: str
    sha256: str
    scope: Scope


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of readiness; `reason` is empty where it holds."""

    name: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """An instrument's mark price in quote currency, as of ns UTC."""

    price: Decimal
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """`own_url` is where other workers find this one; `internal_key` is what workers show each other: without it, no
    worker asks another. `open_paths` need no key besides the probes and metrics: exact, or a folder ending in `/*`.
    Raises `ValueError` for one that would open everything."""

    partitions: int
    own_url: str = ""
    dry_run: bool = False
    internal_key: str = field(default="", repr=False)
    peer_timeout_s: float = 2.0
    publish_timeout_s: float = 5.0
    max_scanned: int = MAX_SCANNED
    wrong_keys_per_minute: int = 10
    venues: frozenset[str] = frozenset()
    open_paths: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if "/*" in self.open_paths:
            raise ValueError("OPEN_PATHS: /* would open every view")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebContext:
    """Everything the views use. All callables answer at once, from memory; the awaitable ones return when the broker
    has acknowledged, and raise when it could not."""

    settings: WebSettings
    orders: Rows
    signals: Rows
    positions: Rows
    partition_of: Callable[[str], int]
    """The partition of a symbol."""
    api_keys: Callable[[], Iterable[ApiKey]]
    """The keys in force now: read anew for every request, so keys rotate without restart."""
    metrics: Metrics
    checks: Callable[[], Sequence[Check]]
    """The conditions of readiness."""
    peers: Callable[[], Mapping[str, frozenset[int]]]
    """URL of each other worker, and the partitions it has."""
    publish_command: Callable[[Command], Awaitable[None]]
    controls: Callable[[], Sequence[Control]]
    set_control: Callable[[Control], Awaitable[None]]
    alerts: Callable[[], Sequence[FoldedAlert]]
    act_on_alert: Callable[[AlertAction], Awaitable[None]]
    mark: Callable[[Instrument], Mark | None]
    limits: LimitsBoard
    """Limits in force, and how they came about."""
    set_limits: Callable[[ScopeLimits], Awaitable[None]]
    exposure: ExposureBoard | None = None
    """What the account carries."""
    publish_everywhere: Callable[[Command], Awaitable[None]] | None = None
    """Publish a command for `EVERY_SYMBOL` to every partition; without it, such commands are refused."""
    snapshots: SnapshotLog | None = None
    """The archive of what positions were at regular moments; without it, such questions are refused."""
    explainer: Explainer | None = None
    """What would be decided about a signal."""
    signal_door: SignalDoor | None = None
    """Where signals may be handed in; without it, none is taken."""
    now_ns: Callable[[], int] = time.time_ns


CONTEXT: web.AppKey[WebContext] = web.AppKey("context", WebContext)
