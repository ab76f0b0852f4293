"""From the body of a create or amend call to a request that the exchange can work with, or a refusal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from exchanges.paper.exact import plain
from exchanges.paper.fields import Fields, choice, flag, number, text, whole
from exchanges.paper.instruments import INSTRUMENTS, Instrument
from exchanges.paper.refusals import bad_parameter, notional_too_small, price_invalid
from exchanges.paper.vocabulary import (
    HEDGE_SELL,
    ONE_WAY,
    Category,
    OrderType,
    Side,
    TimeInForce,
    TriggerBy,
    TriggerDirection,
)

_LINK_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,36}")
# Wishes that this exchange does not fulfil yet. Dropping one in silence would be worse than saying no.
_UNSUPPORTED: Final = (
    "tpLimitPrice", "slLimitPrice", "slippageTolerance", "bboSideType", "orderIv",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trigger:
    """What a conditional order waits for: the price rising or falling to `price`."""

    price: Decimal
    direction: TriggerDirection
    by: TriggerBy


@dataclass(frozen=True, slots=True)
class Protection:
    """Take-profit and stop-loss for the whole position that an order opens; None where there is none."""

    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit_by: TriggerBy = TriggerBy.LAST
    stop_loss_by: TriggerBy = TriggerBy.LAST


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
    trigger: Trigger | None = None
    protection: Protection = Protection()


@dataclass(frozen=True, slots=True)
class Amendment:
    """New total quantity, price, trigger price, take-profit, stop-loss; None leaves it as it is, and for the last two
    zero takes it away."""

    qty: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None

    @property
    def is_empty(self) -> bool:
        return self == Amendment()


def category_of(fields: Fields) -> Category:
    """The category of a trading call. Only linear contracts are listed here."""
    written = text(fields, "category")
    if written != Category.LINEAR:
        raise bad_parameter("Illegal category")
    return Category.LINEAR


def instrument_of(fields: Fields) -> Instrument:
    """The contract that the call names."""
    instrument = INSTRUMENTS.get(text(fields, "symbol"))
    if instrument is None:
        raise bad_parameter("Not supported symbols")
    return instrument


def new_order(fields: Fields) -> NewOrder:
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
        trigger=_trigger(fields, instrument),
        protection=_protection(fields, instrument, side, price),
    )
    if not ONE_WAY <= order.position_idx <= HEDGE_SELL:
        raise bad_parameter("position idx not match position mode")
    if price is not None:
        check_price(instrument, price)
    if qty or not closing:
        check_qty(instrument, order_type, qty)
    return order


def amendment(fields: Fields, instrument: Instrument) -> Amendment:
    """Read and check the body of `order/amend`; for quantity and prices zero means "as it is", as absence does."""
    refuse_unsupported(fields)
    wish = Amendment(
        qty=number(fields, "qty") or None,
        price=number(fields, "price") or None,
        trigger_price=number(fields, "triggerPrice") or None,
        take_profit=number(fields, "takeProfit"),
        stop_loss=number(fields, "stopLoss"),
    )
    for price in (wish.price, wish.trigger_price, wish.take_profit, wish.stop_loss):
        if price:
            check_price(instrument, price)
    if wish.qty is not None:
        check_qty(instrument, OrderType.LIMIT, wish.qty)
    return wish


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


def refuse_unsupported(fields: Fields) -> None:
    """Say no to what this exchange does not do."""
    if text(fields, "tpslMode") not in {"", "Full"}:
        raise bad_parameter("Not supported by this exchange: tpslMode Partial")
    if OrderType.LIMIT in {text(fields, "tpOrderType"), text(fields, "slOrderType")}:
        raise bad_parameter("Not supported by this exchange: take-profit and stop-loss as limit orders")
    for name in _UNSUPPORTED:
        if fields.get(name) not in (None, "", "0"):  # a tuple: the client may send something unhashable
            raise bad_parameter(f"Not supported by this exchange: {name}")


def _trigger(fields: Fields, instrument: Instrument) -> Trigger | None:
    """What makes an order conditional. Linear contracts need the direction with the price."""
    price = number(fields, "triggerPrice")
    if not price:
        return None
    check_price(instrument, price)
    try:
        direction = TriggerDirection(whole(fields, "triggerDirection", 0))
    except ValueError as error:
        raise bad_parameter("TriggerDirection invalid") from error
    return Trigger(price, direction, choice(TriggerBy, fields, "triggerBy", TriggerBy.LAST))


def _protection(fields: Fields, instrument: Instrument, side: Side, price: Decimal | None) -> Protection:
    """Take-profit and stop-loss, which must lie on the right sides of a limit price."""
    take_profit, stop_loss = number(fields, "takeProfit") or None, number(fields, "stopLoss") or None
    if (take_profit or stop_loss) and flag(fields, "reduceOnly"):
        raise bad_parameter("params error: a reduce-only order has no take-profit or stop-loss")
    for wanted in (take_profit, stop_loss):
        if wanted is not None:
            check_price(instrument, wanted)
    if price is not None:
        if take_profit is not None and (take_profit - price) * side.sign <= 0:
            raise bad_parameter(
                f"TakeProfit:{plain(take_profit)} set for {side} position is on the wrong side"
            )
        if stop_loss is not None and (price - stop_loss) * side.sign <= 0:
            raise bad_parameter(f"StopLoss:{plain(stop_loss)} set for {side} position is on the wrong side")
    return Protection(
        take_profit,
        stop_loss,
        choice(TriggerBy, fields, "tpTriggerBy", TriggerBy.LAST),
        choice(TriggerBy, fields, "slTriggerBy", TriggerBy.LAST),
    )


def _time_in_force(fields: Fields, order_type: OrderType) -> TimeInForce:
    wanted = choice(TimeInForce, fields, "timeInForce", TimeInForce.GTC)
    return TimeInForce.IOC if order_type is OrderType.MARKET else wanted


def _order_link_id(fields: Fields) -> str:
    written = text(fields, "orderLinkId")
    if written and not _LINK_ID.fullmatch(written):
        raise bad_parameter("OrderLinkId invalid: 1 to 36 characters of A-Z a-z 0-9 _ -")
    return written
