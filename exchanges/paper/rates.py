"""Requests per second of an account, by endpoint, over a rolling second; told with every reply."""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import Final

from exchanges.paper.options import RateLimits

WINDOW_MS: Final = 1000
ADDRESS_WINDOW_MS: Final = 5000


class RateGroup(StrEnum):
    """Endpoints that have the same limit, each for itself, as on the venue."""

    CREATE = "create"
    AMEND = "amend"
    CANCEL = "cancel"
    CANCEL_ALL = "cancel-all"
    CREATE_BATCH = "create-batch"
    AMEND_BATCH = "amend-batch"
    CANCEL_BATCH = "cancel-batch"
    QUERY = "query"
    SETTING = "setting"
    LOG = "log"
    SELDOM = "seldom"
    PUBLIC = "public"

    @property
    def is_of_orders(self) -> bool:
        """True if spot and contracts are counted apart, and not as one."""
        return self in _OF_ORDERS


_OF_ORDERS: Final = frozenset({
    RateGroup.CREATE, RateGroup.AMEND, RateGroup.CANCEL, RateGroup.CANCEL_ALL,
    RateGroup.CREATE_BATCH, RateGroup.AMEND_BATCH, RateGroup.CANCEL_BATCH,
})  # fmt: skip

UNLIMITED_PER_S: Final = 10_000
"""What the headers say where no limit is enforced. Not the documented 10 per second: clients that follow the headers,
as they should, would slow themselves down to it."""


class RateVerdict:
    """The state of a bucket after one request: what the three headers say, whether the request was over it, and how
    many orders of a batch were not."""

    __slots__ = ("allowed", "granted", "limit", "remaining", "reset_at_ms")

    def __init__(self, limit: int, remaining: int, reset_at_ms: int, *, allowed: bool, granted: int = 1) -> None:
        self.granted = granted
        self.limit = limit
        self.remaining = remaining
        self.reset_at_ms = reset_at_ms
        self.allowed = allowed

    def headers(self) -> dict[str, str]:
        return {
            "X-Bapi-Limit": str(self.limit),
            "X-Bapi-Limit-Status": str(self.remaining),
            "X-Bapi-Limit-Reset-Timestamp": str(self.reset_at_ms),
        }


class RateCounters:
    """Rolling counters per account and endpoint; the order calls of spot have their own. What is public is not counted:
    nobody knows whose it is, and the venue limits it by address alone."""

    def __init__(self, limits: RateLimits) -> None:
        orders, spot = limits.orders_per_s, limits.spot_orders_per_s
        self._enforced: dict[RateGroup, int | None] = {
            **dict.fromkeys(_OF_ORDERS, orders),
            RateGroup.QUERY: limits.queries_per_s,
            RateGroup.SETTING: limits.settings_per_s,
            RateGroup.LOG: limits.logs_per_s,
            RateGroup.SELDOM: limits.seldom_per_s,
        }
        self._enforced_on_spot = {**dict.fromkeys(_OF_ORDERS, spot), RateGroup.AMEND: orders}
        self._seen: dict[tuple[int, str, bool], deque[int]] = {}

    def count(
        self, uid: int, endpoint: str, group: RateGroup, now_ms: int, wanted: int = 1, *, on_spot: bool = False
    ) -> RateVerdict:
        """Count one request, or the `wanted` orders of a batch: as many as the limit has room for. A request for which
        there is none is refused and not counted. Each endpoint has a bucket of its own, with the limit of its group;
        `on_spot` says of an order call that it is about spot orders."""
        if group is RateGroup.PUBLIC:
            return RateVerdict(UNLIMITED_PER_S, UNLIMITED_PER_S - 1, now_ms, allowed=True)
        on_spot = on_spot and group.is_of_orders
        seen = self._seen.setdefault((uid, endpoint, on_spot), deque())
        while seen and seen[0] <= now_ms - WINDOW_MS:
            seen.popleft()
        enforced = (self._enforced_on_spot if on_spot else self._enforced)[group]
        limit = enforced if enforced is not None else UNLIMITED_PER_S
        granted = wanted if enforced is None else min(wanted, enforced - len(seen))
        if granted <= 0:
            return RateVerdict(limit, 0, seen[0] + WINDOW_MS, allowed=False, granted=0)
        seen.extend([now_ms] * granted)
        return RateVerdict(limit, max(0, limit - len(seen)), now_ms, allowed=True, granted=granted)


class AddressCounters:
    """Requests of an address over five seconds; one that sends more is shut out for a while."""

    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits
        self._seen: dict[str, deque[int]] = {}
        self._shut_until_ms: dict[str, int] = {}

    def allows(self, address: str, now_ms: int) -> bool:
        """Count one request and say whether it may be served."""
        limit = self._limits.requests_per_5s_of_address
        if limit is None:
            return True
        if now_ms < self._shut_until_ms.get(address, 0):
            return False
        seen = self._seen.setdefault(address, deque())
        while seen and seen[0] <= now_ms - ADDRESS_WINDOW_MS:
            seen.popleft()
        seen.append(now_ms)
        if len(seen) > limit:
            self._shut_until_ms[address] = now_ms + self._limits.address_ban_s * 1000
            return False
        return True
