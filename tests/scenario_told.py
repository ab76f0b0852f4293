"""What the manager tells the world, as a scenario's desk hears it: events, alerts, broadcasts."""

from __future__ import annotations

from collections.abc import Mapping

from scenario_reader import Reader, Row, Seen
from scenario_venue import BIDS, DEADLINE_S

from exchanges.paper.instruments import INSTRUMENTS
from streams.topics import Topics


class ToldSide:
    """The part of a desk that reads topics."""

    reader: Reader
    topics: Topics

    def told(self, topic: str, **fields: object) -> list[Seen]:
        """Every record of the topic so far with these fields, in the order of its partition."""
        return [record for record in self.reader.records[getattr(self.topics, topic)] if record.says(fields)]

    async def record(self, topic: str, within_s: float = DEADLINE_S, **fields: object) -> Seen:
        """The first record of the topic with these fields, once it is there."""
        return (await self.records(topic, 1, within_s, **fields))[0]

    async def records(self, topic: str, count: int, within_s: float = DEADLINE_S, **fields: object) -> list[Seen]:
        """All records of the topic with these fields, once there are at least `count`."""

        def enough() -> list[Seen] | None:
            found = self.told(topic, **fields)
            return found if len(found) >= count else None

        return await self.reader.until(enough, within_s, f"{count} of {topic} with {fields}")

    async def events(self, order_id: str, last: str) -> list[Row]:
        """The order's events from the first to the first one of type `last`, in sequence."""
        await self.record("order_events", order_id=order_id, type=last)
        seen = [record.body for record in self.told("order_events", order_id=order_id)]
        ends = [number for number, event in enumerate(seen) if event["type"] == last]
        return seen[: ends[0] + 1]

    async def alert(self, code: str, within_s: float = DEADLINE_S, **fields: object) -> Row:
        """The first alert of this code, once it is there."""
        return dict((await self.record("alerts", within_s, code=code, **fields)).body)

    async def quotes_are_seen(self) -> None:
        """Wait until the gateway shows the usual quotes of every symbol."""

        def shown() -> bool | None:
            seen = {record.key for record in self.told("marks", bid=BIDS[0][0])}
            return len(seen) == len(INSTRUMENTS) or None

        await self.reader.until(shown, DEADLINE_S, "the usual quotes of every symbol")

    async def events_are_complete(self, wanted: Mapping[str, int]) -> None:
        """Wait until every order has its events, numbered from 1 to `wanted`, each told alike whenever it was told."""
        told: dict[str, dict[int, bytes]] = {}

        def complete() -> bool | None:
            told.clear()
            for record in self.reader.records[self.topics.order_events]:
                if record.body and "order_id" in record.body:
                    same = told.setdefault(record.body["order_id"], {}).setdefault(
                        record.body["sequence"], record.value
                    )
                    assert same == record.value, f"two events of one id: {same!r}, {record.value!r}"
            counts = {order_id: sorted(events) for order_id, events in told.items()}
            return all(counts.get(name) == list(range(1, last + 1)) for name, last in wanted.items()) or None

        await self.reader.until(complete, DEADLINE_S, "every order's events, numbered from 1 without a gap")
