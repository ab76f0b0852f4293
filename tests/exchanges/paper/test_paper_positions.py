"""Positions, wallets and margin: what the exchange's own ledger says after each fill, to the last digit."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paper_client import Fields, Listener, PaperClient, rows_of

from exchanges.paper import ApiKey, PaperOptions
from exchanges.paper.accounts import PROTECTING, Account
from exchanges.paper.instruments import INSTRUMENTS
from exchanges.paper.ledger import Position
from exchanges.paper.orders import Execution
from exchanges.paper.refusals import Refusal
from exchanges.paper.store import Selection, Store
from exchanges.paper.venue import PaperVenue
from exchanges.paper.vocabulary import OrderType, Side, TimeInForce, TriggerBy, TriggerDirection
from exchanges.paper.wishes import Amendment, NewOrder, Protection, Trigger


def filled(*fills: tuple[Side, str, str]) -> Position:
    position = Position(uid=1, symbol="BTCUSDT", position_idx=0)
    for side, qty, price in fills:
        position.apply(side, Decimal(price), Decimal(qty), Decimal("0.1"))
    return position


def test_adding_moves_the_average_rounded_half_to_even_at_18_places() -> None:
    position = filled((Side.BUY, "1", "100"), (Side.BUY, "2", "101"))
    assert (position.size, position.avg_price) == (Decimal(3), Decimal("100.666666666666666667"))


def test_closing_realises_and_keeps_the_average() -> None:
    position = filled((Side.BUY, "3", "100"), (Side.SELL, "1", "110"))
    assert (position.size, position.avg_price, position.realised_pnl) == (2, 100, 10)


def test_a_short_position_gains_when_the_price_falls() -> None:
    position = filled((Side.SELL, "3", "100"), (Side.BUY, "3", "90"))
    assert (position.size, position.avg_price, position.realised_pnl) == (0, 0, 30)
    assert position.side is None


def test_a_reversal_closes_and_then_opens_at_the_fills_price() -> None:
    position = filled((Side.BUY, "2", "100"), (Side.SELL, "5", "120"))
    assert (position.size, position.avg_price, position.realised_pnl) == (-3, 120, 40)
    assert position.side is Side.SELL


def test_fees_are_booked_apart_and_the_venues_figure_is_less_fees() -> None:
    position = filled((Side.BUY, "2", "100"), (Side.SELL, "2", "120"))
    assert (position.realised_pnl, position.fees, position.cum_realised_pnl) == (
        40,
        Decimal("0.2"),
        Decimal("39.8"),
    )


def test_the_figure_since_opening_starts_anew_after_flat() -> None:
    position = filled((Side.BUY, "2", "100"), (Side.SELL, "2", "120"), (Side.BUY, "1", "100"))
    assert position.cur_realised_pnl == Decimal("-0.1")
    assert position.cum_realised_pnl == Decimal("39.7")


async def test_a_position_is_shown_with_its_average_over_rest_and_as_entry_price_on_the_stream(
    client: PaperClient, stream: Listener
) -> None:
    await client.placed("Buy", "1.5")
    row = await client.position()
    assert (row["side"], row["size"], row["avgPrice"]) == ("Buy", "1.5", "65013.333333333333333333")
    assert row["cumRealisedPnl"] == "-53.636"
    messages = await stream.until(lambda got: rows_of(got, "wallet"))
    (position,) = rows_of(messages, "position")
    assert (position["entryPrice"], position["size"]) == ("65013.333333333333333333", "1.5")
    assert "avgPrice" not in position
    (wallet,) = rows_of(messages, "wallet")
    assert wallet["coin"][0]["walletBalance"] == "99946.364"


async def test_a_flat_position_has_an_empty_side_and_is_left_out_by_settle_coin(client: PaperClient) -> None:
    assert (await client.position())["side"] == ""
    assert await client.rows("position/list", settleCoin="USDT") == []
    await client.placed("Buy", "0.1")
    (held,) = await client.rows("position/list", settleCoin="USDT")
    assert held["symbol"] == "BTCUSDT"


@pytest.mark.parametrize("qty", ["2", "120"])
async def test_reduce_only_is_cut_to_what_is_held(client: PaperClient, qty: str) -> None:
    """Also what is above the largest market order, which is 119."""
    await client.placed("Buy", "0.5")
    row = await client.placed("Sell", qty, reduceOnly=True)
    assert (row["orderStatus"], row["qty"], row["cumExecQty"]) == ("Filled", "0.5", "0.5")
    assert (await client.position())["size"] == "0"


async def test_reduce_only_in_the_direction_of_the_position_is_refused(client: PaperClient) -> None:
    await client.placed("Buy", "0.5")
    assert (await client.order("Buy", "0.1", "64000", reduceOnly=True))["retCode"] == 110017


async def test_resting_reduce_only_orders_go_with_the_position(client: PaperClient, stream: Listener) -> None:
    await client.placed("Buy", "0.5")
    first = await client.placed("Sell", "0.2", "66000", reduceOnly=True)
    second = await client.placed("Sell", "0.3", "66000", reduceOnly=True)
    assert (await client.order("Sell", "0.1", "66000", reduceOnly=True))["retCode"] == 110017
    await client.placed("Sell", "0.3")
    assert (await client.shown(first["orderId"]))["orderStatus"] == "New"
    gone = await client.shown(second["orderId"])
    assert (gone["orderStatus"], gone["cancelType"]) == ("Cancelled", "CancelByReduceOnly")


async def test_quantity_zero_with_reduce_only_and_close_on_trigger_closes_everything(
    client: PaperClient,
) -> None:
    await client.placed("Buy", "0.7")
    row = await client.placed("Sell", "0", reduceOnly=True, closeOnTrigger=True)
    assert (row["orderStatus"], row["cumExecQty"]) == ("Filled", "0.7")


async def test_hedge_mode_holds_both_sides_apart(client: PaperClient) -> None:
    assert (await client.post("position/switch-mode", symbol="BTCUSDT", mode=3))["retCode"] == 0
    assert (await client.order("Buy", "0.1"))["retCode"] == 10001
    await client.placed("Buy", "0.3", positionIdx=1)
    await client.placed("Sell", "0.2", positionIdx=2)
    long, short = await client.rows("position/list", symbol="BTCUSDT")
    assert (long["positionIdx"], long["side"], long["size"]) == (1, "Buy", "0.3")
    assert (short["positionIdx"], short["side"], short["size"]) == (2, "Sell", "0.2")


async def test_in_hedge_mode_the_closing_side_never_reverses(client: PaperClient) -> None:
    await client.post("position/switch-mode", symbol="BTCUSDT", mode=3)
    assert (await client.order("Sell", "0.1", positionIdx=1))["retCode"] == 110017
    await client.placed("Buy", "0.3", positionIdx=1)
    row = await client.placed("Sell", "0.5", positionIdx=1)
    assert (row["qty"], row["orderStatus"]) == ("0.3", "Filled")


async def test_the_mode_cannot_change_under_a_position_or_an_open_order(client: PaperClient) -> None:
    switch = {"symbol": "BTCUSDT", "mode": 3}
    assert (await client.post("position/switch-mode", symbol="BTCUSDT", mode=0))["retCode"] == 110025
    resting = await client.placed("Buy", "0.1", "64000")
    assert (await client.post("position/switch-mode", **switch))["retCode"] == 110028
    await client.post("order/cancel", symbol="BTCUSDT", orderId=resting["orderId"])
    await client.placed("Buy", "0.1")
    assert (await client.post("position/switch-mode", **switch))["retCode"] == 110024


async def test_leverage_is_set_once_and_within_the_contracts_limit(client: PaperClient) -> None:
    wish = {"symbol": "BTCUSDT", "buyLeverage": "20", "sellLeverage": "20"}
    assert (await client.post("position/set-leverage", **wish))["retCode"] == 0
    assert (await client.post("position/set-leverage", **wish))["retCode"] == 110043
    assert (await client.position())["leverage"] == "20"
    too_high = {"symbol": "BTCUSDT", "buyLeverage": "101", "sellLeverage": "101"}
    assert (await client.post("position/set-leverage", **too_high))["retCode"] == 110013


async def test_open_orders_reserve_their_margin(client: PaperClient) -> None:
    """Deposit 100,000: at leverage 10 an order of 6.4 x 65000 needs 41,600 + 228.80; two fit, three don't."""
    await client.pin(bids=[["64000", "1"]], asks=[["65010", "10"]])
    for _ in range(2):
        assert (await client.order("Buy", "6.4", "65000"))["retCode"] == 0
    assert (await client.order("Buy", "6.4", "65000"))["retCode"] == 110007
    (balance,) = await client.rows("account/wallet-balance", accountType="UNIFIED")
    assert balance["coin"][0]["totalOrderIM"] == "83657.6"
    assert balance["totalAvailableBalance"] == "16342.4"
    await client.post("order/cancel-all", symbol="BTCUSDT")
    assert (await client.order("Buy", "6.4", "65000"))["retCode"] == 0


