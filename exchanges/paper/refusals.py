"""What the venue answers when it will not do something: a code, a sentence, and the place where each comes from.

Codes are those of Bybit's error list; where real traffic shows the sentence, the sentence is the real one.
"""

from __future__ import annotations


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
    return Refusal(10006, "Too many visits. Exceeded the API Rate Limit.")


def books_broken() -> Refusal:
    """The books could not be written: nothing is acknowledged any more."""
    return Refusal(10016, "Server error.")


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


def trigger_already_reached(trigger_price: str, current_price: str, *, rising: bool) -> Refusal:
    """110092 / 110093: the price is already where the trigger waits for it."""
    if rising:
        return Refusal(110092, f"expect Rising, but trigger_price[{trigger_price}] <= current[{current_price}]")
    return Refusal(110093, f"expect Falling, but trigger_price[{trigger_price}] >= current[{current_price}]")


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


def leverage_unchanged() -> Refusal:
    return Refusal(110043, "Set leverage has not been modified")


def leverage_out_of_range(maximum: str) -> Refusal:
    return Refusal(110013, f"cannot set leverage gt maxLeverage {maximum} by risk limit")


def margin_mode_failed() -> Refusal:
    return Refusal(3400045, "Set margin mode failed")


def forbidden_for_unified() -> Refusal:
    return Refusal(100028, "The API cannot be accessed by unified account users.")
