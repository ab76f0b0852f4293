"""Rows that tests of queries and views start from: each builder makes one plain row, to be changed by keyword."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from domain.events import EventKind, Transition
from domain.instruments import Instrument
from domain.orders import (
    Evidence,
    Order,
    OrderState,
    OrderType,
    PositionSide,
    Side,
    SignalContext,
    Sums,
    TimeInForce,
    Times,
    VenueState,
)
from domain.plans import Decision, Facts, Intent, Outcome, Plan, Verdict
from domain.positions import Position, PositionState
from domain.updates import FillReport, Origin
from tables.orders import FillRow, OrderTable
from tables.positions import PositionTable
from tables.receipt import Receipt
from tables.rows import Rows
from tables.signals import SignalResult, SignalRow, SignalState, SignalTable

SECOND = 1_000_000_000
NOW = 1_763_700_000 * SECOND
ACCOUNT = "main"
PARTITIONS = 4

Fields = Any  # keyword fields of the row that a builder makes: as varied as the rows


def partition_of(symbol: str) -> int:
    """Where the tests keep a symbol."""
    return sum(symbol.encode()) % PARTITIONS


def instrument(symbol: str = "BTCUSDT") -> Instrument:
    return Instrument("paper", "linear", symbol)


def signal_context(signal_id: str = "s1", **changed: Fields) -> SignalContext:
    fields: dict[str, Fields] = {
        "signal_id": signal_id,
        "attempt": 1,
        "part": 0,
        "source": "signals-0-1",
        "signal_type": "buy",
        "amount": Decimal(1000),
        "at_ns": NOW,
        "strategy_id": "trend",
    }
    return SignalContext(**(fields | changed))


def order(number: int = 1, *, created_ns: int | None = None, symbol: str = "BTCUSDT", **changed: Fields) -> Order:
    """Order `om<number>`, created that many seconds after NOW."""
    fields: dict[str, Fields] = {
        "order_id": f"om{number}",
        "instrument": instrument(symbol),
        "account": ACCOUNT,
        "side": Side.BUY,
        "order_type": OrderType.LIMIT,
        "quantity": Decimal("0.10"),
        "price": Decimal("50000.10"),
        "state": OrderState.ACKNOWLEDGED,
        "times": Times(signal_ns=NOW, created_ns=NOW + number * SECOND if created_ns is None else created_ns),
    }
    return Order(**(fields | changed))


def filled(number: int, **changed: Fields) -> Order:
    """An order of 0.10 that is filled, its single fills known."""
    sums = Sums(Decimal("0.10"), Decimal("5000.010"), {"USDT": Decimal("2.5")})
    fields: dict[str, Fields] = {
        "state": OrderState.FILLED,
        "venue_order_id": f"v{number}",
        "evidence": Evidence(state=VenueState.FILLED, raw_status="Filled", cumulative=sums),
        "fills": sums,
    }
    return order(number, **(fields | changed))


def transition(sequence: int, before: OrderState, after: OrderState, kind: EventKind, **changed: Fields) -> Transition:
    fields: dict[str, Fields] = {
        "sequence": sequence,
        "kind": kind,
        "before": before,
        "after": after,
        "at_ns": NOW + sequence * SECOND,
        "source": f"order-updates-0-{sequence}",
        "origin": Origin.STREAM,
        "reason": "",
        "cumulative": Sums(),
        "leaves": Decimal("0.10"),
        "quantity": Decimal("0.10"),
        "price": Decimal("50000.10"),
    }
    return Transition(**(fields | changed))


def fill(execution_id: str = "e1", quantity: str = "0.04", **changed: Fields) -> FillReport:
    fields: dict[str, Fields] = {
        "instrument": instrument(),
        "account": ACCOUNT,
        "origin": Origin.STREAM,
        "received_ns": NOW,
        "client_order_id": "om1",
        "venue_order_id": "v1",
        "execution_id": execution_id,
        "side": Side.BUY,
        "price": Decimal("50000.10"),
        "quantity": Decimal(quantity),
        "fee": Decimal("0.01"),
        "fee_currency": "USDT",
        "executed_ns": NOW,
    }
    return FillReport(**(fields | changed))


def position(symbol: str = "BTCUSDT", size: str = "0.5", entry: str = "50000", **changed: Fields) -> Position:
    state = PositionState(size=Decimal(size), average_entry=Decimal(entry), fills=1)
    fields: dict[str, Fields] = {
        "instrument": instrument(symbol),
        "account": ACCOUNT,
        "side": PositionSide.NET,
        "state": state,
        "updated_ns": NOW,
        "version": 1,
    }
    return Position(**(fields | changed))


def plan(signal_id: str = "s1", symbol: str = "BTCUSDT", **changed: Fields) -> Plan:
    """One limit purchase, let through by one gate."""
    intent = Intent(
        order_id="om1",
        part=0,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        quantity=Decimal("0.10"),
        price=Decimal("50000.10"),
        time_in_force=TimeInForce.GTC,
        reduce_only=False,
        post_only=True,
        position_side=PositionSide.NET,
        amount=Decimal(1000),
        rule="spread",
    )
    gate = Verdict(gate="freshness", outcome=Outcome.PASS, sentence="the signal is 1 s old", figures={"age_s": "1"})
    fields: dict[str, Fields] = {
        "signal_id": signal_id,
        "attempt": 1,
        "phase": 1,
        "instrument": instrument(symbol),
        "account": ACCOUNT,
        "decision": Decision.EXECUTE,
        "verdicts": (gate,),
        "intents": (intent,),
        "facts": Facts(now_ns=NOW, account=ACCOUNT, attempt=1, rules=None, quote=None),
        "planned_at_ns": NOW,
    }
    return Plan(**(fields | changed))


def signal_row(signal_id: str = "s1", symbol: str = "BTCUSDT", number: int = 1, **changed: Fields) -> SignalRow:
    """A signal that was executed, planned `number` seconds after NOW."""
    fields: dict[str, Fields] = {
        "signal_id": signal_id,
        "symbol": symbol,
        "source": f"signals-0-{number}",
        "fingerprint": "f",
        "attempt": 1,
        "last_offset": number,
        "state": SignalState.DONE,
        "result": SignalResult.EXECUTED,
        "plan": plan(signal_id, symbol),
        "order_ids": ("om1",),
        "strategy_id": "trend",
        "signal_ns": NOW,
        "planned_ns": NOW + number * SECOND,
        "done_ns": NOW + (number + 1) * SECOND,
    }
    return SignalRow(**(fields | changed))


# -- writing them ----------------------------------------------------------------------------------------------------


def store_orders(rows: Rows, *orders: Order, history: tuple[Transition, ...] = ()) -> None:
    for each in orders:
        OrderTable(rows).put(partition_of(each.instrument.symbol), each, history, Receipt())


def store_fills(rows: Rows, order_id: str, *fills: FillReport) -> None:
    for offset, each in enumerate(fills):
        row = FillRow(order_id=order_id, offset=offset, fill=each)
        OrderTable(rows).put_fill(partition_of(each.instrument.symbol), row, Receipt())


def store_signals(rows: Rows, *signals: SignalRow) -> None:
    for each in signals:
        SignalTable(rows).put(partition_of(each.symbol), each, Receipt())


def store_fill_in_position(rows: Rows, each: FillReport, offset: int = 0) -> None:
    PositionTable(rows).apply(partition_of(each.instrument.symbol), each, "om1", offset, Receipt())
