"""Limits on what may be traded, and what the account has in hand against them (requirements R03, R04).

Amounts are in quote currency, ratios are fractions; None = no such limit. A limit of one symbol replaces the general
one by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

import msgspec

from domain.errors import InvalidInput
from domain.money import ZERO, parse_amount


class RiskAction(StrEnum):
    """What becomes of an order over a limit of size: refused, or made as large as the limit allows."""

    REJECT = "reject"
    SHRINK = "shrink"


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every limit of R03. Exposure is notional at the order's or the market's price, orders in flight included."""

    max_order_size: Decimal | None = None
    max_market_order_size: Decimal | None = None
    max_order_size_ratio: Decimal | None = None
    """Of the available balance."""
    max_position_size: Decimal | None = None
    """Of one symbol: what is held and what open orders may add."""
    max_exposure: Decimal | None = None
    """Over all symbols of the account."""
    max_open_orders_per_symbol: int | None = None
    max_open_orders: int | None = None
    max_orders_per_minute: int | None = None
    max_notional_per_minute: Decimal | None = None
    max_daily_volume: Decimal | None = None
    """Traded since midnight UTC."""
    max_weekly_volume: Decimal | None = None
    """Traded since Monday's midnight UTC."""
    max_daily_loss: Decimal | None = None
    """Realised and unrealised, less fees, since midnight UTC. Reached: trading is halted."""
    max_drawdown: Decimal | None = None
    """Of the account's highest worth, as a fraction of it. Reached: trading is halted."""

    @property
    def of_the_account(self) -> bool:
        """Whether any limit needs figures of all symbols."""
        return any(getattr(self, name) is not None for name in _ACCOUNT_WIDE)


_ACCOUNT_WIDE = (
    "max_exposure",
    "max_open_orders",
    "max_orders_per_minute",
    "max_notional_per_minute",
    "max_daily_volume",
    "max_weekly_volume",
    "max_daily_loss",
    "max_drawdown",
)
_COUNTS = frozenset({"max_open_orders_per_symbol", "max_open_orders", "max_orders_per_minute"})
_FRACTIONS = frozenset({"max_order_size_ratio", "max_drawdown"})
LIMIT_NAMES = tuple(Limits.__struct_fields__)


def read_limits(given: Mapping[str, object]) -> dict[str, Decimal | int | None]:
    """Limits by name from outside; null lifts one. Raises `InvalidInput` with every reason."""
    found: dict[str, Decimal | int | None] = {}
    reasons = []
    for name, value in given.items():
        if name not in LIMIT_NAMES:
            reasons.append(f"{name:.80}: no limit of that name; there are {', '.join(LIMIT_NAMES)}")
        elif value is None:
            found[name] = None
        else:
            try:
                found[name] = _read(name, value)
            except InvalidInput as error:
                reasons += error.reasons
    if reasons:
        raise InvalidInput("BAD_LIMITS", reasons)
    return found


def _read(name: str, value: object) -> Decimal | int:
    figure = parse_amount(name, value)
    if figure < 0:
        raise InvalidInput("BAD_LIMITS", [f"{name}: {value!r:.60} is below 0"])
    if name in _FRACTIONS and figure > 1:
        raise InvalidInput("BAD_LIMITS", [f"{name}: {value!r:.60} is above 1: it is a fraction"])
    if name not in _COUNTS:
        return figure
    if figure != figure.to_integral_value():
        raise InvalidInput("BAD_LIMITS", [f"{name}: {value!r:.60} is not a whole number"])
    return int(figure)


def merged(limits: Limits, *changes: Mapping[str, Decimal | int | None]) -> Limits:
    """`limits` with later words on single ones: the last word counts."""
    for change in changes:
        limits = msgspec.structs.replace(limits, **change)
    return limits


class AccountLoad(msgspec.Struct, frozen=True, kw_only=True):
    """What the whole account carries, every worker's part and what is in flight included, but for the symbol that is
    planned: its own part is told apart, because only its owner knows it to the last record."""

    exposure: Decimal = ZERO
    """Of the other symbols."""
    open_orders: int = 0
    """Of the other symbols."""
    orders_last_minute: int = 0
    notional_last_minute: Decimal = ZERO
    notional_open: Decimal = ZERO
    """What open orders of the other symbols may still trade."""
    traded_today: Decimal = ZERO
    traded_this_week: Decimal = ZERO
    loss_today: Decimal = ZERO
    """Above zero when the day has lost."""
    drawdown: Decimal = ZERO
    """Fraction of the highest worth."""
