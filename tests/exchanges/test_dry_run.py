"""The switch of a dry run at the edge: questions pass, what would change something does not (requirement X10)."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from domain.errors import Withheld
from domain.instruments import Instrument
from domain.orders import OrderType, PositionSide, Side, TimeInForce
from domain.protection import TriggerBy
from exchanges.dry_run import DryTrading
from exchanges.venue import NewOrder, OrderRef, Trading

BTC = Instrument("paper", "linear", "BTCUSDT")
ORDER = NewOrder(BTC, "om1", Side.BUY, OrderType.LIMIT, Decimal(1), Decimal(100), TimeInForce.GTC)
REF = OrderRef(BTC, "om1")
CHANGES = {"create", "amend", "cancel", "create_batch", "cancel_batch", "set_stop_loss"}
ASKS = {
    *("traits", "admit", "order", "open_orders", "closed_orders", "executions"),
    *("positions", "payments", "balances", "instruments", "quote", "quotes", "close"),
}


class Untouchable:
    """A venue that fails the test when it is asked for anything."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} reached the venue")


@pytest.mark.parametrize(
    "change",
    [
        lambda venue: venue.create(ORDER),
        lambda venue: venue.amend(REF, quantity=Decimal(2)),
        lambda venue: venue.cancel(REF),
        lambda venue: venue.set_stop_loss(BTC, PositionSide.NET, Decimal(90), TriggerBy.LAST),
    ],
    ids=["create", "amend", "cancel", "set_stop_loss"],
)
async def test_x10_nothing_that_changes_something_reaches_the_venue(
    change: Callable[[DryTrading], Awaitable[object]],
) -> None:
    venue: Any = Untouchable()

    with pytest.raises(Withheld, match=r"DRY_RUN: .*(om1|BTCUSDT)"):
        await change(DryTrading(venue))


async def test_x10_nothing_of_a_batch_reaches_the_venue() -> None:
    venue: Any = Untouchable()
    trading = DryTrading(venue)

    for outcomes in (await trading.create_batch([ORDER, ORDER]), await trading.cancel_batch([REF, REF])):
        assert [type(outcome) for outcome in outcomes] == [Withheld, Withheld]


def test_x10_every_method_of_a_venue_is_sorted_into_questions_and_changes() -> None:
    asked = {name for name, _ in inspect.getmembers(Trading) if not name.startswith("_")}

    assert asked == CHANGES | ASKS, "a new method: does a dry run withhold it?"
