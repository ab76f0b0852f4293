"""Orders and executions: from our words to Bybit's and back.

Rows of REST and messages of the stream have the same fields, so one translation serves both. Canonical symbols are
Bybit's own, in upper case. Source: Bybit v5, "Place Order", "Get Open & Closed Orders", "Get Trade History".
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import msgspec

from domain.errors import InvalidInput
from domain.instruments import LINEAR, Instrument
from domain.money import ZERO, canonical, plain
from domain.orders import OrderType, PositionSide, Side, Sums, TimeInForce, VenueState
from domain.protection import Protection, Role, TriggerBy
from domain.updates import FillKind, FillReport, OrderReport, Origin
from exchanges.bybit import vocabulary as words
from exchanges.bybit.rows import Row
from exchanges.venue import NewOrder, OrderRef


@dataclass(frozen=True, slots=True)
class Context:
    """What every report carries and no row tells. `category` is used when the row has none."""

    venue: str
    account: str
    origin: Origin
    received_ns: int
    category: str = ""
    hedge: bool = False

    def instrument(self, row: Row) -> Instrument:
        """The row's instrument."""
        return Instrument(self.venue, row.text("category") or self.category, row.need("symbol").upper())


# -- requests --------------------------------------------------------------------------------------------------------


def create_body(order: NewOrder) -> dict[str, object]:
    """Body of `order/create`. Market orders are IOC at this venue, and on spot their quantity is said to be base
    coin, as a market buy would count in quote coin otherwise. Spot knows neither position sides nor reduce-only."""
    category = order.instrument.category
    body: dict[str, object] = {
        "category": category,
        "symbol": order.instrument.symbol,
        "side": words.NAME_OF_SIDE[order.side],
        "orderType": "Market" if order.order_type is OrderType.MARKET else "Limit",
        "qty": plain(order.quantity),
        "timeInForce": _time_in_force(order),
        "orderLinkId": order.client_order_id,
    }
    if order.order_type is OrderType.LIMIT:
        if order.price is None:
            raise InvalidInput("NO_PRICE", [f"price: limit order {order.client_order_id} has none"])
        body["price"] = plain(order.price)
    elif category == "spot":
        body["marketUnit"] = "baseCoin"
    if category != "spot":
        body["positionIdx"] = words.POSITION_INDEX_OF[order.position_side]
        body["reduceOnly"] = order.reduce_only
    return body | _attached(order.protection)


def _attached(protection: Protection | None) -> dict[str, object]:
    """Take-profit and stop-loss of the whole position, at market: in this mode they follow its size."""
    if protection is None or not protection.prices:
        return {}
    by = words.NAME_OF_TRIGGER[protection.trigger_by]
    body: dict[str, object] = {"tpslMode": "Full"}
    if protection.take_profit is not None:
        body |= {"takeProfit": plain(protection.take_profit), "tpTriggerBy": by, "tpOrderType": "Market"}
    if protection.stop_loss is not None:
        body |= {"stopLoss": plain(protection.stop_loss), "slTriggerBy": by, "slOrderType": "Market"}
    return body


def stop_loss_body(instrument: Instrument, side: PositionSide, price: Decimal, by: TriggerBy) -> dict[str, object]:
    """Body of `position/trading-stop`: the stop-loss of the whole position, at market; its take-profit stays."""
    return {
        "category": instrument.category,
        "symbol": instrument.symbol,
        "positionIdx": words.POSITION_INDEX_OF[side],
        "tpslMode": "Full",
        "stopLoss": plain(price),
        "slTriggerBy": words.NAME_OF_TRIGGER[by],
        "slOrderType": "Market",
    }


def _time_in_force(order: NewOrder) -> str:
    if order.order_type is OrderType.MARKET:
        return "IOC"
    return "PostOnly" if order.post_only else order.time_in_force.value


def reference(ref: OrderRef) -> dict[str, str]:
    """Fields that address an order; the venue's id wins, as it does at the venue."""
    fields = {"category": ref.instrument.category, "symbol": ref.instrument.symbol}
    if ref.venue_order_id:
        fields["orderId"] = ref.venue_order_id
    elif ref.client_order_id:
        fields["orderLinkId"] = ref.client_order_id
    else:
        raise InvalidInput("NO_ORDER_ID", ["an order is addressed by our id or by the venue's"])
    return fields


def amend_body(ref: OrderRef, *, quantity: Decimal | None, price: Decimal | None) -> dict[str, str]:
    """Body of `order/amend`; the quantity is the new total. Raises `InvalidInput` when it asks for nothing."""
    body = reference(ref)
    if quantity is not None:
        body["qty"] = plain(quantity)
    if price is not None:
        body["price"] = plain(price)
    if quantity is None and price is None:
        raise InvalidInput("NOTHING_TO_AMEND", ["neither a quantity nor a price is given"])
    return body


