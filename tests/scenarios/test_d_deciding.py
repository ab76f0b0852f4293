"""Deciding the order: type, price, flags, size, rules, drift, purity (requirements D01 to D06, D13)."""

from __future__ import annotations

import time
from decimal import Decimal

import msgspec
import pytest
from scenario_set import Desk, Row, wish

from app.web.replies import to_json
from domain.instruments import Instrument
from domain.planning import plan_signal
from domain.plans import Facts, Plan
from domain.signals import parse_signal
from exchanges.paper.instruments import INSTRUMENTS

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"price_drift_reject": Decimal("0.2"), "max_snapshot_age_s": 20.0}
WIDE = {"price": "100", "spread": "0.2"}
NARROW = {"price": "100", "spread": "0.05"}


@pytest.mark.parametrize(
    ("said", "order_type", "rule"),
    [
        ({"confidence": "0.91"}, "market", "confidence"),
        ({"confidence": "0.9"}, "limit", "wide_spread"),
        ({"urgency": "high"}, "market", "urgency"),
        ({"market_data_snapshot": NARROW}, "market", "narrow_spread"),
        ({"market_data_snapshot": {**NARROW, "depth": "9.9"}}, "limit", "thin_book"),
        ({"market_data_snapshot": {**NARROW, "depth": "10"}}, "market", "narrow_spread"),
        ({"order_type": "limit", "confidence": "1", "urgency": "high"}, "limit", "explicit"),
        ({"order_type": "market"}, "market", "explicit"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_d01_the_first_rule_that_fires_decides_the_type_and_is_recorded(
    desk: Desk, said: Row, order_type: str, rule: str
) -> None:
    row = await desk.trade(wish(desk.named("BTCUSDT"), **said))

    [order] = row["orders"]
    assert (order["order_type"], order["signal"]["rule"]) == (order_type, rule)
    at_venue = next(each for each in await desk.at_venue("BTCUSDT") if each["orderLinkId"] == order["order_id"])
    # A market order goes out as a limit at its guard's price that cannot rest (D07).
    assert (at_venue["orderType"], at_venue["timeInForce"] == "IOC") == ("Limit", order_type == "market")
    verdicts = {verdict["gate"]: verdict for verdict in row["plans"][-1]["verdicts"]}
    assert verdicts["order_type"]["figures"]["rule"] == rule


@pytest.mark.parametrize(
    ("side", "spread", "price"),
    [("buy", "0.2", "99.9"), ("sell", "0.2", "100.1"), ("buy", "0.13", "99.9"), ("sell", "0.13", "100.1")],
)
async def test_d02_a_limit_stands_half_a_spread_away_on_the_passive_side_of_the_tick(
    desk: Desk, side: str, spread: str, price: str
) -> None:
    symbol = desk.named("BNBUSDT")  # tick 0.1
    if side == "sell":
        await desk.bought(symbol)

    row = await desk.trade(
        wish(symbol, side, order_type="limit", market_data_snapshot={"price": "100", "spread": spread})
    )

    assert row["orders"][0]["price"] == price
    assert (await desk.at_venue(symbol))[-1]["price"] == price


async def test_d03_a_market_order_is_ioc_and_a_limit_rests_as_maker(desk: Desk, symbol: str) -> None:
    await desk.trade(wish(symbol, order_type="market"))
    await desk.trade(wish(symbol, order_type="limit"))
    await desk.trade(wish(symbol, order_type="limit", post_only=False, limit_price="99"))

    forces = [(order["orderType"], order["timeInForce"]) for order in await desk.at_venue(symbol)]
    assert forces == [("Limit", "IOC"), ("Limit", "PostOnly"), ("Limit", "GTC")]


async def test_d03_a_post_only_order_that_would_take_ends_cancelled_and_is_not_sent_again(
    desk: Desk, symbol: str
) -> None:
    row = await desk.trade(wish(symbol, order_type="limit", limit_price="100.1"))

    order = await desk.order_in(row["order_ids"][0], "cancelled")
    event = (await desk.events(order["order_id"], "cancelled"))[-1]
    assert event["reason"] == "POST_ONLY_WOULD_TAKE"
    assert len(await desk.at_venue(symbol)) == 1


async def test_d03_fill_or_kill_and_ioc_go_as_the_signal_says(desk: Desk, symbol: str) -> None:
    await desk.quote(symbol, asks=(("100.1", "4"), ("100.2", "100000")))
    kill = await desk.trade(wish(symbol, order_type="limit", limit_price="100.1", time_in_force="FOK"))
    part = await desk.trade(wish(symbol, order_type="limit", limit_price="100.1", time_in_force="IOC"))

    killed = await desk.order_in(kill["order_ids"][0], "cancelled")
    parted = await desk.order_in(part["order_ids"][0], "cancelled")
    assert Decimal(killed["executed_quantity"]) == 0
    # The kill left the book as it was, so the other one found it whole.
    assert Decimal(parted["executed_quantity"]) == 4


async def test_d03_an_order_that_shrinks_a_position_is_reduce_only(desk: Desk, symbol: str) -> None:
    await desk.bought(symbol)

    row = await desk.trade(wish(symbol, "sell", order_type="market", amount="400"))

    bought, sold = await desk.at_venue(symbol)
    assert (bought["reduceOnly"], sold["reduceOnly"]) == (False, True)
    await desk.order_in(row["order_ids"][0], "filled")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"order_type": "market", "post_only": True}, "MARKET_POST_ONLY"),
        ({"order_type": "market", "limit_price": "100"}, "MARKET_WITH_LIMIT_PRICE"),
        ({"order_type": "market", "time_in_force": "FOK"}, "MARKET_FOK"),
        ({"order_type": "limit", "post_only": True, "time_in_force": "IOC"}, "POST_ONLY_AT_ONCE"),
    ],
)
async def test_d03_what_no_order_can_be_is_refused_before_it_leaves(desk: Desk, said: Row, code: str) -> None:
    before = await desk.arrived("order/create")

    row = await desk.trade(wish(desk.named("XRPUSDT"), **said))

    assert (row["result"], row["code"]) == ("rejected", code)
    assert await desk.arrived("order/create") == before


