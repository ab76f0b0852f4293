"""The state a plan is made on, gathered from our tables and the market."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from decimal import Decimal

from domain.drafts import SPOT
from domain.errors import VenueError
from domain.instruments import Instrument, InstrumentRules, Quote
from domain.limits import AccountLoad, Limits
from domain.money import ZERO
from domain.orders import Order, PositionSide
from domain.plans import Decision, Facts, OpenOrder, Plan
from domain.positions import PositionState
from domain.protection import Role
from streams.account import Account
from streams.market import Market
from streams.ports import Clock
from tables.orders import OrderTable
from tables.positions import PositionTable


class Reservations:
    """What orders of this worker will take from a balance whose figure does not show them yet (requirement R02)."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], dict[str, _Hold]] = {}

    def hold(self, account: str, currency: str, order_id: str, amount: Decimal, source: str) -> None:
        """Count `amount` from now on, for the signal that came as the record `source`."""
        self._held.setdefault((account, currency), {})[order_id] = _Hold(amount, source)

    def shown_after(self, order_id: str, at_ns: int) -> None:
        """The venue has the order: a balance that was read after `at_ns` shows it."""
        for holds in self._held.values():
            if order_id in holds:
                holds[order_id] = replace(holds[order_id], shown_after_ns=at_ns)

    def give_up(self, source: str, at_ns: int) -> None:
        """The signal's turn ended early: what it sent is at the venue by now, the rest takes nothing from here."""
        for holds in self._held.values():
            for order_id, hold in holds.items():
                if hold.source == source and hold.shown_after_ns is None:
                    holds[order_id] = replace(hold, shown_after_ns=at_ns)

    def release(self, order_id: str) -> None:
        """The order will take nothing."""
        for holds in self._held.values():
            holds.pop(order_id, None)

    def total(self, account: str, currency: str, balance_at_ns: int) -> Decimal:
        """What a balance of that time does not show."""
        holds = self._held.get((account, currency), {})
        for order_id in [
            order_id
            for order_id, hold in holds.items()
            if hold.shown_after_ns is not None and hold.shown_after_ns < balance_at_ns
        ]:
            del holds[order_id]
        return sum((hold.amount for hold in holds.values()), ZERO)


@dataclass(frozen=True, slots=True)
class _Hold:
    amount: Decimal
    source: str
    shown_after_ns: int | None = None


MarketAnswer = tuple[InstrumentRules | None, Quote | None]


class FactsGatherer:
    """Gathers `Facts` for a signal of one symbol. The market may have to be asked, which takes its time; the rest is
    read at once, in the step that plans and reserves."""

    def __init__(
        self,
        *,
        orders: OrderTable,
        positions: PositionTable,
        market: Market,
        reservations: Reservations,
        clock: Clock,
        account: str,
        limits: Account | None = None,
        cooldown_ns: int = 0,
        dry_run: bool = False,
    ) -> None:
        self._orders = orders
        self._positions = positions
        self._market = market
        self._reservations = reservations
        self._clock = clock
        self._account = account
        self._limits = limits
        self._cooldown_ns = cooldown_ns
        self._dry_run = dry_run

    def reserve(self, plan: Plan, but: Collection[str] = ()) -> None:
        """Hold what the plan's orders may take. Called in the same step as planning: two signals planned one after
        the other never count on the same money."""
        rules = plan.facts.rules
        if rules is None or plan.decision is not Decision.EXECUTE:
            return
        takers = [(intent.order_id, intent.need) for intent in plan.intents]
        takers += [(amend.order_id, amend.need) for amend in plan.amends]
        for order_id, need in takers:
            if need and order_id not in but:
                self._reservations.hold(plan.account, rules.settle_currency, order_id, need, plan.source)

    def take_back(self, plan: Plan) -> None:
        """The plan will not be executed: what `reserve` held for it is free again."""
        for order_id in (*(intent.order_id for intent in plan.intents), *(amend.order_id for amend in plan.amends)):
            self._reservations.release(order_id)

    def settled(self, order: Order) -> None:
        """An order's outcome is applied: the venue's balance will show it, or it takes nothing."""
        if order.state.terminal and not order.cumulative.quantity:
            self._reservations.release(order.order_id)
        else:
            self._reservations.shown_after(order.order_id, self._clock.now_ns())

    def given_up(self, source: str) -> None:
        """The turn of the signal that came as the record `source` ended before its outcome was applied."""
        self._reservations.give_up(source, self._clock.now_ns())

    async def gather(
        self, partition: int, instrument: Instrument, attempt: int, side: PositionSide, record_time_ns: int
    ) -> Facts:
        """`ask_market` and `read` in one. Raises `VenueError` when the rules can't be had."""
        market = await self.ask_market(instrument)
        return self.read(
            partition, instrument, attempt, side, record_time_ns, market, load=self.load(instrument.symbol)
        )

    def load(self, symbol: str) -> AccountLoad | None:
        """What the whole account carries, where a limit asks for it."""
        return None if self._limits is None else self._limits.load(symbol)

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
        load: AccountLoad | None = None,
        strategy_id: str = "",
        without: Collection[str] = (),
    ) -> Facts:
        """The facts as they stand now. Nothing may wait between this, the plan and its reservation: another lane
        would count on the same money. `without`: orders that a dry run counts as gone."""
        rules, quote = market
        trading, reason = self._market.trading(instrument)
        position = self._positions.get(partition, instrument, self._account, side)
        currency = rules.settle_currency if rules is not None else ""
        balance = self._market.available(self._account, currency)
        return Facts(
            now_ns=self._clock.now_ns(),
            record_time_ns=record_time_ns,
            account=self._account,
            attempt=attempt,
            rules=rules,
            quote=quote,
            position_size=_held(position.state, rules),
            position_entry=position.state.average_entry,
            open_orders=tuple(
                _open_order(order)
                for order in self._orders.open_orders(partition, instrument.symbol)
                if order.instrument == instrument
                and not order.state.terminal
                and order.order_id not in without
                # What the venue keeps to protect a position neither makes way nor counts as one more order.
                and order.role is Role.NONE
            ),
            available=None if balance is None else balance[0],
            reserved=ZERO if balance is None else self._reservations.total(self._account, currency, balance[1]),
            trading=trading,
            trading_reason=reason,
            limits=Limits() if self._limits is None else self._limits.limits(instrument.symbol),
            load=load,
            last_order_ns=self._last_order_ns(partition, instrument.symbol, None),
            last_strategy_order_ns=self._last_order_ns(partition, instrument.symbol, strategy_id),
        )

    def _last_order_ns(self, partition: int, symbol: str, strategy_id: str | None) -> int | None:
        """When the symbol's newest order of a signal (of this strategy) was planned, as far back as a cooldown goes."""
        if not self._cooldown_ns or strategy_id == "":
            return None
        since_ns = self._clock.now_ns() - self._cooldown_ns
        for order in self._orders.newest(partition, symbol):
            if order.times.created_ns <= since_ns:
                return None
            rehearsed = order.dry_run and not self._dry_run  # holds nothing back for real
            if order.signal is not None and not rehearsed and strategy_id in {None, order.signal.strategy_id}:
                return order.times.created_ns
        return None

    async def _quote(self, instrument: Instrument) -> Quote | None:
        try:
            return await self._market.quote(instrument)
        except VenueError:
            return None


def _held(state: PositionState, rules: InstrumentRules | None) -> Decimal:
    """What is held. A spot fee is taken from what was bought where it is paid in that currency."""
    if rules is None or rules.instrument.category != SPOT:
        return state.size
    return state.size - state.fees.get(rules.base_currency, ZERO)


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
    )
