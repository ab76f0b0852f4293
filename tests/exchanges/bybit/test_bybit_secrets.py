"""A canary: key and secret must not come out of the adapter anywhere but on the wire, the secret not even there."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import odd_venue
import pytest
from odd_venue import OddVenue, Respond, envelope, http

from domain.errors import NotAccepted, VenueError
from domain.instruments import Instrument
from domain.orders import OrderType, Side, TimeInForce
from exchanges.bybit.options import BybitOptions
from exchanges.bybit.stream import BybitPrivateStream
from exchanges.bybit.trading import BybitTrading
from exchanges.venue import NewOrder

KEY, SECRET = "canary-key-4711", "canary-secret-0815"
ETH = Instrument("bybit", "linear", "ETHUSDT")
ORDER = NewOrder(ETH, "omab3k5", Side.BUY, OrderType.LIMIT, Decimal(1), Decimal(2500), TimeInForce.GTC)
MakeAdapter = Callable[..., BybitTrading]

ANSWERS: dict[str, Respond] = {
    "a bad signature, with what was signed": http(
        envelope(code=10004, message=f"error sign! origin_string[1800000000000{KEY}5000{SECRET}]")
    ),
    "a page that repeats the headers": http(f"<html>{KEY} {SECRET}</html>".encode(), status=502),
    "an unknown code": http(envelope(code=424242, message=f"{KEY}/{SECRET}")),
    "a cut reply": odd_venue.half_a_reply,
    "nothing": odd_venue.hang_up,
}


def private_in(text: str) -> bool:
    return KEY in text or SECRET in text


@pytest.mark.parametrize("respond", ANSWERS.values(), ids=ANSWERS)
async def test_no_error_log_or_traceback_shows_key_or_secret(
    adapter: MakeAdapter, caplog: pytest.LogCaptureFixture, respond: Respond
) -> None:
    caplog.set_level(logging.DEBUG)
    async with OddVenue(respond) as venue:
        trading = adapter(venue.url, key=KEY, secret=SECRET)
        with pytest.raises(VenueError) as caught:
            await trading.create(ORDER)
        assert not any(SECRET in f"{received.target}{received.headers}{received.body}" for received in venue.received)
    told = "".join(traceback.format_exception(caught.value))
    assert not private_in(told)
    assert not private_in(repr(caught.value) + caught.value.sentence)
    assert not private_in("".join(record.getMessage() for record in caplog.records))


@pytest.mark.parametrize(
    "shown",
    [
        lambda options: options,
        BybitPrivateStream,
        lambda options: vars(BybitPrivateStream(options)),
    ],
    ids=["options", "stream", "the stream's attributes"],
)
def test_nothing_shows_key_or_secret_when_printed(shown: Callable[[BybitOptions], Any]) -> None:
    options = BybitOptions(key=KEY, secret=SECRET)
    assert not private_in(f"{shown(options)!r} {shown(options)}")


async def test_the_adapter_shows_neither_when_printed(adapter: MakeAdapter) -> None:
    trading = adapter("http://127.0.0.1:1", key=KEY, secret=SECRET)
    assert not private_in(f"{trading!r} {trading} {vars(trading)}")


async def test_a_closed_adapter_sends_nothing(adapter: MakeAdapter) -> None:
    async with OddVenue(odd_venue.silence) as venue:
        trading = adapter(venue.url)
        await trading.close()
        with pytest.raises(NotAccepted, match="CLOSED"):
            await trading.create(ORDER)
        assert venue.received == []
