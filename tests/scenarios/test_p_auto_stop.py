"""The stop-loss that follows a position by itself (requirement P04)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from scenario_set import Desk, Row, wish
from scenario_venue import DEADLINE_S

from app.replay.folded import Until
from app.replay.report import replay
from app.verify.report import VerifyOptions, verify
from domain.orders import PositionSide
from domain.protection import TriggerBy
from domain.updates import Call
from exchanges.bybit.errors import CallKind

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {
    "auto_stop_loss": True,
    "auto_stop_loss_distance": Decimal("0.1"),
    "allow_short": True,
    "doubt_s": 1.0,
}


async def stop_of(desk: Desk, symbol: str, price: str, quantity: str) -> Row:
    """The symbol's one open stop-loss, once it stands there for so much; the exchange has it too."""

    async def stands() -> Row | None:
        found = await desk.ask("/orders", symbol=symbol, state="untriggered")
        [stop] = found["items"] or [None]
        wanted = stop is not None and (Decimal(stop["trigger_price"]), Decimal(stop["quantity"]))
        return stop if wanted == (Decimal(price), Decimal(quantity)) else None

    stop = await desk.until(stands, DEADLINE_S, f"a stop-loss of {quantity} {symbol} at {price}")
    [at_venue] = [row for row in await desk.at_venue(symbol) if row["orderStatus"] == "Untriggered"]
    assert (at_venue["orderId"], at_venue["stopOrderType"]) == (stop["venue_order_id"], "StopLoss")
    return dict(stop)


async def trade(desk: Desk, symbol: str, side: str, pieces: int, price: str = "100") -> None:
    """Trade so many pieces at exactly this price, which is the last one then."""
    level, away = ((price, "1000"),), str(Decimal(price) + (Decimal(1) if side == "sell" else Decimal(-1)))
    other = ((away, "1000"),)
    await desk.quote(symbol, bids=level if side == "sell" else other, asks=other if side == "sell" else level)
    how = {"order_type": "limit", "time_in_force": "IOC", "post_only": False, "limit_price": price}
    row = await desk.trade(wish(symbol, side, amount=str(100 * pieces), **how))
    assert row["result"] == "executed", row


async def test_p04_the_stop_is_set_moved_and_gone_with_its_position(desk: Desk, symbol: str) -> None:
    await trade(desk, symbol, "buy", 10)
    first = await stop_of(desk, symbol, "90", "10")

    await trade(desk, symbol, "buy", 10, "102")
    grown = await stop_of(desk, symbol, "90.9", "20")
    await trade(desk, symbol, "sell", 4, "102")
    shrunk = await stop_of(desk, symbol, "90.9", "16")
    await trade(desk, symbol, "sell", 16, "102")

    await desk.position_is(symbol, "0")
    gone = await desk.order_in(shrunk["order_id"], "cancelled")
    assert (first["role"], first["external"], first["parent_order_id"]) == ("stop_loss", False, "")
    assert grown["order_id"] == first["order_id"]
    assert gone["reason"] == "PROTECTION_CLEARED"


async def test_p04_a_position_that_turns_gets_a_stop_on_its_other_side(desk: Desk, symbol: str) -> None:
    await trade(desk, symbol, "buy", 10)
    long = await stop_of(desk, symbol, "90", "10")

    await trade(desk, symbol, "sell", 30)

    short = await stop_of(desk, symbol, "110", "20")
    assert (long["side"], short["side"]) == ("sell", "buy")
    assert (await desk.order(long["order_id"]))["state"] == "cancelled"


async def test_p04_the_stop_that_a_signal_brings_is_left_alone(desk: Desk, symbol: str) -> None:
    row = await desk.trade(wish(symbol, order_type="market", stop_loss="95"))
    stop = await stop_of(desk, symbol, "95", "10")

    await trade(desk, symbol, "buy", 10, "102")

    grown = await stop_of(desk, symbol, "95", "20")
    assert (grown["order_id"], grown["parent_order_id"]) == (stop["order_id"], row["order_ids"][0])


