"""The private stream against a venue that says odd things, on real sockets (requirement J07)."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from odd_stream import AUTHENTICATED, SUBSCRIBED, Conversation, Message, OddStream

from domain.orders import VenueState
from domain.updates import FillReport, OrderReport
from exchanges.bybit.options import BybitOptions, StreamTimings
from exchanges.bybit.server_time import ServerTime
from exchanges.bybit.stream import BybitPrivateStream
from exchanges.clock import SystemClock
from exchanges.venue import StreamEvent

QUICK = StreamTimings(
    connect_s=1.0, answer_s=0.3, ping_s=0.1, silence_s=0.7, backoff_base_s=0.02, backoff_cap_s=0.1, steady_s=10
)
ORDER: Message = {
    "category": "linear",
    "symbol": "ETHUSDT",
    "orderId": "v-1",
    "orderLinkId": "omab3k5",
    "side": "Buy",
    "orderType": "Limit",
    "orderStatus": "New",
    "price": "2500.5",
    "qty": "1.2",
    "cumExecQty": "0",
    "cumExecValue": "0",
    "timeInForce": "GTC",
    "createdTime": "1800000000001",
    "updatedTime": "1800000000002",
}
EXECUTION: Message = {
    "category": "linear",
    "symbol": "ETHUSDT",
    "orderId": "v-1",
    "orderLinkId": "omab3k5",
    "side": "Buy",
    "execId": "x-1",
    "execType": "Trade",
    "execPrice": "2500.5",
    "execQty": "0.4",
    "execFee": "0.1",
    "execTime": "1800000000003",
    "isMaker": True,
    "seq": 7,
}


def told(topic: str, *rows: Message) -> Message:
    return {"topic": topic, "id": f"1_{topic}_1", "creationTime": 1_800_000_000_009, "data": list(rows)}


def stream_of(venue: OddStream, *, stream: StreamTimings = QUICK, **tools: Any) -> BybitPrivateStream:
    options = BybitOptions(key="desk-key", secret="desk-secret", account="desk", stream=stream, stream_url=venue.url)
    return BybitPrivateStream(options, **tools)


@asynccontextmanager
async def heard(stream: BybitPrivateStream) -> AsyncIterator[Callable[..., Any]]:
    """Gives a function that reads on until its condition holds of all events so far."""
    events = stream.events()
    so_far: list[StreamEvent] = []

    async def until(holds: Callable[[list[StreamEvent]], object], within_s: float = 5.0) -> list[StreamEvent]:
        async with asyncio.timeout(within_s):
            while not holds(so_far):
                so_far.append(await anext(events))
        return so_far

    try:
        yield until
    finally:
        await stream.close()
        await events.aclose()  # type: ignore[attr-defined]  # it is a generator


class StillClock(SystemClock):
    """The wall clock stands; waiting goes on."""

    def __init__(self, now_ns: int) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        return self._now_ns


def connected(events: list[StreamEvent]) -> bool:
    return any(event.connected for event in events)


def updates(events: list[StreamEvent]) -> list[Any]:
    return [update for event in events for update in event.updates]


async def welcome_and_stay(venue: Conversation) -> None:
    await venue.welcome()
    await venue.stay()


async def test_it_authenticates_with_a_signature_over_its_expiry_and_subscribes_to_everything() -> None:
    async with OddStream(welcome_and_stay) as venue, heard(stream_of(venue)) as until:
        await until(connected)
        auth, subscribe = venue.heard[:2]
        key, expires_ms, sign = auth["args"]
        assert key == "desk-key"
        assert time.time() * 1000 < expires_ms < time.time() * 1000 + 60_000
        assert sign == hmac.new(b"desk-secret", f"GET/realtime{expires_ms}".encode(), hashlib.sha256).hexdigest()
        assert subscribe["args"] == ["order", "execution", "position", "wallet"]


async def test_it_is_connected_only_once_the_subscription_is_confirmed() -> None:
    confirm = asyncio.Event()

    async def slow(venue: Conversation) -> None:
        await venue.hear("auth")
        await venue.say(AUTHENTICATED)
        await venue.hear("subscribe")
        confirm.set()
        await venue.stay()

    async with OddStream(slow) as venue, heard(stream_of(venue)) as until:
        events = await until(bool)
        assert confirm.is_set()
        assert [event.connected for event in events] == [False]


async def test_what_comes_before_the_confirmation_is_passed_on_after_it() -> None:
    async def early(venue: Conversation) -> None:
        await venue.hear("auth")
        await venue.say(AUTHENTICATED)
        await venue.hear("subscribe")
        await venue.say(told("order", ORDER))
        await venue.say(SUBSCRIBED)
        await venue.stay()

    async with OddStream(early) as venue, heard(stream_of(venue)) as until:
        events = await until(updates)
        assert [event.connected for event in events] == [True, None]


async def test_messages_become_updates_and_balances_in_their_order() -> None:
    wallet = {"accountType": "UNIFIED", "coin": [{"coin": "USDT", "walletBalance": "900", "totalOrderIM": "100"}]}

    async def talk(venue: Conversation) -> None:
        await venue.welcome()
        await venue.say(told("execution", EXECUTION, EXECUTION | {"execId": "x-2"}))
        await venue.say(told("order", ORDER | {"orderStatus": "PartiallyFilled", "cumExecQty": "0.8"}))
        await venue.say(told("position", {"symbol": "ETHUSDT", "side": "Buy", "size": "0.8"}))
        await venue.say(told("wallet", wallet))
        await venue.stay()

    async with OddStream(talk) as venue, heard(stream_of(venue)) as until:
        events = await until(lambda events: any(event.balances for event in events))
    kinds = [type(update) for update in updates(events)]
    assert kinds == [FillReport, FillReport, OrderReport]
    assert [update.execution_id for update in updates(events)[:2]] == ["x-1", "x-2"]
    [balance] = events[-1].balances
    assert (balance.account, balance.total, balance.available) == ("desk", 900, 800)


@pytest.mark.parametrize(
    ("told_s_ago", "venue_ahead_s", "at_s_ago"), [(7, 0, 7), (7, -20, 7), (-7, 0, 0)], ids=["late", "other", "ahead"]
)
async def test_r02_a_balance_is_as_old_as_the_venue_says_and_never_from_later_than_now(
    told_s_ago: int, venue_ahead_s: int, at_s_ago: int
) -> None:
    wallet = {"accountType": "UNIFIED", "coin": [{"coin": "USDT", "walletBalance": "900"}]}
    now_ms = 1_800_000_000_000
    clock = StillClock(now_ms * 1_000_000)
    server_time = ServerTime(clock)
    server_time.offset_ms = venue_ahead_s * 1000

    async def talk(venue: Conversation) -> None:
        await venue.welcome()
        told_ms = now_ms + (venue_ahead_s - told_s_ago) * 1000
        await venue.say(told("wallet", wallet) | {"creationTime": told_ms})
        await venue.stay()

    stream_with = partial(stream_of, clock=clock, server_time=server_time)
    async with OddStream(talk) as venue, heard(stream_with(venue)) as until:
        events = await until(lambda events: any(event.balances for event in events))
    assert events[-1].balances[0].at_ns == (now_ms - at_s_ago * 1000) * 1_000_000


@pytest.mark.parametrize(
    "bad",
    [
        "not JSON",
        b"\x00\xff",
        "[]",
        "null",
        '"text"',
        '{"topic": 7, "data": []',
        told("order", ORDER | {"orderStatus": "Pondering"}),
        told("order", ORDER | {"qty": "NaN"}),
        told("order", ORDER | {"cumExecQty": "1e400"}),
        told("execution", EXECUTION | {"execPrice": ""}),
        {"topic": "order", "data": {"orderId": "v-1"}},
        {"topic": "order", "data": [7]},
        {"topic": "order", "creationTime": "yesterday", "data": [ORDER]},
        {"topic": "wallet", "data": [{"coin": [{"walletBalance": "1"}]}]},
        {"op": "subscribe", "success": False, "ret_msg": "Invalid topic: order"},
    ],
)
async def test_a_bad_message_is_counted_and_the_stream_goes_on(bad: Message | str | bytes) -> None:
    async def talk(venue: Conversation) -> None:
        await venue.welcome()
        await venue.say(bad)
        await venue.say(told("order", ORDER))
        await venue.stay()

    async with OddStream(talk) as venue:
        stream = stream_of(venue)
        async with heard(stream) as until:
            events = await until(updates)
            assert stream.bad_messages == 1
            assert [event.reason for event in events if event.reason] == ["a message could not be read"]
            assert venue.connections == 1
            assert [update.state for update in updates(events)] == [VenueState.LIVE]


async def test_a_bad_row_does_not_take_its_neighbours_with_it() -> None:
    async def talk(venue: Conversation) -> None:
        await venue.welcome()
        await venue.say(told("order", ORDER | {"side": "?"}, ORDER))
        await venue.stay()

    async with OddStream(talk) as venue, heard(stream_of(venue)) as until:
        assert len(updates(await until(updates))) == 1


async def test_other_categories_of_the_account_are_left_alone() -> None:
    async def talk(venue: Conversation) -> None:
        await venue.welcome()
        await venue.say(told("order", ORDER | {"category": "option"}))
        await venue.say(told("order", ORDER))
        await venue.stay()

    async with OddStream(talk) as venue, heard(stream_of(venue)) as until:
        assert len(updates(await until(updates))) == 1


async def test_a_refused_key_is_told_with_the_venues_words_and_tried_again() -> None:
    async def refuse(venue: Conversation) -> None:
        await venue.hear("auth")
        await venue.say({"op": "auth", "success": False, "retCode": 10003, "ret_msg": "Invalid apikey desk-key"})
        await venue.stay()

    async with OddStream(refuse, welcome_and_stay) as venue, heard(stream_of(venue)) as until:
        events = await until(connected)
    assert [event.connected for event in events] == [False, True]
    assert "Invalid apikey ***" in events[0].reason
    assert "10003" in events[0].reason


async def test_an_answer_that_makes_no_sense_is_no_connection() -> None:
    async def babble(venue: Conversation) -> None:
        await venue.hear("auth")
        await venue.say({"op": "auth", "success": False, "retCode": [], "ret_msg": {"a": 1}})
        await venue.stay()

    async with OddStream(babble, welcome_and_stay) as venue, heard(stream_of(venue)) as until:
        events = await until(connected)
    assert [event.connected for event in events] == [False, True]


async def test_a_refused_subscription_is_no_connection() -> None:
    async def refuse(venue: Conversation) -> None:
        await venue.hear("auth")
        await venue.say(AUTHENTICATED)
        await venue.hear("subscribe")
        await venue.say({"op": "subscribe", "success": False, "ret_msg": "args size >10", "req_id": "1"})
        await venue.stay()

    async with OddStream(refuse, welcome_and_stay) as venue, heard(stream_of(venue)) as until:
        events = await until(connected)
    assert [event.connected for event in events] == [False, True]
    assert "args size >10" in events[0].reason


async def test_an_authentication_without_an_answer_is_given_up() -> None:
    async def mute(venue: Conversation) -> None:
        await venue.stay()

    async with OddStream(mute, welcome_and_stay) as venue, heard(stream_of(venue)) as until:
        events = await until(connected)
    assert [event.connected for event in events] == [False, True]


async def test_it_pings_while_nothing_happens() -> None:
    pings = 0

    async def count(venue: Conversation) -> None:
        nonlocal pings
        await venue.welcome()
        while True:
            await venue.hear("ping")
            pings += 1
            await venue.say({"op": "pong", "args": ["1800000000000"], "conn_id": "c-1"})

    async with OddStream(count) as venue, heard(stream_of(venue)) as until:
        with pytest.raises(TimeoutError):
            await until(lambda events: len(events) > 1, within_s=0.8)
        assert pings >= 4
        assert venue.connections == 1  # pongs are signs of life: it stays although nothing else comes


async def test_a_connection_that_falls_silent_is_given_up() -> None:
    async def mute(venue: Conversation) -> None:
        await venue.welcome()
        await venue.stay()

    async with OddStream(mute) as venue, heard(stream_of(venue)) as until:
        events = await until(lambda events: len([event for event in events if event.connected]) == 2)
    assert [event.connected for event in events] == [True, False, True]
    assert "StreamSilent" in events[1].reason


async def test_a_slow_reader_does_not_take_its_own_delay_for_the_venues_silence() -> None:
    async def talk(venue: Conversation) -> None:
        await venue.welcome()
        await venue.say(told("order", ORDER))
        while True:
            await venue.hear("ping")
            await venue.say({"op": "pong", "args": []})

    async with OddStream(talk) as venue, heard(stream_of(venue)) as until:
        await until(updates)
        await asyncio.sleep(QUICK.silence_s * 1.5)  # the reader's delay is what is tested
        with pytest.raises(TimeoutError):
            await until(lambda events: events[-1].connected is False, within_s=0.3)
        assert venue.connections == 1


async def test_waits_between_attempts_grow_and_stay_bounded() -> None:
    attempts: list[float] = []

    async def hang_up(venue: Conversation) -> None:
        attempts.append(time.monotonic())
        await venue.hang_up()

    async with OddStream(hang_up) as venue, heard(stream_of(venue, jitter=lambda: 1.0)) as until:
        await until(lambda events: len(events) >= 8)
    waits = [after - before for before, after in pairwise(attempts)]
    assert min(waits[-3:]) >= 0.1  # the cap, reached by doubling
    assert min(waits) < 0.1
    assert max(waits) < 2.0


async def test_a_venue_that_cannot_be_reached_is_tried_until_it_is_there() -> None:
    async with OddStream(welcome_and_stay) as gone:
        pass
    async with heard(stream_of(gone)) as until:
        events = await until(lambda events: len(events) >= 3)
    assert {event.connected for event in events} == {False}


async def test_closing_ends_the_iteration_while_it_waits_for_the_next_attempt() -> None:
    async def hang_up(venue: Conversation) -> None:
        await venue.hang_up()

    slow = StreamTimings(backoff_base_s=60, backoff_cap_s=60)
    async with OddStream(hang_up) as venue, asyncio.timeout(5):
        stream = stream_of(venue, stream=slow)
        events = stream.events()
        assert (await anext(events)).connected is False
        rest = asyncio.ensure_future(_count(events))
        await stream.close()
        assert await rest == 0


async def _count(events: AsyncIterator[StreamEvent]) -> int:
    return len([event async for event in events])


async def test_nothing_private_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def refuse(venue: Conversation) -> None:
        auth = await venue.hear("auth")
        await venue.say({"op": "auth", "success": False, "ret_msg": f"{auth['args']} desk-secret"})
        await venue.stay()

    async with OddStream(refuse) as venue, heard(stream_of(venue)) as until:
        events = await until(lambda events: len(events) >= 2)
    lines = [record.getMessage() for record in caplog.records] + [event.reason for event in events]
    # The server's own log, in this same process, shows what the client sent; the client's must not.
    lines = [line for line in lines if not line.startswith(("< TEXT", "> TEXT"))]
    assert not [line for line in lines if "desk-secret" in line or "desk-key" in line]
    assert not [record for record in caplog.records if record.name == "websockets.client"]
