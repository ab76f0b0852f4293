"""Settings of the engine, checked against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any  # of aiokafka's arguments, which are of many types

A_DAY_S = 86_400.0
COMMIT_INTERVAL_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """Settings of the engine; times in seconds. `docs/engine.md` says how they hang together."""

    app_id: str
    bootstrap: str
    """Broker addresses, `host:port[,host:port]`."""
    security: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of all aiokafka clients: `security_protocol`, `ssl_context`, `sasl_…`."""
    data_directory: Path
    """This worker's own: local stores, a cache that may be deleted while the worker is down."""
    partitions: int = 8
    replication_factor: int = 1
    web_enabled: bool = True
    web_host: str = "127.0.0.1"
    web_port: int = 6066
    session_timeout_s: float = 10.0
    heartbeat_s: float = 1.0
    lease_margin_s: float = 2.0
    """At least the time from a check to the first byte on the wire."""
    drain_limit_s: float = 20.0
    """More than the longest call to a venue, less than the rebalance time-out."""
    rebalance_timeout_s: float = 30.0
    commit_interval_s: float = COMMIT_INTERVAL_S
    request_timeout_s: float = 15.0
    delivery_limit_s: float = 120.0
    """A record not acknowledged for this long ends the process."""
    max_record_bytes: int = 1_000_000
    max_unacknowledged_records: int = 20_000
    poll_records: int = 500
    reader_waiting: int = 1_000
    """Records delivered and not yet taken, per input topic."""
    store_memory_bytes: int = 128 << 20
    """Of all local stores together."""
    tombstones_kept_s: float = 6 * A_DAY_S
    """A store that has not followed its changelog for longer is built anew: less than `delete.retention.ms`."""
    progress_limit_s: float = 300.0
    """The watchdog ends the process when nothing is finished for this long although records wait; 0: never."""
    turn_limit_s: float = 1_800.0
    """The same for a single record that is being handled for this long, whatever else is finished; 0: never."""
    metadata_max_age_s: float = 60.0

    def __post_init__(self) -> None:
        if not self.drain_limit_s < self.rebalance_timeout_s:
            raise ValueError(
                f"DRAIN_LIMIT: {self.drain_limit_s} s must be less than the rebalance time-out, "
                f"{self.rebalance_timeout_s} s"
            )
        if self.heartbeat_s * 3 > self.session_timeout_s - self.lease_margin_s:
            raise ValueError(
                f"HEARTBEAT: {self.heartbeat_s} s leaves less than three heartbeats within the lease, "
                f"{self.session_timeout_s - self.lease_margin_s} s"
            )
        if self.session_timeout_s > self.request_timeout_s:
            raise ValueError(
                f"REQUEST_TIMEOUT: {self.request_timeout_s} s is less than the session time-out, "
                f"{self.session_timeout_s} s"
            )
