"""What every venue can be asked. One protocol; a new venue is one folder that provides it (requirement X11).

A method makes one attempt and raises an error of `domain.errors` that says what is known of its effect: retries,
time bounds and the decision what an unknown outcome means belong to the caller. An accepted create, amend or cancel
is an acceptance of the request, never evidence of the order's state.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

import msgspec

from domain.errors import VenueError
from domain.instruments import Instrument, InstrumentRules, Quote
from domain.orders import OrderType, PositionSide, Side, TimeInForce
from domain.protection import Protection, TriggerBy
from domain.updates import Call, FillReport, OrderReport, Origin, Update


@dataclass(frozen=True, slots=True)
class VenueTraits:
    """What differs between venues, as far as the callers need to know it."""

    name: str
    unique_client_ids: bool
    """The venue refuses a client order id it has seen: only then may an order be sent again after a look."""
    receive_window_s: float
    """A signed request is refused by the venue when it arrives later than this after its time stamp."""
    history_lag_s: float
    """How long an order may be missing from every endpoint although it was accepted."""
    unfilled_history_s: float
    """How long the venue shows orders that ended without a fill."""
    protects: bool = False
    """The venue keeps take-profit and stop-loss of a position, and takes them with an order (requirement P07)."""
    batch_sizes: Mapping[str, int] = field(default_factory=dict)
    """By category the most orders that one batch call takes; a category that is missing has no such calls."""


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order as a venue is asked for it. `price` is None for market orders."""

    instrument: Instrument
    client_order_id: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None
    time_in_force: TimeInForce
    reduce_only: bool = False
    post_only: bool = False
    position_side: PositionSide = PositionSide.NET
    protection: Protection | None = None


@dataclass(frozen=True, slots=True)
class OrderRef:
    """An order by the ids that are known; the venue's wins where both are."""

    instrument: Instrument
    client_order_id: str = ""
    venue_order_id: str = ""


class VenuePosition(msgspec.Struct, frozen=True, kw_only=True):
    """A position as the venue shows it. `size` is signed."""

    instrument: Instrument
    side: PositionSide
    size: Decimal
    average_entry: Decimal
    mark: Decimal
    unrealised: Decimal
    updated_ns: int
    """The venue's time of its last change; 0: it told none."""
    venue_sequence: int = 0
    """Of the last execution that it contains, as executions have it; 0: the venue told none."""


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """One currency of the account as the venue shows it. `total` is what is owned: less than nothing where more was
    borrowed. `available` is what new orders may use."""

    account: str
    currency: str
    total: Decimal
    available: Decimal
    at_ns: int
    available_known: bool = True
    """Whether the venue tells what new orders may use; `available` is 0 where it doesn't."""


class Trading(Protocol):
    """Requests, each one attempt."""

    @property
    def traits(self) -> VenueTraits:
        """What is special about the venue."""

    async def admit(self, call: Call, wanted: int = 1) -> int:
        """Wait for the rate limit's consent to one more order of this kind of call; returns for how many of the
        `wanted` it was given, at least one. A create takes it before its last checks, so that nothing waits between
        them and the first byte; `create`, `cancel`, `amend` and the batches themselves do not."""

    async def create(self, order: NewOrder) -> str:
        """Ask for a new order; returns the venue's order id. The reply is an acceptance, not an execution."""

    async def amend(self, ref: OrderRef, *, quantity: Decimal | None = None, price: Decimal | None = None) -> None:
        """Ask for another total quantity or limit price."""

    async def cancel(self, ref: OrderRef) -> None:
        """Ask for the order to be cancelled. Raises `NotFoundOrTooLate` when there is no open order."""

    async def create_batch(self, orders: Sequence[NewOrder]) -> Sequence[str | VenueError]:
        """Ask for several new orders of one category in one call, at most as many as the trait `batch_sizes` says. One
        outcome each, in their order: what `create` would return, or the error that it would raise. Raises none."""

    async def cancel_batch(self, refs: Sequence[OrderRef]) -> Sequence[VenueError | None]:
        """Ask for several orders of one category to be cancelled, as `create_batch` does: None, or `cancel`'s error."""

    async def set_stop_loss(self, instrument: Instrument, side: PositionSide, price: Decimal, by: TriggerBy) -> None:
        """Ask for the stop-loss of a whole position, in the place of the one it has; an order of the venue's own that
        follows its size and goes with it (trait `protects`). Admitted as an amend is. Raises `Refused` where there is
        no position, or the price is past the stop already."""

    async def order(self, ref: OrderRef, *, origin: Origin = Origin.REST) -> OrderReport | None:
        """The order's row, from wherever the venue keeps it (open, recent, history). None proves no absence."""

    async def open_orders(
        self, category: str, symbol: str | None = None, *, origin: Origin = Origin.REST
    ) -> Sequence[OrderReport]:
        """All open orders, every page."""

    async def closed_orders(
        self, category: str, *, since_ns: int, symbol: str | None = None, origin: Origin = Origin.REST
    ) -> Sequence[OrderReport]:
        """Orders that ended since a venue time, as far as the venue still lists them, every page."""

    async def executions(
        self,
        category: str,
        *,
        since_ns: int,
        symbol: str | None = None,
        ref: OrderRef | None = None,
        origin: Origin = Origin.REST,
    ) -> Sequence[FillReport]:
        """Executions since a venue time, oldest first, every page."""

    async def payments(self, category: str, *, since_ns: int, origin: Origin = Origin.REST) -> Sequence[FillReport]:
        """Of the executions since a venue time those that trade nothing (funding), oldest first, every page."""

    async def positions(self, category: str, symbol: str | None = None) -> Sequence[VenuePosition]:
        """Positions that are open (with a symbol: that one, open or not)."""

    async def balances(self) -> Sequence[Balance]:
        """The account's currencies."""

    async def instruments(self, category: str) -> Sequence[InstrumentRules]:
        """The rules of every instrument of a category, every page."""

    async def quote(self, instrument: Instrument) -> Quote:
        """Best prices now."""

    async def quotes(self, category: str) -> dict[str, Quote]:
        """Best prices of every instrument of a category, by symbol."""

    async def close(self) -> None:
        """Let go of connections."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """What a private stream delivers: updates and balances, or news of the connection itself. A `reason` without
    `connected` says that something was told and could not be read: look it up."""

    updates: tuple[Update, ...] = ()
    balances: tuple[Balance, ...] = ()
    connected: bool | None = None
    """True when a connection is authenticated and subscribed (fill the gap now), False when it was lost."""
    reason: str = ""


class PrivateStream(Protocol):
    """The account's stream: connects, authenticates, subscribes, and does so again after every loss."""

    def events(self) -> AsyncIterator[StreamEvent]:
        """Everything the venue says, for as long as the stream is wanted."""

    async def close(self) -> None:
        """End the connection and the iteration."""


@dataclass(slots=True)
class CallHooks:
    """Where metrics and logs plug in. Each is told after the fact and must not fail."""

    on_call: Callable[[str, float, str], None] = field(default=lambda _endpoint, _seconds, _outcome: None)
    """(endpoint, seconds, outcome: "ok" or the error's code)."""
    on_rate_limit: Callable[[str, float], None] = field(default=lambda _group, _seconds: None)
    """(endpoint group, seconds waited)."""
