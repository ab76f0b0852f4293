"""What planning carries from gate to gate: the case, which never changes, and the draft, which grows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from domain.instruments import LINEAR, SPOT, Instrument, InstrumentRules
from domain.money import ZERO, plain
from domain.orders import OrderType, PositionSide, Side, TimeInForce
from domain.plans import Decision, Facts, OpenOrder, Outcome, PlanSettings, PositionMode, ScaleInMode, Verdict
from domain.protection import Protection
from domain.signals import Signal, signal_time_ns


def position_side_of(signal: Signal, mode: PositionMode, category: str) -> PositionSide:
    """The position that a signal's order belongs to. In hedge mode every order names its side (requirement D11): a
    signal that names none means the long one, which a buy opens and a sell closes; a reduce-only buy closes a short.
    Only linear contracts have sides."""
    if signal.position_side is not None or mode is PositionMode.ONE_WAY or category != LINEAR:
        return signal.position_side or PositionSide.NET
    closes_short = signal.signal_type is Side.BUY and signal.reduce_only
    return PositionSide.SHORT if closes_short else PositionSide.LONG


@dataclass(frozen=True, slots=True)
class Case:
    """Everything a gate may look at."""

    signal: Signal
    facts: Facts
    settings: PlanSettings
    instrument: Instrument
    phase: int

    @property
    def side(self) -> Side:
        """Which way the order trades."""
        return self.signal.signal_type

    @property
    def position_side(self) -> PositionSide:
        """The position the order belongs to (see `position_side_of`)."""
        return position_side_of(self.signal, self.settings.position_mode, self.instrument.category)

    @property
    def rules(self) -> InstrumentRules:
        """The instrument's rules, once the gate that asks for them has passed."""
        if self.facts.rules is None:
            raise LookupError(f"{self.instrument}: the rules are read before the gate that asks for them")
        return self.facts.rules

    @property
    def begun_ns(self) -> int:
        """When the signal's age begins, and its snapshot's (requirement S09)."""
        return signal_time_ns(self.signal, self.facts.record_time_ns or self.signal.timestamp_ns)

    @property
    def opposes_position(self) -> bool:
        """Whether the order makes the position it belongs to smaller before it does anything else. A purchase on spot
        never does: below zero there is nothing but coins that were sold and came from elsewhere."""
        match self.position_side:
            case PositionSide.LONG:
                return self.side is Side.SELL
            case PositionSide.SHORT:
                return self.side is Side.BUY
            case PositionSide.NET:
                buys_coins = self.instrument.spot and self.side is Side.BUY
                return self.facts.position_size * self.side.sign < 0 and not buys_coins

    @property
    def held(self) -> Decimal:
        """What the order could close if nothing else were open. A side of a hedged symbol is the wrong way round as
        long as what closed it is known, and what had opened it is not: nothing is surely there to close then."""
        return max(ZERO, self.facts.position_size * -self.side.sign) if self.opposes_position else ZERO

    @property
    def shorts_allowed(self) -> bool:
        """Whether a sell may go below what is held. Spot has nothing below zero."""
        return self.settings.allow_short and self.instrument.category != SPOT

    @property
    def inverse(self) -> bool:
        """Whether quantities are contracts worth one quote unit each, settled in the base currency."""
        return self.instrument.inverse

    @property
    def fee_rate(self) -> Decimal:
        """What a taker pays, as a fraction of the value."""
        return self.settings.spot_taker_fee_rate if self.instrument.spot else self.settings.taker_fee_rate

    def currency(self) -> str:
        """The quote currency's name, for sentences."""
        return self.rules.quote_currency

    def unit(self) -> str:
        """What quantities are counted in, for sentences."""
        return self.rules.quote_currency if self.inverse else self.rules.base_currency


