"""Parts of a split order that are due at the same time: what goes in one call, and what becomes of each (X03, D08)."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from trading_desk import ACCOUNT, BTC, NOW, TOPICS, Desk, FreeTurn, report

from domain.errors import Duplicate, NotAccepted, RateLimited, Refused, Uncertain, VenueError
from domain.ids import client_order_id
from domain.orders import Order, OrderState
from domain.plans import PlanSettings
from domain.updates import CancelRequested, Origin
from exchanges.venue import VenueTraits
from streams.record import Record
from tables.signals import SignalResult

PARTS = 5
SIGNAL = {"signal_id": "s5", "signal_type": "buy", "symbol": "BTCUSDT", "amount": "500", "order_type": "limit"}
RECORD = Record(TOPICS.signals, 0, 5, b"BTCUSDT", json.dumps(SIGNAL).encode(), (), NOW)
IDS = [client_order_id("om", "paper", "linear", ACCOUNT, "BTCUSDT", "s5", 1, part) for part in range(PARTS)]
NO_REPLY = Uncertain("TIMEOUT", "no reply")
RESTING = [OrderState.ACKNOWLEDGED] * PARTS


class Splitting(Desk):
    """Splits the signal into five parts, at a venue that takes batches."""

    def __init__(self, most: int = 20, **changed: Any) -> None:
        super().__init__(PlanSettings(enable_order_splitting=True, max_single_order_size=Decimal(100), **changed))
        self.venue.traits = VenueTraits("paper", True, 1.0, 1.0, 86_400.0, batch_sizes={"linear": most})

    async def trade(self) -> list[Order]:
        await self.signal_agent.handle(FreeTurn(RECORD))
        return self.parts

    @property
    def parts(self) -> list[Order]:
        return [order for order_id in IDS if (order := self.orders.get(0, order_id)) is not None]

    @property
    def states(self) -> list[OrderState]:
        return [order.state for order in self.parts]

    @property
    def sent(self) -> list[str]:
        return [order.client_order_id for order in self.venue.created]

    @property
    def result(self) -> SignalResult | None:
        row = self.signals.get(0, "BTCUSDT", "s5")
        return None if row is None else row.result


async def test_x03_parts_that_are_due_at_once_go_in_one_call() -> None:
    desk = Splitting()

    orders = await desk.trade()

    assert desk.venue.together == [tuple(IDS)]
    assert desk.states == RESTING
    assert [order.venue_order_id for order in orders] == ["v1", "v2", "v3", "v4", "v5"]
    assert desk.result is SignalResult.EXECUTED


async def test_x03_each_part_tells_its_place_in_the_call() -> None:
    desk = Splitting()

    orders = await desk.trade()

    assert [order.batched for order in orders] == [{"create": f"{number} of 5"} for number in range(1, 6)]


@pytest.mark.parametrize(("most", "calls"), [(2, [2, 2]), (4, [4]), (1, []), (0, [])])
async def test_x03_what_the_venue_takes_in_one_call_is_the_limit(most: int, calls: list[int]) -> None:
    desk = Splitting(most)

    orders = await desk.trade()

    assert [len(call) for call in desk.venue.together] == calls
    assert desk.sent == IDS
    assert desk.states == RESTING
    assert (orders[-1].batched is msgspec.UNSET) is (most != 5)


async def test_x07_a_batch_is_as_large_as_the_rate_limit_lets_through() -> None:
    desk = Splitting()
    desk.venue.tokens = [2, 1, 2]

    await desk.trade()

    assert desk.venue.together == [tuple(IDS[:2]), tuple(IDS[3:])]
    assert desk.sent == IDS
    assert desk.states == RESTING


async def test_x03_a_refused_part_leaves_the_others_alone() -> None:
    desk = Splitting()
    desk.venue.batch_answers = [None, Refused("INSUFFICIENT_BALANCE", "not enough"), None]

    await desk.trade()

    assert desk.states == [*RESTING[:1], OrderState.REJECTED, *RESTING[2:]]
    assert desk.result is SignalResult.EXECUTED
    assert desk.sent == IDS


@pytest.mark.parametrize("error", [NotAccepted("CLOCK_SKEW", "10002"), RateLimited("RATE_LIMITED", "10006")])
async def test_x05_a_part_that_was_surely_not_accepted_is_tried_again_by_itself(error: VenueError) -> None:
    desk = Splitting()
    desk.venue.batch_answers = [None, error, None]

    orders = await desk.trade()

    assert desk.sent == [*IDS, IDS[1]]
    assert desk.states == RESTING
    assert [order.attempts for order in orders] == [1, 2, 1, 1, 1]


async def test_x05_attempts_are_counted_from_the_batch_on() -> None:
    desk = Splitting()
    desk.venue.batch_answers = [NotAccepted("CLOCK_SKEW", "10002")]
    desk.venue.answers = [NotAccepted("CLOCK_SKEW", "10002")] * 9

    orders = await desk.trade()

    assert desk.sent == [*IDS, IDS[0], IDS[0]]
    assert orders[0].state is OrderState.FAILED
    assert orders[0].attempts == 3


async def test_x06_parts_of_a_batch_without_a_reply_that_the_venue_has_are_not_sent_again() -> None:
    desk = Splitting()
    desk.venue.batch_answers = [NO_REPLY] * PARTS
    created = desk.venue.create_batch

    async def taken(orders: Any) -> Any:
        for part in range(PARTS):
            order = desk.orders.get(0, IDS[part])
            assert order is not None
            desk.venue.known[IDS[part]] = report(order)
        return await created(orders)

    desk.venue.create_batch = taken  # type: ignore[method-assign]  # this venue, in this test

    await desk.trade()

    assert desk.sent == IDS
    assert desk.states == RESTING


async def test_x06_parts_of_a_batch_that_never_arrived_are_sent_again_when_that_is_known_of_all() -> None:
    desk = Splitting()
    desk.venue.batch_answers = [NO_REPLY] * PARTS
    asked_first: list[set[str]] = []
    create = desk.venue.create

    async def look(order: Any) -> str:
        asked_first.append(set(desk.venue.asked))
        return await create(order)

    desk.venue.create = look  # type: ignore[method-assign]  # as above

    await desk.trade()

    assert desk.sent == [*IDS, *IDS]
    assert desk.states == RESTING
    assert asked_first[0] == set(IDS)


async def test_x06_a_part_in_doubt_is_settled_before_another_is_tried_again() -> None:
    desk = Splitting()
    desk.venue.batch_answers = [NotAccepted("CLOCK_SKEW", "10002"), NO_REPLY]
    asked_first: list[set[str]] = []
    create = desk.venue.create

    async def look(order: Any) -> str:
        asked_first.append(set(desk.venue.asked))
        return await create(order)

    desk.venue.create = look  # type: ignore[method-assign]  # as above

    await desk.trade()

    assert desk.sent == [*IDS, IDS[0], IDS[1]]
    assert asked_first[0] == {IDS[1]}
    assert desk.states == RESTING


async def test_x02_a_part_that_the_venue_has_seen_before_is_ours_if_it_agrees() -> None:
    desk = Splitting()
    desk.venue.batch_answers = [None, Duplicate("DUPLICATE_CLIENT_ORDER_ID", "seen")]
    created = desk.venue.create_batch

    async def taken(orders: Any) -> Any:
        order = desk.orders.get(0, IDS[1])
        assert order is not None
        desk.venue.known[IDS[1]] = report(order)
        return await created(orders)

    desk.venue.create_batch = taken  # type: ignore[method-assign]  # as above

    orders = await desk.trade()

    assert desk.states == RESTING
    assert orders[1].venue_order_id == f"venue-{IDS[1]}"


async def test_c03_a_part_that_is_cancelled_while_a_token_is_waited_for_is_left_out() -> None:
    desk = Splitting()

    async def somebody_wants_the_second_gone() -> None:
        desk.venue.on_admit = None
        wish = CancelRequested(
            instrument=BTC,
            account=ACCOUNT,
            origin=Origin.COMMAND,
            received_ns=NOW,
            client_order_id=IDS[1],
            command_id="c1",
            reason="lunch",
        )
        await desk.told(wish)

    desk.venue.on_admit = somebody_wants_the_second_gone

    orders = await desk.trade()

    assert desk.venue.together == [(IDS[0], *IDS[2:])]
    assert orders[1].state is OrderState.EXPIRED
    assert "lunch" in orders[1].reason
    assert [order.batched for order in (orders[0], orders[2])] == [{"create": "1 of 4"}, {"create": "2 of 4"}]


async def test_x10_parts_of_a_dry_run_leave_in_no_call() -> None:
    desk = Splitting(dry_run=True)

    await desk.trade()

    assert desk.sent == []
    assert desk.states == [OrderState.DRY_RUN] * PARTS


async def a_turn_that_ends_before_it_sends(desk: Splitting) -> None:
    forever = asyncio.Event()
    desk.venue.on_admit = forever.wait  # type: ignore[assignment]  # its answer is not looked at
    former = asyncio.create_task(desk.trade())
    for _ in range(200):
        await asyncio.sleep(0)
    former.cancel()
    await asyncio.gather(former, return_exceptions=True)
    desk.venue.on_admit = None


async def test_x06_parts_that_a_former_turn_may_have_sent_are_asked_for_before_one_is_sent() -> None:
    desk = Splitting()
    await a_turn_that_ends_before_it_sends(desk)
    for order in desk.parts[:2]:
        desk.venue.known[order.order_id] = report(order)

    await desk.trade()

    assert desk.sent == IDS[2:]
    assert desk.venue.together == []
    assert set(desk.venue.asked) == set(IDS)
    assert desk.states == RESTING


async def test_x06_parts_of_an_expired_signal_are_asked_for_side_by_side_too() -> None:
    desk = Splitting()
    await a_turn_that_ends_before_it_sends(desk)
    desk.venue.asked.clear()
    await desk.clock.sleep(120)

    await desk.trade()

    assert set(desk.venue.asked[:PARTS]) == set(IDS)
    assert desk.sent == []
    assert desk.states == [OrderState.EXPIRED] * PARTS


async def test_x06_parts_that_wait_for_each_others_questions_are_not_given_up() -> None:
    desk = Splitting()
    await a_turn_that_ends_before_it_sends(desk)
    desk.venue.asked.clear()
    await desk.clock.sleep(120)
    answer = desk.venue.order

    async def in_turn(ref: Any) -> Any:
        await desk.clock.sleep(8)
        return await answer(ref)

    desk.venue.order = in_turn  # type: ignore[method-assign]  # as above

    await desk.trade()

    assert Counter(desk.venue.asked) == dict.fromkeys(IDS, 2)
    assert desk.states == [OrderState.EXPIRED] * PARTS


async def test_y01_parts_are_not_asked_for_side_by_side_while_their_symbol_waits_for_its_comparison() -> None:
    desk, asked_before = Splitting(), list[int]()
    await a_turn_that_ends_before_it_sends(desk)
    desk.venue.asked.clear()
    await desk.clock.sleep(120)
    desk.gates.caught_up(0, {"BTCUSDT"})

    def compared() -> None:
        asked_before.append(len(desk.venue.asked))
        desk.gates.open(0, "BTCUSDT")
        desk.applied.touch_all()

    asyncio.get_running_loop().call_later(0.02, compared)

    await desk.trade()

    assert asked_before == [0]
    assert desk.states == [OrderState.EXPIRED] * PARTS
