"""When a set has come to rest, and whether what it tells its users is what the exchange's books say.

Read from outside only: the web views, the events topic, the paper exchange's own books.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from app.agreement import Agreement, compare
from app.local_set import LocalSet, NotReady
from app.transport.group_offsets import committed_offsets

_IN_DOUBT = {"planned", "submitting", "uncertain"}
_LOOK_AGAIN_S = 0.25
_EVENTS_LIMIT_S = 10.0

Event = Mapping[str, Any]  # Any: JSON


@dataclass(frozen=True, slots=True)
class Books:
    """What the manager shows, and the paper exchange's account."""

    orders: list[dict[str, Any]]
    positions: list[dict[str, Any]]
    signals: list[dict[str, Any]]
    account: dict[str, Any]

    def agreement(self) -> Agreement:
        """Order by order, position by position."""
        return compare(self.orders, self.positions, self.account)

    def of(self, symbols: Collection[str]) -> Books:
        """The part that concerns `symbols`."""
        account = {
            name: [row for row in self.account[name] if row["symbol"] in symbols]
            for name in ("orders", "executions", "positions")
        }
        return Books(
            orders=[row for row in self.orders if row["instrument"]["symbol"] in symbols],
            positions=[row for row in self.positions if row["instrument"]["symbol"] in symbols],
            signals=[row for row in self.signals if row["symbol"] in symbols],
            account=self.account | account,
        )

    def unsettled(self, sent: Collection[str]) -> list[str]:
        """What is still under way, in words; empty when every signal of `sent` has its end and nothing is in doubt."""
        ended = {row["signal_id"] for row in self.signals if row["state"] == "done"}
        return [f"signal {signal_id} has no end" for signal_id in sorted(set(sent) - ended)] + [
            f"order {order['order_id']} is {order['state']}{', fills are missing' if order['missing_fills'] else ''}"
            for order in self.orders
            if order["missing_fills"] or order["state"] in _IN_DOUBT
        ]


async def read_books(local: LocalSet) -> Books:
    """Both sides as they are now. Raises `httpx.HTTPError` or `NotReady` when a side can't be asked."""
    signals = await local.pages("/signals", limit=500)  # first: what one of these has done by now is in the others
    orders, positions, books = await asyncio.gather(
        local.pages("/orders", limit=500),
        local.pages("/positions", limit=500),
        local.paper_get("/paper/books"),
    )
    return Books(orders, positions, signals, books["accounts"][0])


async def settled_books(
    local: LocalSet, sent: Collection[str], limit_s: float, *, symbols: Collection[str] = ()
) -> tuple[Books, list[str]]:
    """Wait until nothing is under way and the books agree; returns them and what is not so when the time is up.

    `symbols` narrows both to these. Raises what kept the books from being read, if nothing could be read in time.
    """
    end_s = time.monotonic() + limit_s
    while True:
        try:
            books = await read_books(local)
        except (httpx.HTTPError, NotReady):
            if time.monotonic() > end_s:
                raise
        else:
            books = books.of(symbols) if symbols else books
            trouble = books.unsettled(sent) + books.agreement().differences
            if not trouble or time.monotonic() > end_s:
                return books, trouble
        await asyncio.sleep(_LOOK_AGAIN_S)


async def unread_records(bootstrap: str, group: str, topics: Collection[str]) -> int:
    """How many records of `topics` the group has not finished: what is committed is finished and durable."""
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=bootstrap)  # Any: aiokafka is untyped
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False)
    await admin.start()
    try:
        await consumer.start()
        partitions = [
            TopicPartition(described["topic"], part["partition"])
            for described in await admin.describe_topics(list(topics))
            for part in described["partitions"]
        ]
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        finished = await committed_offsets(admin, group, partitions)
        return sum(max(0, end - finished[tp]) for tp, end in ends.items())
    finally:
        await consumer.stop()
        await admin.close()


# -- events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """An event as the topic has it: how many times in all, and in which ways."""

    event: dict[str, Any]
    times: int
    copies: tuple[bytes, ...]


async def read_events(bootstrap: str, topic: str) -> dict[str, Told]:
    """Every event of the topic by its id: what is there twice counts once, as for any reader."""
    consumer: Any = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        await consumer._client.force_metadata_update()  # private: else the topic's partitions may not be known yet
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        events: dict[str, Told] = {}
        while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    _note(events, record)
        return events
    finally:
        await consumer.stop()


def _note(events: dict[str, Told], record: Any) -> None:  # Any: aiokafka's record
    event = orjson.loads(record.value)
    first = events.get(event["event_id"]) or Told(event, 0, ())
    copies = first.copies if record.value in first.copies else (*first.copies, record.value)
    events[event["event_id"]] = replace(first, times=first.times + 1, copies=copies)


async def settled_events(
    bootstrap: str, topic: str, orders: Collection[Event], limit_s: float = _EVENTS_LIMIT_S
) -> tuple[dict[str, Told], list[str]]:
    """All events, and what is wrong with those of `orders`. Events follow their rows: they are given a moment."""
    end_s = time.monotonic() + limit_s
    while True:
        events = await read_events(bootstrap, topic)
        trouble = event_differences(events, orders)
        if not trouble or time.monotonic() > end_s:
            return events, trouble
        await asyncio.sleep(_LOOK_AGAIN_S)


def event_differences(events: Mapping[str, Told], orders: Collection[Event]) -> list[str]:
    """Every order's events count from 1 without a gap, end in the order's state, and say the same when they are
    published again (requirement J02)."""
    found = retold(events)
    by_order: dict[str, dict[int, Event]] = defaultdict(dict)
    for told in events.values():
        if "order_id" in told.event:
            by_order[told.event["order_id"]][told.event["sequence"]] = told.event
    for order in orders:
        sequences = by_order[order["order_id"]]
        numbers = sorted(sequences)
        if numbers != list(range(1, len(numbers) + 1)) or not numbers:
            found.append(f"order {order['order_id']}: events {numbers}")
        elif sequences[numbers[-1]]["state"] != order["state"]:
            state = sequences[numbers[-1]]["state"]
            found.append(f"order {order['order_id']} is {order['state']}, its last event says {state}")
    return found


def retold(events: Mapping[str, Told]) -> list[str]:
    """Events that say another thing when they are published again."""
    return [_ways(name, told) for name, told in events.items() if told.copies[1:]]


def _ways(name: str, told: Told) -> str:
    """How the copies of one event differ."""
    copies = [orjson.loads(copy) for copy in told.copies]
    differing = {
        field: [copy[field] for copy in copies]
        for field in copies[0]
        if any(copy[field] != copies[0][field] for copy in copies)
    }
    return f"event {name} was told in {len(copies)} ways: {differing}"
