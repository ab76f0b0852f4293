"""What an account can choose: leverage, position mode, margin mode, cancelling on disconnect."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from exchanges.paper.admission import category_of, contract_of, instrument_of
from exchanges.paper.exact import plain
from exchanges.paper.fields import Fields, number, text, whole
from exchanges.paper.instruments import INSTRUMENTS
from exchanges.paper.refusals import (
    bad_parameter,
    forbidden_for_unified,
    hedge_mode_unsupported,
    leverage_out_of_range,
    leverage_unchanged,
    margin_mode_failed,
    mode_change_with_orders,
    mode_change_with_position,
    mode_unchanged,
    only_isolated_margin,
)
from exchanges.paper.rows import RISK_LIMIT_VALUE, SETTLE_COIN
from exchanges.paper.trading_stop import trading_stop_of
from exchanges.paper.turn import Row
from exchanges.paper.venue import PaperVenue
from exchanges.paper.vocabulary import Category, TpslMode

ONE_WAY_MODE: Final = 0
HEDGE_MODE: Final = 3
CROSS_MARGIN: Final = "REGULAR_MARGIN"
MARGIN_MODES: Final = frozenset({CROSS_MARGIN, "ISOLATED_MARGIN", "PORTFOLIO_MARGIN"})
LEVERAGE_STEP: Final = Decimal("0.01")
DCP_RANGE_S: Final = (3, 300)


def set_leverage(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    instrument, account = contract_of(fields), venue.accounts[uid]
    buy, sell = number(fields, "buyLeverage"), number(fields, "sellLeverage")
    if not buy or not sell or buy != sell or buy % LEVERAGE_STEP:
        raise bad_parameter("buy leverage invalid" if not buy else "sell leverage invalid")
    if not 1 <= buy <= instrument.max_leverage:
        raise leverage_out_of_range(plain(instrument.max_leverage))
    if buy == account.leverage(instrument.symbol):
        raise leverage_unchanged()
    account.settings.leverage[instrument.symbol] = buy
    venue.store.put_settings(account.settings)
    return {}


def switch_mode(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """One-way or hedge, for one symbol, or for all of a coin that have neither position nor open order."""
    if category_of(fields) is not Category.LINEAR:
        raise hedge_mode_unsupported()
    account, mode = venue.accounts[uid], whole(fields, "mode", -1)
    if mode not in {ONE_WAY_MODE, HEDGE_MODE}:
        raise bad_parameter("mode invalid")
    hedged = mode == HEDGE_MODE
    held = {position.symbol for position in account.held()}
    ordered = {order.symbol for order in account.open_orders.values() if not order.is_spot}
    if text(fields, "symbol"):
        symbols = [instrument_of(fields).symbol]
    elif text(fields, "coin") == SETTLE_COIN:
        symbols = [symbol for symbol in INSTRUMENTS if symbol not in held | ordered]
    else:
        raise bad_parameter("params error: symbol or coin required")
    changing = [symbol for symbol in symbols if account.is_hedged(symbol) is not hedged]
    if not changing:
        raise mode_unchanged()
    if held.intersection(changing):
        raise mode_change_with_position()
    if ordered.intersection(changing):
        raise mode_change_with_orders()
    account.settings.hedged.update(dict.fromkeys(changing, hedged))
    venue.store.put_settings(account.settings)
    return {}


def set_trading_stop(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """Take-profit, stop-loss and trailing stop of a position."""
    contract = contract_of(fields)
    venue.set_trading_stop(uid, contract, trading_stop_of(fields, contract))
    return {}


def set_auto_add_margin(_venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    """A choice of isolated positions; there is cross margin only."""
    contract_of(fields)
    if whole(fields, "autoAddMargin", -1) not in {0, 1}:
        raise bad_parameter("autoAddMargin invalid")
    raise only_isolated_margin()


def set_tpsl_mode(_venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    """A choice of older accounts: a unified one names the mode with each order."""
    contract_of(fields)
    mode = text(fields, "tpSlMode")
    if mode not in set(TpslMode):
        raise bad_parameter("tpSlMode invalid")
    return {"tpSlMode": mode}


def set_margin_mode(_venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    """There is cross margin only, under its name of `REGULAR_MARGIN`."""
    wanted = text(fields, "setMarginMode")
    if wanted not in MARGIN_MODES:
        raise bad_parameter("setMarginMode invalid")
    if wanted != CROSS_MARGIN:
        raise margin_mode_failed()
    return {"reasons": []}


def switch_isolated(_venue: PaperVenue, _uid: int, _fields: Fields) -> Row:
    """A choice of accounts that are not unified; these here are."""
    raise forbidden_for_unified()


def set_risk_limit(_venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    """Each contract has one tier."""
    contract_of(fields)
    if whole(fields, "riskId", 0) != 1:
        raise bad_parameter("riskId invalid")
    return {"category": text(fields, "category"), "riskId": 1, "riskLimitValue": RISK_LIMIT_VALUE}


def set_disconnect_cancel(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """`order/disconnected-cancel-all`: the time in s after which open orders go when the streams are gone."""
    window_s = whole(fields, "timeWindow", 0)
    if not DCP_RANGE_S[0] <= window_s <= DCP_RANGE_S[1]:
        raise bad_parameter("params error: timeWindow invalid")
    settings = venue.accounts[uid].settings
    settings.disconnect_cancel_s = window_s
    venue.store.put_settings(settings)
    return {}
