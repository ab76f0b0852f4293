"""A settlement in the paper exchange's books: a trade that names an order which nothing shows."""

from __future__ import annotations

from app.agreement import compare
from app.verify.venue_ledger import ledger_of_account
from domain.updates import Origin
from exchanges.bybit.rows import Row
from exchanges.bybit.translate import Context, fill_report

SETTLED = {
    "execId": "x-1",
    "orderId": "v-1",
    "orderLinkId": "",
    "category": "linear",
    "symbol": "BTCUSDT",
    "side": "Sell",
    "execType": "Settle",
    "execQty": "0.5",
    "execPrice": "100",
    "execValue": "50",
    "execFee": "0.01",
    "feeCurrency": "USDT",
}
BOOKS = {"orders": [], "executions": [SETTLED], "positions": []}


def test_p06_a_settlement_in_the_books_is_known_by_the_same_id_as_ours() -> None:
    ours = fill_report(Row(SETTLED), Context("paper", "main", Origin.STREAM, 1))

    fill = ledger_of_account(BOOKS).fills["x-1"]

    assert (fill["venue_order_id"], fill["fill_kind"]) == (ours.venue_order_id, ours.fill_kind)


def test_p06_a_settlement_is_in_no_sum_of_orders() -> None:
    assert compare([], [], BOOKS).differences == []
