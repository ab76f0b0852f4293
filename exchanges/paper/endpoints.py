"""What each REST endpoint does: from parsed parameters to the `result` of the envelope."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from exchanges.paper import market_questions, order_calls, questions, setting_calls
from exchanges.paper.admission import category_of
from exchanges.paper.fields import Fields, text
from exchanges.paper.rates import RateGroup
from exchanges.paper.refusals import Refusal, bad_parameter
from exchanges.paper.rows import NS_PER_MS
from exchanges.paper.turn import Row
from exchanges.paper.venue import PaperVenue

BATCH_LIMIT: Final = 20  # orders in one batch of linear contracts


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
        _action("order/create", order_calls.create, RateGroup.CREATE),
        _action("order/amend", order_calls.amend, RateGroup.AMEND),
        _action("order/cancel", order_calls.cancel, RateGroup.CANCEL),
        _action("order/create-batch", in_batch(order_calls.create), RateGroup.CREATE_BATCH),
        _action("order/amend-batch", in_batch(order_calls.amend), RateGroup.AMEND_BATCH),
        _action("order/cancel-batch", in_batch(order_calls.cancel), RateGroup.CANCEL_BATCH),
        _action("order/cancel-all", order_calls.cancel_all, RateGroup.CANCEL_ALL),
        _question("order/realtime", questions.realtime),
        _question("order/history", questions.history),
        _question("execution/list", questions.executions),
        _question("position/list", questions.positions),
        _action("position/set-leverage", setting_calls.set_leverage, RateGroup.SETTING),
        _action("position/switch-mode", setting_calls.switch_mode, RateGroup.SETTING),
        _question("account/wallet-balance", questions.wallet_balance),
        _question("account/info", questions.account_info),
        _question("account/fee-rate", questions.fee_rate),
        _question("user/query-api", questions.query_api),
        _question("asset/coin/query-info", questions.coin_info),
    ]
)
