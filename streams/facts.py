"""The state a plan is made on, gathered from our tables and the market."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from decimal import Decimal

from domain.errors import VenueError
from domain.instruments import Instrument, InstrumentRules, Quote
from domain.limits import Limits
from domain.money import ZERO
from domain.orders import Order, PositionSide
from domain.plans import Amend, Decision, Facts, Intent, OpenOrder, Plan
from domain.protection import Role
from streams.account import Account, Look
from streams.market import Market
from streams.ports import Clock
from streams.reservations import Reservations
from tables.orders import OrderTable
from tables.positions import PositionTable
from tables.signals import SignalTable

MarketAnswer = tuple[InstrumentRules | None, Quote | None]


class FactsGatherer:
    """Gathers `Facts` for a signal of one symbol. The market may have to be asked, which takes its time; the rest is
    read at once, in the step that plans and reserves."""

    def __init__(
        self,
        *,
        orders: OrderTable,
        signals: SignalTable,
        positions: PositionTable,
        market: Market,
        reservations: Reservations,
        clock: Clock,
        account: str,
        limits: Account | None = None,
        cooldown_ns: int = 0,
        clock_error_ns: int = 0,
        dry_run: bool = False,
    ) -> None:
        """`clock_error_ns`: how far the clocks of this worker, of the gateway and of the venue may be apart."""
        self._orders = orders
        self._signals = signals
        self._positions = positions
        self._market = market
        self._reservations = reservations
        self._clock = clock
        self._account = account
        self._limits = limits
        self._cooldown_ns = cooldown_ns
        self._clock_error_ns = clock_error_ns
        self._dry_run = dry_run

    def reserve(self, plan: Plan, but: Collection[str] = ()) -> None:
        """Hold what the plan's orders may take. Called in the same step as planning: two signals planned one after
        the other never count on the same money."""
        rules = plan.facts.rules
        if rules is None or plan.decision is not Decision.EXECUTE:
            return
        takers = [(intent.order_id, intent.need) for intent in plan.intents]
        takers += [(addition_of(plan, amend), amend.need) for amend in plan.amends]
        for order_id, need in takers:
            if need and order_id not in but:
                self._reservations.hold(plan.instrument, plan.facts.currency, order_id, need, plan.source)

    def take_back(self, plan: Plan) -> None:
        """The plan will not be executed: what `reserve` held for it is free again."""
        for intent in plan.intents:
            self._reservations.release(intent.order_id)
        for amend in plan.amends:
            self._reservations.release(addition_of(plan, amend))

    def amended(self, plan: Plan, amend: Amend, *, taken: bool) -> None:
        """What came of an amendment is known: the venue's balance will show what it takes, or it takes nothing."""
        if taken:
            self._reservations.shown_after(addition_of(plan, amend), self._by_any_clock_ns())
        else:
            self._reservations.release(addition_of(plan, amend))

    def settled(self, order: Order) -> None:
        """An order's outcome is applied: the venue's balance will show it, or it takes nothing."""
        if order.state.terminal and not order.cumulative.quantity:
            self._reservations.release(order.order_id)
        else:
            self._reservations.shown_after(order.order_id, self._by_any_clock_ns())

    def discarded(self, order: Order) -> None:
        """An intent that was never sent is gone: it counts for nothing."""
        self._reservations.release(order.order_id)
        if self._limits is not None:
            self._limits.changed(order.instrument)

    def given_up(self, source: str) -> None:
        """The signal that came as the record `source` was ended before all of its orders were sent."""
        self._reservations.give_up(source, self._by_any_clock_ns())

    def _by_any_clock_ns(self) -> int:
        """A time stamp beyond this is later than now, whoever's clock it is of."""
        return self._clock.now_ns() + self._clock_error_ns

    async def gather(
        self,
        partition: int,
        instrument: Instrument,
        attempt: int,
        side: PositionSide,
        record_time_ns: int,
        *,
        buys: bool,
        strategy_id: str = "",
    ) -> Facts:
        """`ask_market` and `read` in one. Raises `VenueError` when the rules can't be had."""
        market = await self.ask_market(instrument)
        look = self.look(instrument)
        return self.read(
            partition,
            instrument,
            attempt,
            side,
            record_time_ns,
            market,
            buys=buys,
            look=look,
            strategy_id=strategy_id,
        )

    def look(self, instrument: Instrument) -> Look:
        """What the whole account carries, where a limit asks for it, and whose wishes count."""
        return Look() if self._limits is None else self._limits.look(instrument)

    async def ask_market(self, instrument: Instrument) -> MarketAnswer:
        """Raises `VenueError` when the rules can't be had; a missing quote is None, and the gates decide on that."""
        return await self._market.rules(instrument), await self._quote(instrument)

    def read(
        self,
        partition: int,
        instrument: Instrument,
        attempt: int,
        side: PositionSide,
        record_time_ns: int,
        market: MarketAnswer,
        *,
        buys: bool,
        look: Look,
        strategy_id: str = "",
        without: Collection[str] = (),
    ) -> Facts:
        """The facts as they stand now, for an order that buys or sells. Nothing may wait between this, the plan and its
        reservation: another lane would count on the same money. `without`: orders that a dry run counts as gone."""
        rules, quote = market
        trading, reason = self._market.trading(instrument)
        position = self._positions.get(partition, instrument, self._account, side)
        known = self._orders.open_orders(partition, instrument.symbol)
        orders = [order for order in known if order.instrument == instrument]
        # An order's end may come before the single fills that it is made of: what it did is held already.
        untold = sum((order.untold_size for order in orders if order.position_side is side), ZERO)
        currency = "" if rules is None else _taken_currency(rules, buys=buys)
        balance = self._market.available(self._account, currency) if look.known else None
        return Facts(
            now_ns=self._clock.now_ns(),
            record_time_ns=record_time_ns,
            account=self._account,
            attempt=attempt,
            rules=rules,
            quote=quote,
            position_size=position.state.size + untold,
            position_entry=position.state.average_entry,
            other_side_size=self._other_side(partition, instrument, side),
            open_orders=tuple(
                _open_order(order)
                for order in orders
                if not order.state.terminal
                and order.order_id not in without
                # What the venue keeps to protect a position neither makes way nor counts as one more order.
                and order.role is Role.NONE
            ),
            waiting=tuple(self._waiting(partition, instrument)),
            currency=currency,
            available=None if balance is None else balance[0],
            reserved=ZERO if balance is None else self._reserved(currency, balance[1], look),
            trading=trading,
            trading_reason=reason,
            limits=Limits() if self._limits is None else self._limits.limits(instrument.symbol),
            load=look.load,
            last_order_ns=self._last_order_ns(partition, instrument, None),
            last_strategy_order_ns=self._last_order_ns(partition, instrument, strategy_id),
        )

    def _waiting(self, partition: int, instrument: Instrument) -> Iterator[OpenOrder]:
        """Parts of split orders that wait for their time, as they will be when it comes."""
        for row in self._signals.waiting(partition, instrument.symbol):
            plan = row.standing_plan
            if plan.instrument != instrument or plan.dry_run is not self._dry_run:
                continue
            for intent in plan.intents:
                if self._orders.get(partition, intent.order_id) is None:
                    yield _part_to_come(intent)

    def _other_side(self, partition: int, instrument: Instrument, side: PositionSide) -> Decimal:
        """What is held on the side of a hedged symbol that the order does not touch."""
        if side is PositionSide.NET:
            return ZERO
        other = PositionSide.SHORT if side is PositionSide.LONG else PositionSide.LONG
        return self._positions.get(partition, instrument, self._account, other).state.size

    def _reserved(self, currency: str, balance_at_ns: int, look: Look) -> Decimal:
        """What a balance of that time does not show: orders of this worker, and those of the others."""
        here = self._reservations.total(currency, balance_at_ns)
        return here if self._limits is None else here + self._limits.reserved(currency, balance_at_ns, look)

    def _last_order_ns(self, partition: int, instrument: Instrument, strategy_id: str | None) -> int | None:
        """When the instrument's newest order of a signal (of this strategy) was planned, as far back as a cooldown."""
        if not self._cooldown_ns or strategy_id == "":
            return None
        since_ns = self._clock.now_ns() - self._cooldown_ns
        for order in self._orders.newest(partition, instrument.symbol):
            if order.times.created_ns <= since_ns:
                return None
            if order.instrument != instrument:
                continue
            rehearsed = order.dry_run and not self._dry_run  # holds nothing back for real
            if order.signal is not None and not rehearsed and strategy_id in {None, order.signal.strategy_id}:
                return order.times.created_ns
        return None

    async def _quote(self, instrument: Instrument) -> Quote | None:
        try:
            return await self._market.quote(instrument)
        except VenueError:
            return None


def addition_of(plan: Plan, amend: Amend) -> str:
    """What an amendment adds is held beside what its order takes already."""
    return f"{amend.order_id}+{plan.source}"


def _taken_currency(rules: InstrumentRules, *, buys: bool) -> str:
    """What an order takes from the account: a spot sale what it sells, every other one what settles it."""
    return rules.settle_currency if buys or not rules.instrument.spot else rules.base_currency


def _part_to_come(intent: Intent) -> OpenOrder:
    return OpenOrder(
        order_id=intent.order_id,
        side=intent.side,
        order_type=intent.order_type,
        price=intent.price,
        leaves=intent.quantity,
        executed=ZERO,
        in_doubt=False,
        reduce_only=intent.reduce_only,
        external=False,
        position_side=intent.position_side,
        protection=intent.protection,
    )


def _open_order(order: Order) -> OpenOrder:
    return OpenOrder(
        order_id=order.order_id,
        side=order.side,
        order_type=order.order_type,
        price=order.current_price,
        leaves=order.leaves,
        executed=order.cumulative.quantity,
        in_doubt=order.in_doubt,
        reduce_only=order.reduce_only,
        external=order.external,
        position_side=order.position_side,
        protection=order.protection,
        ending=order.pending.ends,
    )
