"""Cancelling several orders of a symbol: which calls are made, and what is concluded of each order (X03, C01, C03)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from listed_orders import at_venue, order_of
from quiet_venue import NOW
from trading_desk import BTC, TOPICS, Desk, FreeTurn, report

from domain.errors import NotAccepted, NotFoundOrTooLate, Refused, Uncertain, VenueError
from domain.instruments import Instrument
from domain.orders import Order, OrderState, Pending, VenueState
from domain.updates import CallOutcome, CancelRequested, Origin, decode_update
from exchanges.venue import VenueTraits
from streams.record import Record

IDS = ("om1", "om2", "om3", "om4", "om5")
TURN = FreeTurn(Record(TOPICS.order_commands, 0, 0, b"BTCUSDT", b"", (), NOW))


class Batches(Desk):
    """A venue that takes batches, and tells at once of the orders that it cancels."""

    def __init__(self, most: int = 20) -> None:
        super().__init__()
        self.venue.traits = VenueTraits("paper", True, 1.0, 1.0, 86_400.0, batch_sizes={"linear": most})
        self.venue.on_cancel = self.gone

    async def gone(self, order_id: str) -> None:
        await self.told(report(order_of(self, order_id), VenueState.CANCELLED, updated_ns=NOW + 1))

    async def cancel(self, order_ids: Sequence[str] = IDS) -> list[Order]:
        return await self.canceller.cancel_together(TURN, dict.fromkeys(order_ids, "lunch"), command_id="c1")

    @property
    def said(self) -> list[Any]:
        return [decode_update(record.value) for record in self.log.records[TOPICS.order_updates]]

    @property
    def outcomes(self) -> dict[str, CallOutcome]:
        return {update.client_order_id: update for update in self.said if isinstance(update, CallOutcome)}


async def test_x03_resting_orders_of_a_symbol_are_cancelled_in_one_call() -> None:
    desk = Batches()
    for order_id in IDS:
        at_venue(desk, order_id)

    orders = await desk.cancel()

    assert desk.venue.cancelled == [IDS]
    assert [order.state for order in orders] == [OrderState.CANCELLED] * 5


async def test_x03_every_wish_is_on_record_before_the_call() -> None:
    desk = Batches()
    seen: list[list[Pending]] = []

    async def look(_order_id: str) -> None:
        if not seen:
            seen.append([order_of(desk, order_id).pending for order_id in IDS])

    for order_id in IDS:
        at_venue(desk, order_id)
    desk.venue.on_admit = lambda: look("")

    await desk.cancel()

    assert seen == [[Pending.CANCEL] * 5]
    wishes = [update for update in desk.said if isinstance(update, CancelRequested)]
    assert [wish.client_order_id for wish in wishes] == list(IDS)


async def test_x03_each_order_tells_its_place_in_the_call() -> None:
    desk = Batches()
    for order_id in IDS[:2]:
        at_venue(desk, order_id)

    await desk.cancel(IDS[:2])

    assert [outcome.batch for outcome in desk.outcomes.values()] == ["1 of 2", "2 of 2"]
    assert order_of(desk, "om2").batched == {"cancel": "2 of 2"}


async def test_x03_one_order_goes_alone_and_says_nothing_of_batches() -> None:
    desk = Batches()
    at_venue(desk)

    await desk.cancel(["om1"])

    assert desk.venue.cancelled == [("om1",)]
    assert desk.outcomes["om1"].batch is msgspec.UNSET
    assert order_of(desk).batched is msgspec.UNSET


@pytest.mark.parametrize(("most", "calls"), [(2, [2, 2, 1]), (1, [1] * 5), (0, [1] * 5)])
async def test_x03_no_call_is_larger_than_the_venue_takes(most: int, calls: list[int]) -> None:
    desk = Batches(most)
    for order_id in IDS:
        at_venue(desk, order_id)

    await desk.cancel()

    assert [len(call) for call in desk.venue.cancelled] == calls
    assert all(order_of(desk, order_id).state is OrderState.CANCELLED for order_id in IDS)


async def test_x03_orders_of_two_categories_are_not_mixed() -> None:
    desk = Batches()
    spot = Instrument(BTC.venue, "spot", BTC.symbol)
    for order_id in IDS:
        at_venue(desk, order_id, instrument=spot if order_id in {"om2", "om4"} else BTC)

    await desk.cancel()

    assert sorted(desk.venue.cancelled) == [("om1", "om3", "om5"), ("om2",), ("om4",)]


async def test_x07_a_batch_is_as_large_as_the_rate_limit_lets_through() -> None:
    desk = Batches()
    for order_id in IDS:
        at_venue(desk, order_id)
    desk.venue.tokens = [2, 1, 2]

    await desk.cancel()

    assert desk.venue.cancelled == [IDS[:2], IDS[2:3], IDS[3:]]


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (Refused("VENUE_LIMIT", "not now"), OrderState.CANCELLED),
        (NotAccepted("NO_CONNECTION", "refused"), OrderState.CANCELLED),
        (Uncertain("TIMEOUT", "no reply"), OrderState.CANCELLED),
        (NotFoundOrTooLate("NOT_FOUND_OR_TOO_LATE", "gone"), OrderState.CANCELLED),
    ],
)
async def test_x03_an_order_that_failed_in_a_batch_is_asked_for_again_by_itself(
    error: VenueError, state: OrderState
) -> None:
    desk = Batches()
    for order_id in IDS[:3]:
        at_venue(desk, order_id)
    desk.venue.cancel_outcomes = [None, error, None]

    orders = await desk.cancel(IDS[:3])

    assert desk.venue.cancelled == [IDS[:3], ("om2",)]
    assert [order.state for order in orders] == [state] * 3


async def test_x06_a_batch_without_a_reply_leaves_every_order_to_the_venues_word() -> None:
    desk = Batches()
    for order_id in IDS[:3]:
        at_venue(desk, order_id)
    desk.venue.cancel_outcomes = [Uncertain("TIMEOUT", "no reply")] * 3
    for order_id in IDS[:3]:  # it did cancel them
        desk.venue.known[order_id] = report(order_of(desk, order_id), VenueState.CANCELLED, updated_ns=NOW + 1)

    orders = await desk.cancel(IDS[:3])

    assert [order.state for order in orders] == [OrderState.CANCELLED] * 3
    assert desk.venue.cancelled == [IDS[:3]]


async def test_c03_an_order_that_ended_while_a_token_was_waited_for_is_not_asked_about() -> None:
    desk = Batches()
    for order_id in IDS[:3]:
        at_venue(desk, order_id)

    async def the_second_one_ends() -> None:
        desk.venue.on_admit = None
        await desk.gone("om2")

    desk.venue.on_admit = the_second_one_ends

    await desk.cancel(IDS[:3])

    assert desk.venue.cancelled == [("om1", "om3")]


async def test_c03_an_order_in_flight_holds_up_no_other() -> None:
    desk = Batches()
    desk.intend("om1")
    for order_id in IDS[1:3]:
        at_venue(desk, order_id)
    cancel = desk.gone

    async def then_the_first_is_known(order_id: str) -> None:
        await cancel(order_id)
        if order_id == "om3":
            await desk.told(report(order_of(desk, "om1")))

    desk.venue.on_cancel = then_the_first_is_known

    orders = await desk.cancel(IDS[:3])

    assert desk.venue.cancelled == [("om2", "om3"), ("om1",)]
    assert [order.state for order in orders] == [OrderState.CANCELLED] * 3


async def test_c04_who_cancels_again_says_so_again_where_the_order_is_amended_since() -> None:
    desk = Batches()
    order = at_venue(desk)
    desk.venue.cancel_outcomes = [Refused("VENUE_LIMIT", "not now")]
    amendment = CancelRequested(
        instrument=order.instrument,
        account=order.account,
        origin=Origin.COMMAND,
        received_ns=NOW,
        client_order_id="om1",
        command_id="s2-amend",
        reason="takes up signal s2",
        replace=True,
        amend=True,
    )

    async def amended_since_it_was_refused() -> None:
        if desk.venue.cancelled:
            await desk.told(amendment)

    desk.venue.on_admit = amended_since_it_was_refused
    pending: list[Pending] = []

    async def look(order_id: str) -> None:
        pending.append(order_of(desk, order_id).pending)
        await desk.gone(order_id)

    desk.venue.on_cancel = look

    await desk.cancel(["om1"])

    assert pending == [Pending.CANCEL]
