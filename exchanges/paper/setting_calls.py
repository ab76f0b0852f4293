"""What an account can choose: leverage and position mode."""

from __future__ import annotations

from typing import Final

from exchanges.paper.admission import category_of, instrument_of
from exchanges.paper.exact import plain
from exchanges.paper.fields import Fields, number, text, whole
from exchanges.paper.instruments import INSTRUMENTS
from exchanges.paper.refusals import (
    bad_parameter,
    leverage_out_of_range,
    leverage_unchanged,
    mode_change_with_orders,
    mode_change_with_position,
    mode_unchanged,
)
from exchanges.paper.rows import SETTLE_COIN
from exchanges.paper.turn import Row
from exchanges.paper.venue import PaperVenue

ONE_WAY_MODE: Final = 0
HEDGE_MODE: Final = 3


def set_leverage(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    category_of(fields)
    instrument, account = instrument_of(fields), venue.accounts[uid]
    buy, sell = number(fields, "buyLeverage"), number(fields, "sellLeverage")
    if not buy or not sell or buy != sell:
        raise bad_parameter("buy leverage invalid" if not buy else "sell leverage invalid")
    if not 1 <= buy <= instrument.max_leverage:
        raise leverage_out_of_range(plain(instrument.max_leverage))
    if buy == account.leverage(instrument.symbol):
        raise leverage_unchanged()
    account.settings.leverage[instrument.symbol] = buy
    venue.store.put_settings(account.settings)
    return {}


def switch_mode(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """One-way or hedge, for one symbol or for all of a coin, those listed later too."""
    category_of(fields)
    account, mode = venue.accounts[uid], whole(fields, "mode", -1)
    if mode not in {ONE_WAY_MODE, HEDGE_MODE}:
        raise bad_parameter("mode invalid")
    hedged = mode == HEDGE_MODE
    if text(fields, "symbol"):
        symbols = [instrument_of(fields).symbol]
    elif text(fields, "coin") == SETTLE_COIN:
        symbols = list(INSTRUMENTS)
    else:
        raise bad_parameter("params error: symbol or coin required")
    changing = [symbol for symbol in symbols if account.is_hedged(symbol) is not hedged]
    if not changing:
        raise mode_unchanged()
    if any(position.symbol in changing for position in account.held()):
        raise mode_change_with_position()
    if any(order.symbol in changing for order in account.open_orders.values()):
        raise mode_change_with_orders()
    account.settings.hedged.update(dict.fromkeys(changing, hedged))
    venue.store.put_settings(account.settings)
    return {}
