"""What becomes of a call when the way to the venue fails, on real sockets (requirements X04, X06)."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import socket
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl

import odd_venue
import pytest
from odd_venue import OddVenue, Respond, envelope, http, ok

from domain.errors import NotAccepted, RateLimited, RefusedByAccount, Uncertain, VenueError
from domain.instruments import Instrument
from domain.orders import OrderType, Side, TimeInForce
from exchanges.bybit.trading import BybitTrading
from exchanges.http import Timeouts
from exchanges.venue import CallHooks, NewOrder, OrderRef

MakeAdapter = Callable[..., BybitTrading]

ETH = Instrument("bybit", "linear", "ETHUSDT")
REF = OrderRef(ETH, client_order_id="omab3k5")
ORDER = NewOrder(ETH, "omab3k5", Side.BUY, OrderType.LIMIT, Decimal("1.5"), Decimal("2500.5"), TimeInForce.GTC)

CHANGES: dict[str, Callable[[BybitTrading], Awaitable[Any]]] = {
    "create": lambda trading: trading.create(ORDER),
    "amend": lambda trading: trading.amend(REF, price=Decimal(2501)),
    "cancel": lambda trading: trading.cancel(REF),
}
QUESTIONS: dict[str, Callable[[BybitTrading], Awaitable[Any]]] = {
    "order": lambda trading: trading.order(REF),
    "open orders": lambda trading: trading.open_orders("linear"),
    "executions": lambda trading: trading.executions("linear", since_ns=time.time_ns()),
    "payments": lambda trading: trading.payments("linear", since_ns=time.time_ns()),
    "balances": lambda trading: trading.balances(),
    "instruments": lambda trading: trading.instruments("linear"),
    "quotes": lambda trading: trading.quotes("linear"),
}
change = pytest.mark.parametrize("call", CHANGES.values(), ids=CHANGES)
question = pytest.mark.parametrize("call", QUESTIONS.values(), ids=QUESTIONS)

AFTER_THE_BYTES_LEFT: dict[str, Respond] = {
    "never answers": odd_venue.silence,
    "hangs up": odd_venue.hang_up,
    "resets": odd_venue.reset,
    "cuts the reply": odd_venue.half_a_reply,
    "drips the reply": odd_venue.drip,
    "speaks no HTTP": odd_venue.garbage,
    "answers a page of HTML": http(b"<html><body>Bad gateway</body></html>", status=502),
    "answers 500": http(b"", status=500),
    "answers 503 with an envelope": http(envelope(code=10016), status=503),
    "answers HTML with 200": http(b"<html>maintenance</html>"),
    "answers cut JSON": http(envelope({"orderId": "v-1"})[:40]),
    "answers a list": http(b"[]"),
    "answers null": http(b"null"),
    "answers without a code": http(b'{"retMsg":"OK"}'),
    "answers a code as text": http(b'{"retCode":"0","result":{"orderId":"v-1"}}'),
    "answers a redirect": http(b"", status=302, headers={"Location": "http://127.0.0.1:1/"}),
    "answers bytes that are no text": http(b"\xff\xfe\x00"),
}
broken = pytest.mark.parametrize("respond", AFTER_THE_BYTES_LEFT.values(), ids=AFTER_THE_BYTES_LEFT)


async def error_of(call: Awaitable[Any]) -> VenueError:
    with pytest.raises(VenueError) as caught:
        await call
    return caught.value


@change
@broken
async def test_a_change_whose_reply_is_lost_or_unreadable_is_uncertain(
    adapter: MakeAdapter, call: Callable[[BybitTrading], Awaitable[Any]], respond: Respond
) -> None:
    async with OddVenue(respond) as venue:
        assert type(await error_of(call(adapter(venue.url)))) is Uncertain
        assert len(venue.received) == 1  # one attempt, whatever happened to it


@question
@broken
async def test_a_question_whose_reply_is_lost_or_unreadable_is_answered_by_nothing(
    adapter: MakeAdapter, call: Callable[[BybitTrading], Awaitable[Any]], respond: Respond
) -> None:
    async with OddVenue(respond) as venue:
        assert type(await error_of(call(adapter(venue.url)))) is NotAccepted


@change
async def test_a_change_that_found_no_listener_was_surely_not_accepted(
    adapter: MakeAdapter, call: Callable[[BybitTrading], Awaitable[Any]]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    assert type(await error_of(call(adapter(url)))) is NotAccepted


async def test_a_create_to_a_host_that_has_no_name_was_surely_not_accepted(adapter: MakeAdapter) -> None:
    assert type(await error_of(adapter("http://venue.invalid").create(ORDER))) is NotAccepted


async def test_a_create_whose_tls_handshake_failed_was_surely_not_accepted(adapter: MakeAdapter) -> None:
    async with OddVenue(odd_venue.garbage) as venue:
        url = venue.url.replace("http://", "https://")
        assert type(await error_of(adapter(url).create(ORDER))) is NotAccepted


async def test_a_create_that_got_no_connection_from_the_pool_was_surely_not_accepted(adapter: MakeAdapter) -> None:
    timeouts = Timeouts(connect_s=0.2, read_s=1.0, total_s=1.0)
    async with OddVenue(odd_venue.silence) as venue:
        trading = adapter(venue.url, max_connections=1, timeouts=timeouts)
        first, second = await asyncio.gather(error_of(trading.create(ORDER)), error_of(trading.create(ORDER)))
        assert (type(first), type(second)) == (Uncertain, NotAccepted)
        assert len(venue.received) == 1


async def test_a_create_on_a_connection_that_the_venue_just_closed_is_accepted_or_uncertain_never_unsent(
    adapter: MakeAdapter,
) -> None:
    async def answer_and_hang_up(writer: asyncio.StreamWriter) -> None:
        await ok({"list": []})(writer)
        await odd_venue.hang_up(writer)

    async with OddVenue(answer_and_hang_up, ok({"orderId": "v-1"})) as venue:
        trading = adapter(venue.url)
        await trading.open_orders("linear", "ETHUSDT")
        with contextlib.suppress(Uncertain):
            assert await trading.create(ORDER) == "v-1"


async def test_a_connection_that_the_venue_announces_to_close_is_not_used_again(adapter: MakeAdapter) -> None:
    async with OddVenue(http(envelope({"list": []}), headers={"Connection": "close"}), ok({"orderId": "v-1"})) as venue:
        trading = adapter(venue.url)
        await trading.open_orders("linear", "ETHUSDT")
        assert await trading.create(ORDER) == "v-1"
        assert venue.connections == 2


async def test_a_reply_at_a_byte_at_a_time_ends_at_the_total_deadline(adapter: MakeAdapter) -> None:
    async with OddVenue(odd_venue.drip) as venue:
        began_s = time.monotonic()
        assert type(await error_of(adapter(venue.url).create(ORDER))) is Uncertain
        assert 0.35 < time.monotonic() - began_s < 2.0


async def test_an_accepted_create_gives_the_venues_id(adapter: MakeAdapter) -> None:
    async with OddVenue(ok({"orderId": "v-1", "orderLinkId": "omab3k5"})) as venue:
        assert await adapter(venue.url).create(ORDER) == "v-1"


@pytest.mark.parametrize("result", [{}, {"orderId": ""}, {"orderId": 5}, {"orderId": "v-1", "orderLinkId": "other"}])
async def test_an_acceptance_that_does_not_name_the_order_is_uncertain(
    adapter: MakeAdapter, result: dict[str, object]
) -> None:
    async with OddVenue(ok(result)) as venue:
        assert type(await error_of(adapter(venue.url).create(ORDER))) is Uncertain


# -- what is on the wire ---------------------------------------------------------------------------------------------


def signed_by_hand(received: odd_venue.Received, payload: bytes) -> str:
    stamp, window = received.headers["x-bapi-timestamp"], received.headers["x-bapi-recv-window"]
    return hmac.new(b"desk-secret", f"{stamp}desk-key{window}".encode() + payload, hashlib.sha256).hexdigest()


async def test_the_body_that_is_signed_is_the_body_that_is_sent(adapter: MakeAdapter) -> None:
    async with OddVenue(ok({"orderId": "v-1"})) as venue:
        await adapter(venue.url).create(ORDER)
        [received] = venue.received
        assert received.headers["x-bapi-sign"] == signed_by_hand(received, received.body)
        assert received.headers["x-bapi-api-key"] == "desk-key"
        assert received.headers["content-type"] == "application/json"
        assert b": " not in received.body  # compact
        assert abs(int(received.headers["x-bapi-timestamp"]) - time.time() * 1000) < 5000


@pytest.mark.parametrize(
    "cursor",
    [
        "plain",
        "page_args%3Dfd43-4e%26symbol%3D6%26",
        "a b+c/d=e&f%g",
        "1234:0,1234:0",
        "žluťoučký",
        "~!*'()@[]{}|;?#<>\"\\^`",
        "%E4%BD%A0%2B%20%zz",
    ],
)
async def test_the_query_that_is_signed_is_the_query_that_is_sent(adapter: MakeAdapter, cursor: str) -> None:
    page = {"list": [{"symbol": "ETHUSDT", "side": "", "size": "0"}], "nextPageCursor": cursor}
    async with OddVenue(ok(page), ok({"list": []})) as venue:
        await adapter(venue.url).positions("linear", "ETHUSDT")
        _, second = venue.received
        assert second.headers["x-bapi-sign"] == signed_by_hand(second, second.query.encode())
        assert fields_of(second.query)["cursor"] == cursor


def fields_of(query: str) -> dict[str, str]:
    return dict(parse_qsl(query, keep_blank_values=True))


async def test_public_questions_carry_no_key(adapter: MakeAdapter) -> None:
    async with OddVenue(ok({"list": []})) as venue:
        await adapter(venue.url).quotes("linear")
        assert not [name for name in venue.received[0].headers if name.startswith("x-bapi")]


# -- rates, bans, clocks ---------------------------------------------------------------------------------------------


async def test_a_throttled_create_is_told_to_wait_until_the_reset(adapter: MakeAdapter) -> None:
    headers = {"X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "0"}
    headers["X-Bapi-Limit-Reset-Timestamp"] = str(round(time.time() * 1000) + 2500)
    async with OddVenue(http(envelope(code=10006), headers=headers)) as venue:
        error = await error_of(adapter(venue.url).create(ORDER))
        assert isinstance(error, RateLimited)
        assert 2.0 < error.retry_after_s <= 2.5


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"X-Bapi-Limit-Reset-Timestamp": "1"}, 0.0),
        ({"X-Bapi-Limit-Reset-Timestamp": "999999999999999"}, 60.0),
        ({"X-Bapi-Limit-Reset-Timestamp": "soon"}, 1.0),
        ({"Retry-After": "7"}, 7.0),
        ({}, 1.0),
    ],
)
async def test_the_wait_asked_for_is_bounded(adapter: MakeAdapter, headers: dict[str, str], wait_s: float) -> None:
    async with OddVenue(http(envelope(code=10006), status=429, headers=headers)) as venue:
        error = await error_of(adapter(venue.url).create(ORDER))
        assert isinstance(error, RateLimited)
        assert error.retry_after_s == wait_s


async def test_a_banned_address_holds_every_later_call(adapter: MakeAdapter) -> None:
    async with OddVenue(http(b"access too frequent", status=403)) as venue:
        trading = adapter(venue.url)
        error = await error_of(trading.balances())
        assert isinstance(error, RateLimited)
        assert error.retry_after_s == 600
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await trading.balances()
        assert len(venue.received) == 1


async def test_a_complaint_about_the_clock_corrects_it_and_the_next_call_has_the_venues_time(
    adapter: MakeAdapter,
) -> None:
    ahead_ms = round(time.time() * 1000) + 60_000
    venue_time = ok({"timeSecond": str(ahead_ms // 1000), "timeNano": str(ahead_ms * 1_000_000)})
    async with OddVenue(http(envelope(code=10002, message="timestamp")), venue_time, ok({"orderId": "v-1"})) as venue:
        trading = adapter(venue.url)
        error = await error_of(trading.create(ORDER))
        assert type(error) is NotAccepted
        assert await trading.create(ORDER) == "v-1"
        assert abs(int(venue.received[-1].headers["x-bapi-timestamp"]) - ahead_ms) < 3000


async def test_hooks_hear_of_every_call_and_what_came_of_it(adapter: MakeAdapter) -> None:
    calls: list[tuple[str, str]] = []
    hooks = CallHooks(on_call=lambda endpoint, seconds, outcome: calls.append((endpoint, outcome)))
    responses = (ok({"orderId": "v-1"}), http(envelope(code=10003)), odd_venue.hang_up)
    async with OddVenue(*responses) as venue:
        trading = adapter(venue.url, hooks=hooks)
        await trading.create(ORDER)
        assert type(await error_of(trading.create(ORDER))) is RefusedByAccount
        await error_of(trading.create(ORDER))
    assert calls == [
        ("POST /v5/order/create", "ok"),
        ("POST /v5/order/create", "ACCOUNT_NOT_USABLE"),
        ("POST /v5/order/create", "NO_REPLY"),
    ]


# -- lists -----------------------------------------------------------------------------------------------------------


async def test_a_row_that_cannot_be_read_spoils_the_whole_list(adapter: MakeAdapter) -> None:
    good = {"symbol": "ETHUSDT", "side": "Buy", "size": "1", "avgPrice": "2500"}
    async with OddVenue(ok({"list": [good, {"symbol": "ETHUSDT", "side": "Buy", "size": "many"}]})) as venue:
        assert type(await error_of(adapter(venue.url).positions("linear", "ETHUSDT"))) is NotAccepted


async def test_a_cursor_that_comes_again_is_not_followed_round_for_ever(adapter: MakeAdapter) -> None:
    page = {"list": [{"symbol": "ETHUSDT", "side": "", "size": "0"}], "nextPageCursor": "again"}
    async with OddVenue(ok(page)) as venue:
        assert type(await error_of(adapter(venue.url).positions("linear", "ETHUSDT"))) is NotAccepted
        assert len(venue.received) == 2


async def test_a_page_that_fails_fails_the_list(adapter: MakeAdapter) -> None:
    page = {"list": [{"symbol": "ETHUSDT", "side": "", "size": "0"}], "nextPageCursor": "next"}
    async with OddVenue(ok(page), http(b"", status=502)) as venue:
        assert type(await error_of(adapter(venue.url).positions("linear", "ETHUSDT"))) is NotAccepted


async def test_executions_are_asked_for_in_weeks(adapter: MakeAdapter) -> None:
    week_ms = 7 * 86_400_000
    since_ns = time.time_ns() - 20 * 86_400_000 * 1_000_000
    async with OddVenue(ok({"list": []})) as venue:
        await adapter(venue.url).executions("linear", since_ns=since_ns)
        windows = [fields_of(received.query) for received in venue.received]
    spans = [(int(window["startTime"]), int(window["endTime"])) for window in windows]
    assert len(spans) == 3
    assert spans[0][0] == since_ns // 1_000_000
    assert all(end - begin <= week_ms for begin, end in spans)
    assert all(after[0] <= before[1] for before, after in pairwise(spans))
    assert spans[-1][1] >= time.time() * 1000


def page_of(*age_days: int) -> dict[str, object]:
    """Executions of one order, so many days ago."""
    row = {"symbol": "ETHUSDT", "side": "Buy", "orderId": "v-1", "execPrice": "2500", "execQty": "1", "execFee": "0"}
    now_ms = int(time.time() * 1000)
    return {
        "list": [{**row, "execId": f"e-{days}", "execTime": str(now_ms - days * 86_400_000)} for days in age_days],
        "nextPageCursor": "",
    }


async def fills_of_an_order(trading: BybitTrading, *, since_days: int | None) -> list[str]:
    since_ns = 0 if since_days is None else time.time_ns() - since_days * 86_400_000 * 1_000_000
    fills = await trading.executions("linear", since_ns=since_ns, ref=OrderRef(ETH, venue_order_id="v-1"))
    return [fill.execution_id for fill in fills]


async def test_a_venue_that_ignores_the_times_beside_an_orders_id_is_asked_once(adapter: MakeAdapter) -> None:
    async with OddVenue(ok(page_of(1, 20))) as venue:
        assert await fills_of_an_order(adapter(venue.url), since_days=None) == ["e-20", "e-1"]
        assert len(venue.received) == 1


async def test_a_venue_that_heeds_the_times_beside_an_orders_id_is_asked_for_every_week(adapter: MakeAdapter) -> None:
    async with OddVenue(ok(page_of(18)), ok(page_of(12)), ok(page_of(1))) as venue:
        assert await fills_of_an_order(adapter(venue.url), since_days=20) == ["e-18", "e-12", "e-1"]
        assert len(venue.received) == 3


async def test_fills_of_an_order_of_unknown_age_are_not_called_absent_before_all_of_the_venues_time_was_asked_for(
    adapter: MakeAdapter,
) -> None:
    async with OddVenue(*(ok({"list": []}) for _ in range(104)), ok(page_of(1))) as venue:
        assert await fills_of_an_order(adapter(venue.url), since_days=None) == ["e-1"]
        assert len(venue.received) == 105


async def test_spot_has_no_positions_and_is_not_asked_for_them(adapter: MakeAdapter) -> None:
    async with OddVenue(odd_venue.silence) as venue:
        assert await adapter(venue.url, categories=("spot",)).positions("spot") == []
        assert venue.received == []