async def test_an_order_that_closes_what_is_held_needs_no_margin(client: PaperClient) -> None:
    await client.pin(bids=[["65000", "20"]], asks=[["65001", "20"]])
    await client.placed("Buy", "13")
    assert (await client.order("Buy", "4", "64000"))["retCode"] == 110007
    assert (await client.order("Sell", "13", "66000"))["retCode"] == 0


async def test_the_wallet_is_deposit_plus_realised_minus_fees(client: PaperClient) -> None:
    await client.placed("Buy", "1")
    await client.placed("Sell", "1")
    fees = (Decimal(65010) + Decimal(64990)) * Decimal("0.00055")
    assert await client.balance() == Decimal(100_000) - 20 - fees


# -- random sessions ----------------------------------------------------------------------------------------------

KEYS = (ApiKey("a", "a", 1), ApiKey("b", "b", 2))
SYMBOLS = ("BTCUSDT", "DOGEUSDT")


def a_venue() -> tuple[PaperVenue, Store]:
    store = Store(None)
    ticks = iter(range(10**18, 10**19))
    options = PaperOptions(keys=KEYS, seed=7, deposit=Decimal(1_000_000), id_salt="p")
    return PaperVenue(options, store, lambda: next(ticks)), store


def rational_ledger(executions: list[Execution]) -> tuple[Fraction, Decimal, Fraction, Fraction]:
    """(size, average, realised, fees), worked out in fractions; a share of the cost is rounded to 18 places, and so is
    the average that is shown."""
    size = realised = fees = cost = average = Fraction(0)
    for execution in executions:
        sign = 1 if execution.side == "Buy" else -1
        price, qty = Fraction(execution.price), Fraction(execution.qty)
        fees += Fraction(execution.fee)
        if size * sign < 0:
            closed = min(abs(size), qty)
            share = cost if closed == abs(size) else rounded(cost * closed / abs(size))
            realised += (price * closed - share) * -sign
            size, cost, qty = size + closed * sign, cost - share, qty - closed
            if size == 0:
                average = Fraction(0)
        if qty:
            size, cost = size + qty * sign, cost + price * qty
            average = rounded(cost / abs(size))
    return size, Decimal(average.numerator) / Decimal(average.denominator), realised, fees


