"""What a dry run would have sent, in sums (requirement X10)."""

from __future__ import annotations

from decimal import Decimal

from domain.instruments import Instrument
from domain.orders import Order, OrderType, Side, SignalContext
from domain.rehearsal import Group, Rehearsed, add_rehearsed

CONTEXT = SignalContext(
    signal_id="s", attempt=1, part=0, source="signals-0-0", signal_type="buy", amount=Decimal(990), at_ns=1
)


def rehearsed(quantity: str, price: str | None, category: str = "linear", side: Side = Side.BUY) -> Order:
    return Order(
        order_id="om1",
        instrument=Instrument("paper", category, "BTCUSDT"),
        account="main",
        side=side,
        order_type=OrderType.LIMIT,
        quantity=Decimal(quantity),
        price=None if price is None else Decimal(price),
        signal=CONTEXT,
    )


def test_x10_orders_of_a_side_and_type_are_summed_up_exactly() -> None:
    sums: dict[Group, Rehearsed] = {}

    add_rehearsed(sums, [rehearsed("0.1", "100.1"), rehearsed("0.2", "100.2"), rehearsed("1", "90", side=Side.SELL)])

    bought, sold = sums.values()
    assert (bought.orders, bought.quantity, bought.notional) == (2, Decimal("0.3"), Decimal("30.05"))
    assert (sold.side, sold.orders, sold.notional) == (Side.SELL, 1, 90)


def test_x10_without_a_price_the_signals_amount_counts_and_inverse_contracts_count_themselves() -> None:
    sums: dict[Group, Rehearsed] = {}

    add_rehearsed(sums, [rehearsed("10", None)])
    add_rehearsed(sums, [rehearsed("500", "100", category="inverse")])

    [both] = sums.values()
    assert both.notional == Decimal(990) + 500
