"""What each REST endpoint does: from parsed parameters to the `result` of the envelope."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import starmap
from typing import Final, NamedTuple

from exchanges.paper import (
    absent,
    account_questions,
    market_figures,
    market_questions,
    order_calls,
    questions,
    reports,
    setting_calls,
)
from exchanges.paper.admission import category_of
from exchanges.paper.fields import Fields, text
from exchanges.paper.rates import RateGroup
from exchanges.paper.refusals import Refusal, bad_parameter, too_many_visits
from exchanges.paper.rows import NS_PER_MS
from exchanges.paper.turn import Row
from exchanges.paper.venue import PaperVenue
from exchanges.paper.vocabulary import Category

BATCH_LIMIT: Final = 20  # orders in one batch of contracts
SPOT_BATCH_LIMIT: Final = 10


def orders_in(fields: Fields) -> int:
    """How many orders a call carries, as the rate limit counts them."""
    items = fields.get("request")
    return len(items) if isinstance(items, list) and items else 1


def is_about_spot(fields: Fields) -> bool:
    """Whether a call names the category whose orders the rate limit counts apart."""
    return fields.get("category") == Category.SPOT


def within_limit(fields: Row, granted: int) -> None:
    """Leave the first `granted` orders of a batch; the others will fall, each with the code of the rate limit."""
    items = fields.get("request")
    if isinstance(items, list) and granted < len(items):
        fields["request"] = [*items[:granted], *[OVER_LIMIT] * (len(items) - granted)]


class BatchAnswer(NamedTuple):
    """A result together with what goes into `retExtInfo`: a verdict for each item."""

    result: Row
    ext_info: Row


Answer = Row | list[Row] | BatchAnswer
Serve = Callable[[PaperVenue, int, Fields], Answer]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`serve(venue, uid, fields)` gives the result; public endpoints get uid 0."""

    name: str
    serve: Serve
    group: RateGroup = RateGroup.QUERY

    @property
    def is_public(self) -> bool:
        return self.group is RateGroup.PUBLIC


OVER_LIMIT: Final = object()  # stands in a batch where the rate limit had no room for an order


