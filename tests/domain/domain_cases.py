"""What the tests of the rules start from: one instrument, one order, one signal, each to be changed by keyword."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from domain.instruments import Instrument, InstrumentRules, Quote
from domain.orders import Order, OrderType, PositionSide, Side, Sums, VenueState
from domain.planning import plan_signal
from domain.plans import Decision, Facts, Intent, OpenOrder, Outcome, Plan, PlanSettings, Verdict
from domain.signals import Signal, parse_signal
from domain.updates import Call, CallOutcome, CancelRequested, FillReport, OrderReport, Origin, Result

SECOND = 1_000_000_000
NOW = 1_763_700_000 * SECOND
BTC = Instrument("paper", "linear", "BTCUSDT")
SPOT_BTC = Instrument("paper", "spot", "BTCUSDT")
BTCUSD = Instrument("paper", "inverse", "BTCUSD")
ACCOUNT = "main"

Fields = Any  # keyword fields of the record that a builder makes: as varied as the records


def dec(text: str | int) -> Decimal:
    return Decimal(text)


# -- orders and what is said of them -------------------------------------------------------------------------------


def order(**changed: Fields) -> Order:
    """A limit purchase of 1 at 100, its intent written and nothing else known."""
    fields: dict[str, Fields] = {
        "order_id": "om1",
        "instrument": BTC,
        "account": ACCOUNT,
        "side": Side.BUY,
        "order_type": OrderType.LIMIT,
        "quantity": dec(1),
        "price": dec(100),
    }
    return Order(**(fields | changed))


def report(state: VenueState = VenueState.LIVE, executed: str = "0", **changed: Fields) -> OrderReport:
    """The venue's row of that order, with `executed` at 100."""
    quantity = dec(executed)
    fields: dict[str, Fields] = {
        "instrument": BTC,
        "account": ACCOUNT,
        "origin": Origin.STREAM,
        "received_ns": NOW,
        "client_order_id": "om1",
        "venue_order_id": "v1",
        "state": state,
        "raw_status": state.value,
        "side": Side.BUY,
        "order_type": OrderType.LIMIT,
        "quantity": dec(1),
        "price": dec(100),
        "cumulative": Sums(quantity, quantity * 100, {"USDT": quantity / 10} if quantity else {}),
        "updated_ns": NOW,
    }
    return OrderReport(**(fields | changed))


def fill(execution_id: str = "e1", quantity: str = "0.25", price: str = "100", **changed: Fields) -> FillReport:
    """One execution of that order."""
    fields: dict[str, Fields] = {
        "instrument": BTC,
        "account": ACCOUNT,
        "origin": Origin.STREAM,
        "received_ns": NOW,
        "client_order_id": "om1",
        "venue_order_id": "v1",
        "execution_id": execution_id,
        "side": Side.BUY,
        "price": dec(price),
        "quantity": dec(quantity),
        "fee": dec("0.01"),
        "fee_currency": "USDT",
        "executed_ns": NOW,
    }
    return FillReport(**(fields | changed))


def outcome(result: Result, call: Call = Call.CREATE, **changed: Fields) -> CallOutcome:
    """What came of a call for that order, after one attempt."""
    fields: dict[str, Fields] = {
        "instrument": BTC,
        "account": ACCOUNT,
        "origin": Origin.OUTCOME,
        "received_ns": NOW,
        "client_order_id": "om1",
        "call": call,
        "result": result,
        "attempts": 1,
        "sent_ns": NOW,
        "replied_ns": NOW,
    }
    return CallOutcome(**(fields | changed))


def cancel_request(command_id: str = "c1", **changed: Fields) -> CancelRequested:
    """Somebody wants that order gone."""
    fields: dict[str, Fields] = {
        "instrument": BTC,
        "account": ACCOUNT,
        "origin": Origin.COMMAND,
        "received_ns": NOW,
        "client_order_id": "om1",
        "command_id": command_id,
        "reason": "asked by an operator",
    }
    return CancelRequested(**(fields | changed))


# -- signals, facts and plans --------------------------------------------------------------------------------------


