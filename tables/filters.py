"""Which rows a question is about, as far as it says."""

from __future__ import annotations

import msgspec

from domain.orders import Order, OrderState, Side
from domain.positions import Position
from tables.signals import SignalRow


class OrderFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which orders; empty = any. Times are nanoseconds UTC of creation, `from_ns` included, `to_ns` not."""

    symbol: str = ""
    status: str = ""
    state: OrderState | None = None
    side: Side | None = None
    signal_id: str = ""
    venue: str = ""
    category: str = ""
    strategy_id: str = ""
    from_ns: int = 0
    to_ns: int | None = None

    def accepts(self, order: Order) -> bool:
        """Whether the order is one of these."""
        signal = order.signal
        return (
            (not self.symbol or order.instrument.symbol == self.symbol)
            and (not self.status or order.status == self.status)
            and (self.state is None or order.state is self.state)
            and (self.side is None or order.side is self.side)
            and (not self.venue or order.instrument.venue == self.venue)
            and (not self.category or order.instrument.category == self.category)
            and (not self.signal_id or (signal is not None and signal.signal_id == self.signal_id))
            and (not self.strategy_id or (signal is not None and signal.strategy_id == self.strategy_id))
        )


class SignalFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which signals; empty = any. Times are nanoseconds UTC of planning, `from_ns` included, `to_ns` not."""

    symbol: str = ""
    result: str = ""
    strategy_id: str = ""
    from_ns: int = 0
    to_ns: int | None = None

    def accepts(self, row: SignalRow) -> bool:
        """Whether the signal is one of these."""
        return (
            (not self.symbol or row.symbol == self.symbol)
            and (not self.result or row.result == self.result)
            and (not self.strategy_id or row.strategy_id == self.strategy_id)
        )


class PositionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which positions; empty = any. `open_only` leaves out those of size zero."""

    symbol: str = ""
    venue: str = ""
    category: str = ""
    open_only: bool = False

    def accepts(self, position: Position) -> bool:
        """Whether the position is one of these."""
        return (
            (not self.symbol or position.instrument.symbol == self.symbol)
            and (not self.venue or position.instrument.venue == self.venue)
            and (not self.category or position.instrument.category == self.category)
            and (not self.open_only or position.state.size != 0)
        )