def rounded(value: Fraction) -> Fraction:
    return Fraction(round(value * 10**18), 10**18)  # round() on a Fraction is half to even


KINDS = [
    "create",
    "create",
    "create",
    "create",
    "conditional",
    "cancel",
    "amend",
    "step",
    "step",
    "cancel_all",
]
steps = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.integers(0, 1),
        st.sampled_from(SYMBOLS),
        st.sampled_from(list(Side)),
        st.integers(1, 4000),
        st.integers(-40, 40),
        st.sampled_from([*TimeInForce, None]),
        st.sampled_from(["", "", "reduce", "protect"]),
    ),
    max_size=40,
)


def a_trigger(price: Decimal, offset: int) -> Trigger:
    return Trigger(price, TriggerDirection.RISE if offset > 0 else TriggerDirection.FALL, TriggerBy.MARK)


def play(venue: PaperVenue, session: list[tuple[object, ...]]) -> None:
    """Run a random session; refusals are part of it."""
    for kind, who, symbol, side, lots, offset, tif, manner in session:
        uid, instrument = who + 1, INSTRUMENTS[symbol]
        account = venue.accounts[uid]
        near = instrument.tick * 20
        price = venue.mark_price(symbol) + offset * near
        qty = lots * instrument.lot
        try:
            match kind:
                case "create" | "conditional":
                    far = near * 60 * side.sign
                    wish = NewOrder(
                        instrument=instrument,
                        side=side,
                        order_type=OrderType.LIMIT if tif else OrderType.MARKET,
                        qty=qty,
                        price=price if tif else None,
                        time_in_force=tif or TimeInForce.IOC,
                        order_link_id="",
                        position_idx=0,
                        reduce_only=manner == "reduce",
                        close_on_trigger=False,
                        trigger=a_trigger(price, offset) if kind == "conditional" else None,
                        protection=Protection(price + far, price - far) if manner == "protect" else Protection(),
                    )
                    venue.create(uid, wish)
                case "cancel" if account.open_orders:
                    venue.cancel(list(account.open_orders.values())[lots % len(account.open_orders)])
                case "amend" if account.open_orders:
                    order = list(account.open_orders.values())[lots % len(account.open_orders)]
                    venue.amend(order, Amendment(qty, None if manner else price))
                case "cancel_all":
                    venue.cancel_all(uid, [symbol])
                case "step":
                    venue.step(symbol)
        except Refusal:
            continue


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(session=steps)
def test_wallets_and_positions_follow_from_the_executions_exactly(session: list[tuple[object, ...]]) -> None:
    venue, store = a_venue()
    play(venue, session)
    for uid, account in venue.accounts.items():
        executions = sorted(store.executions(Selection(uid=uid)), key=lambda execution: execution.seq)
        realised_sum = fee_sum = Fraction(0)
        for symbol in SYMBOLS:
            position = account.position(symbol, 0)
            size, average, realised, fees = rational_ledger([e for e in executions if e.symbol == symbol])
            assert Fraction(position.size) == size
            assert Fraction(position.avg_price) == Fraction(average)
            assert Fraction(position.realised_pnl) == realised
            assert Fraction(position.fees) == fees
            realised_sum += realised
            fee_sum += fees
        assert Fraction(account.wallet.balance()) == 1_000_000 + realised_sum - fee_sum
    store.close()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(session=steps)
