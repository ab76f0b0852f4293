"""Spot orders: from the body of a create call to a wish that the exchange can work with, or a refusal.

The codes are those of the venue's spot list, 170xxx. A market order to buy counts its quantity in the quote coin unless
`marketUnit` says otherwise; `orderFilter` makes an order with a trigger price a TP/SL order, which locks its coin at
once, or a conditional one, which does not.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeVar

from exchanges.paper.exact import ZERO
from exchanges.paper.fields import Fields, choice, number, order_link_id, text, wants_rpi
from exchanges.paper.instruments import Instrument
from exchanges.paper.refusals import (
    SpotFault,
    bad_parameter,
    margin_trading_off,
    spot_refusal,
)
from exchanges.paper.vocabulary import (
    ONE_WAY,
    MarketUnit,
    OrderType,
    Side,
    SmpType,
    StopOrderType,
    TimeInForce,
    TpslMode,
    TriggerBy,
)
from exchanges.paper.wishes import NewOrder, Protection, Trigger

Word = TypeVar("Word", bound=StrEnum)

ORDER_FILTERS: Final = frozenset({"", "Order", "tpslOrder", "StopOrder"})
MAX_VALUE: Final = Decimal(8_000_000)  # maxOrderAmt, in the quote coin


def new_spot_order(fields: Fields, pair: Instrument) -> NewOrder:
    """Raises `Refusal` as the venue would."""
    if str(fields.get("isLeverage", "0")) == "1":
        raise margin_trading_off()
    side = _word(Side, fields, "side", SpotFault.SIDE)
    order_type = _word(OrderType, fields, "orderType", SpotFault.ORDER_TYPE)
    if wants_rpi(fields):
        raise spot_refusal(SpotFault.MARKET_MAKERS_ONLY)
    tif = _word(TimeInForce, fields, "timeInForce", SpotFault.TIME_IN_FORCE, TimeInForce.GTC)
    is_market = order_type is OrderType.MARKET
    unit = _market_unit(fields, side) if is_market else None
    qty = _figure(fields, "qty")
    price = None if is_market else _figure(fields, "price")
    if price is not None:
        check_spot_price(pair, price)
        check_spot_value(pair, qty * price)
    if unit is MarketUnit.QUOTE:
        if qty % pair.quote_step:
            raise spot_refusal(SpotFault.AMOUNT_DECIMALS)
        check_spot_value(pair, qty)
    else:
        check_spot_qty(pair, order_type, qty)
    return NewOrder(
        instrument=pair,
        side=side,
        order_type=order_type,
        qty=qty,
        price=price,
        time_in_force=TimeInForce.IOC if is_market else tif,
        order_link_id=order_link_id(fields),
        position_idx=ONE_WAY,
        reduce_only=False,
        close_on_trigger=False,
        trigger=_trigger(fields, pair),
        protection=_protection(fields, pair, side, price),
        market_unit=unit,
        smp_type=choice(SmpType, fields, "smpType", SmpType.NONE),
    )


def check_spot_price(pair: Instrument, price: Decimal) -> None:
    """On the tick and within the pair's limits, else 170132 to 170134."""
    if price < pair.min_price:
        raise spot_refusal(SpotFault.PRICE_TOO_LOW)
    if price > pair.max_price:
        raise spot_refusal(SpotFault.PRICE_TOO_HIGH)
    if price % pair.tick:
        raise spot_refusal(SpotFault.PRICE_DECIMALS)


def check_spot_qty(pair: Instrument, order_type: OrderType, qty: Decimal) -> None:
    """On the base precision and within the pair's limits, else 170135 to 170137."""
    if qty < pair.min_qty:
        raise spot_refusal(SpotFault.QTY_TOO_SMALL)
    if qty > (pair.max_market_qty if order_type is OrderType.MARKET else pair.max_limit_qty):
        raise spot_refusal(SpotFault.QTY_TOO_LARGE)
    if qty % pair.lot:
        raise spot_refusal(SpotFault.QTY_DECIMALS)


def check_spot_value(pair: Instrument, value: Decimal) -> None:
    """Worth the pair's minimum (170140), and no more than its maximum (170124)."""
    if value < pair.min_notional:
        raise spot_refusal(SpotFault.VALUE_TOO_SMALL)
    if value > MAX_VALUE:
        raise spot_refusal(SpotFault.VALUE_TOO_LARGE)


def _word(kind: type[Word], fields: Fields, name: str, fault: SpotFault, default: Word | None = None) -> Word:
    written = text(fields, name)
    if not written and default is not None:
        return default
    try:
        return kind(written)
    except ValueError as error:
        raise spot_refusal(fault) from error


def _figure(fields: Fields, name: str) -> Decimal:
    """A number that must be there and above zero."""
    if not text(fields, name):
        raise spot_refusal(SpotFault.EMPTY, name)
    figure = number(fields, name)
    if not figure:
        raise spot_refusal(SpotFault.INVALID, name)
    return figure


def _market_unit(fields: Fields, side: Side) -> MarketUnit:
    """Buying counts the quote coin, selling the base coin, unless the client says otherwise."""
    default = MarketUnit.QUOTE if side is Side.BUY else MarketUnit.BASE
    return choice(MarketUnit, fields, "marketUnit", default)


def _trigger(fields: Fields, pair: Instrument) -> Trigger | None:
    """What makes an order wait: a trigger price, under the filter that says which kind it is."""
    order_filter = text(fields, "orderFilter")
    if order_filter not in ORDER_FILTERS:
        raise spot_refusal(SpotFault.ORDER_FILTER)
    price = number(fields, "triggerPrice")
    waits = order_filter in {"tpslOrder", "StopOrder"}
    if not price:
        if waits:
            raise spot_refusal(SpotFault.TRIGGER_MISSING)
        return None
    check_spot_price(pair, price)
    kind = StopOrderType.SPOT_TPSL if order_filter == "tpslOrder" else StopOrderType.STOP
    return Trigger(price, None, TriggerBy.LAST, kind)


def _protection(fields: Fields, pair: Instrument, side: Side, price: Decimal | None) -> Protection:
    """What a limit order sets up, for the quantity that it fills: market orders, or limit orders with their price."""
    take_profit, stop_loss = number(fields, "takeProfit") or None, number(fields, "stopLoss") or None
    if take_profit is None and stop_loss is None:
        return Protection()
    if price is None:
        raise bad_parameter("Spot market orders have no take-profit and stop-loss")
    limits = [number(fields, name) or ZERO for name in ("tpLimitPrice", "slLimitPrice")]
    for figure in (take_profit, stop_loss, *limits):
        if figure:
            check_spot_price(pair, figure)
    wrong = (take_profit is not None and (take_profit - price) * side.sign <= 0) or (
        stop_loss is not None and (price - stop_loss) * side.sign <= 0
    )
    if wrong:
        raise spot_refusal(SpotFault.TRIGGER_MISSING)
    types = [
        OrderType.LIMIT if limit or text(fields, name) == OrderType.LIMIT else OrderType.MARKET
        for limit, name in zip(limits, ("tpOrderType", "slOrderType"), strict=True)
    ]
    if any(kind is OrderType.LIMIT and not limit for kind, limit in zip(types, limits, strict=True)):
        raise spot_refusal(SpotFault.TRIGGER_MISSING)
    return Protection(
        take_profit,
        stop_loss,
        mode=TpslMode.PARTIAL,
        take_profit_type=types[0],
        stop_loss_type=types[1],
        take_profit_limit=limits[0],
        stop_loss_limit=limits[1],
    )
