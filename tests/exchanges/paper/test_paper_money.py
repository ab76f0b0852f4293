"""Money is conserved: per coin, wallets, fees and the market maker together are what was deposited, to the last digit.

Random sessions over spot, linear and inverse markets whose books, accounts and coins hang together.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from exchanges.paper import ApiKey, PaperOptions
from exchanges.paper.exact import ARITHMETIC, ZERO, exactly, floored
from exchanges.paper.instruments import COINS, MARKETS
from exchanges.paper.refusals import Refusal
from exchanges.paper.store import Store
from exchanges.paper.trading_stop import TradingStop
from exchanges.paper.venue import PaperVenue
from exchanges.paper.vocabulary import (
    Category,
    MarketUnit,
    OrderType,
    Side,
    SmpType,
    TimeInForce,
    TpslMode,
    TriggerBy,
    TriggerDirection,
)
from exchanges.paper.wishes import Amendment, NewOrder, Protection, Trigger

KEYS = (ApiKey("a", "a", 1), ApiKey("b", "b", 2))
KEYS_OF_MARKETS = ("BTCUSDT", "BTCUSD", "spot:BTCUSDT", "spot:ETHBTC", "spot:ETHUSDT")
DEPOSIT, COINS_DEPOSITED = Decimal(1_000_000), (("BTC", Decimal(20)), ("ETH", Decimal(400)))
DEEDS = ("create", "create", "create", "create", "wait", "cancel", "amend", "step", "stop", "fund", "liquidate")

deeds = st.lists(
    st.tuples(
        st.sampled_from(DEEDS),
        st.integers(1, 2),
        st.sampled_from(KEYS_OF_MARKETS),
        st.sampled_from(list(Side)),
        st.integers(1, 3000),
        st.integers(-40, 40),
        st.sampled_from([*TimeInForce, None, None]),
        st.sampled_from(["", "", "reduce", "full", "partial", "smp"]),
    ),
    max_size=40,
)
Deed = tuple[str, int, str, Side, int, int, TimeInForce | None, str]


def a_venue(seed: int) -> tuple[PaperVenue, Store]:
    store = Store(None)
    ticks = iter(range(10**18, 10**19))
    options = PaperOptions(keys=KEYS, seed=seed, deposit=DEPOSIT, coins=COINS_DEPOSITED, id_salt="m")
    return PaperVenue(options, store, lambda: next(ticks)), store


@exactly
def play(venue: PaperVenue, session: Iterable[Deed]) -> None:
    """Run a random session; refusals are part of it."""
    for deed in session:
        try:
            act(venue, *deed)
        except Refusal:
            continue


def act(
    venue: PaperVenue,
    kind: str,
    uid: int,
    key: str,
    side: Side,
    size: int,
    offset: int,
    tif: TimeInForce | None,
    how: str,
) -> None:
    instrument, account = MARKETS[key], venue.accounts[uid]
    price = floored(venue.mark_price(key) * (10_000 + 5 * offset) / 10_000, instrument.tick)
    qty = (
        Decimal(size * 10)
        if instrument.is_inverse
        else floored(Decimal(size * 10) / (65_000 if instrument.base == "BTC" else 3200), instrument.lot)
    )
    open_orders = list(account.open_orders.values())
    match kind:
        case "create" | "wait":
            venue.create(uid, wish_of(key, side, price, qty, offset, tif, how, waits=kind == "wait"))
        case "cancel" if open_orders:
            venue.cancel(open_orders[size % len(open_orders)])
        case "amend" if open_orders:
            order = open_orders[size % len(open_orders)]
            venue.amend(order, Amendment(qty=qty or None, price=None if how else price))
        case "step":
            venue.step(key)
        case "stop" if not instrument.is_spot:
            held = account.position(instrument.symbol, 0).side or Side.BUY
            far = floored(price * held.sign / 500, instrument.tick)
            wish = Protection(price + far, price - far, mode=TpslMode.PARTIAL if how == "partial" else TpslMode.FULL)
            venue.set_trading_stop(
                uid, instrument, TradingStop(0, wish, abs(far) if how == "smp" else None, ZERO, None)
            )
        case "fund" if not instrument.is_spot:
            venue.fund(key, Decimal(offset) / 10_000, [1, 2])
        case "liquidate" if not instrument.is_spot and size > 2500:
            venue.liquidate(uid, key, 0)


def wish_of(
    key: str, side: Side, price: Decimal, qty: Decimal, offset: int, tif: TimeInForce | None, how: str, *, waits: bool
) -> NewOrder:
    """An order as its admission would have made it."""
    instrument = MARKETS[key]
    far = floored(price * side.sign / 300, instrument.tick)
    protection, trigger, unit = Protection(), None, None
    if how in {"full", "partial"} and (tif or not instrument.is_spot):
        mode = TpslMode.PARTIAL if how == "partial" or instrument.is_spot else TpslMode.FULL
        protection = Protection(price + far, price - far, mode=mode)
    if waits:
        direction = TriggerDirection.RISE if offset > 0 else TriggerDirection.FALL
        trigger = Trigger(price, None if instrument.is_spot else direction, TriggerBy.MARK)
    if instrument.is_spot and tif is None:
        unit = MarketUnit.QUOTE if offset % 2 else MarketUnit.BASE
        qty = floored(qty * price, instrument.quote_step) if unit is MarketUnit.QUOTE else qty
    return NewOrder(
        instrument=instrument,
        side=side,
        order_type=OrderType.LIMIT if tif else OrderType.MARKET,
        qty=qty or instrument.min_qty,
        price=price if tif else None,
        time_in_force=tif or TimeInForce.IOC,
        order_link_id="",
        position_idx=0,
        reduce_only=how == "reduce" and not instrument.is_spot,
        close_on_trigger=False,
        trigger=trigger,
        protection=protection,
        market_unit=unit,
        smp_type=SmpType.CANCEL_MAKER if how == "smp" else SmpType.NONE,
    )


@exactly
def in_existence(venue: PaperVenue, coin: str) -> Decimal:
    """All of a coin: wallets, what open positions have put into it, fees, and the market maker's end."""
    total = ZERO
    for account in venue.accounts.values():
        total += account.wallet.balance(coin)
        for position in account.held(coin):
            stake = position.cost if position.size > 0 else -position.cost
            total += stake if position.is_inverse else -stake
    house = venue.house.coin(coin)
    return total + house.fees + house.market_maker