async def test_d04_the_quantity_is_whole_lots_and_never_costs_more_than_the_amount(desk: Desk, symbol: str) -> None:
    amount, lot = Decimal("1234.56789"), INSTRUMENTS[symbol].lot

    row = await desk.trade(wish(symbol, order_type="market", amount=str(amount)))

    quantity = Decimal(row["orders"][0]["quantity"])
    assert quantity % lot == 0
    assert quantity * 100 <= amount < (quantity + lot) * 100
    assert Decimal((await desk.at_venue(symbol))[0]["qty"]) == quantity


@pytest.mark.parametrize(
    ("symbol_asked", "amount", "code", "figures"),
    [
        ("SUIUSDT", "999", "BELOW_ONE_LOT", {"amount": "999", "lot": "10", "quantity": "0"}),
        ("BTCUSDT", "4.9", "BELOW_MIN_NOTIONAL", {"quantity": "0.049", "notional": "4.9", "minimum": "5"}),
        ("BTCUSDT", "11900", None, {}),
        ("BTCUSDT", "20000", "ABOVE_MAX_QUANTITY", {"quantity": "200", "maximum": "119"}),
    ],
)
async def test_d04_a_size_that_the_venue_would_not_take_is_rejected_with_the_figures(
    desk: Desk, symbol_asked: str, amount: str, code: str | None, figures: dict[str, str]
) -> None:
    row = await desk.trade(wish(desk.named(symbol_asked), order_type="market", amount=amount))

    assert row["code"] == (code or "")
    told = row["plans"][-1]["verdicts"][-1]["figures"]
    assert {name: told.get(name) for name in figures} == figures


async def test_d05_the_rules_come_from_the_venue_and_an_unknown_symbol_never_reaches_it(desk: Desk) -> None:
    before = await desk.arrived("order/create")

    row = await desk.trade(wish("NOSUCHUSDT"))

    assert (row["result"], row["code"]) == ("rejected", "INSTRUMENT_UNKNOWN")
    assert await desk.arrived("order/create") == before
    known = await desk.trade(wish(desk.named("ETHUSDT"), order_type="limit"))
    rules, listed = known["plans"][-1]["facts"]["rules"], INSTRUMENTS["ETHUSDT"]
    assert {name: Decimal(rules[name]) for name in ("tick", "lot", "min_notional", "max_market_quantity")} == {
        "tick": listed.tick,
        "lot": listed.lot,
        "min_notional": listed.min_notional,
        "max_market_quantity": listed.max_market_qty,
    }


