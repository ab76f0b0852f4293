"""The gate for what goes with an order: its take-profit and stop-loss (requirement P07)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from domain.drafts import Case, Draft, Step, passed, rejected
from domain.instruments import SPOT
from domain.money import plain
from domain.protection import Protection

_Wrong = tuple[str, str, dict[str, object]]
"""(code, sentence, figures) of a combination that no order can have."""


def attached_orders(case: Case, draft: Draft) -> Step:
    """P07: take-profit and stop-loss go with the order, or the signal is refused; they are never dropped.

    The venue counts them from the price of the order: profit lies beyond it, loss before it. An order that may trade
    between the market's price and its own must have both outside of that stretch.
    """
    signal = case.signal
    wanted = Protection(
        take_profit=signal.take_profit, stop_loss=signal.stop_loss, trigger_by=case.settings.protection_trigger
    )
    if not wanted.prices:
        return passed("attached_orders", draft, "nothing is attached")
    wrong = _not_here(case, draft, wanted) or _off_the_grid(case, wanted) or _wrong_side(case, draft, wanted)
    if wrong is not None:
        code, sentence, figures = wrong
        return rejected("attached_orders", draft, code, sentence, **figures)
    decided = replace(draft, protection=wanted)
    return passed("attached_orders", decided, f"with the order go {wanted}", **wanted.prices)


def _not_here(case: Case, draft: Draft, wanted: Protection) -> _Wrong | None:
    """Where the venue has nothing that could follow."""
    names, figures = " and ".join(wanted.prices), dict[str, object](wanted.prices)
    if not case.settings.venue_protects:
        return "ATTACHED_NOT_SUPPORTED", f"{names}: {case.instrument.venue} takes none with an order", figures
    if case.instrument.category == SPOT:
        return "ATTACHED_ON_SPOT", f"{names}: spot has no position that it could follow", figures
    if draft.reduce_only:
        return "ATTACHED_TO_CLOSING_ORDER", f"{names}: the order only closes, and leaves nothing to protect", figures
    return None


def _off_the_grid(case: Case, wanted: Protection) -> _Wrong | None:
    rules = case.rules
    for name, price in wanted.prices.items():
        if price % rules.tick:
            sentence = f"{name} {plain(price)} is not on the tick {plain(rules.tick)}"
            return "ATTACHED_OFF_TICK", sentence, {name: price, "tick": rules.tick}
        if price < rules.min_price:
            sentence = f"{name} {plain(price)} is under the minimum {plain(rules.min_price)}"
            return "ATTACHED_OUT_OF_RANGE", sentence, {name: price, "minimum": rules.min_price}
        if rules.max_price and price > rules.max_price:
            sentence = f"{name} {plain(price)} is over the maximum {plain(rules.max_price)}"
            return "ATTACHED_OUT_OF_RANGE", sentence, {name: price, "maximum": rules.max_price}
    return None


def _wrong_side(case: Case, draft: Draft, wanted: Protection) -> _Wrong | None:
    best, worst = _stretch(case, draft)
    sign = case.side.sign
    for name, price, bound, beyond in (
        ("take_profit", wanted.take_profit, worst, sign),
        ("stop_loss", wanted.stop_loss, best, -sign),
    ):
        if price is None or (price - bound) * beyond > 0:
            continue
        where = "above" if beyond > 0 else "below"
        sentence = f"{name} {plain(price)} of a {case.side} must lie {where} {plain(bound)}"
        return f"{name.upper()}_WRONG_SIDE", sentence, {name: price, "limit": bound}
    return None


def _stretch(case: Case, draft: Draft) -> tuple[Decimal, Decimal]:
    """(best, worst) price at which the order may trade, as far as is known. One that rests trades at its limit."""
    limit = draft.guard_price if draft.limit_price is None else draft.limit_price
    prices = [draft.price if limit is None else limit]
    crosses = (prices[0] - draft.price) * case.side.sign > 0
    if crosses:
        prices.append(draft.price)
    lowest, highest = min(prices), max(prices)
    return (lowest, highest) if case.side.sign > 0 else (highest, lowest)
