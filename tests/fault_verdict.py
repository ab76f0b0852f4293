"""What must be true of a set after whatever it went through (I1 to I5 of its promises)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from app.local_set import LocalSet
from app.settling import Books, Told, read_events, retold, settled_events


@dataclass(frozen=True, slots=True)
class Verdict:
    """Both books, all events, and everything that is not as it must be, in words."""

    books: Books
    events: dict[str, Told]
    differences: list[str]

    def assert_agreed(self) -> None:
        """Nothing differs, and something was done at all."""
        assert not self.differences, "\n".join(self.differences)
        assert self.books.account["orders"], "no order reached the exchange"

    def account(self) -> str:
        """In one line what became of the signals, orders and events."""
        signals = Counter(f"{row['result']} {row['code']}".strip() for row in self.books.signals)
        orders = Counter(order["state"] for order in self.books.orders)
        again = sum(told.times > 1 for told in self.events.values())
        return f"signals {dict(signals)}, orders {dict(orders)}, {len(self.events)} events, {again} told again"

    def orders_of(self, signal_id: str) -> list[dict[str, Any]]:
        """The manager's orders of one signal."""
        return [order for order in self.books.orders if (order["signal"] or {}).get("signal_id") == signal_id]

    def at_venue(self, order_id: str) -> list[dict[str, Any]]:
        """The exchange's orders under one client order id."""
        return [row for row in self.books.account["orders"] if row["orderLinkId"] == order_id]


async def verdict_on(local: LocalSet, books: Books, found: list[str]) -> Verdict:
    """`found` is what is known already."""
    bootstrap, topics = local.settings.bootstrap, local.topics
    events, untold = await settled_events(bootstrap, topics.order_events, books.orders)
    dead = await dead_letters(local)
    fills = await read_events(bootstrap, topics.position_events)
    return Verdict(books, events, found + untold + dead + early_calls(books, events) + untold_fills(books, fills))


async def dead_letters(local: LocalSet) -> list[str]:
    """Nothing that was sent here is bad."""
    topics = local.topics
    names = (topics.signals_dead, topics.order_updates_dead, topics.order_commands_dead)
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=local.settings.bootstrap)  # Any: aiokafka is untyped
    await consumer.start()
    try:
        ends = await consumer.end_offsets(
            [TopicPartition(name, number) for name in names for number in range(local.settings.partitions)]
        )
    finally:
        await consumer.stop()
    return [f"{at.topic}-{at.partition} has {end} dead letters" for at, end in ends.items() if end]


def early_calls(books: Books, events: Mapping[str, Told]) -> list[str]:
    """Orders that the exchange has from before their intent was told, which is after it was durable (X01)."""
    intended_ms = {
        told.event["order_id"]: told.published_ms for told in events.values() if told.event["type"] == "created"
    }
    found = []
    for row in books.account["orders"]:
        name = row["orderLinkId"]
        if name not in intended_ms:
            found.append(f"order {name} at the exchange has no event of its intent")
        elif intended_ms[name] > int(row["createdTime"]):
            found.append(f"order {name} reached the exchange before its intent was durable")
    return found


def untold_fills(books: Books, events: Mapping[str, Told]) -> list[str]:
    """Each execution changed a position once, and that was told (J04)."""
    told = Counter(each.event["execution_id"] for each in events.values())
    return retold(events) + [
        f"execution {row['execId']} has {told[row['execId']]} position events"
        for row in books.account["executions"]
        if told[row["execId"]] != 1
    ]