async def test_d06_a_price_that_has_drifted_is_warned_of(desk: Desk, symbol: str) -> None:
    row = await desk.trade(wish(symbol, order_type="limit", market_data_snapshot={"price": "94", "spread": "0.2"}))

    assert row["result"] == "executed"
    [warning] = row["plans"][-1]["warnings"]
    assert warning.startswith("PRICE_DRIFT: the price moved 6.38 %")
    event = (await desk.record("order_events", order_id=row["order_ids"][0], type="acknowledged")).body
    # 6 / 94, to 18 places
    assert (event["signal"]["price_drift"], event["signal"]["warnings"]) == ("0.063829787234042553", [warning])


async def test_d06_a_price_that_has_drifted_too_far_is_rejected(desk: Desk, symbol: str) -> None:
    row = await desk.trade(wish(symbol, order_type="limit", market_data_snapshot={"price": "75", "spread": "0.2"}))

    assert (row["result"], row["code"]) == ("rejected", "PRICE_DRIFT")
    assert not await desk.at_venue(symbol)


@pytest.mark.parametrize("snapshot", ["missing", "old"])
async def test_d06_without_a_fresh_snapshot_the_ticker_is_the_price(desk: Desk, symbol: str, snapshot: str) -> None:
    given: Row = {"market_data_snapshot": None}
    if snapshot == "old":
        given = {"market_data_snapshot": {"price": "90"}, "timestamp": time.time_ns() - 30_000_000_000}

    row = await desk.trade(wish(symbol, order_type="limit", **given))

    verdict = next(each for each in row["plans"][-1]["verdicts"] if each["gate"] == "reference_price")
    assert (verdict["figures"]["source"], verdict["figures"]["price"]) == ("quote", "100")
    assert row["orders"][0]["quantity"] == "10"


async def test_d13_the_same_signal_facts_and_settings_give_the_stored_plan_again(desk: Desk, symbol: str) -> None:
    await desk.bought(symbol, "300")
    await desk.resting(symbol, "sell", amount="200")
    signal = wish(symbol, "sell", order_type="limit", amount="777", limit_price="100.3", confidence="0.5")
    source = await desk.send(signal)
    row = await desk.end_of(signal["signal_id"], source=source)

    assert [plan["phase"] for plan in row["plans"]] == [1, 2]
    for stored in row["plans"]:
        facts = msgspec.convert(stored["facts"], Facts, strict=False)
        read = parse_signal(
            msgspec.json.encode(signal), record_time_ns=facts.record_time_ns, max_bytes=desk.settings.signal_max_bytes
        )
        again = plan_signal(
            read,
            facts,
            desk.settings.plan_settings(),
            instrument=Instrument("paper", "linear", symbol),
            source=source,
            phase=stored["phase"],
        )
        assert as_shown(again) == {name: stored[name] for name in as_shown(again)}


def as_shown(plan: Plan) -> Row:
    """The plan in the views' own spelling, without what they show elsewhere."""
    shown: Row = msgspec.json.decode(to_json(msgspec.structs.asdict(plan)))
    hidden = ("signal_id", "source", "attempt", "instrument", "account", "dry_run")
    return {name: value for name, value in shown.items() if name not in hidden}


async def test_d13_a_plan_is_shown_with_every_verdict_and_nothing_is_done(desk: Desk, symbol: str) -> None:
    signal = wish(symbol, order_type="market", amount="500")

    shown = (await desk.post("/plan", **signal)).json()
    later = await desk.trade(signal)

    assert shown["decision"] == "execute"
    assert [verdict["outcome"] for verdict in shown["verdicts"]].count("reject") == 0
    assert shown["intents"][0]["quantity"] == later["orders"][0]["quantity"]
    assert shown["intents"][0]["order_id"] == later["orders"][0]["order_id"]  # planning is pure: so are its ids
    assert len(await desk.at_venue(symbol)) == 1


async def test_d13_a_plan_of_what_is_no_signal_says_every_reason(desk: Desk, symbol: str) -> None:
    reply = await desk.post("/plan", **(wish(symbol) | {"amount": "-1", "signal_type": "hold"}))

    assert reply.status_code == 400
    assert len(reply.json()["error"]["details"]["reasons"]) == 2
