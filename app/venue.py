"""The venue of the settings, as the adapter that speaks to it."""

from __future__ import annotations

from enum import Enum

from app.settings import Settings
from domain.plans import PositionMode
from exchanges.bybit.options import BybitOptions, RateLimits
from exchanges.http import Timeouts
from exchanges.rate_limit import Rate


class Reader(Enum):
    """Who reads from the venue, and the part of the account's reads that all of the kind may make together: workers,
    gateways and checks know nothing of each other's reads, and must not exceed the limit between them (X07)."""

    WORKERS = 0.5
    GATEWAYS = 0.2
    CHECKS = 0.3


def bybit_options(settings: Settings, reader: Reader = Reader.WORKERS) -> BybitOptions:
    """Bybit, its testnet and the paper exchange differ by addresses, keys and limits only."""
    key, secret = settings.key_pair
    orders = Rate(per_s=settings.venue_orders_per_s, burst=max(1, int(settings.venue_orders_per_s)))
    queries = Rate(per_s=settings.venue_queries_per_s, burst=max(1, int(settings.venue_queries_per_s)))
    address = Rate(per_s=settings.venue_address_per_s, burst=max(1, int(settings.venue_address_per_s)))
    total_s = settings.venue_timeout_s
    return BybitOptions(
        key=key,
        secret=secret,
        account=settings.account,
        venue=settings.venue.value,
        rest_url=settings.rest_url,
        stream_url=settings.stream_url,
        categories=settings.traded_categories,
        hedge=settings.position_mode is PositionMode.HEDGE,
        receive_window_ms=settings.receive_window_ms,
        history_lag_s=settings.history_lag_s,
        timeouts=Timeouts(connect_s=min(2.0, total_s / 2), read_s=total_s, total_s=total_s),
        rate_limits=RateLimits(create=orders, amend=orders, cancel=orders, query=queries, address=address),
        query_share=reader.value,
    )