# -- orders ----------------------------------------------------------------------------------------------------------


def order_report(row: Row, context: Context, *, told_ms: int = 0) -> OrderReport:
    """An order's row. `told_ms` is the message's time, for a row without its own.

    Raises `InvalidInput` when a field that matters cannot be read, an unknown status included.
    """
    instrument = context.instrument(row)
    side = _side(row)
    order_type = OrderType.MARKET if row.need("orderType") == "Market" else OrderType.LIMIT
    status = row.need("orderStatus")
    if status not in words.STATE_OF:
        raise InvalidInput("UNREADABLE_ROW", [f"orderStatus: {status:.40} is not a status we know"])
    state, quantity = _state_and_quantity(row, instrument.category, side, order_type, status)
    ended_short = state.terminal and state is not VenueState.FILLED
    time_in_force, role = row.text("timeInForce"), _role(row)
    protects = role is not Role.NONE
    return OrderReport(
        instrument=instrument,
        account=context.account,
        origin=context.origin,
        received_ns=context.received_ns,
        client_order_id="" if protects else row.text("orderLinkId"),
        venue_order_id=row.need("orderId"),
        state=state,
        raw_status=status,
        side=side,
        order_type=order_type,
        quantity=quantity,
        price=row.need_amount("price") if order_type is OrderType.LIMIT else None,
        cumulative=_cumulative(row, instrument, side),
        updated_ns=row.time_ns("updatedTime") or told_ms * 1_000_000 or row.time_ns("createdTime"),
        created_ns=row.time_ns("createdTime"),
        reason=words.end_reason(row.text("rejectReason"), row.text("cancelType")) if ended_short else "",
        time_in_force=(
            TimeInForce.IOC
            if order_type is OrderType.MARKET
            else words.TIME_IN_FORCE_OF.get(time_in_force, TimeInForce.GTC)
        ),
        reduce_only=row.flag("reduceOnly") or False,
        post_only=time_in_force in words.POST_ONLY,
        position_side=words.POSITION_SIDE_OF.get(row.whole("positionIdx"), PositionSide.NET),
        role=role,
        parent_client_order_id=_parent(row) if protects else "",
        trigger_price=row.amount("triggerPrice") or None,
        partial=protects and _is_partial(row),
    )


def _names(row: Row) -> tuple[str, str]:
    """What may name the purpose of an order of the venue's."""
    return row.text("stopOrderType"), row.text("createType").removeprefix("CreateBy")


def _role(row: Row) -> Role:
    """What the venue made the order for; its own orders bear no id of a client's."""
    stop, created = _names(row)
    return words.ROLE_OF.get(stop) or words.ROLE_OF.get(created, Role.NONE)


def _is_partial(row: Row) -> bool:
    """Whether it protects a part of the position only, by any of the words for it: a stop-loss too many does less harm
    than none. On an order of somebody's own `tpslMode` is about what it brings."""
    return row.text("tpslMode") == words.PARTIAL or any(name.startswith(words.PARTIAL) for name in _names(row))


def _parent(row: Row) -> str:
    """The order that brought the protection. Source: Bybit v5, "Get Open & Closed Orders", `parentOrderLinkId`."""
    return row.text("parentOrderLinkId") or row.text("orderLinkId")


def _state_and_quantity(
    row: Row, category: str, side: Side, order_type: OrderType, status: str
) -> tuple[VenueState, Decimal]:
    """The order's state, and its total quantity in base coin.

    A spot market buy counts in quote coin unless it said otherwise. It has no quantity in base coin before its end
    (given as 0: unknown), and ends `PartiallyFilledCanceled` with dust that bought nothing: that is an order done,
    and its quantity is what it bought.
    """
    state = words.STATE_OF[status]
    executed = row.amount("cumExecQty")
    if state is VenueState.REJECTED and executed:
        state = VenueState.CANCELLED  # it traded, so it was accepted first
    in_quote = category == "spot" and order_type is OrderType.MARKET and side is Side.BUY
    if not in_quote or row.text("marketUnit") == "baseCoin":
        return state, row.need_amount("qty")
    if status == "PartiallyFilledCanceled" and executed and not row.amount("leavesQty"):
        state = VenueState.FILLED
    return state, executed if state.terminal else ZERO


def _cumulative(row: Row, instrument: Instrument, side: Side) -> Sums:
    quantity = row.amount("cumExecQty")
    value = row.amount("cumExecValue")  # in the base coin for inverse contracts, as for their fills
    fees = row.amounts("cumFeeDetail")
    if not any(fees.values()):
        fees = {_fee_coin(row, instrument, side): row.amount("cumExecFee")}
    return Sums(quantity, value, {coin: fee for coin, fee in fees.items() if fee})


