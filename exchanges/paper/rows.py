"""Rows as the protocol shows them: orders, executions, positions and wallets, over REST and on the private stream.

All figures are strings with every digit. Keys and habitual values are those of Bybit v5; the two channels differ in
small ways (an average of an unfilled order is "0" over REST and "" on the stream), which clients must cope with.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from exchanges.paper.accounts import Account, MarkPrice
from exchanges.paper.exact import ZERO, average, displayed, plain
from exchanges.paper.ledger import Position
from exchanges.paper.orders import Execution, Order
from exchanges.paper.turn import Row, StreamMessage, Turn
from exchanges.paper.vocabulary import Category, ExecType, StopOrderType

NS_PER_MS: Final = 1_000_000
SETTLE_COIN: Final = "USDT"
RISK_LIMIT_VALUE: Final = "2000000"
MAINTENANCE_RATE: Final = Decimal("0.005")  # of the value at the mark price; shown only, nothing is liquidated

_ORDER_SAME: Final[Row] = {
    "blockTradeId": "", "isLeverage": "", "orderIv": "", "marketUnit": "", "slippageTolerance": "0",
    "slippageToleranceType": "UNKNOWN", "ocoTriggerBy": "", "placeType": "", "smpType": "None", "smpGroup": 0,
    "smpOrderId": "", "extraFees": "", "rpiTakerAccess": False, "rpiMatchedQty": "0",
}  # fmt: skip
_ORDER_REST: Final[Row] = {
    "stopOrderType": "UNKNOWN", "triggerPrice": "0.00", "triggerBy": "UNKNOWN", "takeProfit": "0.00",
    "stopLoss": "0.00", "tpTriggerBy": "UNKNOWN", "slTriggerBy": "UNKNOWN", "tpslMode": "", "tpLimitPrice": "",
    "slLimitPrice": "",
}  # fmt: skip
_ORDER_STREAM: Final[Row] = {
    "category": Category.LINEAR, "feeCurrency": "", "stopOrderType": "", "triggerPrice": "", "triggerBy": "",
    "takeProfit": "", "stopLoss": "", "tpTriggerBy": "", "slTriggerBy": "", "tpslMode": "UNKNOWN",
    "tpLimitPrice": "0", "slLimitPrice": "0",
}  # fmt: skip
_EXECUTION_SAME: Final[Row] = {
    "tradeIv": "", "markIv": "",
    "indexPrice": "", "underlyingPrice": "", "blockTradeId": "", "extraFees": "",
}  # fmt: skip
_POSITION_SAME: Final[Row] = {
    "tradeMode": 0, "riskId": 1, "riskLimitValue": RISK_LIMIT_VALUE, "positionStatus": "Normal", "autoAddMargin": 0,
    "adlRankIndicator": 0, "tpslMode": "Full", "trailingStop": "0", "sessionAvgPrice": "", "liqPrice": "",
    "bustPrice": "", "leverageSysUpdatedTime": "", "mmrSysUpdatedTime": "", "isReduceOnly": False,
    "positionBalance": "0",
}  # fmt: skip


def ms_text(at_ns: int) -> str:
    """Milliseconds UTC as the protocol writes times inside of rows."""
    return str(at_ns // NS_PER_MS)


def order_row(order: Order) -> Row:
    """An order as REST shows it."""
    row = _order_figures(order)
    row["avgPrice"] = plain(average(order.cum_value, order.cum_qty)) if order.cum_qty else "0"
    return _ORDER_REST | row


def order_stream_row(order: Order) -> Row:
    """An order as the private stream shows it."""
    row = _order_figures(order)
    row["avgPrice"] = plain(average(order.cum_value, order.cum_qty)) if order.cum_qty else ""
    return _ORDER_STREAM | row


def _order_figures(order: Order) -> Row:
    leaves = order.leaves_qty
    fee = plain(order.cum_fee)
    row = _ORDER_SAME | {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderLinkId": order.order_link_id,
        "side": order.side,
        "positionIdx": order.position_idx,
        "orderStatus": order.status,
        "cancelType": order.cancel_type,
        "rejectReason": order.reject_reason,
        "timeInForce": order.time_in_force,
        "orderType": order.order_type,
        "price": plain(order.price),
        "qty": plain(order.qty),
        "leavesQty": plain(leaves),
        "leavesValue": plain(leaves * order.price),
        "cumExecQty": plain(order.cum_qty),
        "cumExecValue": plain(order.cum_value),
        "cumExecFee": fee,
        "cumFeeDetail": {SETTLE_COIN: fee} if order.cum_qty else {},
        "closedPnl": plain(order.cum_pnl),
        "lastPriceOnCreated": plain(order.last_price_on_created),
        "reduceOnly": order.reduce_only,
        "closeOnTrigger": order.close_on_trigger,
        "createdTime": ms_text(order.created_at_ns),
        "updatedTime": ms_text(order.updated_at_ns),
        "createType": order.create_type,
        "parentOrderLinkId": order.parent_link_id,
        "triggerDirection": order.trigger_direction,
    }
    if order.trigger_by is not None:
        row |= {
            "stopOrderType": order.stop_order_type,
            "triggerPrice": plain(order.trigger_price),
            "triggerBy": order.trigger_by,
        }
    if order.take_profit:
        row |= {
            "takeProfit": plain(order.take_profit),
            "tpTriggerBy": order.take_profit_by,
            "tpslMode": "Full",
        }
    if order.stop_loss:
        row |= {"stopLoss": plain(order.stop_loss), "slTriggerBy": order.stop_loss_by, "tpslMode": "Full"}
    return row


def execution_row(execution: Execution) -> Row:
    """A fill as REST shows it."""
    return _EXECUTION_SAME | {
        "symbol": execution.symbol,
        "orderId": execution.order_id,
        "orderLinkId": execution.order_link_id,
        "side": execution.side,
        "orderPrice": plain(execution.order_price),
        "orderQty": plain(execution.order_qty),
        "leavesQty": plain(execution.leaves_qty),
        "orderType": "UNKNOWN" if execution.exec_type is ExecType.FUNDING else execution.order_type,
        "execType": execution.exec_type,
        "execFee": plain(execution.fee),
        "execId": execution.exec_id,
        "execPrice": plain(execution.price),
        "execQty": plain(execution.qty),
        "execValue": plain(execution.value),
        "execTime": ms_text(execution.executed_at_ns),
        "feeCurrency": SETTLE_COIN,
        "isMaker": execution.is_maker,
        "feeRate": plain(execution.fee_rate),
        "markPrice": plain(execution.mark_price),
        "closedSize": plain(execution.closed_size),
        "createType": execution.create_type,
        "stopOrderType": execution.stop_order_type or "UNKNOWN",
        "seq": execution.seq,
    }


def execution_stream_row(execution: Execution) -> Row:
    """A fill as the private stream shows it: `execPnl` is the realised profit, without fees."""
    return execution_row(execution) | {
        "category": Category.LINEAR,
        "execPnl": plain(execution.pnl),
        "isLeverage": "0",
        "marketUnit": "",
    }


def position_row(position: Position, account: Account, mark_price: MarkPrice) -> Row:
    """A position as REST shows it. `cumRealisedPnl` and `curRealisedPnl` are less fees, as on the venue."""
    return _position_figures(position, account, mark_price) | {"avgPrice": plain(position.avg_price)}


def position_stream_row(position: Position, account: Account, mark_price: MarkPrice) -> Row:
    """A position as the private stream shows it: there the average is called `entryPrice`."""
    return _position_figures(position, account, mark_price) | {
        "category": Category.LINEAR,
        "entryPrice": plain(position.avg_price),
    }


def _position_figures(position: Position, account: Account, mark_price: MarkPrice) -> Row:
    mark = mark_price(position.symbol)
    initial = plain(displayed(account.position_margin(position, mark)))
    maintenance = plain(displayed(abs(position.size) * mark * MAINTENANCE_RATE))
    return _POSITION_SAME | {
        "positionIdx": position.position_idx,
        "symbol": position.symbol,
        "side": position.side or "",
        "size": plain(abs(position.size)),
        "leverage": plain(account.leverage(position.symbol)),
        "positionValue": plain(abs(position.size) * position.avg_price),
        "markPrice": plain(mark),
        "positionIM": initial,
        "positionIMByMp": initial,
        "positionMM": maintenance,
        "positionMMByMp": maintenance,
        "breakEvenPrice": plain(position.avg_price),
        "takeProfit": _protecting_price(position, account, StopOrderType.TAKE_PROFIT),
        "stopLoss": _protecting_price(position, account, StopOrderType.STOP_LOSS),
        "unrealisedPnl": plain(position.unrealised(mark)),
        "curRealisedPnl": plain(position.cur_realised_pnl),
        "cumRealisedPnl": plain(position.cum_realised_pnl),
        "createdTime": ms_text(position.created_at_ns),
        "updatedTime": ms_text(position.updated_at_ns),
        "seq": position.seq,
    }


def _protecting_price(position: Position, account: Account, kind: StopOrderType) -> str:
    order = account.protecting(position.symbol, position.position_idx, kind)
    return plain(order.trigger_price) if order is not None else ""


def wallet_row(account: Account, mark_price: MarkPrice) -> Row:
    """The unified account of one user, with its one coin. USDT counts as one dollar."""
    balance = account.wallet.balance
    unrealised = account.unrealised(mark_price)
    equity = balance + unrealised
    position_margin = account.total_position_margin(mark_price)
    order_margin = account.total_order_margin()
    values = (abs(held.size) * mark_price(held.symbol) for held in account.held())
    maintenance = sum(values, ZERO) * MAINTENANCE_RATE
    margin = plain(displayed(position_margin + order_margin))
    shown_maintenance = plain(displayed(maintenance))
    rate = plain(displayed((position_margin + order_margin) / equity)) if equity > 0 else "0"
    maintenance_rate = plain(displayed(maintenance / equity)) if equity > 0 else "0"
    coin: Row = {
        "coin": SETTLE_COIN,
        "equity": plain(equity),
        "usdValue": plain(equity),
        "walletBalance": plain(balance),
        "locked": "0",
        "totalOrderIM": plain(displayed(order_margin)),
        "totalPositionIM": plain(displayed(position_margin)),
        "totalPositionMM": shown_maintenance,
        "unrealisedPnl": plain(unrealised),
        "cumRealisedPnl": plain(account.wallet.realised_pnl - account.wallet.fees),
        "borrowAmount": "0",
        "spotBorrow": "0",
        "accruedInterest": "0",
        "availableToBorrow": "",
        "availableToWithdraw": "",
        "bonus": "0",
        "collateralSwitch": True,
        "marginCollateral": True,
        "spotHedgingQty": "0",
    }
    return {
        "accountType": "UNIFIED",
        "accountLTV": "0",
        "accountIMRate": rate,
        "accountIMRateByMp": rate,
        "accountMMRate": maintenance_rate,
        "accountMMRateByMp": maintenance_rate,
        "totalEquity": plain(equity),
        "totalWalletBalance": plain(balance),
        "totalMarginBalance": plain(equity),
        "totalAvailableBalance": plain(displayed(equity - position_margin - order_margin)),
        "totalPerpUPL": plain(unrealised),
        "totalInitialMargin": margin,
        "totalInitialMarginByMp": margin,
        "totalMaintenanceMargin": shown_maintenance,
        "totalMaintenanceMarginByMp": shown_maintenance,
        "coin": [coin],
    }


def stream_messages(turn: Turn, accounts: Mapping[int, Account], mark_price: MarkPrice) -> list[StreamMessage]:
    """What the private streams must tell of a turn: per order its fills and its row, then positions and wallets.

    The messages of one event share an id, `<uid>_<symbol>_<seq>`, on the order and the execution topic.
    """
    at_ms = turn.at_ns // NS_PER_MS
    messages: list[StreamMessage] = []
    fills = turn.executions_of()
    for milestone in turn.milestones:
        event_id = f"{milestone.uid}_{milestone.symbol}_{milestone.seq}"
        row = order_stream_row(milestone)
        messages.append(StreamMessage(milestone.uid, "order", milestone.symbol, event_id, at_ms, [row]))
    for order in turn.orders.values():
        event_id = f"{order.uid}_{order.symbol}_{order.seq}"
        if rows := [execution_stream_row(fill) for fill in fills.get(order.order_id, ())]:
            messages.append(StreamMessage(order.uid, "execution", order.symbol, event_id, at_ms, rows))
        row = order_stream_row(order)
        messages.append(StreamMessage(order.uid, "order", order.symbol, event_id, at_ms, [row]))
    for execution in turn.executions:
        if execution.order_id not in turn.orders:
            event_id = f"{execution.uid}_{execution.symbol}_{execution.seq}"
            row = execution_stream_row(execution)
            messages.append(StreamMessage(execution.uid, "execution", execution.symbol, event_id, at_ms, [row]))
    for position in turn.positions.values():
        uid, symbol = position.uid, position.symbol
        row = position_stream_row(position, accounts[uid], mark_price)
        messages.append(StreamMessage(uid, "position", symbol, f"{uid}_position_{at_ms}", at_ms, [row]))
    for uid in turn.uids:
        row = wallet_row(accounts[uid], mark_price)
        messages.append(StreamMessage(uid, "wallet", "", f"{uid}_wallet_{at_ms}", at_ms, [row]))
    return messages
