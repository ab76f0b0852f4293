"""Gates that hold an order against the limits that its owner set (requirements R03, R04, R07, D12).

A limit of size counts what is held, what rests, what is in flight and the order itself; over it the order is refused,
or made to fit (`RISK_ACTION`). Counts, volumes and losses refuse. What only closes a position passes every limit but
those on a single order's size: nobody should be kept from getting out.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from domain.drafts import Case, Draft, Step, adjusted, passed, percent, quantity_worth, rejected, value_of, waiting
from domain.limits import AccountLoad, RiskAction
from domain.money import ZERO, divide, floor_to, plain
from domain.orders import OrderType, PositionSide, Side
from domain.plans import OpenOrder
from domain.times import seconds


def cooldown(case: Case, draft: Draft) -> Step:
    """R07: after an order of the symbol, or of its strategy there, the next one that opens waits."""
    now_ns, settings, facts = case.facts.now_ns, case.settings, case.facts
    if case.opposes_position:
        return passed("cooldown", draft, "the order closes first: no cooldown holds it")
    for whose, last_ns, wait_ns in (
        ("symbol", facts.last_order_ns, settings.cooldown_ns),
        ("strategy", facts.last_strategy_order_ns, settings.strategy_cooldown_ns),
    ):
        if last_ns is not None and wait_ns and now_ns - last_ns < wait_ns:
            since_s, wait_s = seconds(now_ns - last_ns), seconds(wait_ns)
            sentence = f"the {whose}'s last order was {plain(since_s)} s ago, the cooldown is {plain(wait_s)} s"
            return rejected("cooldown", draft, "COOLDOWN", sentence, whose=whose, since_s=since_s, cooldown_s=wait_s)
    return passed("cooldown", draft, "no cooldown is running")


def min_profit(case: Case, draft: Draft) -> Step:
    """D12: an order that closes brings at least the fees of both ways and the margin, or is held back."""
    margin, entry = case.settings.min_profit, case.facts.position_entry
    closes = case.opposes_position and bool(case.facts.position_size)
    if margin is None or not closes:
        return passed("min_profit", draft, "no profit is asked for" if margin is None else "the order closes nothing")
    if not entry:
        return rejected("min_profit", draft, "ENTRY_UNKNOWN", "the position's average entry is not known")
    # Selling a long must bring entry x (1 + fee + margin) after the fee of the sale; buying a short back mirrors it.
    # What is settled in the base currency gains it: contracts over entry less contracts over price, all in coins.
    fee, sign = case.fee_rate, -case.side.sign
    if case.inverse:
        least = divide(entry * (1 + sign * fee), 1 - sign * (fee + margin))
    else:
        least = divide(entry * (1 + sign * (fee + margin)), 1 - sign * fee)
    price = draft.order_price if draft.guard_price is None else draft.price
    figures = {"entry": entry, "price": price, "least": least, "margin": margin, "fee_rate": fee}
    if (price - least) * sign < 0:
        beyond = "below" if sign > 0 else "above"
        sentence = f"{plain(price)} is {beyond} {plain(least)}: entry, fees and {percent(margin)} of profit"
        return rejected("min_profit", draft, "BELOW_MIN_PROFIT", sentence, **figures)
    return passed("min_profit", draft, f"{plain(price)} brings more than {plain(least)}", **figures)


# -- one order -----------------------------------------------------------------------------------------------------


def order_size(case: Case, draft: Draft) -> Step:
    """R03: one signal's order: in quote currency, at market, and of the available balance."""
    limits, price = case.facts.limits, draft.order_price
    bounds: list[tuple[str, Decimal]] = []
    if limits.max_order_size is not None:
        bounds.append(("MAX_ORDER_SIZE", limits.max_order_size))
    if limits.max_market_order_size is not None and draft.order_type is OrderType.MARKET:
        bounds.append(("MAX_MARKET_ORDER_SIZE", limits.max_market_order_size))
    if limits.max_order_size_ratio is not None and draft.opening:
        if case.facts.available is None:
            sentence = "the available balance is not known: no part of it can be taken"
            return rejected("order_size", draft, "BALANCE_UNKNOWN", sentence)
        # The balance of an inverse contract is counted in its base currency.
        worth = case.facts.available * (price if case.inverse else 1)
        bounds.append(("MAX_ORDER_SIZE_RATIO", limits.max_order_size_ratio * worth))
    if not bounds:
        return passed("order_size", draft, "no limit is set")
    name, most = min(bounds, key=lambda bound: bound[1])
    return _within(case, draft, "order_size", name, room=most, limit=most, part=draft.quantity)


