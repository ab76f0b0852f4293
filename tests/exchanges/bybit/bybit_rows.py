"""Rows and messages in the shapes of the venue, with values of our own; each test changes the fields it is about."""

from __future__ import annotations

from domain.updates import Origin
from exchanges.bybit.rows import Row
from exchanges.bybit.translate import Context

RECEIVED_NS = 1_800_000_000_123_456_789


def context(*, hedge: bool = False, category: str = "linear") -> Context:
    return Context("bybit", "desk", Origin.STREAM, RECEIVED_NS, category, hedge)


def order_row(**changes: object) -> Row:
    """A resting limit buy as REST lists it."""
    return Row(
        {
            "orderId": "7a9f3c10-55aa-4d02-9b1e-0c6b7a3f1e01",
            "orderLinkId": "omab3k5",
            "symbol": "ETHUSDT",
            "side": "Buy",
            "orderType": "Limit",
            "timeInForce": "GTC",
            "orderStatus": "New",
            "cancelType": "UNKNOWN",
            "rejectReason": "EC_NoError",
            "price": "2500.50",
            "qty": "1.20",
            "avgPrice": "",
            "leavesQty": "1.20",
            "leavesValue": "3000.6",
            "cumExecQty": "0.00",
            "cumExecValue": "0",
            "cumExecFee": "0",
            "cumFeeDetail": {},
            "positionIdx": 0,
            "reduceOnly": False,
            "createdTime": "1800000000001",
            "updatedTime": "1800000000002",
            **changes,
        }
    )


def execution_row(**changes: object) -> Row:
    """A taker's execution as the stream tells it."""
    return Row(
        {
            "category": "linear",
            "symbol": "ETHUSDT",
            "orderId": "7a9f3c10-55aa-4d02-9b1e-0c6b7a3f1e01",
            "orderLinkId": "omab3k5",
            "side": "Buy",
            "execId": "0f3f5f0e-9b1f-5b52-a6c7-11d0a1b2c301",
            "execType": "Trade",
            "execPrice": "2500.10",
            "execQty": "0.400",
            "execValue": "1000.04",
            "execFee": "0.550022",
            "feeRate": "0.00055",
            "feeCurrency": "",
            "execTime": "1800000000555",
            "isMaker": False,
            "closedSize": "0",
            "extraFees": "",
            "seq": 987654321,
            **changes,
        }
    )
