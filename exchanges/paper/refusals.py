"""What the venue answers when it will not do something: a code, a sentence, and the place where each comes from.

Codes are those of Bybit's error list; where real traffic shows the sentence, the sentence is the real one.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

from exchanges.paper.exact import plain
from exchanges.paper.vocabulary import Side, TriggerBy


class Refusal(Exception):  # noqa: N818 -- an answer of the venue, not a failure of the program
    """A business error: HTTP 200 with this `retCode` and `retMsg`."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def bad_parameter(what: str) -> Refusal:
    """10001, the venue's overloaded code for a request that is wrong in itself."""
    return Refusal(10001, what)


def stale_timestamp(request_ms: int, server_ms: int, window_ms: int) -> Refusal:
    return Refusal(
        10002,
        "invalid request, please check your server timestamp or recv_window param. "
        f"req_timestamp[{request_ms}],server_timestamp[{server_ms}],recv_window[{window_ms}]",
    )


def unknown_key() -> Refusal:
    return Refusal(10003, "API key is invalid.")


def bad_signature(origin: str) -> Refusal:
    return Refusal(10004, f"error sign! origin_string[{origin}]")


def too_many_visits() -> Refusal:
    return Refusal(10006, "Too many visits!")


def books_broken() -> Refusal:
    """The books could not be written: nothing is acknowledged any more."""
    return Refusal(10016, "Server error.")


def service_restarting() -> Refusal:
    """10019: the trade stream takes no new requests; those under way are not affected."""
    return Refusal(10019, "ws trade service is restarting, do not accept new request")


def order_not_found(doing: str = "cancel") -> Refusal:
    """110001: never existed, or already over. The venue does not say which."""
    return Refusal(110001, f"order not exists or too late to {doing}")


def price_invalid() -> Refusal:
    return Refusal(110003, "price is invalid")


def insufficient_balance() -> Refusal:
    return Refusal(110007, "ab not enough for new order")


def reduce_only_without_position() -> Refusal:
    return Refusal(110017, "current position is zero, cannot fix reduce-only order qty")


def too_many_open_orders(limit: int) -> Refusal:
    return Refusal(110020, f"Not allowed to have more than {limit} active orders")


def too_many_conditional_orders(limit: int) -> Refusal:
    return Refusal(110009, f"The number of stop orders exceeds the maximum allowable limit of {limit}")


def trigger_already_reached(price: Decimal, current_price: Decimal, by: TriggerBy, *, rising: bool) -> Refusal:
    """110092 / 110093: the price that the trigger looks at is already where it waits for it."""
    shown, current = _in_figures(price), _in_figures(current_price)
    if rising:
        return Refusal(110092, f"expect Rising, but trigger_price[{shown}] <= current[{current}]??{by}")
    return Refusal(110093, f"expect Falling, but trigger_price[{shown}] >= current[{current}]??{by}")


def notional_too_small(minimum: str) -> Refusal:
    return Refusal(110094, f"Order does not meet minimum order value {minimum}USDT")


def nothing_to_amend() -> Refusal:
    return Refusal(10001, "The order remains unchanged as the parameters entered match the existing ones.")


def duplicate_order_link_id() -> Refusal:
    return Refusal(110072, "OrderLinkedID is duplicate")


def mode_unchanged() -> Refusal:
    return Refusal(110025, "Position mode has not been modified")


def mode_change_with_position() -> Refusal:
    return Refusal(110024, "You have an existing position, so position mode cannot be switched")


def mode_change_with_orders() -> Refusal:
    return Refusal(110028, "You have existing open orders, so position mode cannot be switched")


def hedge_mode_unsupported() -> Refusal:
    return Refusal(110029, "Hedge mode is not supported for this symbol")


def only_isolated_margin() -> Refusal:
    return Refusal(110076, "Only isolated mode can set auto-add-margin")


def leverage_unchanged() -> Refusal:
    return Refusal(110043, "Set leverage has not been modified")


def leverage_out_of_range(maximum: str) -> Refusal:
    return Refusal(110013, f"cannot set leverage gt maxLeverage {maximum} by risk limit")


def margin_mode_failed() -> Refusal:
    return Refusal(3400045, "Set margin mode failed")


def forbidden_for_unified() -> Refusal:
    return Refusal(100028, "The API cannot be accessed by unified account users.")