# -- what is held --------------------------------------------------------------------------------------------------


def position_size(case: Case, draft: Draft) -> Step:
    """R03: the symbol's position with everything that open orders and this one may add to it."""
    most = case.facts.limits.max_position_size
    if most is None or not draft.opening:
        return passed("position_size", draft, "no limit is set" if most is None else "the order only closes")
    carried = carried_on(case, draft, case.side)
    return _within(
        case, draft, "position_size", "MAX_POSITION_SIZE", room=most - carried, limit=most, carried=carried,
        part=draft.opening,
    )  # fmt: skip


def exposure(case: Case, draft: Draft) -> Step:
    """R03, R04: the notional of all symbols, every worker's, with what is in flight and this order."""
    most = case.facts.limits.max_exposure
    if most is None or not draft.opening:
        return passed("exposure", draft, "no limit is set" if most is None else "the order only closes")
    load = case.facts.load
    if load is None:
        return _unknown("exposure", draft)
    carried = load.exposure + other_side_exposure(case, draft) + carried_on(case, draft, case.side)
    return _within(
        case, draft, "exposure", "MAX_EXPOSURE", room=most - carried, limit=most, carried=carried, part=draft.opening
    )


def carried_on(case: Case, draft: Draft, side: Side) -> Decimal:
    """Notional of the symbol towards `side` if every order of that side that may open were filled: those that are open,
    and the parts of split ones that wait."""
    held = case.facts.position_size * side.sign if case.position_side is PositionSide.NET else _of_side(case, side)
    if case.instrument.spot:  # below zero there is nothing but coins that were sold and came from elsewhere
        held = max(ZERO, held)
    quantity = max(ZERO, held + sum((order.leaves for order in _staying(case, draft) if order.side is side), ZERO))
    return value_of(case, quantity, draft.price)


def other_side_exposure(case: Case, draft: Draft) -> Decimal:
    """Notional of the symbol's other position in hedge mode, with every open order that may add to it."""
    match case.position_side:
        case PositionSide.NET:
            return ZERO
        case PositionSide.LONG:
            other, opens = PositionSide.SHORT, Side.SELL
        case PositionSide.SHORT:
            other, opens = PositionSide.LONG, Side.BUY
    gone = {order.order_id for order in draft.cancelled}
    adding = [
        order.leaves
        for order in case.facts.open_orders
        if order.position_side is other and order.side is opens and not order.reduce_only and order.order_id not in gone
    ]
    return value_of(case, abs(case.facts.other_side_size) + sum(adding, ZERO), draft.price)


def _of_side(case: Case, side: Side) -> Decimal:
    opening = Side.BUY if case.position_side is PositionSide.LONG else Side.SELL
    return abs(case.facts.position_size) if side is opening else ZERO


def _staying(case: Case, draft: Draft) -> list[OpenOrder]:
    gone = {order.order_id for order in draft.cancelled}
    staying = [order for order in case.facts.open_orders if order.order_id not in gone] + waiting(case, draft)
    return [order for order in staying if not order.reduce_only and order.position_side is case.position_side]


# -- how many, how much ------------------------------------------------------------------------------------------


