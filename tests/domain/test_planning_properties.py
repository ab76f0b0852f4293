"""What holds of every plan, whatever the signal, the market and the account (requirements D02, D04, D10, D13, R02)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

import msgspec
from domain_cases import BTC, NOW, SPOT_BTC, facts, open_order, rules, signal, signal_fields
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.drafts import Case, Draft, quantity_worth
from domain.ids import is_ours
from domain.instruments import Instrument, InstrumentRules, Quote
from domain.limits import AccountLoad, Limits, RiskAction
from domain.orders import OrderType, PositionSide, Side
from domain.planning import plan_signal
from domain.plans import Decision, Facts, OpenOrder, Plan, PlanSettings, PositionMode, ScaleInMode, TradingState
from domain.signals import Signal, parse_signal
from domain.sizing import size

_ZERO = Decimal(0)
_STEPS = st.sampled_from(["0.00000001", "0.0001", "0.001", "0.01", "0.05", "0.25", "0.3", "1", "10"]).map(Decimal)
_PRICES = st.one_of(
    st.decimals("0.00000001", "0.01", places=8),
    st.decimals("0.01", "200000", places=2),
    st.decimals("0.000000000000000001", "1", places=18),
)
_AMOUNTS = st.one_of(
    st.decimals("0.01", "100000", places=2),
    st.decimals("0.000000000000000001", "999999999999999999", places=18),
)
_Drawn = TypeVar("_Drawn")


def _often(usual: _Drawn, unusual: st.SearchStrategy[_Drawn]) -> st.SearchStrategy[_Drawn]:
    """The usual thing four times of five."""
    return st.integers(0, 4).flatmap(lambda number: unusual if number == 4 else st.just(usual))


@dataclass(frozen=True, slots=True)
class Market:
    """An instrument's grid and a price on or beside it: what the sizes of everything else are drawn from."""

    tick: Decimal
    lot: Decimal
    price: Decimal

    def amount(self, lots: Decimal) -> Decimal:
        """What so many lots cost, as a figure that a signal may hold."""
        return max(Decimal("1e-18"), (lots * self.lot * self.price).quantize(Decimal("1e-18")))


@st.composite
def _markets(draw: st.DrawFn) -> Market:
    tick, lot = draw(_STEPS), draw(_STEPS)
    beside = tick * draw(st.sampled_from(["0", "0.1", "0.5", "0.999"]).map(Decimal))
    return Market(tick, lot, tick * draw(st.integers(2, 100_000)) + beside)


@dataclass(frozen=True, slots=True)
class Situation:
    wish: Signal
    known: Facts
    chosen: PlanSettings
    instrument: Instrument
    phase: int

    def plan(self) -> Plan:
        return plan_signal(
            self.wish,
            self.known,
            self.chosen,
            instrument=self.instrument,
            source="signals-0-7",
            phase=2 if self.phase == 2 else 1,
        )


_LOTS = st.decimals("0.5", "5000", places=3)


@st.composite
def _rules(draw: st.DrawFn, instrument: Instrument, market: Market) -> InstrumentRules:
    most = _often(_ZERO, st.integers(1, 5000).map(lambda lots: lots * market.lot))
    return rules(
        instrument=instrument,
        tick=market.tick,
        lot=market.lot,
        min_quantity=market.lot * draw(st.integers(0, 3)),
        max_quantity=draw(most),
        max_market_quantity=draw(most),
        min_notional=draw(_often(_ZERO, st.integers(1, 100).map(lambda lots: lots * market.lot * market.price))),
        min_price=draw(_often(_ZERO, st.just(market.price))),
        max_price=draw(_often(_ZERO, st.just(market.price))),
    )


@st.composite
def _wishes(draw: st.DrawFn, market: Market) -> Signal:
    spread = market.price * draw(st.sampled_from(["0.0001", "0.002", "0.1"]).map(Decimal))
    near = st.sampled_from(["0.9", "1", "1.0001", "1.1"]).map(lambda ratio: str(market.price * Decimal(ratio)))
    fields = signal_fields(
        signal_type=draw(st.sampled_from(["buy", "sell"])),
        amount=str(market.amount(draw(_LOTS))),
        market_data_snapshot=draw(_often({"price": str(market.price), "spread": str(spread)}, st.none())),
        confidence=draw(st.sampled_from([None, "0.5", "0.95"])),
        order_type=draw(_often(None, st.sampled_from(["market", "limit"]))),
        limit_price=draw(_often(None, near)),
        time_in_force=draw(_often(None, st.sampled_from(["GTC", "IOC", "FOK"]))),
        reduce_only=draw(_often(None, st.booleans())),
        post_only=draw(_often(None, st.booleans())),
        position_side=draw(_often(None, st.sampled_from(["net", "long", "short"]))),
    )
    return parse_signal(json.dumps(fields).encode(), record_time_ns=NOW, max_bytes=10_000)


