"""The private stream of the adapter, turned to a venue that says what a test wants, and what is heard of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from odd_stream import Conversation, Message, OddStream

from exchanges.bybit.options import BybitOptions, StreamTimings
from exchanges.bybit.stream import BybitPrivateStream
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


def connected(events: list[StreamEvent]) -> bool:
    return any(event.connected for event in events)


def updates(events: list[StreamEvent]) -> list[Any]:
    return [update for event in events for update in event.updates]


async def welcome_and_stay(venue: Conversation) -> None:
    await venue.welcome()
    await venue.stay()
