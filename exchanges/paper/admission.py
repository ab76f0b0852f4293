"""From the body of a create or amend call to a request that the exchange can work with, or a refusal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeVar

from exchanges.paper.exact import plain
from exchanges.paper.instruments import INSTRUMENTS, Instrument
from exchanges.paper.refusals import bad_parameter, notional_too_small, price_invalid
from exchanges.paper.vocabulary import HEDGE_SELL, ONE_WAY, Category, OrderType, Side, TimeInForce

Choice = TypeVar("Choice", bound=StrEnum)

_DECIMAL: Final = re.compile(r"\d{1,20}(\.\d{1,20})?")
_LINK_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,36}")
# Wishes that this exchange does not fulfil yet. Dropping one in silence would be worse than saying no.
_UNSUPPORTED: Final = (
    "triggerPrice", "takeProfit", "stopLoss", "tpslMode", "slippageTolerance", "bboSideType", "orderIv",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order that is well formed and within its instrument's rules. `price` None: a market order. `qty` 0 closes
    the whole position (only with reduce-only and close-on-trigger)."""

    instrument: Instrument
    side: Side
    order_type: OrderType
    qty: Decimal
    price: Decimal | None
    time_in_force: TimeInForce
    order_link_id: str
    position_idx: int
    reduce_only: bool
    close_on_trigger: bool


@dataclass(frozen=True, slots=True)
class Amendment:
    """New total quantity, new price; None leaves it as it is."""

    qty: Decimal | None
    price: Decimal | None


def text(fields: Mapping[str, object], name: str) -> str:
    """The string under `name`, "" if it is absent. Anything but a string is refused."""
    value = fields.get(name, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise bad_parameter(f"params error: {name} must be a string")
    return value


def number(fields: Mapping[str, object], name: str) -> Decimal | None:
    """The decimal under `name`, None if it is absent or empty. Numbers travel as strings: anything else is refused."""
    written = text(fields, name)
    if not written:
        return None
    if not _DECIMAL.fullmatch(written):
        raise bad_parameter(f"{name[0].upper()}{name[1:]} invalid")
    return Decimal(written)


def flag(fields: Mapping[str, object], name: str) -> bool:
    """A JSON boolean, false if absent; the words true and false are taken too, as clients send them."""
    value = fields.get(name)
    if value is None:
        return False
    if isinstance(value, str) and value.lower() in {"true", "false", ""}:
        return value.lower() == "true"
    if isinstance(value, bool):
        return value
    raise bad_parameter(f"params error: {name} must be a boolean")


def whole(fields: Mapping[str, object], name: str, default: int) -> int:
    """A whole number, given as such or as a string."""
    value = fields.get(name)
    if value is None or value == "":
        return default
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise bad_parameter(f"params error: {name} invalid")
    try:
        return int(value)
    except ValueError as error:
        raise bad_parameter(f"params error: {name} invalid") from error


def choice(
    kind: type[Choice], fields: Mapping[str, object], name: str, default: Choice | None = None
) -> Choice:
    """One of the words of `kind`."""
    written = text(fields, name)
    if not written and default is not None:
        return default
    try:
        return kind(written)
    except ValueError as error:
        raise bad_parameter(f"{name[0].upper()}{name[1:]} invalid") from error


def category_of(fields: Mapping[str, object]) -> Category:
    """The category of a trading call. Only linear contracts are listed here."""
    written = text(fields, "category")
    if written != Category.LINEAR:
        raise bad_parameter("Illegal category")
    return Category.LINEAR


def instrument_of(fields: Mapping[str, object]) -> Instrument:
    """The contract that the call names."""
    instrument = INSTRUMENTS.get(text(fields, "symbol"))
    if instrument is None:
        raise bad_parameter("Not supported symbols")
    return instrument


def new_order(fields: Mapping[str, object]) -> NewOrder:
    """Read and check the body of `order/create`. Raises `Refusal` as the venue would."""
    category_of(fields)
    instrument = instrument_of(fields)
    refuse_unsupported(fields)
    side = choice(Side, fields, "side")
    order_type = choice(OrderType, fields, "orderType")
    qty = number(fields, "qty")
    if qty is None:
        raise bad_parameter("Qty invalid")
    price = number(fields, "price") if order_type is OrderType.LIMIT else None
    if order_type is OrderType.LIMIT and not price:
        raise price_invalid()
    closing = flag(fields, "reduceOnly") and flag(fields, "closeOnTrigger")
    order = NewOrder(
        instrument=instrument,
        side=side,
        order_type=order_type,
        qty=qty,
        price=price,
        time_in_force=_time_in_force(fields, order_type),
        order_link_id=_order_link_id(fields),
        position_idx=whole(fields, "positionIdx", ONE_WAY),
        reduce_only=flag(fields, "reduceOnly"),
        close_on_trigger=flag(fields, "closeOnTrigger"),
    )
    if not ONE_WAY <= order.position_idx <= HEDGE_SELL:
        raise bad_parameter("position idx not match position mode")
    if price is not None:
        check_price(instrument, price)
    if qty or not closing:
        check_qty(instrument, order_type, qty)
    return order


def amendment(fields: Mapping[str, object], instrument: Instrument) -> Amendment:
    """Read and check the body of `order/amend`; zero means "as it is", as an absent field does."""
    refuse_unsupported(fields)
    qty = number(fields, "qty") or None
    price = number(fields, "price") or None
    if price is not None:
        check_price(instrument, price)
    if qty is not None:
        check_qty(instrument, OrderType.LIMIT, qty)
    return Amendment(qty, price)


def check_price(instrument: Instrument, price: Decimal) -> None:
    """On the tick and within the instrument's limits, else 110003."""
    if not instrument.min_price <= price <= instrument.max_price or price % instrument.tick:
        raise price_invalid()


def check_qty(instrument: Instrument, order_type: OrderType, qty: Decimal) -> None:
    """On the lot and within the instrument's limits, else 10001 with the venue's words."""
    if qty < instrument.min_qty:
        raise bad_parameter("The number of contracts exceeds minimum limit allowed")
    maximum = instrument.max_market_qty if order_type is OrderType.MARKET else instrument.max_limit_qty
    if qty > maximum:
        # The venue writes these figures in units of 1e-8.
        raise bad_parameter(
            "The number of contracts exceeds maximum limit allowed: too large, "
            f"order_qty:{plain(qty * 10**8)} > max_qty:{plain(maximum * 10**8)}"
        )
    if qty % instrument.lot:
        raise bad_parameter("Qty invalid")


def check_notional(instrument: Instrument, qty: Decimal, price: Decimal) -> None:
    """An order that may open something must be worth the minimum, else 110094."""
    if qty * price < instrument.min_notional:
        raise notional_too_small(plain(instrument.min_notional))


def refuse_unsupported(fields: Mapping[str, object]) -> None:
    for name in _UNSUPPORTED:
        if fields.get(name) not in (None, "", "0"):  # a tuple: the client may send something unhashable
            raise bad_parameter(f"Not supported by this exchange: {name}")


def _time_in_force(fields: Mapping[str, object], order_type: OrderType) -> TimeInForce:
    wanted = choice(TimeInForce, fields, "timeInForce", TimeInForce.GTC)
    return TimeInForce.IOC if order_type is OrderType.MARKET else wanted


def _order_link_id(fields: Mapping[str, object]) -> str:
    written = text(fields, "orderLinkId")
    if written and not _LINK_ID.fullmatch(written):
        raise bad_parameter("OrderLinkId invalid: 1 to 36 characters of A-Z a-z 0-9 _ -")
    return written
