"""What we publish of an order: its transitions, numbered without a gap (requirements J01, J02)."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from domain.orders import OrderState, Sums, Times
from domain.protection import Protects


class EventKind(StrEnum):
    """What an event says."""

    CREATED = "created"
    SUBMITTED = "submitted"
    ACKNOWLEDGED = "acknowledged"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    AMENDED = "amended"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    FAILED = "failed"
    EXPIRED = "expired"
    UNCERTAIN = "uncertain"
    RESOLVED = "resolved"
    PENDING_CANCEL = "pending_cancel"
    PENDING_REPLACE = "pending_replace"
    TRIGGERED = "triggered"
    CLOSED_UNKNOWN = "closed_unknown"
    CORRECTED = "corrected"
    DRY_RUN = "dry_run"
    # Signal-level: no order came of it.
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


class FillDetail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was executed with a transition. Without an execution id it is the difference of two venue totals."""

    quantity: Decimal
    price: Decimal
    fee: Decimal | None = None
    fee_currency: str = ""
    execution_id: str = ""
    maker: bool | None = None
    executed_ns: int = 0
    kind: str = ""
    """What caused it, where that was no trade of the order's owner (requirement P06)."""
    other_fees: dict[str, Decimal] = msgspec.field(default_factory=dict)


class Latencies(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Nanoseconds between two moments of an order (requirement O08); absent until both are known."""

    signal_to_intent_ns: int | None = None
    intent_to_sent_ns: int | None = None
    sent_to_acknowledged_ns: int | None = None
    acknowledged_to_first_fill_ns: int | None = None


def latencies_of(times: Times) -> Latencies:
    """How long each leg took, as far as both of its ends are known."""
    return Latencies(
        signal_to_intent_ns=_between(times.signal_ns, times.created_ns),
        intent_to_sent_ns=_between(times.created_ns, times.sent_ns),
        sent_to_acknowledged_ns=_between(times.sent_ns, times.acknowledged_ns),
        acknowledged_to_first_fill_ns=_between(times.acknowledged_ns, times.first_fill_ns),
    )


def _between(start_ns: int, end_ns: int) -> int | None:
    return end_ns - start_ns if start_ns and end_ns else None


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One step of an order. It holds all that its event tells of the order at that moment, so that the same event
    can be built again from the row."""

    sequence: int
    kind: EventKind
    before: OrderState
    after: OrderState
    at_ns: int
    source: str
    origin: str
    reason: str
    cumulative: Sums
    leaves: Decimal
    quantity: Decimal
    price: Decimal | None
    fill: FillDetail | None = None
    details: dict[str, str] = msgspec.field(default_factory=dict)
    venue_order_id: str = ""
    latencies: Latencies = Latencies()
    protects: Protects | None = None
