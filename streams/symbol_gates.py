"""Which symbols may trade again after this worker got their partition (requirement Y01)."""

from __future__ import annotations

from domain.orders import Order


class SymbolGates:
    """A partition is shut from the moment it is ours until the updates that were in the log by then are applied: what
    a former owner has learnt counts. Then a symbol with unfinished orders stays shut until the venue was asked.

    Also remembers since when each partition is ours: nothing that a former owner did can have left it later.
    """

    def __init__(self) -> None:
        self._shut: dict[int, set[str]] = {}
        self._refused: dict[int, dict[str, str]] = {}
        self._since_ns: dict[int, int] = {}
        self._behind: set[int] = set()
        self._unanswered: dict[int, str] = {}
        self._may_reduce: set[int] = set()
        self._blind = ""

    def assign(self, partition: int, symbols: set[str], since_ns: int) -> None:
        """The partition is ours from `since_ns`, and behind the log; these symbols must be asked for first."""
        self._shut[partition] = set(symbols)
        self._since_ns[partition] = since_ns
        self._behind.add(partition)

    def caught_up(self, partition: int, symbols: set[str]) -> None:
        """The updates of the former owner are applied; these symbols must be asked for now."""
        self._behind.discard(partition)
        self._shut[partition] = set(symbols)

    def revoke(self, partition: int) -> None:
        """The partition is no longer ours."""
        self._shut.pop(partition, None)
        self._refused.pop(partition, None)
        self._since_ns.pop(partition, None)
        self._behind.discard(partition)
        self._unanswered.pop(partition, None)
        self._may_reduce.discard(partition)

    def open(self, partition: int, symbol: str) -> None:
        """The venue was asked for everything unfinished of the symbol."""
        self._shut.get(partition, set()).discard(symbol)
        self._refused.get(partition, {}).pop(symbol, None)

    def is_open(self, partition: int, symbol: str) -> bool:
        """Whether the symbol may trade. A partition that was never assigned is shut."""
        shut = self._shut.get(partition)
        return shut is not None and partition not in self._behind and symbol not in shut and not self._blind

    def may_reduce(self, partition: int, symbol: str) -> bool:
        """Whether what can only make a position smaller may be sent: also once the venue, asked for the symbol's
        orders, has not answered, and while its stream is down; not before a former owner's updates are applied."""
        if not self.is_caught_up(partition):
            return False
        return self.is_open(partition, symbol) or bool(self._blind) or partition in self._may_reduce

    def lets_through(self, partition: int, order: Order) -> bool:
        """Whether the order may be sent, or grow, at this moment."""
        symbol = order.instrument.symbol
        return self.is_open(partition, symbol) or (order.only_reduces and self.may_reduce(partition, symbol))

    def reason(self, partition: int, symbol: str) -> str:
        """Why the symbol is not open; empty if it is."""
        if self.is_open(partition, symbol):
            return ""
        refused = self._refused.get(partition, {}).get(symbol, "")
        asked = self._unanswered.get(partition, "the venue is being asked for unfinished orders")
        return self._blind or refused or asked

    def unanswered(self, partition: int, why: str) -> None:
        """The venue did not answer what the shut symbols wait for."""
        self._unanswered[partition] = why
        self._may_reduce.add(partition)

    def refused(self, partition: int, symbol: str, why: str) -> None:
        """The venue is there, and does not speak of this symbol, which it has delisted, say: it is shut by itself, and
        nothing else waits for it."""
        self._refused.setdefault(partition, {})[symbol] = why

    def answered(self, partition: int) -> None:
        """It has answered. What was let through meanwhile is on its way, and goes on."""
        self._unanswered.pop(partition, None)

    def blind(self, why: str) -> None:
        """The account's stream may miss something: no symbol is open until `sighted` (requirement Y01)."""
        self._blind = why

    def sighted(self) -> None:
        """The gap is filled, and what filled it is applied."""
        self._blind = ""

    @property
    def blind_because(self) -> str:
        """Why the stream can't be relied on; empty if it can."""
        return self._blind

    def is_caught_up(self, partition: int) -> bool:
        """Whether what a former owner has learnt of the partition is applied."""
        return partition in self._shut and partition not in self._behind

    def shut(self) -> list[tuple[int, str]]:
        """Every (partition, symbol) that still has to be asked for."""
        return [(partition, symbol) for partition, symbols in self._shut.items() for symbol in sorted(symbols)]

    def awaited(self) -> list[tuple[int, str]]:
        """Those of them of which the venue's word is to be expected: the partition is not ready before."""
        return [(owned, symbol) for owned, symbol in self.shut() if symbol not in self._refused.get(owned, {})]

    def since_ns(self, partition: int) -> int:
        """Since when the partition is ours, ns UTC; 0 if it is not."""
        return self._since_ns.get(partition, 0)
