"""The venue's own books, and the market that fills what rests in them. The truth that everything is compared with."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal

import msgspec

from domain.errors import Duplicate, NotFoundOrTooLate, Refused
from domain.ids import is_ours
from domain.instruments import COIN_STEP, LINEAR, Instrument
from domain.money import ZERO
from domain.orders import OrderType, PositionSide, Side, Sums, TimeInForce, VenueState
from domain.positions import fill_key
from domain.protection import Role
from domain.updates import FillKind, FillReport, OrderReport, Origin
from exchanges.venue import NewOrder
from simulation.effects import Effects
from simulation.interventions import Interventions
from simulation.listing import DOLLAR, coin_of, lot_of
from simulation.protection import Protections
from simulation.sides import Sides
from simulation.venue_orders import ACCOUNT, INSTANCE, Amendment, VenueOrder
from simulation.virtual_time import SimulatedClock
from simulation.wallet import Wallet
from simulation.weather import Weather

_MS = 1_000_000
_FEES = (Decimal("0.00055"), Decimal("-0.0001"), ZERO, Decimal("0.0003"))


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
        self.amendments: list[Amendment] = []
        self.sides = Sides(self, hedge=weather.hedge)
        self.wallet = Wallet(self, weather)
        self.acts = Interventions(self, chance)
        self.protections = Protections(self, chance)
        self.calm = False
        self._executions = 0
        self.tell: Callable[[OrderReport | FillReport], None] = lambda _update: None
        self.before_taking: Callable[[NewOrder], None] = lambda _order: None
        """Told of each order that is about to be taken; raises `Refused` for what the account can't carry."""
        self.before_amending: Callable[[VenueOrder, Decimal, Decimal | None], None] = lambda *_terms: None
        """The same of an order's other terms."""

    # -- requests, as they arrive --------------------------------------------------------------------------------

    def create(self, new: NewOrder) -> str:
        """Take an order; returns the venue's id."""
        if new.client_order_id and new.client_order_id in self.by_client_id:
            if self._weather.unique_client_ids:
                raise Duplicate("DUPLICATE_ID", f"client order id {new.client_order_id} is known")
            self._effects.violate(f"a second order under {new.client_order_id} at a venue that lets it pass")
        if self._chance.random() < self._weather.refused:
            raise Refused("INSUFFICIENT_MARGIN", "not enough margin")
        self.before_taking(new)
        new = self.sides.admitted(new)
        at_once = new.order_type is OrderType.MARKET or new.time_in_force is not TimeInForce.GTC
        # Readable from the moment of acceptance; whether the stream tells of it depends on what follows.
        order = self.open(new, told=lambda: not at_once or self._chance.random() < 0.5)
        if self._chance.random() < self._weather.late_reject:
            order.accepted = False
            self.soon(order, lambda: self.end(order, VenueState.REJECTED, "RISK"))
            return order.venue_id
        if at_once:
            self.soon(order, lambda: self.match_at_once(order))
        elif new.post_only and self._chance.random() < self._weather.taker_cancel:
            self.soon(order, lambda: self.end(order, VenueState.CANCELLED, "POST_ONLY_WOULD_TAKE"))
        return order.venue_id

    def open(
        self,
        new: NewOrder,
        *,
        state: VenueState = VenueState.LIVE,
        role: Role = Role.NONE,
        trigger_price: Decimal | None = None,
        parent: str = "",
        told: Callable[[], bool] = lambda: True,
    ) -> VenueOrder:
        """One more order in the books."""
        order = VenueOrder(
            venue_id=f"v{len(self.orders) + 1}",
            client_id=new.client_order_id,
            new=new,
            created_ns=self.now_ns(),
            state=state,
            price=new.price,
            quantity=new.quantity,
            role=role,
            parent=parent,
            trigger_price=trigger_price,
        )
        self.orders[order.venue_id] = order
        if new.client_order_id:
            self.by_client_id[new.client_order_id] = order
        self._effects.note(
            f"venue took {order.venue_id} {order.client_id or role or '(by hand)'}: {new.side} {new.quantity} "
            f"{new.instrument.symbol} {new.order_type}"
        )
        self.show(order, told=told())
        return order

    def place_by_hand(self, new: NewOrder) -> None:
        """An order of somebody else on the same account. The venue may refuse it; that is their business."""
        with contextlib.suppress(Refused):
            self.create(new)

    def cancel(self, order: VenueOrder | None) -> None:
        """Ask for the end of an order: it comes a little later, unless a fill comes first."""
        if order is None or not order.live:
            raise NotFoundOrTooLate("NO_OPEN_ORDER", "no open order")
        self.soon(order, lambda: self.end(order, VenueState.CANCELLED, "CANCELLED_BY_USER"))

    def amend(self, order: VenueOrder, price: Decimal, quantity: Decimal) -> None:
        """Change the terms of a resting order."""
        order.price, order.quantity = price, max(quantity, order.cumulative.quantity + lot_of(order.new.instrument))
        self.show(order)
        self.sides.trim(order.new)

    def ask_to_amend(self, order: VenueOrder | None, price: Decimal | None, quantity: Decimal | None) -> None:
        """Other terms, a little later, unless the order ends or trades too much first."""
        if order is None or not order.live:
            raise NotFoundOrTooLate("NO_OPEN_ORDER", "no open order")
        wanted = quantity or order.quantity
        if wanted <= order.cumulative.quantity or (not self.calm and self._chance.random() < self._weather.refused):
            raise Refused("PRICE_OR_QUANTITY_REFUSED", "these terms are not possible")

        self.before_amending(order, wanted, price or order.price)

        def take() -> None:
            if wanted > order.cumulative.quantity and order.price is not None:
                order.price, order.quantity = price or order.price, wanted
                self.amendments.append(Amendment(order.client_id, order.quantity, order.price))
                self.show(order)
                self.sides.trim(order.new)

        self.soon(order, take)

    def size_of(self, instrument: Instrument, side: PositionSide = PositionSide.NET) -> Decimal:
        """What is held, signed."""
        return self.sides.size_of(instrument, side)

    def find(self, client_id: str, venue_id: str) -> VenueOrder | None:
        """By the venue's id, else by the client's."""
        return self.orders.get(venue_id) or self.by_client_id.get(client_id)

    def fills_of(self, category: str, symbol: str | None) -> list[FillReport]:
        """Every execution of a symbol (None: of all), with the payments on its position."""
        fills = [fill for order in self.orders.values() for fill in order.fills] + self.funding
        found = [fill for fill in fills if fill.instrument.category == category]
        return [fill for fill in found if symbol in {None, fill.instrument.symbol}]

    def fills_of_side(self, instrument: Instrument, side: PositionSide) -> list[FillReport]:
        """Every execution and payment of one position, as the venue executed them."""
        orders = [order for order in self.orders.values() if order.new.position_side is side]
        fills = [fill for order in orders for fill in order.fills]
        fills += [payment for payment in self.funding if payment.position_side is side]
        return sorted((fill for fill in fills if fill.instrument == instrument), key=fill_key)

    def instruments(self) -> list[Instrument]:
        """All that was ever traded or paid for."""
        traded = {order.new.instrument for order in self.orders.values()}
        return sorted(traded | {payment.instrument for payment in self.funding}, key=str)

    # -- the market ----------------------------------------------------------------------------------------------

    def trade(self) -> None:
        """Something happens to one of the resting orders."""
        if self._weather.triggered and self._chance.random() < self._weather.triggered:
            self.protections.trigger()
            return
        resting = [
            order
            for order in self.orders.values()
            if order.live and order.shown and order.state not in {VenueState.UNTRIGGERED, VenueState.TRIGGERED}
        ]
        if resting:
            order = self._chance.choice(resting)
            self._fill(order, self._some_of(order) if self._chance.random() < 0.6 else order.leaves)

    def fill_unseen(self, new: NewOrder, kind: FillKind) -> None:
        """The venue does something by itself: an order of its own making, executed before anybody sees it."""
        order = VenueOrder(
            venue_id=f"v{len(self.orders) + 1}",
            client_id="",
            new=new,
            created_ns=self.now_ns(),
            quantity=new.quantity,
            kind=kind,
        )
        self.orders[order.venue_id] = order
        self._fill(order, new.quantity)

    def next_execution(self) -> int:
        """The number of one more execution."""
        self._executions += 1
        return self._executions

    def match_at_once(self, order: VenueOrder) -> None:
        """An order that does not rest: all, a part, or nothing of it."""
        if order.role is not Role.NONE:
            self._close_all(order)
            return
        new, drawn = order.new, self._chance.random()
        parts = 0 if drawn < 0.1 else self._chance.randint(1, 3)
        for _ in range(parts):
            if order.live and order.leaves > lot_of(new.instrument):
                self._fill(order, self._some_of(order))
        if order.live and drawn > 0.3:
            self._fill(order, order.leaves)
        if order.live:
            self.end(order, VenueState.CANCELLED, "IOC_REMAINDER")

    def _close_all(self, order: VenueOrder) -> None:
        """What was triggered closes all that is held, in one or more executions; less may be held by now."""
        new = order.new
        while order.live and (held := -self.size_of(new.instrument, new.position_side) * new.side.sign) > 0:
            self._fill(order, min(held, order.leaves if self._chance.random() < 0.6 else self._some_of(order)))
        if order.live:
            self.end(order, VenueState.CANCELLED, "POSITION_CLOSED")

    def _some_of(self, order: VenueOrder) -> Decimal:
        lot = lot_of(order.new.instrument)
        lots = int(order.leaves / lot)
        return lot * self._chance.randint(1, max(1, lots))

    def _fill(self, order: VenueOrder, quantity: Decimal) -> None:
        if order.new.reduce_only and (self._weather.flat_prices or order.new.instrument.inverse):
            held = -self.size_of(order.new.instrument, order.new.position_side) * order.new.side.sign
            quantity = min(quantity, held)
            if held <= 0:
                self.end(order, VenueState.CANCELLED, "NOTHING_TO_REDUCE")
                return
        number = self.next_execution()
        price = self._price_of(order)
        value = _value(order.new.instrument, quantity, price)
        fee, currency = self._fee_of(order.new, quantity, value)
        sums = order.cumulative
        fees = dict(sums.fees)
        if fee:
            fees[currency] = fees.get(currency, ZERO) + fee
        order.cumulative = Sums(sums.quantity + quantity, sums.value + value, fees)
        new = order.new
        fill = FillReport(
            instrument=new.instrument,
            account=ACCOUNT,
            origin=Origin.STREAM,
            received_ns=self.now_ns(),
            client_order_id=order.client_id,
            venue_order_id=order.venue_id,
            execution_id=f"e{number}",
            side=new.side,
            price=price,
            quantity=quantity,
            fee=fee,
            fee_currency=currency,
            executed_ns=self.now_ns(),
            venue_sequence=number,
            maker=new.post_only,
            fill_kind=order.kind,
            role=order.role,
            position_side=self._named_side(new),
            worth=value if new.instrument.inverse else msgspec.UNSET,
            order_quantity=order.cumulative.quantity + order.leaves,
            order_executed=order.cumulative.quantity,
        )
        order.fills.append(fill)
        if order.leaves <= 0:
            order.state = VenueState.FILLED
        elif order.state is VenueState.TRIGGERED:
            order.state = VenueState.LIVE
        self.sides.executed(new, fill.change)
        self.show(order)
        self.tell(fill)
        self.sides.trim(new)
        self.protections.follow(order)

    def _price_of(self, order: VenueOrder) -> Decimal:
        """Near the order's own; never worse where coins are swapped, and the very same where the account is tight."""
        price, away = order.price or Decimal(100), Decimal(self._chance.randint(0, 9)) / 10
        if order.new.instrument.category == LINEAR:
            return price + away
        return price if self._weather.flat_prices else price - order.new.side.sign * away

    def _fee_of(self, new: NewOrder, quantity: Decimal, value: Decimal) -> tuple[Decimal, str]:
        """(fee, currency): of contracts in what settles them, of a spot order in what it receives, or in another coin
        altogether."""
        rate, other = self._chance.choice(_FEES), self._chance.random() >= 0.9
        if new.instrument.spot:
            coin, rate = coin_of(new.instrument) if new.side is Side.BUY else DOLLAR, max(rate, ZERO)
            value = quantity if new.side is Side.BUY else value
        else:
            coin = coin_of(new.instrument) if new.instrument.inverse else DOLLAR
        return value * rate, "MNT" if other else coin

    def _named_side(self, new: NewOrder) -> PositionSide:
        """The side as an execution of our orders names it: now and then it does not, as the order is known."""
        ours = is_ours(INSTANCE, new.client_order_id)
        silent = self._weather.sideless and ours and self._chance.random() < self._weather.sideless
        return PositionSide.NET if silent else new.position_side

    def end(self, order: VenueOrder, state: VenueState, reason: str) -> None:
        if order.live:
            order.state, order.reason = state, reason
            self.show(order)

    def soon(self, order: VenueOrder, step: Callable[[], None]) -> None:
        """The matching engine works behind the gateway that took the request."""
        self._loop.call_later(self._chance.uniform(0.0, 0.2), lambda: step() if order.live else None)

    def show(self, order: VenueOrder, *, told: bool = True) -> None:
        report = OrderReport(
            instrument=order.new.instrument,
            account=ACCOUNT,
            origin=Origin.STREAM,
            received_ns=self.now_ns(),
            client_order_id=order.client_id,
            venue_order_id=order.venue_id,
            state=order.state,
            raw_status=order.state.value,
            side=order.new.side,
            order_type=order.new.order_type,
            quantity=order.quantity,
            price=order.price,
            cumulative=order.cumulative,
            updated_ns=self._changed_ns(order),
            created_ns=order.created_ns,
            reason=order.reason,
            time_in_force=order.new.time_in_force,
            reduce_only=order.new.reduce_only,
            post_only=order.new.post_only,
            role=order.role,
            position_side=order.new.position_side,
            parent_client_order_id=order.parent,
            trigger_price=order.trigger_price,
        )
        order.shown.append(report)
        self._effects.note(
            f"venue shows {order.venue_id} {order.state} {order.cumulative.quantity}/{order.quantity} {order.reason}"
        )
        if told:
            self.tell(report)

    def _changed_ns(self, order: VenueOrder) -> int:
        """Of two changes of an order's terms within a millisecond nobody could tell which was the last."""
        last_ns = order.shown[-1].updated_ns if order.shown else 0
        return max(self.now_ns(), last_ns + _MS) if order.role is not Role.NONE else self.now_ns()

    def now_ns(self) -> int:
        """The venue stamps in milliseconds."""
        return self.clock.now_ns() // _MS * _MS


def _value(instrument: Instrument, quantity: Decimal, price: Decimal) -> Decimal:
    """What an execution is worth; the venue cuts what is less than a part of a coin."""
    if instrument.inverse:
        return (quantity / price).quantize(COIN_STEP, rounding=ROUND_DOWN)
    return quantity * price


def as_read(update: OrderReport, received_ns: int, origin: Origin) -> OrderReport:
    """A row as an answer carries it."""
    return msgspec.structs.replace(update, received_ns=received_ns, origin=origin)
