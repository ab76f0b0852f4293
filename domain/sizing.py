"""Gates that decide how much, and whether the account can carry it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from domain.drafts import Case, Draft, Step, adjusted, passed, quantity_worth, rejected, value_of, waiting
from domain.instruments import SPOT
from domain.money import ZERO, divide, floor_to, plain
from domain.orders import OrderType, PositionSide, Side
from domain.plans import OpenOrder, TradingState

MAX_PARTS = 100
"""Of one signal: each is an order at the venue, and a limit forgotten by a factor of a thousand must not flood it."""


def size(case: Case, draft: Draft) -> Step:
    """D04: amount ÷ reference price, floored to the lot."""
    amount, lot = case.signal.amount, case.rules.lot
    quantity = quantity_worth(case, amount, draft.price)
    figures = {"amount": amount, "price": draft.price, "lot": lot, "quantity": quantity}
    told = f"{plain(amount)} {case.currency()} at {plain(draft.price)}"
    if not quantity:
        return rejected("size", draft, "BELOW_ONE_LOT", f"{told} is less than one lot of {plain(lot)}", **figures)
    sentence = f"{told} is {plain(quantity)} {case.unit()} in lots of {plain(lot)}"
    return passed("size", replace(draft, quantity=quantity), sentence, **figures)


# -- scale-out -----------------------------------------------------------------------------------------------------


def closable(case: Case, draft: Draft) -> Decimal:
    """What the order can close: what is held, less what orders that stay open, and parts that wait, may close first."""
    gone = {order.order_id for order in draft.cancelled}
    others = [order for order in case.facts.open_orders if order.order_id not in gone and _competes(case, order)]
    others += waiting(case, draft)
    return max(ZERO, case.held - sum((order.leaves for order in others), ZERO))


def _competes(case: Case, order: OpenOrder) -> bool:
    return order.side is case.side and order.position_side is case.position_side


def _must_only_close(case: Case) -> str:
    """Why the order may do nothing but shrink a position; empty when it may do more."""
    if case.signal.reduce_only:
        return "the signal is reduce-only"
    if case.facts.trading is TradingState.REDUCE_ONLY:
        return "trading is reduce-only"
    if case.position_side is not PositionSide.NET:
        return f"it closes the {case.position_side} side" if case.opposes_position else ""
    if case.side is Side.SELL and not case.shorts_allowed:
        return "going short is not allowed"
    return ""


def scale_out(case: Case, draft: Draft) -> Step:
    """D10: an order that may only close is capped by what is held, and reduce-only where the venue knows that."""
    if case.position_side is PositionSide.SHORT and case.side is Side.SELL and not case.shorts_allowed:
        return rejected("scale_out", draft, "SHORT_NOT_ALLOWED", "going short is not allowed")
    free, why = closable(case, draft), _must_only_close(case)
    figures = {"held": case.held, "closable": free, "wanted": draft.quantity}
    if not why:
        opening = max(ZERO, draft.quantity - free)
        sentence = f"{plain(opening)} of {plain(draft.quantity)} adds exposure"
        # What only shrinks a position never does more, whatever becomes of the position meanwhile (requirement D03).
        shrinks = not opening and not case.instrument.spot
        decided = replace(draft, opening=opening, reduce_only=shrinks)
        return passed("scale_out", decided, sentence, opening=opening, **figures)
    capped = min(draft.quantity, floor_to(free, case.rules.lot))
    if not capped:
        return _nothing_to_close(case, draft, why, figures)
    decided = replace(draft, quantity=capped, opening=ZERO, reduce_only=case.instrument.category != SPOT)
    if capped < draft.quantity:
        sentence = f"{why}: {plain(draft.quantity)} becomes {plain(capped)}, of {plain(case.held)} held"
        return adjusted("scale_out", decided, "CAPPED_BY_POSITION", sentence, quantity=capped, **figures)
    return passed("scale_out", decided, f"closes {plain(capped)} of {plain(case.held)} held", **figures)


def _nothing_to_close(case: Case, draft: Draft, why: str, figures: dict[str, Decimal]) -> Step:
    code = "NOTHING_TO_SELL" if case.side is Side.SELL else "NOTHING_TO_REDUCE"
    taken = f", {plain(figures['closable'])} of it free" if case.held else ""
    sentence = f"{why}, and {plain(case.held)} {case.unit()} is held to {case.side}{taken}"
    return rejected("scale_out", draft, code, sentence, **figures)


# -- the venue's bounds --------------------------------------------------------------------------------------------


def minimums(case: Case, draft: Draft) -> Step:
    """D04: the venue's minimum quantity, and its minimum notional at the order's own price."""
    rules, quantity = case.rules, min(draft.parts, default=draft.quantity)
    notional = value_of(case, quantity, draft.least_price)
    figures = {"quantity": quantity, "notional": notional, "price": draft.least_price}
    if quantity < rules.min_quantity:
        unit = case.unit()
        sentence = f"quantity {plain(quantity)} {unit} is under the minimum {plain(rules.min_quantity)} {unit}"
        return rejected("minimums", draft, "BELOW_MIN_QUANTITY", sentence, minimum=rules.min_quantity, **figures)
    if notional < rules.min_notional:
        quote = case.currency()
        sentence = f"notional {plain(notional)} {quote} is under the minimum {plain(rules.min_notional)} {quote}"
        return rejected("minimums", draft, "BELOW_MIN_NOTIONAL", sentence, minimum=rules.min_notional, **figures)
    return passed("minimums", draft, f"notional {plain(notional)} {case.currency()}", **figures)


def venue_maximum(case: Case, draft: Draft) -> Decimal:
    """The venue's largest quantity for the order's type; 0 = it states none."""
    market = draft.order_type is OrderType.MARKET
    return case.rules.max_market_quantity if market else case.rules.max_quantity


def split(case: Case, draft: Draft) -> Step:
    """D08: an order over `MAX_SINGLE_ORDER_SIZE`, or over the venue's maximum, becomes the fewest near-equal orders
    within both. The parts are whole lots and add up to the order: never over the amount."""
    most, bound = case.settings.max_single_order_size, venue_maximum(case, draft)
    if not case.settings.enable_order_splitting:
        return passed("split", draft, "orders are not split")
    lot, lots = case.rules.lot, draft.quantity // case.rules.lot
    most_lots = lots
    if most is not None:
        most_lots = min(most_lots, quantity_worth(case, most, draft.price) // lot)
    if bound:
        most_lots = min(most_lots, bound // lot)
    figures: dict[str, object] = {"quantity": draft.quantity, "single": most_lots * lot}
    if most is not None:
        figures["max_single_order_size"] = most
    if not most_lots:
        sentence = f"not one lot of {plain(lot)} {case.unit()} is within the size of a single order"
        return rejected("split", draft, "SINGLE_ORDER_SIZE_TOO_SMALL", sentence, **figures)
    count = int((lots + most_lots - 1) // most_lots)
    if count == 1:
        return passed("split", draft, "one order carries it", **figures)
    if count > MAX_PARTS:
        sentence = f"it would take {count} orders, at most {MAX_PARTS} are made of one signal"
        return rejected("split", draft, "TOO_MANY_PARTS", sentence, parts=count, most=MAX_PARTS, **figures)
    each, more = divmod(int(lots), count)
    parts = tuple(lot * (each + (number < more)) for number in range(count))
    sentence = f"{plain(draft.quantity)} {case.unit()} goes out as {count} orders of {plain(parts[-1])} or a lot more"
    return adjusted("split", replace(draft, parts=parts), "SPLIT", sentence, parts=count, **figures)


def maximum(case: Case, draft: Draft) -> Step:
    """D04: the venue's maximum quantity for the order's type; 0 = the venue states none."""
    most = venue_maximum(case, draft)
    quantity = max(draft.parts, default=draft.quantity)
    if draft.amended is not None:
        quantity += draft.amended.leaves + draft.amended.executed
    figures = {"quantity": quantity, "maximum": most}
    if most and quantity > most:
        unit = case.unit()
        sentence = f"quantity {plain(quantity)} {unit} is over the maximum {plain(most)} {unit}"
        return rejected("maximum", draft, "ABOVE_MAX_QUANTITY", sentence, type=draft.order_type, **figures)
    return passed("maximum", draft, f"quantity {plain(draft.quantity)} is within the maximum", **figures)


# -- balance -------------------------------------------------------------------------------------------------------


def worst_price(case: Case, draft: Draft) -> Decimal:
    """The price at which the order would take most from the account. A purchase: its limit, or the slippage guard
    above the reference. A sale that goes short: its limit or the reference, whichever is higher. Inverse contracts
    take the more coins the lower their price is: the lowest at which they may trade, or the reference."""
    if case.inverse:
        return min(draft.least_price, draft.price)
    if case.side is Side.SELL:
        return max(draft.order_price, draft.price)
    if draft.limit_price is not None:
        return draft.limit_price
    guard = draft.price * (1 + case.settings.max_slippage) if draft.guard_price is None else draft.guard_price
    return max(guard, draft.price)


def balance(case: Case, draft: Draft) -> Step:
    """R02, R06: what adds exposure must be paid for by what is free, at the worst price, with the fee."""
    facts, settings = case.facts, case.settings
    if not settings.enable_balance_check:
        return passed("balance", draft, "the check is off: the venue decides")
    if case.instrument.spot and case.side is Side.SELL:
        return _owned(case, draft)
    if not draft.opening:
        return passed("balance", draft, "the order only closes")
    if facts.available is None:
        sentence = "the available balance is not known: nothing may be added until it is"
        return rejected("balance", draft, "BALANCE_UNKNOWN", sentence)
    price = worst_price(case, draft)
    need = cost(case, draft.opening, price)
    released = sum((_released(case, order) for order in draft.cancelled), ZERO)
    kept = divide(settings.cash_reserve, price) if case.inverse else settings.cash_reserve
    free = facts.available - facts.reserved - kept + released
    figures = {
        "need": need,
        "free": free,
        "available": facts.available,
        "reserved": facts.reserved,
        "cash_reserve": kept,
        "released": released,
        "worst_price": price,
    }
    currency = case.rules.base_currency if case.inverse else case.currency()
    told = f"need {plain(need)} {currency}, free {plain(free)} {currency}"
    if need > free:
        return rejected("balance", draft, "INSUFFICIENT_BALANCE", told, **figures)
    return passed("balance", replace(draft, need=need), told, **figures)


def _owned(case: Case, draft: Draft) -> Step:
    """R02: what a spot sale sells has to be free: other orders, or a transfer, may have taken some of it. Where the
    balance is not known nobody is kept from getting out."""
    facts, need = case.facts, draft.quantity
    if facts.available is None:
        return passed("balance", draft, "the sale only closes, and the balance of what it sells is not known")
    ours = [order for order in draft.cancelled if order.side is Side.SELL]
    released = sum((order.leaves for order in ours), ZERO)
    free = facts.available - facts.reserved + released
    figures = {"need": need, "free": free, "available": facts.available, "reserved": facts.reserved}
    told = f"need {plain(need)} {case.unit()}, free {plain(free)} {case.unit()}"
    if need > free:
        return rejected("balance", draft, "INSUFFICIENT_BALANCE", told, released=released, **figures)
    return passed("balance", replace(draft, need=need), told, released=released, **figures)


def cost(case: Case, quantity: Decimal, price: Decimal) -> Decimal:
    """What opening `quantity` at `price` takes: margin and fee. Spot is fully funded whatever the leverage."""
    # An inverse contract is settled in the base currency.
    notional = divide(quantity, price) if case.inverse else quantity * price
    margin = notional if case.instrument.category == SPOT else divide(notional, case.settings.leverage)
    return margin + notional * case.fee_rate


def _released(case: Case, order: OpenOrder) -> Decimal:
    """What cancelling an order gives back. Only the plan's first phase hopes for it; the second one sees it."""
    if order.side is not case.side or order.price is None or order.reduce_only:
        return ZERO
    return cost(case, order.leaves, order.price)