def open_orders(case: Case, draft: Draft) -> Step:
    """R03: open orders of the symbol, and of all symbols, with those that this signal adds."""
    limits, load = case.facts.limits, case.facts.load
    gone = {order.order_id for order in draft.cancelled}
    here = sum(order.order_id not in gone for order in case.facts.open_orders) + len(waiting(case, draft))
    added = max(1, len(draft.parts)) if draft.amended is None else 0
    if limits.max_open_orders_per_symbol is None and limits.max_open_orders is None:
        return passed("open_orders", draft, "no limit is set", symbol=here)
    if not draft.opening:
        return passed("open_orders", draft, "the order only closes", symbol=here)
    most = limits.max_open_orders_per_symbol
    if most is not None and here + added > most:
        sentence = f"the symbol has {here} open orders, {added} more are over its limit of {most}"
        return rejected(
            "open_orders", draft, "MAX_OPEN_ORDERS_PER_SYMBOL", sentence, symbol=here, added=added, limit=most
        )
    if limits.max_open_orders is None:
        return passed("open_orders", draft, f"{here} of the symbol are open", symbol=here, added=added)
    if load is None:
        return _unknown("open_orders", draft)
    most, total = limits.max_open_orders, load.open_orders + here
    figures = {"symbol": here, "account": total, "added": added, "limit": most}
    if total + added > most:
        sentence = f"{total} orders are open, {added} more are over the limit of {most}"
        return rejected("open_orders", draft, "MAX_OPEN_ORDERS", sentence, **figures)
    return passed("open_orders", draft, f"{total} orders are open, the limit is {most}", **figures)


def order_rate(case: Case, draft: Draft) -> Step:
    """R03: orders, and their notional, within any minute."""
    limits = case.facts.limits
    load = _load(case, draft, "order_rate", limits.max_orders_per_minute, limits.max_notional_per_minute)
    if not isinstance(load, AccountLoad):
        return load
    orders = load.orders_last_minute + max(1, len(draft.parts))
    notional = load.notional_last_minute + value_of(case, draft.quantity, draft.counted_price)
    figures = {"orders": orders, "notional": notional}
    if limits.max_orders_per_minute is not None and orders > limits.max_orders_per_minute:
        sentence = f"it would be order {orders} within a minute, the limit is {limits.max_orders_per_minute}"
        return rejected(
            "order_rate", draft, "MAX_ORDERS_PER_MINUTE", sentence, limit=limits.max_orders_per_minute, **figures
        )
    most = limits.max_notional_per_minute
    if most is not None and notional > most:
        sentence = f"{plain(notional)} {case.currency()} within a minute is over the limit of {plain(most)}"
        return rejected("order_rate", draft, "MAX_NOTIONAL_PER_MINUTE", sentence, limit=most, **figures)
    return passed("order_rate", draft, f"order {orders} within a minute", **figures)


def volume(case: Case, draft: Draft) -> Step:
    """R03: what was traded since midnight, and since Monday, with what open orders may trade, and this order."""
    limits = case.facts.limits
    load = _load(case, draft, "volume", limits.max_daily_volume, limits.max_weekly_volume)
    if not isinstance(load, AccountLoad):
        return load
    own = value_of(case, draft.quantity, draft.counted_price)
    still_open = load.notional_open + _open_notional(case, draft)
    figures = {"order": own, "open": still_open}
    for name, most, traded in (
        ("MAX_DAILY_VOLUME", limits.max_daily_volume, load.traded_today),
        ("MAX_WEEKLY_VOLUME", limits.max_weekly_volume, load.traded_this_week),
    ):
        if most is not None and traded + still_open + own > most:
            told = f"{plain(traded)} {case.currency()} traded and {plain(still_open)} open"
            sentence = f"{told}, {plain(own)} more is over {name} {plain(most)}"
            return rejected("volume", draft, name, sentence, traded=traded, limit=most, **figures)
    return passed("volume", draft, f"{plain(load.traded_today)} {case.currency()} traded today", **figures)