def signal_fields(**changed: Fields) -> dict[str, Fields]:
    """The wish to buy BTCUSDT for 1000 USDT at 50000, with a spread of 0.2 %: a limit order."""
    fields: dict[str, Fields] = {
        "signal_id": "s1",
        "signal_type": "buy",
        "symbol": "BTCUSDT",
        "amount": "1000",
        "timestamp": NOW,
        "market_data_snapshot": {"price": "50000", "spread": "100"},
    }
    return {name: value for name, value in (fields | changed).items() if value is not None}


def record(**changed: Fields) -> bytes:
    """That wish as a record's value."""
    return json.dumps(signal_fields(**changed)).encode()


def signal(**changed: Fields) -> Signal:
    """That wish, read."""
    return parse_signal(record(**changed), record_time_ns=NOW, max_bytes=100_000)


def rules(**changed: Fields) -> InstrumentRules:
    """A grid of 0.1 USDT by 0.001 BTC."""
    fields: dict[str, Fields] = {
        "instrument": BTC,
        "trading": True,
        "base_currency": "BTC",
        "quote_currency": "USDT",
        "settle_currency": "USDT",
        "tick": dec("0.1"),
        "lot": dec("0.001"),
        "min_quantity": dec("0.001"),
        "max_quantity": dec(100),
        "max_market_quantity": dec(50),
        "min_notional": dec(5),
        "min_price": dec("0.1"),
        "max_price": dec(1_000_000),
        "fetched_at_ns": NOW,
    }
    return InstrumentRules(**(fields | changed))


INVERSE_RULES = rules(
    instrument=BTCUSD,
    quote_currency="USD",
    settle_currency="BTC",
    lot=dec(1),
    min_quantity=dec(1),
    max_quantity=dec(1_000_000),
    max_market_quantity=dec(1_000_000),
    min_notional=dec(0),
)
"""Dollars by the piece, settled in coins."""


def quote(price: str = "50000", spread: str = "100", at_ns: int = NOW) -> Quote:
    """Best prices around `price`."""
    middle, half = dec(price), dec(spread) / 2
    return Quote(bid=middle - half, ask=middle + half, last=middle, mark=middle, at_ns=at_ns)


def facts(**changed: Fields) -> Facts:
    """A quiet market, nothing open, 10000 USDT free."""
    fields: dict[str, Fields] = {
        "now_ns": NOW,
        "record_time_ns": NOW,
        "account": ACCOUNT,
        "attempt": 1,
        "rules": rules(),
        "quote": quote(),
        "currency": "USDT",
        "available": dec(10_000),
    }
    return Facts(**(fields | changed))


def open_order(order_id: str = "o1", **changed: Fields) -> OpenOrder:
    """A purchase of 0.01 resting at 49000."""
    fields: dict[str, Fields] = {
        "order_id": order_id,
        "side": Side.BUY,
        "order_type": OrderType.LIMIT,
        "price": dec(49_000),
        "leaves": dec("0.01"),
        "executed": dec(0),
        "in_doubt": False,
        "reduce_only": False,
        "external": False,
        "position_side": PositionSide.NET,
    }
    return OpenOrder(**(fields | changed))


def plan(
    wish: Signal | None = None,
    known: Facts | None = None,
    settings: PlanSettings | None = None,
    *,
    instrument: Instrument = BTC,
    phase: int = 1,
) -> Plan:
    """The plan for that wish on those facts."""
    return plan_signal(
        wish or signal(),
        known or facts(),
        settings or PlanSettings(),
        instrument=instrument,
        source="signals-0-7",
        phase=2 if phase == 2 else 1,
    )


def verdict(made: Plan, gate: str) -> Verdict:
    """One gate's word in a plan."""
    return next(found for found in made.verdicts if found.gate == gate)


def settings(**changed: object) -> PlanSettings:
    """The default settings, changed by name."""
    return PlanSettings(**changed)  # type: ignore[arg-type]  # each test names the setting it is about


def intent(made: Plan) -> Intent:
    """The one order of a plan that executes."""
    assert made.decision is Decision.EXECUTE, made.reason
    (only,) = made.intents
    return only


def refusal(made: Plan) -> tuple[Decision, str]:
    """What became of a signal that is not traded, and that nothing is done for it."""
    assert made.intents == ()
    assert made.cancels == ()
    assert made.reason
    assert made.verdicts[-1].outcome is Outcome.REJECT
    return made.decision, made.code