def in_batch(single: Callable[[PaperVenue, int, Fields], Row], *, shows_time: bool = False) -> Serve:
    """The batch form of a call: each item stands or falls alone, and the envelope's retCode says nothing about it.

    The items that are over the rate limit fall, with its code.
    """

    def serve(venue: PaperVenue, uid: int, fields: Fields) -> BatchAnswer:
        category = category_of(fields)
        items = fields.get("request")
        limit = SPOT_BATCH_LIMIT if category is Category.SPOT else BATCH_LIMIT
        if not isinstance(items, list) or not 1 <= len(items) <= limit:
            raise bad_parameter(f"params error: request must be a list of 1 to {limit} orders")
        rows: list[Row] = []
        verdicts: list[Row] = []
        for item in items:
            shown: Row = {
                "category": category,
                "symbol": "",
                "orderId": "",
                "orderLinkId": "",
            }
            if shows_time:
                shown["createAt"] = ""
            try:
                if item is OVER_LIMIT:
                    raise too_many_visits()
                if not isinstance(item, dict):
                    raise bad_parameter("params error: an order must be an object")
                shown |= {name: text(item, name) for name in ("symbol", "orderLinkId")}
                shown |= single(venue, uid, item | {"category": category})
                if shows_time:
                    shown["createAt"] = str(venue.clock() // NS_PER_MS)
                verdicts.append({"code": 0, "msg": "OK"})
            except Refusal as refusal:
                verdicts.append({"code": refusal.code, "msg": refusal.message})
            rows.append(shown)
        return BatchAnswer({"list": rows}, {"list": verdicts})

    return serve


def _public(name: str, serve: Serve) -> tuple[tuple[str, str], Endpoint]:
    return ("GET", name), Endpoint(name, serve, RateGroup.PUBLIC)


def _question(name: str, serve: Serve, group: RateGroup = RateGroup.QUERY) -> tuple[tuple[str, str], Endpoint]:
    return ("GET", name), Endpoint(name, serve, group)


def _action(name: str, serve: Serve, group: RateGroup = RateGroup.SETTING) -> tuple[tuple[str, str], Endpoint]:
    return ("POST", name), Endpoint(name, serve, group)


# By method and path below /v5/. A name here is also what fault rules and the counters call the endpoint.
ENDPOINTS: Final[dict[tuple[str, str], Endpoint]] = dict(
    [
        *starmap(_public, absent.PUBLIC.items()),
        *starmap(_question, absent.PRIVATE.items()),
        _question("account/smp-group", absent.PRIVATE["account/smp-group"], RateGroup.SELDOM),
        *(_action(name, absent.refused) for name in absent.REFUSED),
        _public("system/status", market_questions.system_status),
        _public("market/time", market_questions.time),
        _public("market/instruments-info", market_questions.instruments_info),
        _public("market/tickers", market_questions.tickers),
        _public("market/orderbook", market_questions.orderbook),
        _public("market/full_orderbook", market_questions.full_orderbook),
        _public("market/rpi_orderbook", market_figures.rpi_orderbook),
        _public("market/recent-trade", market_questions.recent_trades),
        _public("market/kline", market_figures.kline),
        _public("market/mark-price-kline", market_figures.mark_price_kline),
        _public("market/index-price-kline", market_figures.mark_price_kline),
        _public("market/premium-index-price-kline", market_figures.premium_index_kline),
        _public("market/funding/history", market_figures.funding_history),
        _public("market/open-interest", market_figures.open_interest),
        _public("market/risk-limit", market_figures.risk_limit),
        _public("market/price-limit", market_figures.price_limit),
        _public("market/index-price-components", market_figures.index_components),
        _public("market/historical-volatility", market_figures.volatility),
        _public("spot-margin-trade/data", account_questions.margin_rates),
        _action("order/create", order_calls.create, RateGroup.CREATE),
        _action("order/amend", order_calls.amend, RateGroup.AMEND),
        _action("order/cancel", order_calls.cancel, RateGroup.CANCEL),
        _action("order/create-batch", in_batch(order_calls.create, shows_time=True), RateGroup.CREATE_BATCH),
        _action("order/amend-batch", in_batch(order_calls.amend), RateGroup.AMEND_BATCH),
        _action("order/cancel-batch", in_batch(order_calls.cancel), RateGroup.CANCEL_BATCH),
        _action("order/cancel-all", order_calls.cancel_all, RateGroup.CANCEL_ALL),
        _action("order/pre-check", order_calls.pre_check, RateGroup.CREATE),
        _action("order/disconnected-cancel-all", setting_calls.set_disconnect_cancel, RateGroup.SELDOM),
        _question("order/spot-borrow-check", order_calls.borrow_check),
        _question("order/realtime", questions.realtime),
        _question("order/history", questions.history),
        _question("execution/list", questions.executions),
        _question("position/list", questions.positions),
        _question("position/symbol-info", questions.symbol_settings),
        _question("position/closed-pnl", reports.closed_pnl),
        _action("position/set-leverage", setting_calls.set_leverage),
        _action("position/switch-mode", setting_calls.switch_mode),
        _action("position/trading-stop", setting_calls.set_trading_stop),
        _action("position/set-tpsl-mode", setting_calls.set_tpsl_mode),
        _action("position/set-auto-add-margin", setting_calls.set_auto_add_margin),
        _action("position/switch-isolated", setting_calls.switch_isolated),
        _action("position/set-risk-limit", setting_calls.set_risk_limit),
        _action("account/set-margin-mode", setting_calls.set_margin_mode, RateGroup.SELDOM),
        _question("account/wallet-balance", account_questions.wallet_balance),
        _question("account/info", account_questions.account_info),
        _question("account/instruments-info", market_questions.instruments_info),
        _question("account/fee-rate", account_questions.fee_rate, RateGroup.SELDOM),
        _question("account/transaction-log", reports.transaction_log, RateGroup.LOG),
        _question("account/collateral-info", account_questions.collateral_info),
        _question("account/query-dcp-info", account_questions.dcp_info, RateGroup.SELDOM),
        _question("account/withdrawal", account_questions.transferable_amount),
        _question("user/query-api", account_questions.query_api),
        _question("user/get-member-type", account_questions.member_type),
        _question("apilimit/query", account_questions.api_limits),
        _question("asset/asset-overview", account_questions.asset_overview),
        _question("asset/coin/query-info", account_questions.coin_info),
        _question("asset/transfer/query-asset-info", account_questions.spot_asset_info),
        _question("asset/transfer/query-account-coins-balance", account_questions.coin_balances),
        _question("asset/transfer/query-account-coin-balance", account_questions.coin_balance),
        _question("asset/transfer/query-transfer-coin-list", account_questions.transfer_coins),
        _question("asset/withdraw/withdrawable-amount", account_questions.withdrawable_amount),
    ]
)
