"""What only Bybit has, end to end against the paper exchange: rates, clocks, hedge mode (X04, X07, D11)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from domain.errors import NotAccepted, NotFoundOrTooLate, RateLimited, Refused
from domain.instruments import Instrument
from domain.orders import OrderType, PositionSide, Side, TimeInForce
from domain.updates import Call, FillKind
from exchanges.bybit.errors import CallKind
from exchanges.bybit.options import BybitOptions, RateLimits, StreamTimings
from exchanges.bybit.stream import BybitPrivateStream
from exchanges.bybit.trading import BybitTrading
from exchanges.http import Timeouts
from exchanges.paper import PaperExchange, PaperOptions
from exchanges.paper import options as paper
from exchanges.rate_limit import Rate
from exchanges.venue import CallHooks, NewOrder, OrderRef

BTC = Instrument("bybit", "linear", "BTCUSDT")
PATIENT = Timeouts(connect_s=1.0, read_s=2.0, total_s=3.0)
MakeAdapter = Callable[..., BybitTrading]


ACCOUNT: dict[str, Any] = {"key": "paper-key", "secret": "paper-secret", "timeouts": PATIENT}


@asynccontextmanager
async def exchange_with(**limits: int) -> AsyncIterator[PaperExchange]:
    options = PaperOptions(
        port=0, market_interval_s=0, ack_delay_s=0.001, rate_limits=paper.RateLimits(**limits), leverage=Decimal(100)
    )
    async with PaperExchange(options) as exchange:
        yield exchange


async def control(exchange: PaperExchange, call: str, **wish: object) -> None:
    async with aiohttp.ClientSession() as http, http.post(f"{exchange.url}/paper/{call}", json=wish) as reply:
        assert reply.status == 200, await reply.text()


def resting(number: int) -> NewOrder:
    return NewOrder(BTC, f"rest{number}", Side.BUY, OrderType.LIMIT, Decimal("0.01"), Decimal(60000), TimeInForce.GTC)


async def create_in_time(trading: BybitTrading, number: int) -> int:
    """Create as a caller does, waiting as told when throttled all the same; returns how often that was."""
    for throttled in range(10):
        await trading.admit(Call.CREATE)
        try:
            await trading.create(resting(number))
        except RateLimited as error:
            await asyncio.sleep(error.retry_after_s)
        else:
            return throttled
    raise AssertionError(f"order {number} was throttled again and again")


@pytest.mark.parametrize("workers", [1, 2])
async def test_x07_workers_keep_their_accounts_limit_together(adapter: MakeAdapter, workers: int) -> None:
    waits: list[tuple[str, float]] = []
    hooks = CallHooks(on_rate_limit=lambda group, seconds: waits.append((group, seconds)))
    async with exchange_with(orders_per_s=10) as exchange:
        desks = [adapter(exchange.url, hooks=hooks, **ACCOUNT) for _ in range(workers)]
        for desk in desks:
            desk.set_workers(workers)
        began_s = time.monotonic()
        throttled = await asyncio.gather(*(create_in_time(desks[n % workers], n) for n in range(25)))
        assert time.monotonic() - began_s >= 2.0
        assert len(await desks[0].open_orders("linear")) == 25
    # On a busy machine a call may arrive so late that the next window finds it there; hardly more than that.
    assert sum(throttled) <= 3
    assert {group for group, _ in waits} == {"create"}


@pytest.mark.parametrize("skew_ms", [10_000, -10_000])
async def test_a_clock_that_is_off_is_corrected_by_the_first_complaint_for_rest_and_stream(
    adapter: MakeAdapter, skew_ms: int
) -> None:
    async with exchange_with() as exchange:
        await control(exchange, "faults", kind="clock_skew", skew_ms=skew_ms)
        trading = adapter(exchange.url, **ACCOUNT)
        with pytest.raises(NotAccepted, match="CLOCK_SKEW"):
            await trading.balances()
        assert await trading.balances()
        assert abs(trading.server_time.offset_ms - skew_ms) < 200


async def test_a_stream_refused_for_the_clock_gets_in_once_rest_has_corrected_it(adapter: MakeAdapter) -> None:
    async with exchange_with() as exchange:
        await control(exchange, "faults", kind="clock_skew", skew_ms=20_000)
        trading = adapter(exchange.url, **ACCOUNT)
        options = trading_options(trading, exchange)
        stream = BybitPrivateStream(options, server_time=trading.server_time)
        events = stream.events()
        async with asyncio.timeout(10):
            assert (await anext(events)).connected is False
            with pytest.raises(NotAccepted, match="CLOCK_SKEW"):
                await trading.balances()
            while not (await anext(events)).connected:
                pass
        await stream.close()
        await events.aclose()  # type: ignore[attr-defined]  # it is a generator


def trading_options(trading: BybitTrading, exchange: PaperExchange) -> BybitOptions:
    return replace(
        trading._options,
        stream_url=f"{exchange.stream_url}/v5/private",
        stream=StreamTimings(backoff_base_s=0.05, backoff_cap_s=0.2),
    )


async def test_d11_in_hedge_mode_orders_fills_and_positions_name_their_side(adapter: MakeAdapter) -> None:
    def market(name: str, side: Side, position_side: PositionSide, quantity: str) -> NewOrder:
        return NewOrder(
            BTC,
            name,
            side,
            OrderType.MARKET,
            Decimal(quantity),
            None,
            TimeInForce.IOC,
            position_side=position_side,
        )

    async with exchange_with() as exchange:
        trading = adapter(exchange.url, hedge=True, **ACCOUNT)
        switch = {"category": "linear", "symbol": "BTCUSDT", "mode": 3}
        await trading._rest.post("/v5/position/switch-mode", switch, call=CallKind.CREATE, bucket="create")
        for order in (
            market("long1", Side.BUY, PositionSide.LONG, "0.3"),
            market("short1", Side.SELL, PositionSide.SHORT, "0.2"),
            market("long2", Side.SELL, PositionSide.LONG, "0.1"),
        ):
            await trading.create(order)
        fills = await trading.executions("linear", since_ns=time.time_ns() - 10**12)
        sides = {fill.client_order_id: fill.position_side for fill in fills}
        assert sides == {"long1": PositionSide.LONG, "short1": PositionSide.SHORT, "long2": PositionSide.LONG}
        report = await trading.order(OrderRef(BTC, "long2"))
        assert report is not None
        assert report.position_side is PositionSide.LONG
        sizes = {position.side: position.size for position in await trading.positions("linear")}
        assert sizes == {PositionSide.LONG: Decimal("0.2"), PositionSide.SHORT: Decimal("-0.2")}

        await control(exchange, "funding", symbol="BTCUSDT", rate="0.001")
        paid = await trading.payments("linear", since_ns=time.time_ns() - 10**12)
        assert {payment.position_side: payment.fee > 0 for payment in paid} == {
            PositionSide.LONG: True,
            PositionSide.SHORT: False,
        }
        assert {payment.fill_kind for payment in paid} == {FillKind.FUNDING}


async def test_d11_the_mode_is_refused_while_an_order_or_a_position_has_the_other_one(adapter: MakeAdapter) -> None:
    async with exchange_with() as exchange:
        trading, hedged = (adapter(exchange.url, hedge=hedge, **ACCOUNT) for hedge in (False, True))
        await trading.create(resting(1))

        with pytest.raises(Refused, match="BTCUSDT has an open order in one-way mode"):
            await trading.set_position_mode(hedge=True)

        await trading.set_position_mode(hedge=False)
        await trading.cancel(OrderRef(BTC, "rest1"))
        await trading.set_position_mode(hedge=True)
        bought = replace(resting(2), order_type=OrderType.MARKET, price=None, time_in_force=TimeInForce.IOC)
        await hedged.create(replace(bought, position_side=PositionSide.LONG))
        with pytest.raises(Refused, match="BTCUSDT has a position in hedge mode"):
            await trading.set_position_mode(hedge=False)
        await trading.set_position_mode(hedge=True)


async def test_y03_a_thousand_open_orders_are_read_within_seconds(adapter: MakeAdapter) -> None:
    async with exchange_with(orders_per_s=100_000, queries_per_s=50) as exchange:
        trading = adapter(exchange.url, **ACCOUNT)
        symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
        prices = {"BTCUSDT": "60000", "ETHUSDT": "3000", "SOLUSDT": "100"}
        for number in range(1000):
            symbol = symbols[number % 3]
            instrument = Instrument("bybit", "linear", symbol)
            order = NewOrder(
                instrument,
                f"many{number}",
                Side.BUY,
                OrderType.LIMIT,
                Decimal("0.1"),
                Decimal(prices[symbol]),
                TimeInForce.GTC,
            )
            await trading.create(order)
        began_s = time.monotonic()
        found = await trading.open_orders("linear")
        assert {report.client_order_id for report in found} == {f"many{number}" for number in range(1000)}
        assert time.monotonic() - began_s < 30


async def test_cancels_go_before_creates_that_wait(adapter: MakeAdapter) -> None:
    async with exchange_with(orders_per_s=100_000) as exchange:
        free, tight = Rate(per_s=10_000, burst=10_000), Rate(per_s=5, burst=1)
        limits = RateLimits(create=free, amend=free, cancel=free, query=free, address=tight)
        trading = adapter(exchange.url, rate_limits=limits, **ACCOUNT)
        served: list[str] = []

        async def call(kind: Call) -> None:
            await trading.admit(kind)
            served.append(kind.value)

        await trading.admit(Call.CREATE)
        creates = [asyncio.ensure_future(call(Call.CREATE)) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.gather(call(Call.CANCEL), *creates)
        assert served == ["cancel", "create", "create", "create"]
        with pytest.raises(NotFoundOrTooLate):
            await trading.cancel(OrderRef(BTC, "nobody"))
