"""What each REST endpoint does: from parsed parameters to the `result` of the envelope."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from exchanges.paper import market_questions, questions
from exchanges.paper.admission import amendment, category_of, instrument_of, new_order
from exchanges.paper.exact import plain
from exchanges.paper.fields import Fields, number, text, whole
from exchanges.paper.instruments import INSTRUMENTS
from exchanges.paper.paging import symbols_of
from exchanges.paper.rates import RateGroup
from exchanges.paper.refusals import (
    Refusal,
    bad_parameter,
    leverage_out_of_range,
    leverage_unchanged,
    mode_change_with_orders,
    mode_change_with_position,
    mode_unchanged,
)
from exchanges.paper.rows import NS_PER_MS, SETTLE_COIN
from exchanges.paper.turn import Row
from exchanges.paper.venue import PaperVenue
from exchanges.paper.vocabulary import ONE_WAY

BATCH_LIMIT = 20  # orders in one batch of linear contracts
ONE_WAY_MODE, HEDGE_MODE = 0, 3


class BatchAnswer(NamedTuple):
    """A result together with what goes into `retExtInfo`: a verdict for each item."""

    result: Row
    ext_info: Row


Serve = Callable[[PaperVenue, int, Fields], Row | BatchAnswer]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`serve(venue, uid, fields)` gives the result; public endpoints get uid 0."""

    name: str
    serve: Serve
    group: RateGroup = RateGroup.QUERY
    is_public: bool = False


def in_batch(single: Callable[[PaperVenue, int, Fields], Row]) -> Serve:
    """The batch form of a call: each item stands or falls alone, and the envelope's retCode says nothing about it."""

    def serve(venue: PaperVenue, uid: int, fields: Fields) -> BatchAnswer:
        category = category_of(fields)
        items = fields.get("request")
        if not isinstance(items, list) or not 1 <= len(items) <= BATCH_LIMIT:
            raise bad_parameter(f"params error: request must be a list of 1 to {BATCH_LIMIT} orders")
        rows: list[Row] = []
        verdicts: list[Row] = []
        for item in items:
            shown: Row = {
                "category": category,
                "symbol": "",
                "orderId": "",
                "orderLinkId": "",
                "createAt": "",
            }
            try:
                if not isinstance(item, dict):
                    raise bad_parameter("params error: an order must be an object")
                shown |= {name: text(item, name) for name in ("symbol", "orderLinkId")}
                shown |= single(venue, uid, item | {"category": category})
                shown["createAt"] = str(venue.clock() // NS_PER_MS)
                verdicts.append({"code": 0, "msg": "OK"})
            except Refusal as refusal:
                verdicts.append({"code": refusal.code, "msg": refusal.message})
            rows.append(shown)
        return BatchAnswer({"list": rows}, {"list": verdicts})

    return serve


def create(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    order = venue.create(uid, new_order(fields))
    return {"orderId": order.order_id, "orderLinkId": order.order_link_id}


def amend(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    category_of(fields)
    instrument = instrument_of(fields)
    wish = amendment(fields, instrument)
    order = venue.open_order(uid, *_identity(fields), symbol=instrument.symbol, doing="replace")
    venue.amend(order, wish)
    return {"orderId": order.order_id, "orderLinkId": order.order_link_id}


def cancel(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    category_of(fields)
    symbol = instrument_of(fields).symbol
    order = venue.open_order(uid, *_identity(fields), symbol=symbol, doing="cancel")
    venue.cancel(order)
    return {"orderId": order.order_id, "orderLinkId": order.order_link_id}


def cancel_all(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """symbol goes before baseCoin before settleCoin; one of them must be there."""
    category_of(fields)
    symbols = symbols_of(fields, required=True)
    cancelled = venue.cancel_all(
        uid, symbols, lambda order: questions.is_kind(order, text(fields, "orderFilter"))
    )
    return {
        "list": [{"orderId": order.order_id, "orderLinkId": order.order_link_id} for order in cancelled],
        "success": "1",
    }


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


def _identity(fields: Fields) -> tuple[str, str]:
    order_id, link = text(fields, "orderId"), text(fields, "orderLinkId")
    if not (order_id or link):
        raise bad_parameter("params error: OrderId or orderLinkId is required")
    return order_id, link


def _public(name: str, serve: Serve) -> tuple[tuple[str, str], Endpoint]:
    return ("GET", name), Endpoint(name, serve, is_public=True)


def _question(name: str, serve: Serve) -> tuple[tuple[str, str], Endpoint]:
    return ("GET", name), Endpoint(name, serve)


def _action(name: str, serve: Serve, group: RateGroup) -> tuple[tuple[str, str], Endpoint]:
    return ("POST", name), Endpoint(name, serve, group)


# By method and path below /v5/. A name here is also what fault rules and the counters call the endpoint.
ENDPOINTS: Final[dict[tuple[str, str], Endpoint]] = dict(
    [
        _public("market/time", market_questions.time),
        _public("market/instruments-info", market_questions.instruments_info),
        _public("market/tickers", market_questions.tickers),
        _public("market/orderbook", market_questions.orderbook),
        _public("market/recent-trade", market_questions.recent_trades),
        _action("order/create", create, RateGroup.CREATE),
        _action("order/amend", amend, RateGroup.AMEND),
        _action("order/cancel", cancel, RateGroup.CANCEL),
        _action("order/create-batch", in_batch(create), RateGroup.CREATE_BATCH),
        _action("order/amend-batch", in_batch(amend), RateGroup.AMEND_BATCH),
        _action("order/cancel-batch", in_batch(cancel), RateGroup.CANCEL_BATCH),
        _action("order/cancel-all", cancel_all, RateGroup.CANCEL_ALL),
        _question("order/realtime", questions.realtime),
        _question("order/history", questions.history),
        _question("execution/list", questions.executions),
        _question("position/list", questions.positions),
        _action("position/set-leverage", set_leverage, RateGroup.SETTING),
        _action("position/switch-mode", switch_mode, RateGroup.SETTING),
        _question("account/wallet-balance", questions.wallet_balance),
        _question("account/info", questions.account_info),
        _question("account/fee-rate", questions.fee_rate),
        _question("user/query-api", questions.query_api),
        _question("asset/coin/query-info", questions.coin_info),
    ]
)
__all__ = ["ENDPOINTS", "HEDGE_MODE", "ONE_WAY", "ONE_WAY_MODE", "Endpoint"]
