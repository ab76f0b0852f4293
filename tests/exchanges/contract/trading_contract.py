"""What every venue's adapter must do, whatever the venue. A venue's tests inherit these classes and supply `venue`."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal

import pytest
from venue_under_test import D, Desk, Fault, VenueUnderTest, listening

from domain.errors import (
    Duplicate,
    NotFoundOrTooLate,
    RateLimited,
    Refused,
    RefusedByAccount,
    Uncertain,
)
from domain.orders import OrderType, Side, TimeInForce, VenueState
from domain.updates import Call, OrderReport, Origin, decode_update, encode_update
from exchanges.venue import OrderRef

BUY, SELL = Side.BUY, Side.SELL


def ended(report: OrderReport) -> bool:
    return report.state.terminal


class TradingContract:
    """Orders and questions."""

    @pytest.fixture
    def desk(self, venue: VenueUnderTest) -> Desk:
        return Desk(venue)

    # -- orders --

    async def test_an_accepted_order_is_found_by_either_id_with_what_was_asked_for(
        self, venue: VenueUnderTest, desk: Desk
    ) -> None:
        price = venue.bid - 50 * venue.tick
        ref = await desk.place(BUY, "0.5", price, post_only=True)
        by_ours = await desk.row(OrderRef(venue.instrument, client_order_id=ref.client_order_id))
        by_theirs = await desk.row(OrderRef(venue.instrument, venue_order_id=ref.venue_order_id))
        assert by_ours.venue_order_id == by_theirs.venue_order_id == ref.venue_order_id
        assert by_ours.client_order_id == by_theirs.client_order_id == ref.client_order_id
        assert (by_ours.state, by_ours.side, by_ours.order_type) == (VenueState.LIVE, BUY, OrderType.LIMIT)
        assert (by_ours.quantity, by_ours.price, by_ours.post_only) == (D("0.5"), price, True)
        assert (by_ours.instrument, by_ours.account) == (venue.instrument, venue.account)
        assert by_ours.cumulative.quantity == 0

    async def test_reports_name_how_they_came_and_survive_the_topic(self, venue: VenueUnderTest, desk: Desk) -> None:
        ref = await desk.place(BUY, "0.5", venue.bid - 50 * venue.tick)
        await desk.row(ref)
        report = await venue.trading.order(ref, origin=Origin.RECONCILE)
        assert report is not None
        assert report.origin is Origin.RECONCILE
        assert decode_update(encode_update(report)) == report
        assert abs(report.received_ns - time.time_ns()) < 60_000_000_000
        assert abs(report.updated_ns - time.time_ns()) < 60_000_000_000

    async def test_an_order_that_nobody_placed_is_not_found(self, venue: VenueUnderTest) -> None:
        assert await venue.trading.order(OrderRef(venue.instrument, client_order_id="ctneverplaced")) is None

    async def test_open_orders_are_all_there_over_several_pages(self, venue: VenueUnderTest, desk: Desk) -> None:
        refs = [await desk.place(BUY, "0.01", venue.bid - (50 + n) * venue.tick) for n in range(57)]
        found = await venue.trading.open_orders(venue.instrument.category)
        by_symbol = await venue.trading.open_orders(venue.instrument.category, venue.instrument.symbol)
        wanted = {ref.client_order_id for ref in refs}
        assert wanted == {report.client_order_id for report in found}
        assert wanted == {report.client_order_id for report in by_symbol}
        assert len(found) == len(refs)

    async def test_a_cancelled_order_is_cancelled_and_not_open_any_more(
        self, venue: VenueUnderTest, desk: Desk
    ) -> None:
        ref = await desk.place(BUY, "0.5", venue.bid - 50 * venue.tick)
        await desk.cancel(ref)
        report = await desk.row(ref, ended)
        assert (report.state, report.cumulative.quantity) == (VenueState.CANCELLED, 0)
        assert not await venue.trading.open_orders(venue.instrument.category)

    async def test_a_cancel_by_our_id_alone_works(self, venue: VenueUnderTest, desk: Desk) -> None:
        ref = await desk.place(BUY, "0.5", venue.bid - 50 * venue.tick)
        await desk.cancel(OrderRef(venue.instrument, client_order_id=ref.client_order_id))
        assert (await desk.row(ref, ended)).state is VenueState.CANCELLED

    async def test_a_second_cancel_finds_nothing_and_concludes_nothing(self, venue: VenueUnderTest, desk: Desk) -> None:
        ref = await desk.place(BUY, "0.5", venue.bid - 50 * venue.tick)
        await desk.cancel(ref)
        with pytest.raises(NotFoundOrTooLate):
            await desk.cancel(ref)

    async def test_a_cancel_of_an_order_that_nobody_placed_finds_nothing(
        self, venue: VenueUnderTest, desk: Desk
    ) -> None:
        with pytest.raises(NotFoundOrTooLate):
            await desk.cancel(OrderRef(venue.instrument, client_order_id="ctneverplaced"))

    async def test_an_amended_order_has_its_new_terms(self, venue: VenueUnderTest, desk: Desk) -> None:
        ref = await desk.place(BUY, "0.5", venue.bid - 50 * venue.tick)
        price = venue.bid - 60 * venue.tick
        await venue.trading.admit(Call.AMEND)
        await venue.trading.amend(ref, quantity=D("0.7"), price=price)
        report = await desk.row(ref, lambda row: row.price == price)
        assert (report.state, report.quantity) == (VenueState.LIVE, D("0.7"))

    async def test_an_amend_of_an_ended_order_finds_nothing(self, venue: VenueUnderTest, desk: Desk) -> None:
        ref = await desk.place(BUY, "0.5")
        await desk.row(ref, ended)
        with pytest.raises(NotFoundOrTooLate):
            await venue.trading.amend(ref, price=venue.bid)

    async def test_a_client_order_id_is_taken_only_once(self, venue: VenueUnderTest, desk: Desk) -> None:
        if not venue.trading.traits.unique_client_ids:
            pytest.skip("this venue does not promise it")
        order = desk.new(BUY, "0.5", venue.bid - 50 * venue.tick)
        await venue.trading.create(order)
        with pytest.raises(Duplicate):
            await venue.trading.create(order)
        assert len(await venue.trading.open_orders(venue.instrument.category)) == 1

    # -- execution --

    async def test_a_market_order_is_filled_and_its_fills_add_up_to_its_row(
        self, venue: VenueUnderTest, desk: Desk
    ) -> None:
        ref = await desk.place(BUY, "1.5")
        report = await desk.row(ref, ended)
        fills = await venue.trading.executions(venue.instrument.category, since_ns=report.created_ns, ref=ref)
        assert (report.state, report.price) == (VenueState.FILLED, None)
        assert len(fills) >= 2  # it took two levels
        assert report.cumulative.quantity == sum(fill.quantity for fill in fills) == D("1.5")
        assert report.cumulative.value == sum(fill.quantity * fill.price for fill in fills)
        fees = sum((fill.fee for fill in fills), Decimal(0))
        assert report.cumulative.fees == {fills[0].fee_currency: fees}
        assert fees > 0
        assert {(fill.client_order_id, fill.side, fill.maker) for fill in fills} == {(ref.client_order_id, BUY, False)}

    async def test_executions_come_oldest_first_each_once_and_only_since_the_time_asked_for(
        self, venue: VenueUnderTest, desk: Desk
    ) -> None:
        for _ in range(4):
            await desk.row(await desk.place(BUY, "0.1"), ended)
        everything = await venue.trading.executions(venue.instrument.category, since_ns=time.time_ns() - 10**12)
        times = [fill.executed_ns for fill in everything]
        later = await venue.trading.executions(venue.instrument.category, since_ns=times[-1])
        assert times == sorted(times)
        assert len({fill.execution_id for fill in everything}) == len(everything) == 4
        assert later == [fill for fill in everything if fill.executed_ns >= times[-1]] or [
            fill.execution_id for fill in later
        ] == [fill.execution_id for fill in everything if fill.executed_ns >= times[-1]]

    async def test_executions_are_all_there_over_several_pages(self, venue: VenueUnderTest, desk: Desk) -> None:
        for _ in range(55):
            await desk.place(BUY, "0.01")
            await desk.place(SELL, "0.01")
        fills = await venue.trading.executions(venue.instrument.category, since_ns=time.time_ns() - 10**12)
        assert len(fills) == 110
        assert {fill.client_order_id for fill in fills} == set(desk.ids)

    async def test_a_resting_order_that_the_market_comes_to_is_filled_as_maker(
        self, venue: VenueUnderTest, desk: Desk
    ) -> None:
        price = venue.bid - 50 * venue.tick
        ref = await desk.place(BUY, "0.5", price)
        await venue.move(bid=price - 10 * venue.tick, ask=price - venue.tick)
        report = await desk.row(ref, ended)
        [fill] = await venue.trading.executions(venue.instrument.category, since_ns=report.created_ns, ref=ref)
        assert (report.state, fill.maker, fill.price) == (VenueState.FILLED, True, price)

    async def test_post_only_that_would_take_is_cancelled_and_says_so(self, venue: VenueUnderTest, desk: Desk) -> None:
        ref = await desk.place(BUY, "0.5", venue.ask, post_only=True)
        report = await desk.row(ref, ended)
        assert (report.state, report.reason) == (VenueState.CANCELLED, "POST_ONLY_WOULD_TAKE")
        assert report.cumulative.quantity == 0

    async def test_ioc_keeps_what_it_got_and_cancels_the_rest(self, venue: VenueUnderTest, desk: Desk) -> None:
        ref = await desk.place(BUY, "2", venue.ask, time_in_force=TimeInForce.IOC)
        report = await desk.row(ref, ended)
        assert (report.state, report.cumulative.quantity) == (VenueState.CANCELLED, D(1))

    async def test_fok_that_cannot_be_filled_whole_gets_nothing(self, venue: VenueUnderTest, desk: Desk) -> None:
        ref = await desk.place(BUY, "2", venue.ask, time_in_force=TimeInForce.FOK)
        report = await desk.row(ref, ended)
        assert (report.state, report.cumulative.quantity) == (VenueState.CANCELLED, 0)

    async def test_orders_that_ended_are_listed_since_a_time(self, venue: VenueUnderTest, desk: Desk) -> None:
        cancelled = await desk.place(BUY, "0.5", venue.bid - 50 * venue.tick)
        await desk.cancel(cancelled)
        filled = await desk.place(BUY, "0.5")
        resting = await desk.place(BUY, "0.5", venue.bid - 50 * venue.tick)
        end = await desk.row(filled, ended)
        listed = await venue.trading.closed_orders(venue.instrument.category, since_ns=time.time_ns() - 10**12)
        states = {report.client_order_id: report.state for report in listed}
        assert states == {
            cancelled.client_order_id: VenueState.CANCELLED,
            filled.client_order_id: VenueState.FILLED,
        }
        assert resting.client_order_id not in states
        assert not await venue.trading.closed_orders(venue.instrument.category, since_ns=end.updated_ns + 10**9)

    # -- refusals --

    async def test_an_order_that_is_not_paid_for_is_refused(self, venue: VenueUnderTest, desk: Desk) -> None:
        with pytest.raises(Refused) as caught:
            await desk.place(BUY, "1000", venue.bid)
        assert not isinstance(caught.value, RefusedByAccount | Duplicate)

    async def test_a_price_off_the_grid_is_refused(self, venue: VenueUnderTest, desk: Desk) -> None:
        with pytest.raises(Refused):
            await desk.place(BUY, "0.5", venue.bid - venue.tick / 2)

    async def test_a_wrong_secret_is_refused_for_the_account(self, venue: VenueUnderTest, desk: Desk) -> None:
        stranger = venue.stranger()
        with pytest.raises(RefusedByAccount):
            await stranger.create(desk.new(BUY, "0.5", venue.bid))
        with pytest.raises(RefusedByAccount):
            await stranger.balances()
        await stranger.close()

    # -- outcomes that are not known --

    @pytest.mark.parametrize("fault", [Fault.NO_REPLY_AFTER, Fault.BROKEN_REPLY_AFTER])
    async def test_an_accepted_create_without_its_reply_is_uncertain_and_can_be_found(
        self, venue: VenueUnderTest, desk: Desk, fault: Fault
    ) -> None:
        await venue.fail_next_create(fault)
        order = desk.new(BUY, "0.5", venue.bid - 50 * venue.tick)
        with pytest.raises(Uncertain):
            await venue.trading.create(order)
        report = await desk.row(OrderRef(venue.instrument, client_order_id=order.client_order_id))
        assert report.state is VenueState.LIVE

    async def test_a_create_that_was_lost_is_uncertain_too_and_not_found(
        self, venue: VenueUnderTest, desk: Desk
    ) -> None:
        await venue.fail_next_create(Fault.NO_REPLY_BEFORE)
        order = desk.new(BUY, "0.5", venue.bid - 50 * venue.tick)
        with pytest.raises(Uncertain):
            await venue.trading.create(order)
        assert await venue.trading.order(OrderRef(venue.instrument, order.client_order_id)) is None
        assert await venue.trading.create(order)

    async def test_a_throttled_create_was_not_processed_and_is_told_how_long_to_wait(
        self, venue: VenueUnderTest, desk: Desk
    ) -> None:
        await venue.fail_next_create(Fault.THROTTLED)
        order = desk.new(BUY, "0.5", venue.bid - 50 * venue.tick)
        with pytest.raises(RateLimited) as caught:
            await venue.trading.create(order)
        assert 0 < caught.value.retry_after_s <= 60
        assert await venue.trading.order(OrderRef(venue.instrument, order.client_order_id)) is None

    # -- account and market --

    async def test_a_position_follows_the_fills(self, venue: VenueUnderTest, desk: Desk) -> None:
        await desk.row(await desk.place(SELL, "0.5"), ended)
        [position] = [p for p in await venue.trading.positions(venue.instrument.category) if p.size]
        assert (position.instrument, position.size) == (venue.instrument, D("-0.5"))
        assert position.average_entry == venue.bid

    async def test_a_flat_position_is_told_when_asked_for(self, venue: VenueUnderTest) -> None:
        assert await venue.trading.positions(venue.instrument.category) == []
        [flat] = await venue.trading.positions(venue.instrument.category, venue.instrument.symbol)
        assert flat.size == 0

    async def test_balances_are_known_and_orders_reserve_of_them(self, venue: VenueUnderTest, desk: Desk) -> None:
        [before] = await venue.trading.balances()
        await desk.place(BUY, "0.5", venue.bid - 50 * venue.tick)
        [after] = await venue.trading.balances()
        assert before.account == venue.account
        assert before.total == after.total > 0
        assert after.available < before.available <= before.total

    async def test_instruments_have_rules_that_their_own_quotes_keep(self, venue: VenueUnderTest) -> None:
        rules = {each.instrument: each for each in await venue.trading.instruments(venue.instrument.category)}
        quotes = await venue.trading.quotes(venue.instrument.category)
        ours = rules[venue.instrument]
        assert (ours.trading, ours.tick) == (True, venue.tick)
        assert 0 < ours.min_quantity <= ours.max_market_quantity <= ours.max_quantity
        assert {each.symbol for each in rules} >= set(quotes)
        for symbol, quote in quotes.items():
            [rule] = [each for instrument, each in rules.items() if instrument.symbol == symbol]
            assert quote.bid % rule.tick == quote.ask % rule.tick == 0
            assert quote.bid < quote.ask

    async def test_a_quote_has_the_best_prices(self, venue: VenueUnderTest) -> None:
        quote = await venue.trading.quote(venue.instrument)
        assert (quote.bid, quote.ask) == (venue.bid, venue.ask)
        assert abs(quote.at_ns - time.time_ns()) < 10**10


class StreamContract:
    """The account's stream."""

    @pytest.fixture
    def desk(self, venue: VenueUnderTest) -> Desk:
        return Desk(venue)

    async def test_the_stream_tells_an_orders_life_as_the_questions_do(self, venue: VenueUnderTest, desk: Desk) -> None:
        async with listening(venue.stream) as ear:
            ref = await desk.place(BUY, "1.5")
            await ear.until(lambda heard: _told_filled(heard.last(ref)) and len(heard.fills) == 2)
        row = await desk.row(ref, ended)
        fills = await venue.trading.executions(venue.instrument.category, since_ns=row.created_ns, ref=ref)
        assert _substance(ear.last(ref)) == _substance(row)
        assert {fill.execution_id for fill in ear.fills} == {fill.execution_id for fill in fills}
        assert {(fill.price, fill.quantity, fill.fee) for fill in ear.fills} == {
            (fill.price, fill.quantity, fill.fee) for fill in fills
        }
        assert {update.origin for update in (*ear.orders, *ear.fills)} == {Origin.STREAM}

    async def test_the_stream_tells_of_balances(self, venue: VenueUnderTest, desk: Desk) -> None:
        async with listening(venue.stream) as ear:
            await desk.place(BUY, "0.5")
            await ear.until(lambda heard: heard.balances)
        assert ear.balances[-1].account == venue.account

    async def test_a_lost_stream_says_so_and_is_back_within_five_seconds_of_the_venue(
        self, venue: VenueUnderTest, desk: Desk
    ) -> None:
        async with listening(venue.stream) as ear:
            await venue.cut_stream()
            await ear.until(lambda heard: heard.connections == [True, False, True], within_s=5)
            ref = await desk.place(BUY, "0.5")
            await ear.until(lambda heard: _told_filled(heard.last(ref)))

    async def test_a_stream_that_is_refused_for_a_while_keeps_trying(self, venue: VenueUnderTest, desk: Desk) -> None:
        async with listening(venue.stream) as ear:
            await venue.cut_stream(refuse_s=1.0)
            await ear.until(lambda heard: heard.connections[-1] and len(heard.connections) > 2, within_s=1.0 + 5)
            assert ear.connections.count(False) > 1

    async def test_messages_that_come_twice_and_out_of_order_are_passed_on_as_they_are(
        self, venue: VenueUnderTest, desk: Desk
    ) -> None:
        await venue.repeat_and_shuffle_stream()
        async with listening(venue.stream) as ear:
            ref = await desk.place(BUY, "1.5")
            await ear.until(lambda heard: len(heard.fills) >= 4 and any(map(_told_filled, heard.orders)))
        assert len({fill.execution_id for fill in ear.fills}) == 2
        assert all(report.client_order_id == ref.client_order_id for report in ear.orders)

    async def test_a_closed_stream_ends(self, venue: VenueUnderTest) -> None:
        async with listening(venue.stream):
            pass
        assert [event async for event in venue.stream.events()] == []


def _told_filled(report: OrderReport | None) -> bool:
    return report is not None and report.state is VenueState.FILLED


def _substance(report: OrderReport | None) -> tuple[object, ...]:
    assert report is not None
    ours: Callable[[OrderReport], tuple[object, ...]] = lambda r: (  # noqa: E731 -- a list of fields reads best so
        *(r.instrument, r.account, r.client_order_id, r.venue_order_id, r.state, r.raw_status, r.side, r.order_type),
        *(r.quantity, r.price, r.cumulative, r.updated_ns, r.created_ns, r.reason, r.time_in_force, r.reduce_only),
        *(r.post_only, r.position_side),
    )
    return ours(report)
