"""Signals in: reading, order, identity, age, trace (requirements S01 to S12)."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest
from scenario_reader import Row, Seen
from scenario_set import Desk, wish

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"signal_max_bytes": 20_000}
TRACE = "0af7651916cd43dd8448eb211c80319c"


async def test_s01_id_type_asset_and_amount_are_a_signal(desk: Desk, symbol: str) -> None:
    signal = {"signal_id": f"bare-{symbol}", "signal_type": "BUY", "asset": symbol.lower(), "amount": 1000}

    row = await desk.trade(signal, key=symbol.encode())

    [order] = row["orders"]
    assert (order["side"], order["quantity"], order["price"]) == ("buy", "10", "99.9")


async def test_s01_what_a_signal_says_of_itself_is_told_with_its_orders(desk: Desk, symbol: str) -> None:
    said = {
        "confidence": "0.75",
        "strategy_id": "momentum",
        "model_version": "v7",
        "metadata": {"desk": "north"},
        "nobody_knows_this": [1, 2],
    }

    row = await desk.trade(wish(symbol, order_type="limit", **said))

    event = (await desk.record("order_events", order_id=row["order_ids"][0], type="acknowledged")).body
    context = event["signal"]
    assert {name: context[name] for name in ("confidence", "strategy_id", "model_version", "metadata")} == {
        name: said[name] for name in ("confidence", "strategy_id", "model_version", "metadata")
    }


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\xff\xfe no JSON", "not JSON"),
        (b"[1, 2, 3]", "not a JSON object"),
        (b"", "not JSON"),
        (b'{"signal_id": "a", "signal_type": "buy", "symbol": "BTCUSDT"}', "amount: missing"),
        (b'{"signal_id": "a", "signal_type": "hold", "symbol": "BTCUSDT", "amount": -5}', "amount: -5 is not above 0"),
        (b'{"signal_id": "a", "signal_type": "buy", "symbol": "BTCUSDT", "amount": "NaN"}', "amount:"),
        (b'{"pad": "' + b"x" * 20_000 + b'"}', "the limit is 20000"),
    ],
    ids=["no-json", "no-object", "empty", "missing", "out-of-range", "not-finite", "too-large"],
)
async def test_s02_what_is_no_signal_goes_whole_to_the_dead_letters(desk: Desk, value: bytes, reason: str) -> None:
    source = await desk.send(value, key=b"BTCUSDT", headers=[("from", b"a test")])

    [letter] = await dead_letters(desk, source)
    assert letter.value == value
    assert letter.key == b"BTCUSDT"
    assert letter.headers["from"] == b"a test"
    assert reason in letter.headers["__streams.errors.message"].decode()


async def test_s02_every_reason_is_given(desk: Desk) -> None:
    source = await desk.send({"signal_id": "", "signal_type": "hold", "symbol": "BTCUSDT", "amount": 0})

    [letter] = await dead_letters(desk, source)

    told = letter.headers["__streams.errors.message"].decode()
    assert all(name in told for name in ("signal_id:", "signal_type:", "amount:"))


async def test_s02_a_bad_signal_that_can_be_named_is_told_rejected_and_its_partition_goes_on(
    desk: Desk, symbol: str
) -> None:
    bad = wish(symbol, amount=0)
    await desk.send(bad)
    row = await desk.trade(wish(symbol, order_type="limit"))

    event = (await desk.record("order_events", signal_id=bad["signal_id"])).body
    assert (event["type"], event["symbol"]) == ("rejected", symbol)
    assert "amount: 0 is not above 0" in event["reason"]
    assert [order["orderLinkId"] for order in await desk.at_venue(symbol)] == row["order_ids"]


async def dead_letters(desk: Desk, source: str) -> list[Seen]:
    topic, partition, offset = source.rsplit("-", 2)

    def arrived() -> list[Seen] | None:
        wanted = {"topic": topic, "partition": partition, "offset": offset}
        return [
            letter
            for letter in desk.told("signals_dead")
            if all(letter.headers[f"__streams.errors.{name}"].decode() == text for name, text in wanted.items())
        ] or None

    return await desk.reader.until(arrived, 10, f"the dead letter of {source}")


async def test_s03_a_symbol_that_waits_for_its_venue_delays_no_other_of_its_partition(desk: Desk) -> None:
    slow, other = desk.symbols(2, same_partition=True)
    await desk.fault("latency", endpoint="order/create", symbol=slow, delay_ms=900)
    waiting = [wish(slow, order_type="market") for _ in range(3)]
    for signal in waiting:
        await desk.send(signal)

    await desk.trade(wish(other, order_type="market"))
    still_at_work = [await desk.ask(f"/signals/{signal['signal_id']}", missing=None) for signal in waiting[1:]]

    assert all(found is None or found["items"][0]["state"] != "done" for found in still_at_work)
    for signal in waiting:
        await desk.end_of(signal["signal_id"])
    await desk.heal()


async def test_s03_arrival_decides_the_order_within_a_symbol_not_the_timestamp(desk: Desk, symbol: str) -> None:
    now_ns = time.time_ns()
    signals = [wish(symbol, order_type="market", timestamp=now_ns - number * 1_000_000_000) for number in range(6)]
    for signal in signals:
        await desk.send(signal)
    ends = [await desk.end_of(signal["signal_id"]) for signal in signals]

    wanted = [order_id for row in ends for order_id in row["order_ids"]]
    assert [order["orderLinkId"] for order in await desk.at_venue(symbol)] == wanted


async def test_s03_a_timestamp_far_from_arrival_is_logged_and_counted(desk: Desk, symbol: str) -> None:
    trace = "d" * 32
    row = await desk.trade(wish(symbol, order_type="limit", timestamp=late(30), trace_id=trace))

    assert row["result"] == "executed", "it is no reason to refuse it"
    told = [line["event"] for line in desk.worker_log() if line.get("trace_id") == trace]
    assert any(line.startswith("TIMESTAMP_FAR_FROM_ARRIVAL") for line in told)
    assert 'ordermanager_signal_timestamps_far_total{side="early"}' in await desk.metrics()


@pytest.mark.parametrize("wrong", ["key", "partition", "no key"])
async def test_s04_a_signal_in_the_wrong_place_is_executed_once_in_the_right_one(
    desk: Desk, symbol: str, wrong: str
) -> None:
    elsewhere = (desk.partition(symbol) + 1) % desk.settings.partitions
    key = {"key": b"another", "partition": symbol.encode(), "no key": None}[wrong]
    signal = wish(symbol, order_type="market")
    source = await desk.send(signal, key=key, partition=elsewhere)

    row = await desk.end_of(signal["signal_id"])

    assert row["source"] == source
    assert row["orders"][0]["signal"]["source"] == source
    both = await desk.records("signals", 2, signal_id=signal["signal_id"])
    sent_home = [record for record in both if record.source != source]
    assert [(record.partition, record.key) for record in sent_home] == [(desk.partition(symbol), symbol.encode())]
    assert sent_home[0].headers["ordermanager-origin"].decode() == source
    assert sent_home[0].headers["ordermanager-hops"] == b"1"
    await desk.order_in(row["order_ids"][0], "filled")
    assert len(await desk.at_venue(symbol)) == 1


async def test_s05_of_two_opposite_signals_the_second_sees_what_the_first_did(desk: Desk, symbol: str) -> None:
    buy = wish(symbol, order_type="market", amount="1000")
    sell = wish(symbol, "sell", order_type="market", amount="5000")
    await desk.send(buy)
    await desk.send(sell)

    first, second = await desk.end_of(buy["signal_id"]), await desk.end_of(sell["signal_id"])

    assert (first["result"], second["result"]) == ("executed", "executed"), second["reason"]
    assert second["orders"][0]["quantity"] == first["orders"][0]["quantity"] == "10"
    await desk.order_in(second["order_ids"][0], "filled")
    assert Decimal((await desk.position(symbol))["size"]) == 0


async def test_s05_the_second_sees_it_although_the_venue_tells_of_the_fill_late(desk: Desk, symbol: str) -> None:
    await desk.fault("delay_stream", symbol=symbol, delay_ms=500)
    await desk.send(wish(symbol, order_type="market"))

    second = await desk.trade(wish(symbol, "sell", order_type="market", amount="5000"))

    assert second["result"] == "executed", second["reason"]
    assert second["orders"][0]["quantity"] == "10"


async def test_s06_a_duplicate_after_success_is_rejected(desk: Desk, symbol: str) -> None:
    signal = wish(symbol, order_type="market")
    await desk.trade(signal)

    again = await desk.send({**signal, "timestamp": time.time_ns(), "trace_id": "b" * 32})

    event = (await desk.record("order_events", source=again)).body
    assert (event["type"], event["code"]) == ("duplicate", "DUPLICATE_SIGNAL")
    assert len(await desk.at_venue(symbol)) == 1


async def test_s06_a_duplicate_while_the_first_is_in_progress_is_rejected(desk: Desk, symbol: str) -> None:
    await desk.fault("latency", endpoint="order/create", symbol=symbol, delay_ms=700, count=1)
    signal = wish(symbol, order_type="market")
    first, second = await desk.send(signal), await desk.send(signal)

    assert (await desk.record("order_events", source=second)).body["type"] == "duplicate"
    assert (await desk.end_of(signal["signal_id"], source=first))["result"] == "executed"
    assert len(await desk.at_venue(symbol)) == 1


async def test_s06_the_same_id_with_other_trading_fields_is_a_conflict_and_an_alert(desk: Desk, symbol: str) -> None:
    signal = wish(symbol, order_type="market")
    await desk.trade(signal)

    other = await desk.send({**signal, "amount": "2000"})

    event = (await desk.record("order_events", source=other)).body
    assert (event["type"], event["code"]) == ("conflict", "SIGNAL_CONFLICT")
    alert = await desk.alert("SIGNAL_CONFLICT", source=other)
    assert (alert["severity"], alert["symbol"]) == ("critical", symbol)
    assert len(await desk.at_venue(symbol)) == 1


async def test_s07_the_same_id_after_a_refusal_by_a_gate_is_tried_again(desk: Desk, symbol: str) -> None:
    sell = wish(symbol, "sell", order_type="market")
    assert (await desk.trade(sell))["code"] == "NOTHING_TO_SELL"
    await desk.bought(symbol)

    again = await desk.trade(sell)

    assert (again["result"], again["attempt"]) == ("executed", 2)
    await desk.order_in(again["order_ids"][0], "filled")


async def test_s07_the_same_id_after_a_technical_failure_is_tried_again_under_a_new_order_id(
    desk: Desk, symbol: str
) -> None:
    await desk.fault("rate_limited", endpoint="order/create", symbol=symbol, retry_after_ms=10, count=3)
    signal = wish(symbol, order_type="market")
    failed = await desk.trade(signal)

    again = await desk.trade(signal)

    assert (failed["result"], again["result"], again["attempt"]) == ("failed", "executed", 2)
    assert again["earlier_order_ids"] == failed["order_ids"]
    assert not set(again["order_ids"]) & set(failed["order_ids"])
    assert [order["orderLinkId"] for order in await desk.at_venue(symbol)] == again["order_ids"]


async def test_s07_a_copy_produced_before_the_first_one_failed_is_a_duplicate(desk: Desk, symbol: str) -> None:
    sell = wish(symbol, "sell", order_type="market")
    await desk.fault("latency", endpoint="order/create", symbol=symbol, delay_ms=700, count=1)
    await desk.send(wish(symbol, order_type="market", amount="500"))
    closing = await desk.send(wish(symbol, "sell", order_type="market"))
    first, copy = await desk.send(sell), await desk.send(sell)

    refused = await desk.end_of(sell["signal_id"], source=first)

    assert (await desk.record("order_events", source=copy)).body["type"] == "duplicate"
    assert (refused["code"], refused["attempt"]) == ("NOTHING_TO_SELL", 1)
    assert len(await desk.at_venue(symbol)) == 2, f"the purchase and the sale of {closing}"


def late(seconds: float) -> int:
    return time.time_ns() - int(seconds * 1e9)


@pytest.mark.parametrize(
    ("times", "type_told", "code"),
    [
        ({"timestamp": late(3600)}, "expired", "SIGNAL_TOO_OLD"),
        ({"expires_at": late(5)}, "expired", "SIGNAL_EXPIRED"),
        ({"timestamp": late(-3600)}, "rejected", "TIMESTAMP_IN_FUTURE"),
    ],
    ids=["too-old", "past-its-end", "from-the-future"],
)
async def test_s09_a_signal_out_of_its_time_is_not_executed(desk: Desk, times: Row, type_told: str, code: str) -> None:
    symbol = desk.named("XRPUSDT")
    signal = wish(symbol, **times)

    await desk.trade(signal)

    event = (await desk.record("order_events", signal_id=signal["signal_id"])).body
    assert (event["type"], event["code"]) == (type_told, code)
    assert not await desk.at_venue(symbol)


async def test_s09_age_counts_when_the_turn_comes_not_when_the_record_does(desk: Desk, symbol: str) -> None:
    await desk.fault("latency", endpoint="order/create", symbol=symbol, delay_ms=900, count=1)
    await desk.send(wish(symbol, order_type="market"))
    hasty = wish(symbol, order_type="market", expires_at=time.time_ns() + 600_000_000)
    row = await desk.trade(hasty)

    assert (row["result"], row["code"]) == ("expired", "SIGNAL_EXPIRED")
    assert (await desk.record("order_events", signal_id=hasty["signal_id"])).body["type"] == "expired"
    assert len(await desk.at_venue(symbol)) == 1


@pytest.mark.parametrize("given", ["field", "header", "nothing"])
async def test_s12_one_trace_is_on_the_signal_its_order_and_every_event(desk: Desk, given: str) -> None:
    symbol = desk.named("WLDUSDT")
    headers = [("traceparent", f"00-{TRACE}-{TRACE[:16]}-01".encode())] if given == "header" else []
    signal = wish(symbol, order_type="market", trace_id=TRACE if given == "field" else None)
    row = await desk.trade(signal, headers=headers)
    order = await desk.order_in(row["order_ids"][0], "filled")

    trace = row["trace_id"]
    assert len(trace) == 32 if given == "nothing" else trace == TRACE
    assert order["trace_id"] == trace
    await desk.events(order["order_id"], "filled")
    await desk.record("position_events", order_id=order["order_id"])
    events = desk.told("order_events", order_id=order["order_id"])
    events += desk.told("position_events", order_id=order["order_id"])
    assert {event.body["trace_id"] for event in events} == {trace}
    assert {event.headers["traceparent"].decode().split("-")[1] for event in events} == {trace}


async def test_s12_the_trace_is_on_the_alert_that_a_signal_leads_to(desk: Desk, symbol: str) -> None:
    await desk.fault("rate_limited", endpoint="order/create", symbol=symbol, retry_after_ms=10, count=3)
    signal = wish(symbol, order_type="market", trace_id=TRACE)

    await desk.trade(signal)

    alert = await desk.alert("ORDER_FAILED", symbol=symbol)
    assert alert["trace_id"] == TRACE


async def test_s12_the_trace_is_on_the_log_line_of_every_call_to_the_venue(desk: Desk, symbol: str) -> None:
    trace = "c" * 32
    row = await desk.trade(wish(symbol, order_type="limit", trace_id=trace))
    await desk.command(action="cancel", order_id=row["order_ids"][0])

    async def both() -> bool | None:
        lines = [line["event"] for line in desk.worker_log() if line.get("trace_id") == trace]
        return {"create", "cancel"} <= {line.partition(" ")[0] for line in lines} or None

    await desk.until(both, 5, "the lines of both calls")