async def test_p04_a_stop_that_somebody_moved_by_hand_stays_where_it_is(desk: Desk, symbol: str) -> None:
    await trade(desk, symbol, "buy", 10)
    await stop_of(desk, symbol, "90", "10")

    await desk.stranger.set_stop_loss(desk.instrument(symbol), PositionSide.NET, Decimal(97), TriggerBy.LAST)
    await stop_of(desk, symbol, "97", "10")
    await trade(desk, symbol, "buy", 10, "102")

    await stop_of(desk, symbol, "97", "20")


async def test_p04_a_stop_that_somebody_set_for_a_part_leaves_the_one_of_the_whole_to_us(
    desk: Desk, symbol: str
) -> None:
    await trade(desk, symbol, "buy", 10)
    whole = await stop_of(desk, symbol, "90", "10")
    part = {"tpslMode": "Partial", "stopLoss": "97", "slSize": "4", "positionIdx": 0}
    await desk.stranger._rest.post(
        "/v5/position/trading-stop",
        {"category": "linear", "symbol": symbol, **part},
        call=CallKind.AMEND,
        bucket=Call.AMEND.value,
    )

    async def stand() -> dict[str, Row] | None:
        found = (await desk.ask("/orders", symbol=symbol, state="untriggered"))["items"]
        return {row["trigger_price"]: row for row in found} if len(found) == 2 else None

    before = await desk.until(stand, DEADLINE_S, "both stop-losses")
    await trade(desk, symbol, "buy", 10, "102")

    async def moved() -> dict[str, Row] | None:
        found = await stand()
        return found if found is not None and "90.9" in found else None

    after = await desk.until(moved, DEADLINE_S, "the stop-loss of the whole position at its new entry")
    assert {price: row["partial"] for price, row in before.items()} == {"90": False, "97": True}
    assert {price: (row["quantity"], row["partial"]) for price, row in after.items()} == {
        "90.9": ("20", False),
        "97": ("4", True),
    }
    assert after["90.9"]["order_id"] == whole["order_id"]


async def test_p04_a_call_of_unknown_outcome_ends_with_one_stop(desk: Desk, symbol: str) -> None:
    lost = await desk.fault("timeout_after_accept", endpoint="position/trading-stop", symbol=symbol, count=1)
    deaf = await desk.fault("drop_stream", topic="order", symbol=symbol, skip=1)

    await trade(desk, symbol, "buy", 10)

    await stop_of(desk, symbol, "90", "10")
    assert await desk.fired(lost) == 1
    assert await desk.fired(deaf)


async def test_p04_a_stop_that_the_venue_refuses_is_an_alert_and_is_tried_again(desk: Desk, symbol: str) -> None:
    words = "StopLoss set for Buy position should be lower than base_price"
    fault = {"code": 10001, "message": words, "count": 1}
    await desk.fault("error_code_before", endpoint="position/trading-stop", symbol=symbol, **fault)

    await trade(desk, symbol, "buy", 10)

    alert = await desk.alert("AUTO_STOP_LOSS_REFUSED", symbol=symbol)
    assert "no stop-loss at 90 for 10" in alert["sentence"]
    assert words in alert["sentence"]
    await stop_of(desk, symbol, "90", "10")


async def test_p04_after_a_restart_the_stop_is_compared_and_not_set_again(desk: Desk, symbol: str) -> None:
    await trade(desk, symbol, "buy", 10)
    before = await stop_of(desk, symbol, "90", "10")
    asked = await desk.arrived("position/trading-stop")

    async with desk.worker_away():
        pass
    await trade(desk, symbol, "sell", 4)

    after = await stop_of(desk, symbol, "90", "6")
    assert after["order_id"] == before["order_id"]
    assert await desk.arrived("position/trading-stop") == asked


async def test_p04_all_ledgers_agree_with_stops_that_were_set_and_moved(desk: Desk) -> None:
    await desk.heal()

    verified = await verify(desk.settings, VerifyOptions(settle_s=30.0))
    replayed = await replay(desk.settings, directory=None, until=Until(), settle_s=30.0)

    assert verified["equal"] is True, verified
    assert replayed["equal"] is True, replayed
