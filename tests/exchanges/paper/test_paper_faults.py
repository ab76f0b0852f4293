"""Each kind of fault, and what stands in the books afterwards: that is what a client must find out."""

from __future__ import annotations

import asyncio
import json
import time

import aiohttp
import pytest
import websockets
from paper_client import Fields, Listener, PaperClient, order_rows, rows_of, signed_headers

from exchanges.paper import PaperExchange


async def fault(client: PaperClient, kind: str, **fields: object) -> Fields:
    return await client.control("faults", kind=kind, **fields)


async def orders_in_books(client: PaperClient) -> int:
    return len((await client.books(only="orders"))["orders"])


async def raw_create(client: PaperClient, timeout_s: float = 5.0) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of a create, whatever they are."""
    body = json.dumps(
        {
            "category": "linear",
            "symbol": "BTCUSDT",
            "side": "Buy",
            "orderType": "Limit",
            "qty": "1",
            "price": "64000",
        }
    ).encode()
    async with client.http.post(
        f"{client.exchange.url}/v5/order/create",
        data=body,
        headers=signed_headers(body),
        timeout=aiohttp.ClientTimeout(total=timeout_s),
    ) as reply:
        return reply.status, await reply.read(), dict(reply.headers)


@pytest.mark.parametrize(("kind", "placed"), [("timeout_before_accept", 0), ("timeout_after_accept", 1)])
async def test_a_time_out_leaves_the_order_undone_or_done(client: PaperClient, kind: str, placed: int) -> None:
    await fault(client, kind, endpoint="order/create", count=1)
    with pytest.raises(TimeoutError):
        await raw_create(client, timeout_s=0.2)
    assert await orders_in_books(client) == placed
    assert (await raw_create(client))[0] == 200


async def test_a_reply_that_never_comes_ends_with_a_cut_connection(client: PaperClient) -> None:
    await fault(client, "timeout_after_accept", hold_ms=50)
    with pytest.raises(aiohttp.ClientError):
        await raw_create(client)
    assert await orders_in_books(client) == 1


@pytest.mark.parametrize(("kind", "placed"), [("error_5xx_before", 0), ("error_5xx_after", 1)])
async def test_a_gateway_error_is_a_page_of_html(client: PaperClient, kind: str, placed: int) -> None:
    await fault(client, kind, endpoint="order/create", count=1, status=503)
    status, body, headers = await raw_create(client)
    assert (status, headers["Content-Type"].split(";")[0]) == (503, "text/html")
    assert body.startswith(b"<html>")
    assert await orders_in_books(client) == placed


@pytest.mark.parametrize(("kind", "placed"), [("error_code_before", 0), ("error_code_after", 1)])
async def test_an_error_code_may_come_before_or_after_the_deed(client: PaperClient, kind: str, placed: int) -> None:
    await fault(client, kind, endpoint="order/create", code=10000, message="Server Timeout")
    _, body, _ = await raw_create(client)
    assert json.loads(body)["retCode"] == 10000
    assert await orders_in_books(client) == placed


@pytest.mark.parametrize(("kind", "placed"), [("reset_before", 0), ("reset_mid_reply", 1)])
async def test_a_reset_connection_tells_nothing(client: PaperClient, kind: str, placed: int) -> None:
    await fault(client, kind, endpoint="order/create", count=1)
    with pytest.raises(aiohttp.ClientError):
        await raw_create(client)
    assert await orders_in_books(client) == placed


async def test_a_reply_may_end_in_the_middle_of_its_json(client: PaperClient) -> None:
    await fault(client, "cut_json", endpoint="order/create")
    status, body, _ = await raw_create(client)
    assert status == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)
    assert await orders_in_books(client) == 1


async def test_a_reply_may_trickle(client: PaperClient) -> None:
    await fault(client, "slow_reply", endpoint="order/create", bytes_per_s=100)
    with pytest.raises(TimeoutError):
        await raw_create(client, timeout_s=0.2)
    assert await orders_in_books(client) == 1


async def test_a_rate_limited_call_says_when_to_come_back(client: PaperClient) -> None:
    await fault(client, "rate_limited", endpoint="order/create", count=1, retry_after_ms=2000)
    status, body, headers = await raw_create(client)
    assert (status, json.loads(body)["retCode"]) == (200, 10006)
    assert headers["X-Bapi-Limit-Status"] == "0"
    assert 0 < int(headers["X-Bapi-Limit-Reset-Timestamp"]) - time.time() * 1000 <= 2000
    assert await orders_in_books(client) == 0


async def test_a_banned_address_gets_a_403(client: PaperClient) -> None:
    await fault(client, "ip_banned")
    assert (await raw_create(client))[0] == 403


async def test_latency_holds_a_call_back(client: PaperClient) -> None:
    await fault(client, "latency", endpoint="order/create", delay_ms=100)
    started_s = time.perf_counter()
    await raw_create(client)
    assert time.perf_counter() - started_s >= 0.1


async def test_a_rule_strikes_as_often_and_as_late_as_it_says(client: PaperClient) -> None:
    await fault(client, "error_5xx_before", endpoint="order/create", skip=1, count=2)
    statuses = [(await raw_create(client))[0] for _ in range(5)]
    assert statuses == [200, 502, 502, 200, 200]
    (shown,) = (await client.ask("faults"))["faults"]
    assert (shown["seen"], shown["fired"]) == (5, 2)


async def test_a_rule_for_one_symbol_or_endpoint_leaves_the_others_alone(client: PaperClient) -> None:
    await fault(client, "error_5xx_before", endpoint="order/create", symbol="ETHUSDT")
    assert (await raw_create(client))[0] == 200


async def test_probability_is_drawn_from_the_seed(client: PaperClient) -> None:
    async def strikes() -> list[int]:
        await client.control("reset", books=False)
        await fault(client, "error_5xx_before", endpoint="order/create", probability=0.5, seed=3)
        return [(await raw_create(client))[0] for _ in range(12)]

    first = await strikes()
    assert set(first) == {200, 502}
    assert await strikes() == first


async def test_removing_the_rules_ends_the_faults(client: PaperClient) -> None:
    rule = await fault(client, "error_5xx_before")
    async with client.http.delete(f"{client.exchange.url}/paper/faults?id={rule['id']}") as reply:
        assert (await reply.json()) == {"removed": 1}
    assert (await raw_create(client))[0] == 200


async def test_several_rules_can_be_given_at_once(client: PaperClient) -> None:
    rules = [{"kind": "error_5xx_before", "count": 1}, {"kind": "ip_banned", "count": 1}]
    async with client.http.post(f"{client.exchange.url}/paper/faults", json=rules) as reply:
        assert len((await reply.json())["faults"]) == 2
    assert [(await raw_create(client))[0] for _ in range(3)] == [502, 403, 200]


@pytest.mark.parametrize(
    "wish", [{"kind": "nonsense"}, {"kind": "latency", "delay": 5}, {"kind": "latency", "topic": "order"}]
)
async def test_a_rule_with_a_typing_error_is_refused(client: PaperClient, wish: Fields) -> None:
    async with client.http.post(f"{client.exchange.url}/paper/faults", json=wish) as reply:
        assert reply.status == 400


async def test_a_clock_ahead_refuses_what_is_signed_by_the_right_time(client: PaperClient) -> None:
    await fault(client, "clock_skew", skew_ms=10_000)
    _, body, _ = await raw_create(client)
    assert json.loads(body)["retCode"] == 10002
    ahead = json.loads(await raw_time(client))["time"]
    assert ahead - time.time() * 1000 > 9_000


async def raw_time(client: PaperClient) -> bytes:
    async with client.http.get(f"{client.exchange.url}/v5/market/time") as reply:
        return await reply.read()


async def test_a_late_reply_comes_after_the_stream(client: PaperClient, stream: Listener) -> None:
    await fault(client, "late_reply", endpoint="order/create", delay_ms=5000, count=1)
    call = asyncio.create_task(raw_create(client))
    await stream.statuses("New")
    assert not call.done()
    call.cancel()


async def test_messages_can_be_repeated(client: PaperClient, stream: Listener) -> None:
    await fault(client, "duplicate_stream", topic="order", times=2)
    await raw_create(client)
    assert await stream.statuses("New", "New", "New") == ["New"] * 3
    assert len({message["id"] for message in stream.messages if message["topic"] == "order"}) == 1


async def test_messages_can_be_lost(client: PaperClient, stream: Listener) -> None:
    await fault(client, "drop_stream", topic="order", count=1)
    await raw_create(client)
    await client.post("order/cancel-all", symbol="BTCUSDT")
    assert await stream.statuses("Cancelled") == ["Cancelled"]


async def test_a_delayed_message_is_overtaken(client: PaperClient, stream: Listener) -> None:
    await fault(client, "delay_stream", topic="order", delay_ms=100, count=1)
    await raw_create(client)
    await client.post("order/cancel-all", symbol="BTCUSDT")
    assert await stream.statuses("Cancelled", "New") == ["Cancelled", "New"]


async def test_a_message_held_back_comes_after_the_next_ones(client: PaperClient, stream: Listener) -> None:
    await fault(client, "reorder_stream", topic="execution", count=1, times=1, delay_ms=5000)
    await client.placed("Buy", "0.1")
    messages = await stream.until(lambda got: rows_of(got, "execution"))
    assert [message["topic"] for message in messages][:2] == ["order", "execution"]


async def test_a_message_held_back_comes_in_the_end_even_if_nothing_follows(
    client: PaperClient, stream: Listener
) -> None:
    await fault(client, "reorder_stream", topic="wallet", count=1, times=99, delay_ms=50)
    await client.placed("Buy", "0.1")
    assert rows_of(await stream.until(lambda got: rows_of(got, "wallet")), "wallet")


async def test_a_disconnect_cuts_the_streams_and_refuses_new_ones_for_a_while(
    client: PaperClient, stream: Listener, exchange: PaperExchange
) -> None:
    assert await fault(client, "disconnect", refuse_ms=60_000) == {"cut": 1}
    with pytest.raises(websockets.ConnectionClosed):
        await stream.next()
    with pytest.raises(websockets.InvalidStatus):
        await websockets.connect(f"{exchange.stream_url}/v5/private")
    await fault(client, "disconnect")
    async with websockets.connect(f"{exchange.stream_url}/v5/private") as again:
        assert (await Listener(again).login())["success"] is True


async def test_nothing_missed_is_told_again_after_a_disconnect(
    client: PaperClient, stream: Listener, exchange: PaperExchange
) -> None:
    await fault(client, "disconnect")
    await raw_create(client)
    async with websockets.connect(f"{exchange.stream_url}/v5/private") as again:
        listener = Listener(again)
        await listener.login()
        await listener.say(op="subscribe", args=["order"])
        await client.post("order/cancel-all", symbol="BTCUSDT")
        assert await listener.statuses("Cancelled") == ["Cancelled"]
        assert len(order_rows(listener.messages)) == 1
