"""What must be true of a set after whatever it went through (I1 to I5 of its promises)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from app.local_set import LocalSet
from app.settling import Books, Told, read_events, retold, settled_events

_ORDER_ROW = b"o/"
"""How the key of an order's own row begins in the changelog."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Both books, all events, and everything that is not as it must be, in words."""

    books: Books
    events: dict[str, Told]
    differences: list[str]

    def assert_agreed(self) -> None:
        """Nothing differs, and something was done at all."""
        assert not self.differences, "\n".join(self.differences)
        assert self.books.account["orders"], f"no order reached the exchange: {self.account()}"

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


async def verdict_on(
    local: LocalSet, books: Books, found: list[str], *, letters: int = 0, clock_behind_ms: int = 0
) -> Verdict:
    """`found` is what is known already, `letters` how many dead letters there should be; `clock_behind_ms` says how far
    the exchange's clock was behind ours at most."""
    bootstrap, topics = local.settings.bootstrap, local.topics
    events, untold = await settled_events(bootstrap, topics.order_events, books.orders)
    dead = await dead_letters(local)
    wrong = [f"{dead} dead letters, not {letters}"] if sum(dead.values()) != letters else []
    fills = await read_events(bootstrap, topics.position_events)
    early = early_calls(books, events, await intent_rows_ms(local), clock_behind_ms)
    return Verdict(books, events, found + untold + wrong + early + untold_fills(books, fills))


async def dead_letters(local: LocalSet) -> dict[str, int]:
    """How many dead letters each partition has that has any."""
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
    return {f"{at.topic}-{at.partition}": end for at, end in ends.items() if end}


async def intent_rows_ms(local: LocalSet) -> dict[str, int]:
    """When each order's first row was written, by order id, as the changelog has it."""
    consumer: Any = AIOKafkaConsumer(  # Any: aiokafka is untyped
        bootstrap_servers=local.settings.bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        changelog = local.topics.changelog("orders")
        partitions = [TopicPartition(changelog, number) for number in range(local.settings.partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        found: dict[str, int] = {}
        while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    if record.key.startswith(_ORDER_ROW) and record.value is not None:
                        found.setdefault(record.key.removeprefix(_ORDER_ROW).decode(), record.timestamp)
        return found
    finally:
        await consumer.stop()


def early_calls(
    books: Books, events: Mapping[str, Told], intended_ms: Mapping[str, int], clock_behind_ms: int = 0
) -> list[str]:
    """Orders that the exchange has from before their intent was written, or whose intent nobody was told of (X01). The
    event may come later, from whoever takes over; the row may not. Orders of somebody else, and those that the exchange
    makes of ours, have neither."""
    others = {order["venue_order_id"] for order in books.orders if order["external"] or order["role"]}
    told = {each.event["order_id"] for each in events.values() if each.event["type"] == "created"}
    found = []
    for row in books.account["orders"]:
        name = row["orderLinkId"]
        if row["orderId"] in others:
            continue
        if name not in told or name not in intended_ms:
            found.append(f"order {name} at the exchange has no row, or no event, of its intent")
        elif intended_ms[name] > int(row["createdTime"]) + clock_behind_ms:
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
