"""The venue's orders, and what they take from the account."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from domain.money import ZERO
from domain.orders import Side, Sums, VenueState
from domain.protection import Role
from domain.updates import FillKind, FillReport, OrderReport
from exchanges.venue import NewOrder
from simulation.sides import OPENS

ACCOUNT = "main"
INSTANCE = "om"
"""What our client order ids begin with."""
TAKER = Decimal("1.00055")


@dataclass(slots=True)
class VenueOrder:
    """One order in the venue's books, with every row it ever showed and every execution."""

    venue_id: str
    client_id: str
    new: NewOrder
    created_ns: int
    state: VenueState = VenueState.LIVE
    reason: str = ""
    price: Decimal | None = None
    quantity: Decimal = ZERO
    cumulative: Sums = field(default_factory=Sums)
    fills: list[FillReport] = field(default_factory=list)
    shown: list[OrderReport] = field(default_factory=list)
    accepted: bool = True
    kind: FillKind = FillKind.TRADE
    role: Role = Role.NONE
    parent: str = ""
    trigger_price: Decimal | None = None

    @property
    def leaves(self) -> Decimal:
        """What may still be executed."""
        return self.quantity - self.cumulative.quantity

    @property
    def live(self) -> bool:
        """Whether it can be filled or cancelled."""
        return not self.state.terminal

    @property
    def waits(self) -> bool:
        """Whether it protects a position and its price has not come."""
        return self.state is VenueState.UNTRIGGERED

    @property
    def opens(self) -> bool:
        """Whether it may add to a position, where only buying does, or what adds to its side of a hedged one."""
        return self.role is Role.NONE and may_open(self.new)


def may_open(new: NewOrder) -> bool:
    """Whether an order may add to a position, where nobody goes short but on the short side of a hedged one."""
    return new.side is OPENS.get(new.position_side, Side.BUY) and not new.reduce_only


@dataclass(frozen=True, slots=True)
class Amendment:
    """Terms that the venue has taken, of an order by its client id."""

    client_id: str
    quantity: Decimal
    price: Decimal


def cost(quantity: Decimal, price: Decimal | None) -> Decimal:
    """What an order takes from the account: its worth and a taker's fee."""
    return quantity * (price or Decimal(101)) * TAKER


def taken_by(order: VenueOrder) -> Decimal:
    """What an order of ours keeps of the account."""
    quantity = order.quantity if order.live else order.cumulative.quantity
    return cost(quantity, order.price) if order.opens else ZERO