@dataclass(frozen=True, slots=True)
class Draft:
    """What the gates have decided so far. `opening` is the part of the quantity that adds exposure."""

    decision: Decision = Decision.EXECUTE
    warnings: tuple[str, ...] = ()
    price_drift: Decimal | None = None
    """How far the market went since the snapshot, as a fraction of its price; None: nothing to compare with."""
    price: Decimal = ZERO
    """Reference price: what the amount is divided by."""
    price_source: str = ""
    spread: Decimal | None = None
    depth: Decimal | None = None
    quantity: Decimal = ZERO
    opening: Decimal = ZERO
    order_type: OrderType = OrderType.LIMIT
    rule: str = ""
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False
    limit_price: Decimal | None = None
    named_price: Decimal | None = None
    """The limit price, where the signal named it."""
    cancelled: tuple[OpenOrder, ...] = ()
    need: Decimal = ZERO
    """What the opening part takes from the balance: at the worst price, with the fee."""

    parts: tuple[Decimal, ...] = ()
    """Quantities of the orders that it is split into; empty = one order."""
    amended: OpenOrder | None = None
    """The resting order that takes the quantity up, in place of one more order."""
    protection: Protection | None = None
    """The take-profit and stop-loss that go with it."""
    guard_price: Decimal | None = None
    """The worst price at which a market order may trade."""

    @property
    def order_price(self) -> Decimal:
        """What the order would be counted at: its limit, else the reference."""
        return self.price if self.limit_price is None else self.limit_price

    @property
    def counted_price(self) -> Decimal:
        """What limits in quote currency count the order at: the reference that its amount was divided by, or, where its
        limit lies above that, the limit that the signal named."""
        return self.price if self.named_price is None else max(self.price, self.named_price)

    @property
    def least_price(self) -> Decimal:
        """The lowest price at which the venue may count it: a market sale goes out at its guard's."""
        return self.order_price if self.guard_price is None else min(self.order_price, self.guard_price)


def stops_same_side(settings: PlanSettings, *, market: bool) -> bool:
    """Whether an order ends the waiting parts of its own side, as it would cancel such orders if they rested
    (requirement C01). Those of the other side it always ends."""
    return settings.scale_in_mode is ScaleInMode.REPLACE and (market or not settings.cancel_opposite_orders_only)


def waiting(case: Case, draft: Draft) -> list[OpenOrder]:
    """Parts of other signals that wait for their time, trade the order's way, and stay when it is sent."""
    if stops_same_side(case.settings, market=draft.order_type is OrderType.MARKET):
        return []
    return [part for part in case.facts.waiting if part.side is case.side and part.position_side is case.position_side]


def value_of(case: Case, quantity: Decimal, price: Decimal) -> Decimal:
    """What a quantity is worth in quote currency. Inverse contracts are counted in it."""
    return quantity if case.inverse else quantity * price


def quantity_worth(case: Case, value: Decimal, price: Decimal) -> Decimal:
    """The most whole lots that are worth at most `value` at `price`. One exact division, cut towards zero."""
    lot = case.rules.lot
    return value // lot * lot if case.inverse else value // (price * lot) * lot


Step = tuple[Draft, Verdict]
Gate = Callable[[Case, Draft], Step]


def passed(gate: str, draft: Draft, sentence: str, code: str = "", /, **figures: object) -> Step:
    """The gate has nothing against it."""
    return draft, _verdict(gate, Outcome.PASS, code, sentence, figures)


def adjusted(gate: str, draft: Draft, code: str, sentence: str, /, **figures: object) -> Step:
    """The gate changed something, and says what."""
    return draft, _verdict(gate, Outcome.ADJUST, code, sentence, figures)


def rejected(
    gate: str, draft: Draft, code: str, sentence: str, decision: Decision = Decision.REJECT, /, **figures: object
) -> Step:
    """The signal ends here."""
    return replace(draft, decision=decision), _verdict(gate, Outcome.REJECT, code, sentence, figures)


def _verdict(gate: str, outcome: Outcome, code: str, sentence: str, figures: dict[str, object]) -> Verdict:
    texts = {name: plain(figure) if isinstance(figure, Decimal) else str(figure) for name, figure in figures.items()}
    return Verdict(gate=gate, outcome=outcome, code=code, sentence=sentence, figures=texts)


def percent(ratio: Decimal) -> str:
    """A ratio for people, to a hundredth of a percent."""
    return f"{plain((ratio * 100).quantize(Decimal('0.01')))} %"