# -- executions ------------------------------------------------------------------------------------------------------


def fill_report(row: Row, context: Context) -> FillReport:
    """An execution's row. Raises `InvalidInput` when a field that matters cannot be read.

    Taxes that the venue lists apart (`extraFees`) are part of the fee when they are taken in the same coin; those in
    other coins stay apart.
    """
    instrument = context.instrument(row)
    side = _side(row)
    kind = _fill_kind(row)
    coin = _fee_coin(row, instrument, side)
    extra = _extra_fees(row)
    execution_id = row.need("execId")
    order_id, link_id, role = row.text("orderId"), row.text("orderLinkId"), _role(row)
    if kind is FillKind.SETTLEMENT or not (order_id or link_id):
        # No order caused it, whatever id the row names: a settlement is recorded as a trade, but not as an order. Every
        # update names one, and an order that nobody can ever show would be asked for: its own id stands in.
        order_id, link_id = execution_id, ""
    return FillReport(
        instrument=instrument,
        account=context.account,
        origin=context.origin,
        received_ns=context.received_ns,
        client_order_id="" if role is not Role.NONE else link_id,
        venue_order_id=order_id,
        execution_id=execution_id,
        side=side,
        price=row.need_amount("execPrice"),
        quantity=row.need_amount("execQty"),
        fee=canonical(row.amount("execFee") + extra.pop(coin, ZERO)),
        fee_currency=coin,
        executed_ns=row.time_ns("execTime"),
        venue_sequence=row.whole("seq"),
        fill_kind=kind,
        maker=row.flag("isMaker") if kind is FillKind.TRADE else None,
        position_side=_position_side(row, side, kind, hedge=context.hedge and instrument.category == LINEAR),
        worth=(row.amount("execValue") or msgspec.UNSET) if instrument.inverse else msgspec.UNSET,
        other_fees=extra or msgspec.UNSET,
        role=role,
        **_order_of_fill(row, instrument),
    )


def _fill_kind(row: Row) -> FillKind:
    """What caused it; `createType` says so too where a settlement is told as a trade like any other. Source: Bybit v5,
    "Enums definitions", `execType` and `createType`."""
    kind = words.FILL_KIND_OF.get(row.text("execType"), FillKind.TRADE)
    return FillKind.SETTLEMENT if kind is FillKind.TRADE and row.text("createType") == "CreateBySettle" else kind


def _order_of_fill(row: Row, instrument: Instrument) -> dict[str, Decimal]:
    """What an execution tells of its order. Only a limit order can be amended; one at market may be in another unit. Of
    spot it is not documented what `leavesQty` means."""
    if row.text("orderType") != "Limit" or instrument.spot or not (row.text("orderQty") and row.text("leavesQty")):
        return {}
    quantity = row.amount("orderQty")
    executed = canonical(quantity - row.amount("leavesQty"))
    return {"order_quantity": quantity, "order_executed": executed} if executed >= row.amount("execQty") else {}


def _extra_fees(row: Row) -> dict[str, Decimal]:
    """The extra fees by coin."""
    found: dict[str, Decimal] = {}
    for extra in row.rows("extraFees"):
        if fee := extra.amount("fee"):
            coin = extra.need("feeCoin")
            found[coin] = canonical(found.get(coin, ZERO) + fee)
    return found


def _position_side(row: Row, side: Side, kind: FillKind, *, hedge: bool) -> PositionSide:
    """In hedge mode an execution either opens or closes: what it closed tells which side it belongs to. A payment names
    the side that it was made on. Where neither tells, the order does (`streams.order_agent`)."""
    if row.text("positionIdx"):
        return words.POSITION_SIDE_OF.get(row.whole("positionIdx"), PositionSide.NET)
    pays = kind is FillKind.FUNDING
    if not hedge or not (pays or row.text("closedSize")):
        return PositionSide.NET
    opens = pays or row.amount("closedSize") == 0
    return PositionSide.LONG if (side is Side.BUY) == opens else PositionSide.SHORT


# -- both ------------------------------------------------------------------------------------------------------------


def _side(row: Row) -> Side:
    name = row.need("side")
    if name not in words.SIDE_OF:
        raise InvalidInput("UNREADABLE_ROW", [f"side: {name:.40} is neither Buy nor Sell"])
    return words.SIDE_OF[name]


def _fee_coin(row: Row, instrument: Instrument, side: Side) -> str:
    return row.text("feeCurrency") or words.settle_coin(instrument.category, instrument.symbol, buys=side is Side.BUY)