def loss(case: Case, draft: Draft) -> Step:
    """R03: a day that has lost its limit, or a worth too far under its highest, opens nothing more."""
    limits = case.facts.limits
    load = _load(case, draft, "loss", limits.max_daily_loss, limits.max_drawdown)
    if not isinstance(load, AccountLoad):
        return load
    if (reached := loss_reached(limits.max_daily_loss, limits.max_drawdown, load)) is not None:
        code, sentence = reached
        return rejected("loss", draft, code, sentence, loss_today=load.loss_today, drawdown=load.drawdown)
    return passed("loss", draft, "within the limits", loss_today=load.loss_today, drawdown=load.drawdown)


def loss_reached(
    max_daily_loss: Decimal | None, max_drawdown: Decimal | None, load: AccountLoad
) -> tuple[str, str] | None:
    """(code, sentence) of the limit that the account's losses have reached, if any."""
    if max_daily_loss is not None and load.loss_today >= max_daily_loss > 0:
        return (
            "MAX_DAILY_LOSS",
            f"{plain(load.loss_today)} lost since midnight UTC, the limit is {plain(max_daily_loss)}",
        )
    if max_drawdown is not None and load.drawdown >= max_drawdown > 0:
        return "MAX_DRAWDOWN", f"{percent(load.drawdown)} under the highest worth, the limit is {percent(max_drawdown)}"
    return None


def _open_notional(case: Case, draft: Draft) -> Decimal:
    """What the symbol's open orders may still trade: at their limits, or at the reference."""
    gone = {order.order_id for order in draft.cancelled}
    staying = (order for order in case.facts.open_orders if order.order_id not in gone)
    return sum((value_of(case, order.leaves, order.price or draft.price) for order in staying), ZERO)


# -- shared --------------------------------------------------------------------------------------------------------


def _load(case: Case, draft: Draft, gate: str, *limits: Decimal | int | None) -> AccountLoad | Step:
    """What the account carries, where one of the limits has to be held against it; else the gate's verdict."""
    if all(limit is None for limit in limits):
        return passed(gate, draft, "no limit is set")
    if not draft.opening:
        return passed(gate, draft, "the order only closes")
    return _unknown(gate, draft) if case.facts.load is None else case.facts.load


def _unknown(gate: str, draft: Draft) -> Step:
    sentence = "what the whole account carries is not known: nothing may be added until it is"
    return rejected(gate, draft, "ACCOUNT_LOAD_UNKNOWN", sentence)


def _within(
    case: Case,
    draft: Draft,
    gate: str,
    name: str,
    *,
    room: Decimal,
    limit: Decimal,
    part: Decimal,
    carried: Decimal = ZERO,
) -> Step:
    """The part of the order that counts must fit into the room that is left under a limit; `RISK_ACTION` decides what
    becomes of one that does not."""
    price = draft.counted_price
    size = value_of(case, part, price)
    figures = {"order": size, "carried": carried, "limit": limit}
    told = f"{plain(size)} {case.currency()}" + (f" on top of {plain(carried)}" if carried else "")
    if size <= room:
        return passed(gate, draft, f"{told} is within {name} {plain(limit)}", **figures)
    sentence = f"{told} is over {name} {plain(limit)}"
    if case.settings.risk_action is RiskAction.REJECT:
        return rejected(gate, draft, name, sentence, **figures)
    closing = draft.quantity - part
    fitting = closing + floor_to(quantity_worth(case, max(ZERO, room), price), case.rules.lot)
    quantity = floor_to(fitting, case.rules.lot)
    if quantity <= 0:
        return rejected(gate, draft, name, f"{sentence}, which leaves no room", **figures)
    opening = max(ZERO, draft.opening - (draft.quantity - quantity))
    only_closes = draft.reduce_only or (not opening and not case.instrument.spot and draft.protection is None)
    shrunk = replace(draft, quantity=quantity, opening=opening, reduce_only=only_closes)
    sentence = f"{sentence}: {plain(draft.quantity)} becomes {plain(quantity)}"
    return adjusted(gate, shrunk, name, sentence, quantity=quantity, **figures)
