"""Orders that a venue lists, and what is seen of comparing them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from quiet_venue import SECOND
from trading_desk import TOPICS, Desk

from domain.orders import Evidence, LocalState, Order, OrderState, Times, VenueState
from streams.recovery import Comparison


def at_venue(desk: Desk, order_id: str = "om1", *, shown: bool = True, age_s: float = 60.0, **terms: Any) -> Order:
    """An order that the venue has accepted, and (if `shown`) has told of as open."""
    at_ns = desk.clock.now_ns() - int(age_s * SECOND)
    seen = Evidence(
        state=VenueState.LIVE,
        raw_status="live",
        terms_at_ns=at_ns,
        price=Decimal(100),
        quantity=Decimal(1),
        terms_rank=VenueState.LIVE.rank,
    )
    fields: dict[str, Any] = {
        "age_s": age_s,
        "local": LocalState.ACCEPTED,
        "state": OrderState.ACKNOWLEDGED,
        "venue_order_id": f"venue-{order_id}",
        "evidence": seen if shown else Evidence(),
        "times": Times(created_ns=at_ns, acknowledged_ns=at_ns, updated_ns=at_ns),
    }
    return desk.intend(order_id, **(fields | terms))


def order_of(desk: Desk, order_id: str = "om1") -> Order:
    """The order's row."""
    order = desk.orders.get(0, order_id)
    assert order is not None
    return order


def published(desk: Desk) -> int:
    """How many updates there are."""
    return len(desk.log.records[TOPICS.order_updates])


def alerts(desk: Desk) -> list[str]:
    """The codes of what a person was told."""
    return [msgspec.json.decode(record.value or b"")["code"] for record in desk.log.records[TOPICS.alerts]]


def words(found: Comparison) -> dict[str, str]:
    """The items by order."""
    return {item.order_id: str(item) for item in found.orders}