@st.composite
def _open_orders(draw: st.DrawFn, market: Market) -> tuple[OpenOrder, ...]:
    return tuple(
        open_order(
            f"o{number}",
            side=draw(st.sampled_from(list(Side))),
            order_type=draw(st.sampled_from(list(OrderType))),
            price=draw(st.sampled_from([market.price, None])),
            leaves=market.lot * draw(st.integers(0, 2000)),
            executed=draw(_often(_ZERO, st.just(market.lot))),
            in_doubt=draw(_often(False, st.just(True))),
            external=draw(st.booleans()),
        )
        for number in range(draw(_often(0, st.integers(1, 3))))
    )


@st.composite
def _limits(draw: st.DrawFn, market: Market) -> Limits:
    most = _often(None, _LOTS.map(market.amount))
    return Limits(
        max_order_size=draw(most),
        max_market_order_size=draw(most),
        max_order_size_ratio=draw(_often(None, st.sampled_from(["0.1", "0.5"]).map(Decimal))),
        max_position_size=draw(most),
        max_exposure=draw(most),
    )


@st.composite
def _situations(draw: st.DrawFn) -> Situation:
    instrument, market = draw(st.sampled_from([BTC, SPOT_BTC])), draw(_markets())
    half = market.price * draw(st.sampled_from(["0.00001", "0.001", "2"]).map(Decimal))
    last = market.price
    known = Facts(
        now_ns=NOW,
        record_time_ns=NOW,
        account="main",
        attempt=draw(st.integers(1, 3)),
        rules=draw(_rules(instrument, market)),
        quote=draw(_often(Quote(bid=last - half, ask=last + half, last=last, mark=last, at_ns=NOW), st.none())),
        position_size=market.lot * draw(st.integers(-2000, 6000)),
        open_orders=draw(_open_orders(market)),
        available=draw(_often(market.amount(Decimal(20_000)), st.one_of(st.none(), _LOTS.map(market.amount)))),
        reserved=draw(_often(_ZERO, _LOTS.map(market.amount))),
        trading=draw(_often(TradingState.ARMED, st.just(TradingState.REDUCE_ONLY))),
        limits=draw(_limits(market)),
        load=draw(_often(AccountLoad(), _LOTS.map(lambda lots: AccountLoad(exposure=market.amount(lots))))),
    )
    chosen = PlanSettings(
        allow_short=draw(st.booleans()),
        cash_reserve=draw(_often(_ZERO, _LOTS.map(market.amount))),
        leverage=draw(st.sampled_from(["1", "3"]).map(Decimal)),
        cancel_opposite_orders_only=draw(st.booleans()),
        scale_in_mode=draw(st.sampled_from(list(ScaleInMode))),
        position_mode=draw(_often(PositionMode.ONE_WAY, st.just(PositionMode.HEDGE))),
        enable_order_splitting=draw(st.booleans()),
        max_single_order_size=draw(st.one_of(st.none(), _LOTS.map(market.amount))),
        split_interval_ns=draw(st.sampled_from([0, 1_000_000_000])),
        risk_action=draw(st.sampled_from(list(RiskAction))),
        cancel_partially_filled=draw(st.booleans()),
    )
    return Situation(draw(_wishes(market)), known, chosen, instrument, draw(st.integers(1, 2)))


@given(_situations())
@settings(max_examples=250)
def test_d04_an_intent_is_never_over_the_amount_always_on_the_grid_and_within_the_venues_bounds(situation):
    made = situation.plan()

    grid = situation.known.rules
    assert grid is not None
    if made.reference_price is not None:
        assert sum(intent.quantity for intent in made.intents) * made.reference_price <= situation.wish.amount
        assert sum(intent.amount for intent in made.intents) <= situation.wish.amount
    assert len({intent.order_id for intent in made.intents}) == len(made.intents)
    for intent in made.intents:
        assert made.reference_price is not None
        assert 0 < intent.quantity * made.reference_price <= situation.wish.amount
        assert intent.quantity % grid.lot == 0
        assert intent.quantity >= grid.min_quantity
        market = intent.order_type is OrderType.MARKET
        most = grid.max_market_quantity if market else grid.max_quantity
        assert not most or intent.quantity <= most
        price = made.reference_price if intent.price is None else intent.price
        assert intent.quantity * price >= grid.min_notional
        assert intent.price is not None, "a market order carries its guard"
        if intent.price is not None:
            assert intent.price > 0
            assert intent.price % grid.tick == 0
            assert intent.price >= grid.min_price
            assert not grid.max_price or intent.price <= grid.max_price


