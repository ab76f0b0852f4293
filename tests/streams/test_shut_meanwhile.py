"""A symbol that is shut while an order waits for a token or a pause: the order waits for it again (Y01)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from listed_orders import order_of
from quiet_venue import SECOND
from trading_desk import BTC, TOPICS, Desk, FreeTurn

from domain.errors import NotAccepted
from domain.instruments import Instrument
from domain.orders import OrderState, Side
from domain.updates import CancelRequested, Origin
from exchanges.venue import VenueTraits
from streams.record import Record

TURN = FreeTurn(Record(TOPICS.signals, 0, 0, b"BTCUSDT", b"", (), 0))


def goes_blind(desk: Desk, seen: list[int] | None = None, *, at: int = 1) -> None:
    """The stream is lost while the `at`-th token is waited for, and back a little later; `seen`: the orders that were
    sent by then."""
    tokens = 0

    def back() -> None:
        if seen is not None:
            seen.append(len(desk.venue.created))
        desk.gates.sighted()
        desk.applied.touch_all()

    async def token() -> None:
        nonlocal tokens
        tokens += 1
        if tokens == at:
            desk.gates.blind("STREAM_GAP: connection lost")
            asyncio.get_running_loop().call_later(0.02, back)

    desk.venue.on_admit = token


async def test_y01_an_order_whose_symbol_is_shut_while_a_token_is_waited_for_waits_again() -> None:
    desk, seen = Desk(), list[int]()
    desk.intend()
    goes_blind(desk, seen)

    order = await desk.submit()

    assert (seen, len(desk.venue.created)) == ([0], 1)
    assert (order.state, order.attempts) == (OrderState.ACKNOWLEDGED, 1)


async def test_y01_an_order_that_is_tried_again_waits_for_a_symbol_that_was_shut_meanwhile() -> None:
    desk, seen = Desk(), list[int]()
    desk.intend()
    desk.venue.answers = [NotAccepted("NO_WAY", "no connection")]
    goes_blind(desk, seen, at=2)

    order = await desk.submit()

    assert (seen, len(desk.venue.created)) == ([1], 2)
    assert (order.state, order.attempts) == (OrderState.ACKNOWLEDGED, 2)


async def test_y01_the_orders_of_a_batch_wait_together() -> None:
    desk, seen = Desk(), list[int]()
    desk.venue.traits = VenueTraits("paper", True, 1.0, 1.0, 86_400.0, batch_sizes={"linear": 5})
    names = ("om1", "om2", "om3")
    for name in names:
        desk.intend(name)
    goes_blind(desk, seen)

    await desk.submitter.submit_together(TURN, expiries(desk, names), last="om3")

    assert (seen, desk.venue.together) == ([0], [names])
    assert [order_of(desk, name).state for name in names] == [OrderState.ACKNOWLEDGED] * 3


async def test_y01_of_a_batch_only_what_reduces_goes_while_its_symbol_is_shut() -> None:
    desk, seen = Desk(), list[int]()
    desk.venue.traits = VenueTraits("paper", True, 1.0, 1.0, 86_400.0, batch_sizes={"linear": 5})
    desk.intend("om1", reduce_only=True, side=Side.SELL)
    desk.intend("om2")
    goes_blind(desk, seen)

    await desk.submitter.submit_together(TURN, expiries(desk, ("om1", "om2")), last="om2")

    assert (seen, [order.client_order_id for order in desk.venue.created]) == ([1], ["om1", "om2"])


@pytest.mark.parametrize(
    "terms",
    [
        {"reduce_only": True, "side": Side.SELL},
        {"side": Side.SELL, "instrument": Instrument(BTC.venue, "spot", BTC.symbol)},
    ],
    ids=["reduce-only", "spot"],
)
async def test_y01_what_only_reduces_needs_no_stream(terms: dict[str, object]) -> None:
    desk, seen = Desk(), list[int]()
    desk.intend(**terms)
    goes_blind(desk, seen)

    await desk.submit()
    await asyncio.sleep(0.03)

    assert seen == [1]


async def test_s09_an_order_whose_symbol_stays_shut_expires() -> None:
    desk = Desk()
    desk.intend()

    async def a_minute_passes() -> None:
        desk.clock.ns += 61 * SECOND

    async def gap() -> None:
        desk.gates.blind("STREAM_GAP: connection lost")
        desk.clock.ns += 59_980_000_000
        desk.venue.on_admit = a_minute_passes

    desk.venue.on_admit = gap

    order = await desk.submit(for_s=60.0)

    assert (order.state, desk.venue.created) == (OrderState.EXPIRED, [])
    assert order.reason.startswith("SIGNAL_EXPIRED")


async def test_c01_an_order_that_is_cancelled_while_its_symbol_is_shut_ends_at_once() -> None:
    desk = Desk()
    order = desk.intend()
    wish = CancelRequested(
        instrument=order.instrument,
        account=order.account,
        origin=Origin.COMMAND,
        received_ns=desk.clock.now_ns(),
        client_order_id="om1",
        command_id="op1",
        reason="lunch",
    )

    async def gap() -> None:
        desk.gates.blind("STREAM_GAP: connection lost")
        asyncio.get_running_loop().call_later(0.02, lambda: asyncio.ensure_future(desk.told(wish)))

    desk.venue.on_admit = gap

    order = await desk.submit()

    assert (order.state, desk.venue.created) == (OrderState.EXPIRED, [])
    assert order.reason.startswith("CANCELLED_BEFORE_SENT")


async def test_y01_comparing_opens_a_symbol_whose_order_waits_for_that() -> None:
    desk = Desk()
    desk.intend()

    async def the_partition_comes_again() -> None:
        desk.venue.on_admit = None
        desk.recovery.assigned(0)
        assert desk.gates.shut() == [(0, "BTCUSDT")]

    desk.venue.on_admit = the_partition_comes_again

    order = await asyncio.wait_for(desk.submit(), 5)

    desk.recovery.revoked(0)
    assert (order.state, len(desk.venue.created), desk.failures) == (OrderState.ACKNOWLEDGED, 1, [])


def expiries(desk: Desk, order_ids: Sequence[str]) -> dict[str, int]:
    return dict.fromkeys(order_ids, desk.clock.now_ns() + 60 * SECOND)
