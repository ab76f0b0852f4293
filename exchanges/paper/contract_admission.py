"""Orders of contracts: from the body of a create call to a wish that the exchange can work with, or a refusal."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from exchanges.paper.exact import ZERO, plain
from exchanges.paper.fields import Fields, choice, flag, number, order_link_id, wants_rpi, whole
from exchanges.paper.instruments import Instrument
from exchanges.paper.refusals import (
    bad_parameter,
    notional_too_small,
    only_for_market_makers,
    price_invalid,
    slippage_out_of_range,
    wrong_side,
)
from exchanges.paper.vocabulary import (
    HEDGE_SELL,
    ONE_WAY,
    OrderType,
    Side,
    SlippageType,
    SmpType,
    TimeInForce,
    TpslMode,
    TriggerBy,
    TriggerDirection,
)
from exchanges.paper.wishes import NewOrder, Protection, Slippage, Trigger

_TICK_TOLERANCE: Final = (Decimal(1), Decimal(10_000))
_PERCENT_TOLERANCE: Final = (Decimal("0.01"), Decimal(10))


def new_contract_order(fields: Fields, instrument: Instrument) -> NewOrder:
    """Raises `Refusal` as the venue would."""
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
        order_link_id=order_link_id(fields),
        position_idx=whole(fields, "positionIdx", ONE_WAY),
        reduce_only=flag(fields, "reduceOnly"),
        close_on_trigger=flag(fields, "closeOnTrigger"),
        trigger=_trigger(fields, instrument),
        protection=protection_of(fields, instrument, side, price),
        smp_type=choice(SmpType, fields, "smpType", SmpType.NONE),
        slippage=_slippage(fields, order_type),
    )
    if not ONE_WAY <= order.position_idx <= HEDGE_SELL:
        raise bad_parameter("position idx not match position mode")
    if price is not None:
        check_price(instrument, price)
    if qty or not closing:
        check_qty(instrument, order_type, qty, up_to_maximum=not order.reduce_only)
    if order.trigger is not None and order.slippage.kind is not SlippageType.NONE:
        raise bad_parameter("Slippage tolerance is not supported for conditional orders")
    return order


def check_price(instrument: Instrument, price: Decimal) -> None:
    """On the tick and within the instrument's limits, else 110003."""
    if not instrument.min_price <= price <= instrument.max_price or price % instrument.tick:
        raise price_invalid()


def check_qty(instrument: Instrument, order_type: OrderType, qty: Decimal, *, up_to_maximum: bool = True) -> None:
    """On the lot and within the instrument's limits, else 10001 with the venue's words.

    A reduce-only order may be above the maximum: it is cut to the position (the venue makes several orders of it).
    """
    if qty < instrument.min_qty:
        raise bad_parameter("The number of contracts exceeds minimum limit allowed")
    maximum = instrument.max_market_qty if order_type is OrderType.MARKET else instrument.max_limit_qty
    if up_to_maximum and qty > maximum:
        # The venue writes these figures in units of 1e-8.
        raise bad_parameter(
            "The number of contracts exceeds maximum limit allowed: too large, "
            f"order_qty:{plain(qty * 10**8)} > max_qty:{plain(maximum * 10**8)}"
        )
    if qty % instrument.lot:
        raise bad_parameter("Qty invalid")


def check_notional(instrument: Instrument, qty: Decimal, price: Decimal) -> None:
    """An order that may open something must be worth the minimum, else 110094; inverse contracts have none."""
    if not instrument.is_inverse and qty * price < instrument.min_notional:
        raise notional_too_small(plain(instrument.min_notional))


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


def protection_of(fields: Fields, instrument: Instrument, side: Side, price: Decimal | None) -> Protection:
    """Take-profit and stop-loss, which must lie on the right sides of a limit price; without one (`price` None) they
    are held against the market when the order is placed."""
    take_profit, stop_loss = number(fields, "takeProfit") or None, number(fields, "stopLoss") or None
    if (take_profit or stop_loss) and flag(fields, "reduceOnly"):
        raise bad_parameter("params error: a reduce-only order has no take-profit or stop-loss")
    wish = Protection(
        take_profit,
        stop_loss,
        choice(TriggerBy, fields, "tpTriggerBy", TriggerBy.LAST),
        choice(TriggerBy, fields, "slTriggerBy", TriggerBy.LAST),
        choice(TpslMode, fields, "tpslMode", TpslMode.FULL),
        choice(OrderType, fields, "tpOrderType", OrderType.MARKET),
        choice(OrderType, fields, "slOrderType", OrderType.MARKET),
        number(fields, "tpLimitPrice") or ZERO,
        number(fields, "slLimitPrice") or ZERO,
    )
    check_protection(wish, instrument)
    if price is not None:
        check_sides(wish, side, lambda _by: price)
    return wish


def check_sides(wish: Protection, held: Side, base_price: Callable[[TriggerBy], Decimal]) -> None:
    """Take-profit beyond the price and stop-loss before it, as a position of side `held` sees it, else 10001.

    `base_price` gives the price to hold them against: the limit of an order, the trigger price of a conditional market
    order, else the price that triggers them.
    """
    is_long, part = held is Side.BUY, "Partial" if wish.mode is TpslMode.PARTIAL else ""
    for name, price, by, above in (
        ("TakeProfit", wish.take_profit, wish.take_profit_by, is_long),
        ("StopLoss", wish.stop_loss, wish.stop_loss_by, not is_long),
    ):
        if not price:
            continue
        base = base_price(by)
        if (price <= base) if above else (price >= base):
            raise wrong_side(part + name, price, held, base, above=above, by=by)


def check_protection(wish: Protection, instrument: Instrument) -> None:
    """Prices on the tick; limit orders only in Partial mode, with a limit price."""
    for kind, order_type, price, limit in (
        ("tp", wish.take_profit_type, wish.take_profit, wish.take_profit_limit),
        ("sl", wish.stop_loss_type, wish.stop_loss, wish.stop_loss_limit),
    ):
        for figure in (price, limit):
            if figure:
                check_price(instrument, figure)
        if order_type is OrderType.LIMIT and price:
            if wish.mode is TpslMode.FULL:
                raise bad_parameter(f"{kind}OrderType can not be Limit when tpslMode is Full")
            if not limit:
                raise bad_parameter(f"{kind}LimitPrice is required when {kind}OrderType is Limit")
        elif limit:
            raise bad_parameter(f"{kind}LimitPrice only works with tpslMode Partial and {kind}OrderType Limit")


def _slippage(fields: Fields, order_type: OrderType) -> Slippage:
    """The tolerance of a market order: whole ticks, or percent with two decimals."""
    tolerance = number(fields, "slippageTolerance")
    kind = choice(SlippageType, fields, "slippageToleranceType", SlippageType.NONE)
    if not tolerance or kind is SlippageType.NONE:
        return Slippage()
    if order_type is OrderType.LIMIT:
        raise bad_parameter("Slippage tolerance is only supported for market orders")
    in_ticks = kind is SlippageType.TICKS
    low, high = _TICK_TOLERANCE if in_ticks else _PERCENT_TOLERANCE
    if not low <= tolerance <= high or tolerance % (1 if in_ticks else low):
        raise slippage_out_of_range(in_ticks=in_ticks)
    return Slippage(kind, tolerance)


def _time_in_force(fields: Fields, order_type: OrderType) -> TimeInForce:
    if wants_rpi(fields):
        raise only_for_market_makers()
    wanted = choice(TimeInForce, fields, "timeInForce", TimeInForce.GTC)
    return TimeInForce.IOC if order_type is OrderType.MARKET else wanted
