"""Gates that decide at which price, as which type and with which flags an order goes out."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from domain.drafts import Case, Draft, Step, adjusted, passed, percent, rejected
from domain.instruments import SPOT, Quote
from domain.money import ZERO, ceil_to, divide, floor_to, plain
from domain.orders import OrderType, Side, TimeInForce
from domain.plans import MarketGuard
from domain.signals import MarketSnapshot, Urgency
from domain.times import seconds


def reference_price(case: Case, draft: Draft) -> Step:
    """D06: the snapshot's price, unless it is missing or too old; then the quote's; then an explicit limit price.

    Spread and depth come from where the price comes from; a spread the snapshot lacks comes from the quote.
    """
    snapshot, quote = _fresh_snapshot(case), _fresh_quote(case)
    quoted = spread_of(quote) if quote else None
    if snapshot is not None and snapshot.price is not None:
        spread = snapshot.spread if snapshot.spread is not None else quoted
        draft = replace(draft, price=snapshot.price, price_source="snapshot", spread=spread, depth=snapshot.depth)
    elif quote is not None:
        draft = replace(draft, price=price_of(quote), price_source="quote", spread=quoted)
    elif case.signal.limit_price is not None:
        draft = replace(draft, price=case.signal.limit_price, price_source="limit_price")
    else:
        sentence = "no price: the snapshot's is missing or too old, and there is no fresh quote"
        return rejected(
            "reference_price", draft, "NO_PRICE", sentence, limit_s=seconds(case.settings.max_snapshot_age_ns)
        )
    figures: dict[str, object] = {"price": draft.price, "source": draft.price_source}
    if draft.spread is not None:
        figures["spread"] = draft.spread
    sentence = f"{plain(draft.price)} {case.currency()} from the {draft.price_source.replace('_', ' ')}"
    return passed("reference_price", draft, sentence, **figures)


def _fresh_snapshot(case: Case) -> MarketSnapshot | None:
    """A snapshot is as old as its signal says."""
    age_ns = case.facts.now_ns - case.begun_ns
    return case.signal.market_data_snapshot if age_ns <= case.settings.max_snapshot_age_ns else None


def _fresh_quote(case: Case) -> Quote | None:
    quote = case.facts.quote
    if quote is None or not price_of(quote) or case.facts.now_ns - quote.at_ns > case.settings.max_snapshot_age_ns:
        return None
    return quote


def _two_sided(quote: Quote) -> bool:
    return 0 < quote.bid <= quote.ask


def price_of(quote: Quote) -> Decimal:
    """The middle of the best prices; the last trade where the book is not two-sided; 0 where there is neither."""
    return (quote.bid + quote.ask) / 2 if _two_sided(quote) else max(quote.last, ZERO)


def spread_of(quote: Quote) -> Decimal | None:
    """Best ask less best bid, in quote currency; None where the book is not two-sided."""
    return quote.ask - quote.bid if _two_sided(quote) else None


def price_drift(case: Case, draft: Draft) -> Step:
    """D06: how far the market went since the snapshot."""
    settings, quote = case.settings, _fresh_quote(case)
    if draft.price_source != "snapshot":
        return passed("price_drift", draft, "the price is not the snapshot's")
    limit = settings.price_drift_reject
    if quote is None:
        if limit is not None:
            sentence = "no fresh quote to compare the snapshot's price with"
            return rejected("price_drift", draft, "PRICE_DRIFT_UNKNOWN", sentence, limit=limit)
        return passed("price_drift", draft, "no fresh quote to compare with")
    now = price_of(quote)
    drift = divide(abs(now - draft.price), draft.price)
    figures = {"snapshot": draft.price, "quote": now, "drift": drift}
    draft = replace(draft, price_drift=drift)
    moved = f"the price moved {percent(drift)} since the snapshot, from {plain(draft.price)} to {plain(now)}"
    if limit is not None and drift > limit:
        sentence = f"{moved}, the limit is {percent(limit)}"
        return rejected("price_drift", draft, "PRICE_DRIFT", sentence, limit=limit, **figures)
    if drift > settings.price_drift_warn:
        warned = replace(draft, warnings=(*draft.warnings, f"PRICE_DRIFT: {moved}"))
        return passed("price_drift", warned, moved, "PRICE_DRIFT", warn=settings.price_drift_warn, **figures)
    return passed("price_drift", draft, moved, warn=settings.price_drift_warn, **figures)


# -- type and flags ------------------------------------------------------------------------------------------------


def order_type(case: Case, draft: Draft) -> Step:
    """D01: market or limit, and by which rule. The first that fires decides."""
    rule, kind, sentence = _type_rule(case, draft)
    decided = replace(draft, order_type=kind, rule=rule)
    return passed("order_type", decided, f"{kind}: {sentence}", rule.upper(), type=kind, rule=rule)


def _type_rule(case: Case, draft: Draft) -> tuple[str, OrderType, str]:
    signal, settings = case.signal, case.settings
    if signal.order_type is not None:
        return "explicit", signal.order_type, "the signal says so"
    if signal.limit_price is not None:
        return "limit_price", OrderType.LIMIT, "the signal names a limit price"
    if signal.post_only:
        return "post_only", OrderType.LIMIT, "the signal wants to rest as a maker"
    if signal.confidence is not None and signal.confidence > settings.market_order_confidence_threshold:
        above = plain(settings.market_order_confidence_threshold)
        return "confidence", OrderType.MARKET, f"confidence {plain(signal.confidence)} is above {above}"
    if signal.urgency is Urgency.URGENT:
        return "urgency", OrderType.MARKET, "the signal is urgent"
    if draft.spread is None:
        return "no_spread", OrderType.LIMIT, "the spread is not known"
    ratio = divide(draft.spread, draft.price)
    threshold = settings.market_order_spread_threshold
    if ratio >= threshold:
        return "wide_spread", OrderType.LIMIT, f"the spread is {percent(ratio)}, not below {percent(threshold)}"
    if draft.depth is not None and draft.depth < draft.quantity:
        held = f"the book holds {plain(draft.depth)} of {plain(draft.quantity)} within the slippage guard"
        return "thin_book", OrderType.LIMIT, f"the spread is narrow but {held}"
    return "narrow_spread", OrderType.MARKET, f"the spread is {percent(ratio)}, below {percent(threshold)}"


def order_flags(case: Case, draft: Draft) -> Step:
    """D03: time in force and post-only. What a venue would refuse, or silently read otherwise, is refused here."""
    market = draft.order_type is OrderType.MARKET
    wrong = _wrong_flags(case, market=market)
    if wrong is not None:
        code, sentence = wrong
        return rejected("order_flags", draft, code, sentence, type=draft.order_type)
    force = case.signal.time_in_force
    if market:
        decided = replace(draft, time_in_force=TimeInForce.IOC, post_only=False)
        if force is TimeInForce.GTC:
            sentence = "a market order cannot rest: GTC becomes IOC"
            return adjusted("order_flags", decided, "MARKET_IS_IOC", sentence, time_in_force=TimeInForce.IOC)
        return passed("order_flags", decided, "IOC, as market orders are", time_in_force=TimeInForce.IOC)
    force = force or TimeInForce.GTC
    wanted = case.signal.post_only
    # The default yields to an order that must trade at once; only the signal's own word makes a conflict of it.
    post_only = force is TimeInForce.GTC and (case.settings.post_only if wanted is None else wanted)
    decided = replace(draft, time_in_force=force, post_only=post_only)
    maker = ", post-only" if post_only else ""
    return passed("order_flags", decided, f"{force}{maker}", time_in_force=force, post_only=str(post_only).lower())


def _wrong_flags(case: Case, *, market: bool) -> tuple[str, str] | None:
    """(code, sentence) of a combination that no order can have."""
    signal = case.signal
    if market and signal.limit_price is not None:
        return "MARKET_WITH_LIMIT_PRICE", f"a market order has no limit price ({plain(signal.limit_price)})"
    if market and signal.post_only:
        return "MARKET_POST_ONLY", "a market order takes, post-only must not"
    if market and signal.time_in_force is TimeInForce.FOK:
        return "MARKET_FOK", "a market order fills what it can: fill-or-kill needs a limit price"
    if signal.post_only and signal.time_in_force in {TimeInForce.IOC, TimeInForce.FOK}:
        return "POST_ONLY_AT_ONCE", f"post-only must rest, {signal.time_in_force} must not"
    if signal.reduce_only and case.instrument.category == SPOT and signal.signal_type is Side.BUY:
        return "REDUCE_ONLY_BUY_ON_SPOT", "a spot purchase reduces nothing"
    return None


def limit_price(case: Case, draft: Draft) -> Step:
    """D02: the signal's price, else the reference ∓ spread x ratio; to the tick, on the passive side.

    A post-only price that the market has passed is sent all the same: the venue cancels it, and that is its answer.
    """
    if draft.order_type is OrderType.MARKET:
        return passed("limit_price", draft, "a market order has none")
    rules, explicit = case.rules, case.signal.limit_price
    away = (draft.spread or ZERO) * case.settings.limit_order_price_offset_ratio
    wanted = draft.price - case.side.sign * away if explicit is None else explicit
    rounded = floor_to if case.side is Side.BUY else ceil_to
    price = rounded(wanted, rules.tick)
    figures = {"wanted": wanted, "price": price, "tick": rules.tick}
    if price <= 0:
        sentence = f"limit price {plain(wanted)} is {plain(price)} on the tick {plain(rules.tick)}: not above 0"
        return rejected("limit_price", draft, "LIMIT_PRICE_NOT_POSITIVE", sentence, **figures)
    if rules.min_price and price < rules.min_price:
        sentence = f"limit price {plain(price)} is under the minimum {plain(rules.min_price)}"
        return rejected("limit_price", draft, "BELOW_MIN_PRICE", sentence, minimum=rules.min_price, **figures)
    if rules.max_price and price > rules.max_price:
        sentence = f"limit price {plain(price)} is over the maximum {plain(rules.max_price)}"
        return rejected("limit_price", draft, "ABOVE_MAX_PRICE", sentence, maximum=rules.max_price, **figures)
    decided = replace(draft, limit_price=price, named_price=None if explicit is None else price)
    origin = "the signal's" if explicit is not None else f"{plain(away)} on the passive side of {plain(draft.price)}"
    sentence = f"{plain(price)} {case.currency()}: {origin}"
    if explicit is not None and price != explicit:
        return adjusted("limit_price", decided, "ROUNDED_TO_TICK", f"{sentence}, to the tick", **figures)
    return passed("limit_price", decided, sentence, **figures)


# -- the slippage guard --------------------------------------------------------------------------------------------


def slippage_guard(case: Case, draft: Draft) -> Step:
    """D07: the worst price of a market order: `MAX_SLIPPAGE` from the market's price now, or, without a fresh quote,
    from the reference; to the tick on the side that protects."""
    if draft.order_type is not OrderType.MARKET:
        return passed("slippage_guard", draft, "a limit order is its own guard")
    guard = _guard_price(case, draft)
    mode, most = case.settings.market_guard, case.settings.max_slippage
    figures: dict[str, object] = {"mode": mode, "guard": guard, "max_slippage": most, "quantity": draft.quantity}
    if draft.depth is not None:
        figures["depth"] = draft.depth
    rules = case.rules
    if guard <= 0 or guard < rules.min_price or (rules.max_price and guard > rules.max_price):
        sentence = f"{percent(most)} from the market's price leaves no price that the venue takes: {plain(guard)}"
        return rejected("slippage_guard", draft, "NO_GUARD_PRICE", sentence, **figures)
    if mode is MarketGuard.LIMIT:
        sentence = f"goes out as an IOC limit at {plain(guard)} {case.currency()}"
        return passed("slippage_guard", replace(draft, guard_price=guard), sentence, "GUARDED", **figures)
    within = f"within {percent(most)}, at {plain(guard)} {case.currency()} at worst"
    if draft.depth is None:
        sentence = f"it is not known what the book holds {within}"
        return rejected("slippage_guard", draft, "DEPTH_UNKNOWN", sentence, **figures)
    if draft.depth < draft.quantity:
        sentence = f"the book holds {plain(draft.depth)} of {plain(draft.quantity)} {within}"
        return rejected("slippage_guard", draft, "BOOK_TOO_THIN", sentence, **figures)
    return passed("slippage_guard", draft, f"the book holds {plain(draft.depth)} {within}", **figures)


def _guard_price(case: Case, draft: Draft) -> Decimal:
    quote, rules = _fresh_quote(case), case.rules
    now = draft.price if quote is None else price_of(quote)
    worst = now * (1 + case.side.sign * case.settings.max_slippage)
    if case.side is Side.BUY:
        return floor_to(min(worst, rules.max_price) if rules.max_price else worst, rules.tick)
    return ceil_to(max(worst, rules.min_price, rules.tick), rules.tick)