@given(_situations())
def test_d02_a_derived_limit_price_is_never_on_the_aggressive_side_of_the_reference(situation):
    made = situation.plan()

    for intent in made.intents:
        passive_to = situation.wish.limit_price or made.reference_price
        if intent.order_type is OrderType.LIMIT and intent.price is not None and passive_to is not None:
            assert (intent.price - passive_to) * intent.side.sign <= 0


@given(_situations())
def test_d10_no_sale_sells_what_is_not_held_where_shorts_are_not_allowed(situation):
    made = situation.plan()

    spot = situation.instrument == SPOT_BTC
    for intent in made.intents:
        if intent.side is Side.SELL and (spot or not situation.chosen.allow_short):
            assert sum(each.quantity for each in made.intents) <= abs(situation.known.position_size)
            assert intent.position_side is not PositionSide.SHORT
            assert intent.reduce_only is not spot


@given(_situations())
def test_r02_what_adds_exposure_is_always_paid_for(situation):
    made = situation.plan()

    opens = any(found.gate == "scale_out" and found.figures.get("opening", "0") != "0" for found in made.verdicts)
    if made.intents and opens:
        figures = made.verdicts[-1].figures
        assert situation.known.available is not None
        free = situation.known.available - situation.known.reserved - situation.chosen.cash_reserve
        shrunk_to_closing = "need" not in figures
        assert shrunk_to_closing or Decimal(figures["need"]) <= free
        assert situation.known.trading is TradingState.ARMED


@given(_situations())
@settings(max_examples=250)
def test_r03_no_order_is_over_a_limit_of_size(situation):
    made, limits = situation.plan(), situation.known.limits

    price = made.reference_price
    total = sum((intent.quantity for intent in made.intents), _ZERO)
    for intent in made.intents:
        assert price is not None
        if limits.max_order_size is not None:
            assert total * price <= limits.max_order_size
        if limits.max_market_order_size is not None and intent.order_type is OrderType.MARKET:
            assert total * price <= limits.max_market_order_size
        if situation.chosen.enable_order_splitting and situation.chosen.max_single_order_size is not None:
            assert intent.quantity * price <= situation.chosen.max_single_order_size
    opening = next((each.figures.get("opening") for each in made.verdicts if each.gate == "scale_out"), "0")
    if made.intents and opening not in {None, "0"} and price is not None and situation.known.load is not None:
        held = situation.known.position_size * situation.wish.side.sign
        after = (
            max(_ZERO, held + total) if situation.chosen.position_mode is PositionMode.ONE_WAY else abs(held) + total
        )
        if limits.max_position_size is not None:
            assert after * price <= limits.max_position_size
        if limits.max_exposure is not None:
            assert after * price + situation.known.load.exposure <= limits.max_exposure


@given(_situations())
def test_c01_a_plan_cancels_or_creates_never_both_and_touches_only_resting_orders_of_ours(situation):
    made = situation.plan()

    orders = {order.order_id: order for order in situation.known.open_orders}
    assert bool(made.cancels) + bool(made.intents) + bool(made.amends) == (made.decision is Decision.EXECUTE)
    assert not made.cancels or made.phase == 1
    for cancel in made.cancels:
        assert not orders[cancel.order_id].external
        assert not orders[cancel.order_id].in_doubt
    assert all(is_ours("om", intent.order_id) for intent in made.intents)


@given(_situations())
def test_d13_the_same_situation_gives_the_same_plan_byte_for_byte(situation):
    written = msgspec.json.encode(situation.plan())

    assert msgspec.json.encode(situation.plan()) == written
    reread = Situation(
        parse_signal(situation.wish.model_dump_json(by_alias=True).encode(), record_time_ns=NOW, max_bytes=10_000),
        msgspec.json.decode(msgspec.json.encode(situation.known), type=Facts),
        msgspec.json.decode(msgspec.json.encode(situation.chosen), type=PlanSettings),
        situation.instrument,
        situation.phase,
    )
    assert msgspec.json.encode(reread.plan()) == written
    assert msgspec.json.encode(msgspec.json.decode(written, type=Plan)) == written


@given(_AMOUNTS, _PRICES, _STEPS)
@settings(max_examples=500)
def test_d04_the_quantity_is_the_most_lots_that_the_amount_pays_for(amount, price, lot):
    case = Case(signal(), facts(rules=rules(lot=lot)), PlanSettings(), BTC, 1)

    quantity = quantity_worth(case, amount, price)

    assert quantity % lot == 0
    assert quantity * price <= amount < (quantity + lot) * price


@given(_situations())
def test_d04_sizing_either_gives_a_quantity_or_says_that_it_is_less_than_a_lot(situation):
    case = Case(situation.wish, situation.known, situation.chosen, situation.instrument, 1)

    sized, verdict = size(case, Draft(price=Decimal(3)))

    assert (sized.quantity > 0) == (verdict.code != "BELOW_ONE_LOT")
