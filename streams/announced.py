"""Orders whose first event has been handed to the log by this process."""

from __future__ import annotations

from collections import defaultdict


class Announced:
    """What the signal's turn has told of and the order agent has not yet gone on with.

    The first event of an order is not waited for before the venue is called. In one process the order of appending
    keeps it ahead of the events that follow. After a crash it may be missing, and an update may come before the
    signal does: an order that is not in here is told of from its beginning by the order agent.
    """

    def __init__(self) -> None:
        self._orders: dict[int, set[str]] = defaultdict(set)

    def add(self, partition: int, order_id: str) -> None:
        """The order's first event is appended."""
        self._orders[partition].add(order_id)

    def take(self, partition: int, order_id: str) -> bool:
        """Whether it was; asked once, when the second event is."""
        orders = self._orders[partition]
        if order_id not in orders:
            return False
        orders.remove(order_id)
        return True

    def forget(self, partition: int) -> None:
        """The partition is no longer ours."""
        self._orders.pop(partition, None)