def wrong_side(
    kind: str, price: Decimal, side: Side, base_price: Decimal, *, above: bool, by: TriggerBy = TriggerBy.LAST
) -> Refusal:
    """A take-profit or stop-loss (`kind`) of a position of `side` that lies on the wrong side of the price. The two
    are worded differently, as on the venue."""
    if kind.endswith("StopLoss"):
        relation = "greater" if above else "lower than"
    else:
        relation = f"be {'higher' if above else 'lower'} than"
    shown, base = _in_figures(price), _in_figures(base_price)
    return bad_parameter(f"{kind}:{shown} set for {side} position should {relation} base_price:{base}??{by}")


def _in_figures(price: Decimal) -> str:
    """A price as the venue writes it in some of its sentences, in units of 1e-4."""
    return plain(price * 10**4)


def only_for_market_makers() -> Refusal:
    """110119: a retail price improvement order, for which nobody here is approved."""
    return Refusal(110119, "Order failed. RPI orders are restricted to approved market makers only")


def slippage_out_of_range(*, in_ticks: bool) -> Refusal:
    if in_ticks:
        return Refusal(110108, "Allowable range: 1 to 10000 tick size")
    return Refusal(110109, "Allowable range: 0.01% to 10%")


def below_filled_quantity() -> Refusal:
    return Refusal(110064, "The modified contract quantity cannot be less than or equal to the filled quantity.")


def not_modified() -> Refusal:
    """34040: take-profit, stop-loss or trailing stop are what they were, or nothing was asked for."""
    return Refusal(34040, "not modified")


def no_position_to_protect() -> Refusal:
    return bad_parameter("can not set tp/sl/ts for zero position")


def too_many_partial_protections(limit: int) -> Refusal:
    return Refusal(110061, f"Not allowed to have more than {limit} TP/SLs under Partial tpSlMode")


def too_little_left_to_protect() -> Refusal:
    return Refusal(
        110058, "You can't set take profit and stop loss due to insufficient size of remaining position size."
    )


# -- spot ------------------------------------------------------------------------------------------------------------


class SpotFault(Enum):
    """What may be wrong with a spot order: the venue's code and sentence."""

    EMPTY = (170105, "Parameter '{}' was empty.")
    TIME_IN_FORCE = (170115, "Invalid timeInForce.")
    ORDER_TYPE = (170116, "Invalid orderType.")
    SIDE = (170117, "Invalid side.")
    VALUE_TOO_LARGE = (170124, "Order amount too large.")
    INVALID = (170130, "Data sent for paramter '{}' is not valid.")
    PRICE_TOO_HIGH = (170132, "Order price too high.")
    PRICE_TOO_LOW = (170133, "Order price lower than the minimum.")
    PRICE_DECIMALS = (170134, "Order price decimal too long.")
    QTY_TOO_LARGE = (170135, "Order quantity too large.")
    QTY_TOO_SMALL = (170136, "Order quantity lower than the minimum.")
    QTY_DECIMALS = (170137, "Order volume decimal too long")
    VALUE_TOO_SMALL = (170140, "Order value exceeded lower limit.")
    AMOUNT_DECIMALS = (170148, "Market order amount decimal too long")
    ORDER_FILTER = (170201, "Invalid orderFilter parameter")
    TRIGGER_MISSING = (170202, "Please enter the TP/SL price.")
    MARKET_MAKERS_ONLY = (170355, "RPI orders are restricted to approved market makers only")
    BELOW_FILLED = (170313, "The modified contract quantity cannot be less than to the filled quantity")


def spot_refusal(fault: SpotFault, what: str = "") -> Refusal:
    code, sentence = fault.value
    return Refusal(code, sentence.format(what))


def beyond_price_limit(side: Side, limit: str) -> Refusal:
    """170193 / 170194: a spot order's price is beyond the `limit`, a price with its coin."""
    if side is Side.BUY:
        return Refusal(170193, f"Buy order price cannot be higher than {limit}.")
    return Refusal(170194, f"Sell order price cannot be lower than {limit}.")


def margin_trading_off() -> Refusal:
    return Refusal(
        170036,
        "You haven't enabled Cross Margin Trading yet. To do so, please head to the PC trading site or the Bybit app",
    )


def invalid_spot_symbol() -> Refusal:
    return Refusal(170121, "Invalid symbol.")


def insufficient_coin() -> Refusal:
    return Refusal(170131, "Insufficient balance.")


def duplicate_client_order_id() -> Refusal:
    return Refusal(170141, "Duplicate clientOrderId.")


def spot_order_not_found() -> Refusal:
    return Refusal(170213, "Order does not exist.")


def too_many_spot_orders(limit: int) -> Refusal:
    return Refusal(170810, f"Cannot exceed maximum of {limit} conditional, TP/SL and active orders.")
