"""Rows as the protocol shows them: orders, executions, positions and wallets, over REST and on the private stream.

All figures are strings with every digit. Keys and habitual values are those of Bybit v5; the two channels differ in
small ways (an average of an unfilled order is "0" over REST and "" on the stream), which clients must cope with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from exchanges.paper.accounts import PROTECTING, Account, MarkPrice, dollars
from exchanges.paper.exact import ZERO, displayed, plain
from exchanges.paper.ledger import Position
from exchanges.paper.orders import Execution, Order
from exchanges.paper.turn import Row, StreamMessage, Turn
from exchanges.paper.vocabulary import Category, ExecType, StopOrderType, TpslMode

NS_PER_MS: Final = 1_000_000
SETTLE_COIN: Final = "USDT"
RISK_LIMIT_VALUE: Final = "2000000"
NEVER_TRADED: Final = -1  # the `seq` of a position in which nothing was ever traded
MAINTENANCE_RATE: Final = Decimal("0.005")  # of the value at the mark price; shown only, nothing is liquidated

_ORDER_SAME: Final[Row] = {
    "blockTradeId": "", "isLeverage": "", "orderIv": "", "ocoTriggerBy": "", "placeType": "", "smpGroup": 0,
    "extraFees": "", "rpiTakerAccess": False, "rpiMatchedQty": "0",
}  # fmt: skip
_ORDER_REST: Final[Row] = {
    "stopOrderType": "UNKNOWN", "triggerPrice": "0.00", "triggerBy": "UNKNOWN", "takeProfit": "0.00",
    "stopLoss": "0.00", "tpTriggerBy": "UNKNOWN", "slTriggerBy": "UNKNOWN", "tpslMode": "", "tpLimitPrice": "",
    "slLimitPrice": "",
}  # fmt: skip
_SPOT_ORDER_REST: Final[Row] = {
    "stopOrderType": "", "triggerPrice": "", "triggerBy": "", "takeProfit": "", "stopLoss": "", "tpTriggerBy": "",
    "slTriggerBy": "", "tpslMode": "", "tpLimitPrice": "", "slLimitPrice": "",
}  # fmt: skip
_ORDER_STREAM: Final[Row] = {
    "feeCurrency": "", "stopOrderType": "", "triggerPrice": "", "triggerBy": "",
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
    average = order.avg_price
    row["avgPrice"] = plain(average) if average is not None else "0"
    return _as_its_category(order, (_SPOT_ORDER_REST if order.is_spot else _ORDER_REST) | row)


def order_stream_row(order: Order) -> Row:
    """An order as the private stream shows it."""
    row = _order_figures(order)
    average = order.avg_price
    row["avgPrice"] = plain(average) if average is not None else ""
    row["category"] = order.category
    if order.is_spot and order.cum_qty:
        row["feeCurrency"] = order.fee_coin
    return _as_its_category(order, _ORDER_STREAM | row)


def _as_its_category(order: Order, row: Row) -> Row:
    """Spot rows name a `tpslMode` only where there is something to it; clients tell the categories apart by it."""
    if order.is_spot and not (order.take_profit or order.stop_loss):
        del row["tpslMode"]
    return row


def _order_figures(order: Order) -> Row:
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
        "leavesQty": plain(order.leaves_qty),
        "leavesValue": plain(order.leaves_value),
        "cumExecQty": plain(order.cum_qty),
        "cumExecValue": plain(order.cum_value),
        "cumExecFee": fee,
        "cumFeeDetail": {order.fee_coin: fee} if order.cum_qty else {},
        "closedPnl": plain(order.cum_pnl - order.cum_closing_fees),
        "lastPriceOnCreated": plain(order.last_price_on_created),
        "reduceOnly": order.reduce_only,
        "closeOnTrigger": order.close_on_trigger,
        "createdTime": ms_text(order.created_at_ns),
        "updatedTime": ms_text(order.updated_at_ns),
        "createType": "" if order.is_spot else order.create_type,
        "parentOrderLinkId": order.parent_link_id,
        "triggerDirection": order.trigger_direction,
        "marketUnit": order.market_unit or "",
        "smpType": order.smp_type,
        "smpOrderId": order.smp_order_id,
        "slippageTolerance": plain(order.slippage),
        "slippageToleranceType": order.slippage_type,
    }
    if order.is_spot:
        row["isLeverage"] = "0"
    if order.trigger_by is not None:
        row |= {
            "stopOrderType": order.stop_order_type,
            # of a trailing stop, where it becomes active, until it has
            "triggerPrice": plain(order.active_price or order.trigger_price),
            "triggerBy": order.trigger_by,
        }
    if order.take_profit:
        row |= {"takeProfit": plain(order.take_profit), "tpTriggerBy": order.take_profit_by}
    if order.stop_loss:
        row |= {"stopLoss": plain(order.stop_loss), "slTriggerBy": order.stop_loss_by}
    if order.take_profit or order.stop_loss:
        row["tpslMode"] = order.tpsl_mode
    elif order.stop_order_type.is_partial:
        row["tpslMode"] = TpslMode.PARTIAL
    elif order.stop_order_type in PROTECTING:
        row["tpslMode"] = TpslMode.FULL
    if order.take_profit_limit:
        row["tpLimitPrice"] = plain(order.take_profit_limit)
    if order.stop_loss_limit:
        row["slLimitPrice"] = plain(order.stop_loss_limit)
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
        "feeCurrency": execution.fee_coin,
        "isMaker": execution.is_maker,
        "feeRate": plain(execution.fee_rate),
        "markPrice": plain(execution.mark_price),
        "closedSize": plain(execution.closed_size),
        "createType": "" if execution.category is Category.SPOT else execution.create_type,
        "stopOrderType": execution.stop_order_type or "UNKNOWN",
        "seq": execution.seq,
    }


def execution_stream_row(execution: Execution) -> Row:
    """A fill as the private stream shows it: `execPnl` is the realised profit, without fees."""
    return execution_row(execution) | {
        "category": execution.category,
        "execPnl": plain(execution.pnl),
        "isLeverage": "0",
        "marketUnit": "",
    }


def position_row(position: Position, account: Account, mark_price: MarkPrice) -> Row:
    """A position as REST shows it. `cumRealisedPnl` and `curRealisedPnl` are less fees, as on the venue."""
    row = _position_figures(position, account, mark_price)
    return row | {
        "takeProfit": row["takeProfit"] or "0.00",
        "stopLoss": row["stopLoss"] or "0.00",
        "avgPrice": plain(position.avg_price),
    }


def position_stream_row(position: Position, account: Account, mark_price: MarkPrice) -> Row:
    """A position as the private stream shows it: there the average is called `entryPrice`."""
    row = _position_figures(position, account, mark_price)
    return row | {
        "takeProfit": row["takeProfit"] or "0",
        "stopLoss": row["stopLoss"] or "0",
        "category": position.category,
        "entryPrice": plain(position.avg_price),
    }


def _position_figures(position: Position, account: Account, mark_price: MarkPrice) -> Row:
    mark = mark_price(position.symbol)
    initial = plain(displayed(account.position_margin(position, mark)))
    maintenance = plain(displayed(position.value(mark) * MAINTENANCE_RATE))
    trailing = account.protecting(position.symbol, position.position_idx, StopOrderType.TRAILING_STOP)
    return _POSITION_SAME | {
        "positionIdx": position.position_idx,
        "symbol": position.symbol,
        "side": position.side or "",
        "size": plain(abs(position.size)),
        "leverage": plain(account.leverage(position.symbol)),
        "positionValue": plain(position.value(position.avg_price)),
        "markPrice": plain(mark),
        "positionIM": initial,
        "positionIMByMp": initial,
        "positionMM": maintenance,
        "positionMMByMp": maintenance,
        "breakEvenPrice": plain(position.avg_price),
        "takeProfit": _protecting_price(position, account, StopOrderType.TAKE_PROFIT),
        "stopLoss": _protecting_price(position, account, StopOrderType.STOP_LOSS),
        "trailingStop": plain(trailing.trailing) if trailing is not None else "0",
        "unrealisedPnl": plain(position.unrealised(mark)),
        "openTime": position.opened_at_ns // NS_PER_MS if position.size else 0,
        "curRealisedPnl": plain(position.cur_realised_pnl),
        "cumRealisedPnl": plain(position.cum_realised_pnl),
        "createdTime": ms_text(position.created_at_ns),
        "updatedTime": ms_text(position.updated_at_ns),
        "seq": position.seq or NEVER_TRADED,
    }


def _protecting_price(position: Position, account: Account, kind: StopOrderType) -> str:
    order = account.protecting(position.symbol, position.position_idx, kind)
    return plain(order.trigger_price) if order is not None else ""


def wallet_row(account: Account, mark_price: MarkPrice) -> Row:
    """The unified account of one user; its totals are in dollars, and USDT counts as one."""
    coins = account.coins()
    prices = {coin: dollars(coin, mark_price) for coin in coins}

    def total(figure: Callable[[str], Decimal]) -> Decimal:
        return sum((figure(coin) * prices[coin] for coin in coins), ZERO)

    balance, unrealised = total(account.wallet.balance), total(lambda coin: account.unrealised(mark_price, coin))
    equity = balance + unrealised
    margin = total(lambda coin: account.position_margins(mark_price, coin) + account.order_margins(coin))
    maintenance = total(lambda coin: maintenance_margin(account, mark_price, coin))
    rate = plain(displayed(margin / equity)) if equity > 0 else "0"
    maintenance_rate = plain(displayed(maintenance / equity)) if equity > 0 else "0"
    shown_margin, shown_maintenance = plain(displayed(margin)), plain(displayed(maintenance))
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
        "totalAvailableBalance": plain(displayed(account.available(mark_price))),
        "totalPerpUPL": plain(unrealised),
        "totalInitialMargin": shown_margin,
        "totalInitialMarginByMp": shown_margin,
        "totalMaintenanceMargin": shown_maintenance,
        "totalMaintenanceMarginByMp": shown_maintenance,
        "coin": [_coin_row(account, coin, prices[coin], mark_price) for coin in coins],
    }


def maintenance_margin(account: Account, mark_price: MarkPrice, coin: str) -> Decimal:
    """What the positions that settle in `coin` must be worth, lest they are liquidated."""
    values = (held.value(mark_price(held.symbol)) for held in account.held(coin))
    return sum(values, ZERO) * MAINTENANCE_RATE


def _coin_row(account: Account, coin: str, price: Decimal, mark_price: MarkPrice) -> Row:
    held, unrealised = account.wallet.coin(coin), account.unrealised(mark_price, coin)
    balance = held.balance
    equity = balance + unrealised
    return {
        "coin": coin,
        "equity": plain(equity),
        "usdValue": plain(equity * price),
        "walletBalance": plain(balance),
        "locked": plain(account.locked(coin)),
        "totalOrderIM": plain(displayed(account.order_margins(coin))),
        "totalPositionIM": plain(displayed(account.position_margins(mark_price, coin))),
        "totalPositionMM": plain(displayed(maintenance_margin(account, mark_price, coin))),
        "unrealisedPnl": plain(unrealised),
        "cumRealisedPnl": plain(held.realised_pnl - held.fees),
        "borrowAmount": plain(max(-balance, ZERO)),
        "spotBorrow": "0",
        "accruedInterest": "0",
        "availableToBorrow": "",
        "availableToWithdraw": "",
        "bonus": "0",
        "collateralSwitch": True,
        "marginCollateral": True,
        "spotHedgingQty": "0",
        "colRes": "0",
    }


def stream_messages(turn: Turn, accounts: Mapping[int, Account], mark_price: MarkPrice) -> list[StreamMessage]:
    """What the private streams must tell of a turn: per order, in the order of their last events, its fills and its
    row, then positions and wallets.

    The messages of one event share an id, `<uid>_<symbol>_<seq>`, on the order and the execution topic.
    """
    at_ms = turn.at_ns // NS_PER_MS
    messages: list[StreamMessage] = []
    fills = turn.executions_of()
    for milestone in turn.milestones:
        event_id = f"{milestone.uid}_{milestone.symbol}_{milestone.seq}"
        row = order_stream_row(milestone)
        messages.append(
            StreamMessage(milestone.uid, "order", milestone.symbol, event_id, at_ms, [row], milestone.category)
        )
    for order in sorted(turn.orders.values(), key=lambda order: order.seq):
        event_id = f"{order.uid}_{order.symbol}_{order.seq}"
        if rows := [execution_stream_row(fill) for fill in fills.get(order.order_id, ())]:
            message = StreamMessage(order.uid, "execution", order.symbol, event_id, at_ms, rows, order.category)
            messages.append(message)
        row = order_stream_row(order)
        messages.append(StreamMessage(order.uid, "order", order.symbol, event_id, at_ms, [row], order.category))
    for execution in turn.executions:
        if execution.order_id not in turn.orders:
            event_id = f"{execution.uid}_{execution.symbol}_{execution.seq}"
            row = execution_stream_row(execution)
            uid, category = execution.uid, execution.category
            messages.append(StreamMessage(uid, "execution", execution.symbol, event_id, at_ms, [row], category))
    for position in turn.positions.values():
        uid, symbol = position.uid, position.symbol
        row = position_stream_row(position, accounts[uid], mark_price)
        event_id = f"{uid}_position_{at_ms}"
        messages.append(StreamMessage(uid, "position", symbol, event_id, at_ms, [row], position.category))
    for uid in turn.uids:
        row = wallet_row(accounts[uid], mark_price)
        messages.append(StreamMessage(uid, "wallet", "", f"{uid}_wallet_{at_ms}", at_ms, [row]))
    return messages
