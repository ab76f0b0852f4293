"""What scenarios with two workers look at."""

from __future__ import annotations

from scenario_set import Desk


async def both_work(desk: Desk) -> dict[str, set[int]]:
    """The partitions of each worker, once every partition has an owner and both have some."""

    async def shared() -> dict[str, set[int]] | None:
        beats = {}
        for record in desk.told("heartbeats"):
            if record.body["role"] == "worker":
                beats[record.body["name"]] = set(record.body["partitions"])
        owned = sorted(each for partitions in beats.values() for each in partitions)
        both = len(beats) == 2 and all(beats.values())
        return beats if both and owned == list(range(desk.settings.partitions)) else None

    return await desk.until(shared, 40, "two workers that share the partitions")


async def everybody_has_heard(desk: Desk) -> None:
    """A worker shares with whom it has heard by its own next heartbeat: wait for two more of each."""
    known = len(desk.told("heartbeats"))

    async def heard() -> bool | None:
        names = [each.body["name"] for each in desk.told("heartbeats")[known:] if each.body["role"] == "worker"]
        return (len(set(names)) == 2 and min(names.count(name) for name in set(names)) >= 2) or None

    await desk.until(heard, 10, "two more heartbeats of each worker")


async def resting_at_venue(desk: Desk, symbols: list[str]) -> int:
    orders = [order for symbol in symbols for order in await desk.at_venue(symbol)]
    return sum(order["orderStatus"] == "New" for order in orders)
