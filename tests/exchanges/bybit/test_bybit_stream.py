"""The private stream against a venue that says odd things, on real sockets (requirement J07)."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from functools import partial

import pytest
from odd_stream import AUTHENTICATED, SUBSCRIBED, Conversation, Message, OddStream
from stream_hearing import EXECUTION, ORDER, connected, heard, stream_of, told, updates, welcome_and_stay

from domain.orders import VenueState
from domain.updates import FillReport, OrderReport
from exchanges.bybit.server_time import ServerTime
from exchanges.clock import SystemClock


class StillClock(SystemClock):
    """The wall clock stands; waiting goes on."""

    def __init__(self, now_ns: int) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        return self._now_ns


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
