"""The venue's own books, and the market that fills what rests in them. The truth that everything is compared with."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from domain.errors import Duplicate, NotFoundOrTooLate, Refused
from domain.instruments import Instrument
from domain.money import ZERO
from domain.orders import OrderType, Side, Sums, TimeInForce, VenueState
from domain.updates import FillKind, FillReport, OrderReport, Origin
from exchanges.venue import NewOrder
from simulation.effects import Effects
from simulation.virtual_time import SimulatedClock
from simulation.weather import Weather

LOT = Decimal("0.01")
ACCOUNT = "main"
_MS = 1_000_000
_FEES = (Decimal("0.00055"), Decimal("-0.0001"), ZERO, Decimal("0.0003"))


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

    @property
    def leaves(self) -> Decimal:
        """What may still be executed."""
        return self.quantity - self.cumulative.quantity

    @property
    def live(self) -> bool:
        """Whether it can be filled or cancelled."""
        return not self.state.terminal


class Books:
    """Every order the venue ever took, by its own ids. Survives everything."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: SimulatedClock,
        chance: random.Random,
        weather: Weather,
        effects: Effects,
    ) -> None:
        self._loop = loop
        self.clock = clock
        self._chance = chance
        self._weather = weather
        self._effects = effects
        self.orders: dict[str, VenueOrder] = {}
        self.by_client_id: dict[str, VenueOrder] = {}
        self.funding: list[FillReport] = []
        self._executions = 0
        self.tell: Callable[[OrderReport | FillReport], None] = lambda _update: None
        self.on_accepted: Callable[[VenueOrder], None] = lambda _order: None

    # -- requests, as they arrive --------------------------------------------------------------------------------

    def create(self, new: NewOrder) -> str:
        """Take an order; returns the venue's id."""
        if new.client_order_id and new.client_order_id in self.by_client_id:
            if self._weather.unique_client_ids:
                raise Duplicate("DUPLICATE_ID", f"client order id {new.client_order_id} is known")
            self._effects.violate(f"a second order under {new.client_order_id} at a venue that lets it pass")
        if self._chance.random() < self._weather.refused:
            raise Refused("INSUFFICIENT_MARGIN", "not enough margin")
        order = VenueOrder(
            venue_id=f"v{len(self.orders) + 1}",
            client_id=new.client_order_id,
            new=new,
            created_ns=self._now_ns(),
            price=new.price,
            quantity=new.quantity,
        )
        self.orders[order.venue_id] = order
        if new.client_order_id:
            self.by_client_id[new.client_order_id] = order
        self._effects.note(
            f"venue took {order.venue_id} {order.client_id or '(by hand)'}: {new.side} {new.quantity} "
            f"{new.instrument.symbol} {new.order_type}"
        )
        at_once = new.order_type is OrderType.MARKET or new.time_in_force is not TimeInForce.GTC
        # Readable from the moment of acceptance; whether the stream tells of it depends on what follows.
        self._show(order, told=not at_once or self._chance.random() < 0.5)
        if self._chance.random() < self._weather.late_reject:
            order.accepted = False
            self._soon(order, lambda: self._end(order, VenueState.REJECTED, "RISK"))
            return order.venue_id
        self.on_accepted(order)
        if at_once:
            self._soon(order, lambda: self._match_at_once(order))
        elif new.post_only and self._chance.random() < self._weather.taker_cancel:
            self._soon(order, lambda: self._end(order, VenueState.CANCELLED, "POST_ONLY_WOULD_TAKE"))
        return order.venue_id

    def place_by_hand(self, new: NewOrder) -> None:
        """An order of somebody else on the same account. The venue may refuse it; that is their business."""
        with contextlib.suppress(Refused):
            self.create(new)

    def cancel(self, order: VenueOrder | None) -> None:
        """Ask for the end of an order: it comes a little later, unless a fill comes first."""
        if order is None or not order.live:
            raise NotFoundOrTooLate("NO_OPEN_ORDER", "no open order")
        self._soon(order, lambda: self._end(order, VenueState.CANCELLED, "CANCELLED_BY_USER"))

    def amend(self, order: VenueOrder, price: Decimal, quantity: Decimal) -> None:
        """Change the terms of a resting order."""
        order.price, order.quantity = price, max(quantity, order.cumulative.quantity + LOT)
        self._show(order)

    def find(self, client_id: str, venue_id: str) -> VenueOrder | None:
        """By the venue's id, else by the client's."""
        return self.orders.get(venue_id) or self.by_client_id.get(client_id)

    def fills_of(self, symbol: str | None) -> list[FillReport]:
        """Every execution of a symbol (None: of all), with the payments on its position."""
        fills = [fill for order in self.orders.values() for fill in order.fills] + self.funding
        return [fill for fill in fills if symbol in {None, fill.instrument.symbol}]

    def instruments(self) -> list[Instrument]:
        """All that was ever traded or paid for."""
        traded = {order.new.instrument for order in self.orders.values()}
        return sorted(traded | {payment.instrument for payment in self.funding}, key=str)

    # -- the market ----------------------------------------------------------------------------------------------

    def trade(self) -> None:
        """Something happens to one of the resting orders."""
        resting = [order for order in self.orders.values() if order.live and order.shown]
        if resting:
            order = self._chance.choice(resting)
            self._fill(order, self._some_of(order) if self._chance.random() < 0.6 else order.leaves)

    def liquidate(self, instrument: Instrument) -> None:
        """The venue closes something by itself: an order of its own making, which nobody sent."""
        size = LOT * self._chance.randint(1, 50)
        side = self._chance.choice((Side.BUY, Side.SELL))
        order = VenueOrder(
            venue_id=f"v{len(self.orders) + 1}",
            client_id="",
            new=NewOrder(instrument, "", side, OrderType.MARKET, size, None, TimeInForce.IOC),
            created_ns=self._now_ns(),
            quantity=size,
            kind=self._chance.choice((FillKind.LIQUIDATION, FillKind.ADL)),
        )
        self.orders[order.venue_id] = order
        self._fill(order, size)

    def pay_funding(self, instrument: Instrument) -> None:
        """A payment on a position: no order causes it."""
        self._executions += 1
        payment = FillReport(
            instrument=instrument,
            account=ACCOUNT,
            origin=Origin.STREAM,
            received_ns=self._now_ns(),
            venue_order_id=f"funding{self._executions}",
            execution_id=f"e{self._executions}",
            side=Side.BUY,
            price=Decimal(100),
            quantity=LOT,
            fee=Decimal("0.0125") * self._chance.choice((1, -1)),
            fee_currency="USDT",
            executed_ns=self._now_ns(),
            venue_sequence=self._executions,
            fill_kind=FillKind.FUNDING,
        )
        self.funding.append(payment)
        self.tell(payment)

    def _match_at_once(self, order: VenueOrder) -> None:
        """An order that does not rest: all, a part, or nothing of it."""
        drawn = self._chance.random()
        parts = 0 if drawn < 0.1 else self._chance.randint(1, 3)
        for _ in range(parts):
            if order.live and order.leaves > LOT:
                self._fill(order, self._some_of(order))
        if order.live and drawn > 0.3:
            self._fill(order, order.leaves)
        if order.live:
            self._end(order, VenueState.CANCELLED, "IOC_REMAINDER")

    def _some_of(self, order: VenueOrder) -> Decimal:
        lots = int(order.leaves / LOT)
        return LOT * self._chance.randint(1, max(1, lots))

    def _fill(self, order: VenueOrder, quantity: Decimal) -> None:
        self._executions += 1
        price = (order.price or Decimal(100)) + Decimal(self._chance.randint(0, 9)) / 10
        fee = price * quantity * self._chance.choice(_FEES)
        currency = "USDT" if self._chance.random() < 0.9 else "MNT"
        sums = order.cumulative
        fees = dict(sums.fees)
        if fee:
            fees[currency] = fees.get(currency, ZERO) + fee
        order.cumulative = Sums(sums.quantity + quantity, sums.value + price * quantity, fees)
        new = order.new
        fill = FillReport(
            instrument=new.instrument,
            account=ACCOUNT,
            origin=Origin.STREAM,
            received_ns=self._now_ns(),
            client_order_id=order.client_id,
            venue_order_id=order.venue_id,
            execution_id=f"e{self._executions}",
            side=new.side,
            price=price,
            quantity=quantity,
            fee=fee,
            fee_currency=currency,
            executed_ns=self._now_ns(),
            venue_sequence=self._executions,
            maker=new.post_only,
            fill_kind=order.kind,
        )
        order.fills.append(fill)
        if order.leaves <= 0:
            order.state = VenueState.FILLED
        self._show(order)
        self.tell(fill)

    def _end(self, order: VenueOrder, state: VenueState, reason: str) -> None:
        if order.live:
            order.state, order.reason = state, reason
            self._show(order)

    def _soon(self, order: VenueOrder, step: Callable[[], None]) -> None:
        """The matching engine works behind the gateway that took the request."""
        self._loop.call_later(self._chance.uniform(0.0, 0.2), lambda: step() if order.live else None)

    def _show(self, order: VenueOrder, *, told: bool = True) -> None:
        report = OrderReport(
            instrument=order.new.instrument,
            account=ACCOUNT,
            origin=Origin.STREAM,
            received_ns=self._now_ns(),
            client_order_id=order.client_id,
            venue_order_id=order.venue_id,
            state=order.state,
            raw_status=order.state.value,
            side=order.new.side,
            order_type=order.new.order_type,
            quantity=order.quantity,
            price=order.price,
            cumulative=order.cumulative,
            updated_ns=self._now_ns(),
            created_ns=order.created_ns,
            reason=order.reason,
            time_in_force=order.new.time_in_force,
            reduce_only=order.new.reduce_only,
            post_only=order.new.post_only,
        )
        order.shown.append(report)
        self._effects.note(
            f"venue shows {order.venue_id} {order.state} {order.cumulative.quantity}/{order.quantity} {order.reason}"
        )
        if told:
            self.tell(report)

    def _now_ns(self) -> int:
        """The venue stamps in milliseconds."""
        return self.clock.now_ns() // _MS * _MS


def as_read(update: OrderReport, received_ns: int, origin: Origin) -> OrderReport:
    """A row as an answer carries it."""
    return msgspec.structs.replace(update, received_ns=received_ns, origin=origin)