@pytest.mark.parametrize("seed", range(3))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(session=deeds)
def test_no_coin_appears_or_vanishes(seed: int, session: list[Deed]) -> None:
    note(f"seed of the market: {seed}")
    venue, store = a_venue(seed)
    play(venue, session)
    deposited = {"USDT": DEPOSIT, **dict(COINS_DEPOSITED)}
    for coin in COINS:
        assert in_existence(venue, coin) == 2 * deposited.get(coin, ZERO), coin
    store.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(session=deeds)
def test_what_is_locked_is_what_open_spot_orders_would_give(session: list[Deed]) -> None:
    venue, store = a_venue(7)
    play(venue, session)
    for account in venue.accounts.values():
        owed = dict.fromkeys(COINS, ZERO)
        for order in account.open_orders.values():
            holds = order.is_spot and (not order.is_waiting or order.stop_order_type.value == "tpslOrder")
            if holds and not order.is_by_value:
                pair = MARKETS[order.market_key]
                sells = order.side is Side.SELL
                price = order.price or order.trigger_price
                owed[pair.base if sells else pair.quote] += order.leaves_qty if sells else order.leaves_qty * price
        for coin, amount in owed.items():
            assert account.locked(coin) == amount, coin
            if coin not in {"USDT", "BTC"}:  # those settle contracts too, whose losses may use up what is locked
                assert account.wallet.balance(coin) >= amount, coin
    store.close()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(session=deeds)
def test_books_of_all_categories_are_the_same_when_they_are_opened_again(session: list[Deed]) -> None:
    venue, store = a_venue(7)
    play(venue, session)
    again = PaperVenue(venue.options, store, venue.clock)
    assert again.house == venue.house
    for uid, account in venue.accounts.items():
        reopened = again.accounts[uid]
        assert reopened.wallet == account.wallet
        assert set(reopened.open_orders) == set(account.open_orders)
        for coin in COINS:
            assert reopened.locked(coin) == account.locked(coin)
            assert reopened.order_margins(coin) == account.order_margins(coin)
        for position in account.held():
            assert reopened.position(position.symbol, position.position_idx) == position
    store.close()


def test_categories_are_told_apart_by_their_markets() -> None:
    assert {MARKETS[key].category for key in KEYS_OF_MARKETS} == set(Category) - {Category.OPTION}
    assert ARITHMETIC.prec == 60