def test_orders_agree_with_their_executions_and_open_sums_with_the_open_orders(
    session: list[tuple[object, ...]],
) -> None:
    venue, store = a_venue()
    play(venue, session)
    for uid, account in venue.accounts.items():
        executions = store.executions(Selection(uid=uid))
        for order in store.orders(Selection(uid=uid)):
            own = [execution for execution in executions if execution.order_id == order.order_id]
            assert sum(execution.qty for execution in own) == order.cum_qty
            assert sum(execution.value for execution in own) == order.cum_value
            assert sum(execution.fee for execution in own) == order.cum_fee
            assert order.cum_qty <= order.qty
            assert order.status.is_open == (order.order_id in account.open_orders)
        for symbol in SYMBOLS:
            check_open_sums(account, symbol)
            market = venue.markets[symbol]
            bid, ask = market.best(Side.BUY), market.best(Side.SELL)
            assert bid is None or ask is None or bid < ask
    store.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(session=steps)
def test_books_that_are_opened_again_are_the_same(session: list[tuple[object, ...]]) -> None:
    venue, store = a_venue()
    play(venue, session)
    again = PaperVenue(venue.options, store, venue.clock)
    for uid, account in venue.accounts.items():
        reopened = again.accounts[uid]
        assert reopened.wallet == account.wallet
        assert set(reopened.open_orders) == set(account.open_orders)
        assert reopened.order_margins("USDT") == account.order_margins("USDT")
        for symbol in SYMBOLS:
            assert reopened.position(symbol, 0) == account.position(symbol, 0)
            check_open_sums(reopened, symbol)
            assert again.mark_price(symbol) == venue.mark_price(symbol)
    store.close()


def check_open_sums(account: Account, symbol: str) -> None:
    sums = account.sums(symbol, 0)
    mine = [order for order in account.open_orders.values() if order.symbol == symbol]
    mine = [order for order in mine if not order.is_waiting]
    adding = [order for order in mine if not order.reduces]
    assert sums.buy_qty == sum(order.leaves_qty for order in adding if order.side is Side.BUY)
    assert sums.sell_value == sum(order.leaves_qty * order.price for order in adding if order.side is Side.SELL)
    assert account.open_count(symbol) == len(mine)
    position = account.position(symbol, 0)
    for kind in PROTECTING:
        child = account.protecting(symbol, 0, kind)
        assert child is None or child.qty == position.closable(child.side) > 0
    for side in Side:
        assert sums.reducing_qty(side) <= position.closable(side)


async def test_over_the_wire_two_accounts_lose_only_fees_to_the_exchange(
    client: PaperClient, other: PaperClient
) -> None:
    """What one account realises against the other the other loses: the sum of the wallets is deposits minus fees."""
    await client.pin()
    for price in ("65000", "65100", "64900"):
        await client.placed("Buy", "0.3", price)
        await other.placed("Sell", "0.3", price)
        await other.placed("Buy", "0.4", price)
        await client.placed("Sell", "0.4", price)
    wallets = [await one.books(uid=uid, only="wallet") for one, uid in ((client, 100_001), (other, 100_002))]
    realised = sum(Decimal(shown["wallet"]["realised_pnl"]) for shown in wallets)
    positions: list[Fields] = [await client.position(), await other.position()]
    sizes = [Decimal(row["size"]) * (1 if row["side"] == "Buy" else -1) for row in positions]
    assert sum(sizes) == 0
    assert realised + sum(Decimal(row["unrealisedPnl"]) for row in positions) == 0
