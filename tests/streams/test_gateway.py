"""The gateway between a paper exchange and `order-updates` (requirement J07)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from gateway_desk import BTC, D, Desk, Shown, Topic, desk, until

from domain.orders import VenueState
from domain.updates import FillReport, OrderReport, Origin, Update
from exchanges.venue import StreamEvent
from streams.gateway import Boards

NS = 1_000_000_000
REST_PRICE = D("64000")


@pytest.fixture
async def trade() -> AsyncIterator[Desk]:
    async with desk() as own:
        yield own


# -- the stream --------------------------------------------------------------------------------------------------------


async def test_j07_what_the_stream_says_is_published_in_its_order(trade: Desk) -> None:
    topic = Topic()
    async with trade.gateway(topic) as gateway:
        await until(lambda: gateway.health().ready)
        refs = [await trade.buy() for _ in range(20)]
        await until(lambda: len(topic.fills()) >= 20 and len(topic.orders()) >= 20)
    streamed = [update for update in topic.updates if update.origin is Origin.STREAM]
    ends = [update.client_order_id for update in streamed if isinstance(update, OrderReport)]
    assert list(dict.fromkeys(ends)) == [ref.client_order_id for ref in refs]
    assert {update.account for update in streamed} == {"desk"}


async def test_j07_the_next_update_does_not_wait_for_the_last_ones_acknowledgement(trade: Desk) -> None:
    topic = Topic()
    topic.acknowledge = never
    async with trade.gateway(topic, drain_s=0.05) as gateway:
        await until(lambda: gateway.health().connected)
        await trade.buy()
        await trade.buy()
        await until(lambda: len(topic.fills()) >= 2)
        assert gateway.health().in_flight >= 4


async def never(_update: Update) -> object:
    return await asyncio.Event().wait()


async def test_j07_what_is_in_flight_is_bounded_and_nothing_beyond_is_lost(trade: Desk) -> None:
    topic, broker_back = Topic(), asyncio.Event()

    async def when_back(_update: Update) -> object:
        return await broker_back.wait()

    topic.acknowledge = when_back
    async with trade.gateway(topic, max_in_flight=5) as gateway:
        refs = [await trade.buy() for _ in range(10)]
        await until(lambda: gateway.health().in_flight == 5)
        assert len(topic.updates) == 5
        broker_back.set()
        await until(lambda: {fill.venue_order_id for fill in topic.fills()} == {ref.venue_order_id for ref in refs})


async def test_j07_an_update_that_cannot_be_published_ends_the_gateway(trade: Desk) -> None:
    topic = Topic()

    async def refuse(_update: Update) -> object:
        raise ConnectionAbortedError("the broker refused it")

    topic.acknowledge = refuse
    with pytest.raises(ConnectionAbortedError, match="the broker refused it"):
        await buy_at_a_gateway(trade, topic)


async def buy_at_a_gateway(trade: Desk, topic: Topic) -> None:
    async with trade.gateway(topic) as gateway:
        await until(lambda: gateway.health().connected)
        await trade.buy()
        await until(topic.fills)


async def test_j07_what_was_taken_is_acknowledged_before_the_gateway_stops(trade: Desk) -> None:
    topic, acknowledged = Topic(), []

    async def slowly(update: Update) -> object:
        await asyncio.sleep(0.1)
        acknowledged.append(update)
        return None

    topic.acknowledge = slowly
    async with trade.gateway(topic) as gateway:
        await until(lambda: gateway.health().connected)
        await trade.buy()
        await until(topic.fills)
    assert acknowledged == topic.updates


# -- gaps --------------------------------------------------------------------------------------------------------------


async def test_j07_a_first_start_publishes_what_happened_before_it_fills_first(trade: Desk) -> None:
    ended = await trade.buy()
    resting = await trade.buy(price=REST_PRICE)
    topic = Topic()
    async with trade.gateway(topic) as gateway:
        await until(lambda: gateway.health().gap_filled)
    first_pass = topic.updates[:3]
    assert [type(update) for update in first_pass] == [FillReport, OrderReport, OrderReport]
    assert [update.venue_order_id for update in first_pass] == [
        ended.venue_order_id,
        ended.venue_order_id,
        resting.venue_order_id,
    ]
    assert {update.origin for update in first_pass} == {Origin.REST}


async def test_j07_a_later_start_asks_only_from_where_the_last_gateway_was_complete_less_an_overlap(
    trade: Desk,
) -> None:
    old = await trade.buy()
    await asyncio.sleep(0.3)  # the time between two orders is what is tested
    complete_until_ns = time.time_ns()
    await asyncio.sleep(0.05)
    new = await trade.buy()
    topic = Topic()
    async with trade.gateway(topic, complete_until_ns=complete_until_ns, overlap_s=0.1) as gateway:
        await until(lambda: gateway.health().gap_filled)
    assert {update.venue_order_id for update in topic.updates} == {new.venue_order_id}
    async with trade.gateway(topic, complete_until_ns=complete_until_ns, overlap_s=60) as gateway:
        await until(lambda: gateway.health().gap_filled)
    assert {update.venue_order_id for update in topic.updates} == {old.venue_order_id, new.venue_order_id}


async def test_j07_a_figure_from_the_future_is_not_believed(trade: Desk) -> None:
    order = await trade.buy()
    topic = Topic()
    async with trade.gateway(topic, complete_until_ns=time.time_ns() + 3600 * NS) as gateway:
        await until(lambda: gateway.health().gap_filled)
    assert {update.venue_order_id for update in topic.updates} == {order.venue_order_id}


async def test_j07_what_happens_while_the_stream_is_down_is_fetched_when_it_is_back(trade: Desk) -> None:
    topic = Topic()
    async with trade.gateway(topic, poll_s=3600) as gateway:
        await until(lambda: gateway.health().ready)
        resting = await trade.buy(price=REST_PRICE)
        await until(topic.orders)
        await trade.control("faults", kind="disconnect", refuse_ms=500)
        await until(lambda: not gateway.health().connected)
        missed = await trade.buy()
        await trade.trader.cancel(resting)
        await until(lambda: gateway.health().ready)
        assert {fill.venue_order_id for fill in topic.fills()} == {missed.venue_order_id}
        ends = {report.venue_order_id: report.state for report in topic.orders() if report.state.terminal}
        assert ends == {missed.venue_order_id: VenueState.FILLED, resting.venue_order_id: VenueState.CANCELLED}
        assert {fill.origin for fill in topic.fills()} == {Origin.REST}


async def test_j07_after_the_gap_the_stream_goes_on(trade: Desk) -> None:
    topic = Topic()
    async with trade.gateway(topic) as gateway:
        await until(lambda: gateway.health().ready)
        await trade.control("faults", kind="disconnect")
        await until(lambda: not gateway.health().connected)
        await until(lambda: gateway.health().ready)
        later = await trade.buy()
        await until(lambda: [fill for fill in topic.fills() if fill.origin is Origin.STREAM])
        assert topic.fills()[-1].venue_order_id == later.venue_order_id


async def test_j07_while_rest_is_down_the_stream_is_published_and_the_gap_is_kept(trade: Desk) -> None:
    missed = await trade.buy()
    await trade.control("faults", kind="error_5xx_before", endpoint="execution/list")
    topic = Topic()
    async with trade.gateway(topic) as gateway:
        await until(lambda: gateway.health().connected)
        seen = await trade.buy()
        await until(topic.fills)
        assert {fill.venue_order_id for fill in topic.fills()} == {seen.venue_order_id}
        await until(lambda: "HTTP 502" in " ".join(gateway.health().reasons))
        assert not gateway.health().ready
        await trade.heal()
        await until(lambda: gateway.health().ready)
        assert {fill.venue_order_id for fill in topic.fills()} == {seen.venue_order_id, missed.venue_order_id}


async def test_j07_while_the_stream_stays_down_rest_stands_in(trade: Desk) -> None:
    topic = Topic()
    await trade.control("faults", kind="disconnect", refuse_ms=60_000)
    async with trade.gateway(topic) as gateway:
        await until(lambda: gateway.health().reasons)
        order = await trade.buy()
        await until(lambda: {fill.venue_order_id for fill in topic.fills()} == {order.venue_order_id})
        health = gateway.health()
        assert (health.connected, health.gap_filled, health.ready) == (False, False, False)


async def test_j07_what_rest_has_told_of_a_gap_is_not_published_again_and_again(trade: Desk) -> None:
    topic = Topic()
    orders = [await trade.buy() for _ in range(3)] + [await trade.buy(price=REST_PRICE)]
    await trade.control("faults", kind="disconnect", refuse_ms=60_000)
    async with trade.gateway(topic, poll_s=0.05) as gateway:
        await until(lambda: len(topic.updates) >= 7)
        last = await trade.buy()  # seen by a later pass over the same gap
        await until(lambda: topic.fills()[-1].venue_order_id == last.venue_order_id)
        await until(lambda: topic.orders()[-1].venue_order_id == last.venue_order_id)
        assert not gateway.health().connected
    assert len(topic.updates) == 7 + 2
    assert {update.venue_order_id for update in topic.updates} == {ref.venue_order_id for ref in [*orders, last]}


class Mumbling:
    """A stream that says one thing which nobody can read, when told to."""

    def __init__(self) -> None:
        self.mumble, self.closed = asyncio.Event(), asyncio.Event()

    async def events(self) -> AsyncIterator[StreamEvent]:
        yield StreamEvent(connected=True)
        await self.mumble.wait()
        yield StreamEvent(reason="a message could not be read")
        await self.closed.wait()

    async def close(self) -> None:
        self.closed.set()


async def test_j07_what_the_stream_said_and_could_not_be_read_is_looked_up(trade: Desk) -> None:
    topic, stream = Topic(), Mumbling()
    async with trade.gateway(topic, stream=stream) as gateway:
        await until(lambda: gateway.health().complete_until_ns > time.time_ns() - 5 * NS)
        order = await trade.buy()
        assert topic.updates == []
        stream.mumble.set()
        await until(lambda: {update.venue_order_id for update in topic.updates} == {order.venue_order_id})
        assert gateway.health().ready


# -- how far it is complete --------------------------------------------------------------------------------------------


async def test_j07_updates_carry_how_far_the_topic_is_complete_and_it_goes_on_only_once_gaps_are_filled(
    trade: Desk,
) -> None:
    start_ns = time.time_ns() - 5 * NS
    await trade.control("faults", kind="error_5xx_before", endpoint="execution/list")
    topic = Topic()
    async with trade.gateway(topic, complete_until_ns=start_ns) as gateway:
        await until(lambda: gateway.health().connected)
        for _ in range(3):
            await trade.buy()
        await until(lambda: len(topic.fills()) == 3)
        assert set(topic.complete_until_ns) == {start_ns}
        await trade.heal()
        await until(lambda: gateway.health().complete_until_ns > start_ns)
        count = len(topic.updates)
        await trade.buy()
        await until(lambda: len(topic.updates) > count)
        assert topic.complete_until_ns[-1] > start_ns
        assert topic.complete_until_ns == sorted(topic.complete_until_ns)


async def test_j07_what_the_broker_has_not_acknowledged_does_not_count_as_complete(trade: Desk) -> None:
    topic = Topic()
    async with trade.gateway(topic, drain_s=0.05) as gateway:
        await until(lambda: gateway.health().ready)
        await until(lambda: gateway.health().complete_until_ns > time.time_ns() - 5 * NS)
        settled_ns = gateway.health().complete_until_ns
        topic.acknowledge = never
        await trade.buy()
        await until(topic.fills)
        await trade.buy()
        await until(lambda: len(topic.fills()) == 2)
        assert gateway.health().complete_until_ns == settled_ns


async def test_j07_a_lost_connection_freezes_how_far_the_topic_is_complete(trade: Desk) -> None:
    topic = Topic()
    async with trade.gateway(topic) as gateway:
        await until(lambda: gateway.health().complete_until_ns > time.time_ns() - 5 * NS)
        await trade.control("faults", kind="disconnect", refuse_ms=60_000)
        await until(lambda: not gateway.health().connected)
        frozen_ns = gateway.health().complete_until_ns
        await trade.buy()
        await until(topic.fills)
        assert gateway.health().complete_until_ns == frozen_ns


async def test_j07_two_gateways_say_the_same_twice_and_nothing_else(trade: Desk) -> None:
    topics = Topic(), Topic()
    async with trade.gateway(topics[0]) as one, trade.gateway(topics[1]) as other:
        await until(lambda: one.health().ready and other.health().ready)
        for _ in range(5):
            await trade.buy()
        await until(lambda: all(len(topic.fills()) >= 5 for topic in topics))
    executions = [{fill.execution_id: fill.quantity for fill in topic.fills()} for topic in topics]
    assert executions[0] == executions[1]
    assert sum(executions[0].values(), Decimal(0)) == D("0.5")


# -- small state -------------------------------------------------------------------------------------------------------


async def test_balances_are_shown_with_their_age_and_no_more_often_than_the_interval(trade: Desk) -> None:
    shown = Shown()
    async with trade.gateway(Topic(), shown=shown, balance_interval_s=0.2, balance_poll_s=0.01) as gateway:
        await until(lambda: gateway.health().ready)
        began_s, count = time.monotonic(), len(shown.balances)
        await until(lambda: len(shown.balances) >= count + 3)
        assert time.monotonic() - began_s >= 0.35
    ages = [balance.at_ns for balance in shown.balances]
    assert ages == sorted(set(ages))
    assert {(balance.account, balance.currency) for balance in shown.balances} == {("desk", "USDT")}


async def test_a_balance_that_the_stream_tells_of_is_shown(trade: Desk) -> None:
    shown = Shown()
    async with trade.gateway(Topic(), shown=shown, balance_poll_s=3600) as gateway:
        await until(lambda: gateway.health().ready and shown.balances)
        before = shown.balances[-1]
        await trade.buy("1")
        await until(lambda: shown.balances[-1].total < before.total)


async def test_quotes_are_shown_again_and_again_and_instruments_once_per_lifetime(trade: Desk) -> None:
    shown = Shown()
    async with trade.gateway(Topic(), shown=shown):
        await until(lambda: len(shown.quotes) >= 3)
        assert shown.quotes[-1][BTC.symbol].bid == 64990
        assert len(shown.instruments) == 1
        assert BTC in {rules.instrument for rules in shown.instruments[0]}


async def test_balances_that_cannot_be_read_are_a_reason_until_they_can(trade: Desk) -> None:
    await trade.control("faults", kind="error_5xx_before", endpoint="account/wallet-balance")
    shown = Shown()
    async with trade.gateway(Topic(), shown=shown) as gateway:
        await until(lambda: any(reason.startswith("balances") for reason in gateway.health().reasons))
        await trade.heal()
        await until(lambda: gateway.health().reasons == () and shown.balances)


class Refusing(Shown):
    """Boards that cannot be written."""

    refused = False

    def boards(self) -> Boards:
        async def refuse(*_told: object) -> None:
            self.refused = True
            raise ConnectionAbortedError("no broker")

        return Boards(refuse, refuse, refuse)


async def test_a_board_that_cannot_be_written_ends_the_gateway(trade: Desk) -> None:
    shown = Refusing()

    async def run() -> None:
        async with trade.gateway(Topic(), shown=shown):
            await until(lambda: shown.refused)

    with pytest.raises(ConnectionAbortedError, match="no broker"):
        await run()


async def test_health_starts_with_its_reasons(trade: Desk) -> None:
    topic = Topic()
    await trade.control("faults", kind="disconnect", refuse_ms=60_000)
    async with trade.gateway(topic) as gateway:
        health = gateway.health()
        assert not health.ready
        assert [reason.partition(":")[0] for reason in health.reasons] == ["stream", "gap"]
