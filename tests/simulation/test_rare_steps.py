"""Steps that chance takes too seldom to be relied on: one arrangement each, on the simulated ports."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal

import msgspec
import pytest

from domain.instruments import Instrument
from domain.orders import PositionSide, Side
from domain.updates import FillKind, FillReport, Origin, encode_update
from simulation.listing import CATEGORY, VENUE
from simulation.venue_orders import ACCOUNT
from simulation.virtual_time import EPOCH_NS, VirtualLoop
from simulation.weather import Weather
from simulation.worker import Worker
from simulation.world import World

SYMBOL = "BTCUSDT"
BTC = Instrument(VENUE, CATEGORY, SYMBOL)
FILL = FillReport(
    instrument=BTC,
    account=ACCOUNT,
    origin=Origin.STREAM,
    received_ns=EPOCH_NS,
    venue_order_id="v1",
    execution_id="e1",
    side=Side.BUY,
    price=Decimal(100),
    quantity=Decimal(1),
    fee=Decimal(0),
    fee_currency="USDT",
    executed_ns=EPOCH_NS,
)


@pytest.fixture
def world() -> Iterator[World]:
    """A world of one partition in which nothing happens by itself."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    yield World(0, Weather(partitions=1, symbols=1), loop, None)
    asyncio.set_event_loop(None)
    loop.close()


def read(world: World, update: FillReport, offset: int) -> None:
    """The worker reads this update at this offset, and everything it causes becomes durable."""
    updates = (world.topics.order_updates, 0)

    async def handled() -> None:
        worker = world.worker
        worker.inbox.open({updates: offset})
        record = worker.record_at(updates, offset, encode_update(update))
        worker.inbox.take(record)
        worker.order_agent.handle([record])
        await worker.log.flushed()

    world.loop.run_until_complete(handled())


def bought(worker: Worker) -> Decimal:
    return worker.positions.get(0, BTC, ACCOUNT, PositionSide.NET).state.bought


def test_a_fill_older_than_its_position_goes_through_the_log_again_and_counts_once(world: World) -> None:
    worker = world.worker
    worker.own_rows((0,))
    payment = msgspec.structs.replace(FILL, execution_id="e0", fill_kind=FillKind.FUNDING, fee=Decimal("0.1"))
    read(world, payment, offset=27)

    read(world, FILL, offset=25)
    after_first_reading = bought(worker)
    copies = world.broker.logs[world.topics.order_updates, 0]
    for offset in (28, 29):
        read(world, FILL, offset)

    assert after_first_reading == 0
    assert [copy.value for copy in copies] == [encode_update(FILL)]
    assert bought(worker) == 1
