"""From the body of a create or amend call to a wish that the exchange can work with, or a refusal."""

from __future__ import annotations

from typing import Final

from exchanges.paper.contract_admission import check_price, check_qty, new_contract_order
from exchanges.paper.fields import Fields, choice, number, text
from exchanges.paper.instruments import LISTED, Instrument
from exchanges.paper.refusals import bad_parameter, invalid_spot_symbol
from exchanges.paper.spot_admission import check_spot_price, check_spot_qty, new_spot_order
from exchanges.paper.vocabulary import Category, OrderType, TriggerBy
from exchanges.paper.wishes import Amendment, NewOrder

# Wishes that this exchange does not fulfil. Dropping one in silence would be worse than saying no.
_UNSUPPORTED: Final = ("bboSideType", "orderIv")


def category_of(fields: Fields) -> Category:
    """The category of a trading call: linear, inverse or spot. Options are not listed here."""
    written = text(fields, "category")
    if written not in LISTED:
        raise bad_parameter("Illegal category")
    return Category(written)


def instrument_of(fields: Fields) -> Instrument:
    """The contract or pair that the call names, in its category; a question without one is about linear contracts."""
    category = category_of(fields) if text(fields, "category") else Category.LINEAR
    instrument = LISTED[category].get(text(fields, "symbol"))
    if instrument is None:
        raise invalid_spot_symbol() if category is Category.SPOT else bad_parameter("Not supported symbols")
    return instrument


def contract_of(fields: Fields) -> Instrument:
    """The contract that a call about positions names."""
    if category_of(fields) is Category.SPOT:
        raise bad_parameter("Illegal category")
    return instrument_of(fields)


def new_order(fields: Fields) -> NewOrder:
    """Read and check the body of `order/create`. Raises `Refusal` as the venue would."""
    category_of(fields)
    instrument = instrument_of(fields)
    refuse_unsupported(fields)
    return new_spot_order(fields, instrument) if instrument.is_spot else new_contract_order(fields, instrument)


def amendment(fields: Fields, instrument: Instrument) -> Amendment:
    """Read and check the body of `order/amend`; for quantity and prices zero means "as it is", as absence does."""
    category_of(fields)
    refuse_unsupported(fields)
    wish = Amendment(
        qty=number(fields, "qty") or None,
        price=number(fields, "price") or None,
        trigger_price=number(fields, "triggerPrice") or None,
        take_profit=number(fields, "takeProfit"),
        stop_loss=number(fields, "stopLoss"),
        take_profit_limit=number(fields, "tpLimitPrice") or None,
        stop_loss_limit=number(fields, "slLimitPrice") or None,
        trigger_by=_trigger_by(fields, "triggerBy"),
        take_profit_by=_trigger_by(fields, "tpTriggerBy"),
        stop_loss_by=_trigger_by(fields, "slTriggerBy"),
    )
    check = check_spot_price if instrument.is_spot else check_price
    for price in (
        wish.price, wish.trigger_price, wish.take_profit, wish.stop_loss, wish.take_profit_limit, wish.stop_loss_limit,
    ):  # fmt: skip
        if price:
            check(instrument, price)
    if wish.qty is not None:
        if instrument.is_spot:
            check_spot_qty(instrument, OrderType.LIMIT, wish.qty)
        else:
            check_qty(instrument, OrderType.LIMIT, wish.qty)
    return wish


def _trigger_by(fields: Fields, name: str) -> TriggerBy | None:
    return choice(TriggerBy, fields, name) if text(fields, name) else None


def refuse_unsupported(fields: Fields) -> None:
    """Say no to what this exchange does not do."""
    for name in _UNSUPPORTED:
        if fields.get(name) not in (None, "", "0"):  # a tuple: the client may send something unhashable
            raise bad_parameter(f"Not supported by this exchange: {name}")
