"""Sending ahead of the broker's acknowledgements: in order, bounded, nothing forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from streams.in_flight import InFlight


class Broker:
    """Takes what is handed over, and acknowledges when told."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.acknowledgements: dict[int, asyncio.Future[None]] = {}

    def hand_over(self, number: int) -> Callable[[], Awaitable[Awaitable[object]]]:
        async def take() -> Awaitable[object]:
            await asyncio.sleep(0 if number % 2 else 0.001)  # a producer may have to wait before it takes a record
            self.taken.append(number)
            self.acknowledgements[number] = asyncio.get_running_loop().create_future()
            return self.acknowledgements[number]

        return take


@asynccontextmanager
async def acknowledging(in_flight: InFlight) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(in_flight.acknowledge())
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_records_are_handed_over_in_the_order_of_calls() -> None:
    in_flight, broker = InFlight(100), Broker()
    await asyncio.gather(*(in_flight.send(broker.hand_over(number)) for number in range(50)))
    assert broker.taken == list(range(50))


async def test_no_more_than_the_limit_is_ahead_of_the_broker() -> None:
    in_flight, broker = InFlight(3), Broker()
    async with acknowledging(in_flight):
        sends = [asyncio.ensure_future(in_flight.send(broker.hand_over(number))) for number in range(5)]
        await asyncio.wait(sends, timeout=0.05)
        assert broker.taken == [0, 1, 2]
        broker.acknowledgements[0].set_result(None)
        await asyncio.wait(sends, timeout=0.05)
        assert broker.taken == [0, 1, 2, 3]
        assert len(in_flight) == 3
        for send in sends:
            send.cancel()


async def test_what_is_durable_is_told_in_order_however_acknowledgements_come() -> None:
    in_flight, broker = InFlight(10), Broker()
    durable: list[int] = []
    async with acknowledging(in_flight):
        for number in range(3):
            await in_flight.send(broker.hand_over(number), lambda number=number: durable.append(number))
        in_flight.after_all(lambda: durable.append(99))
        broker.acknowledgements[2].set_result(None)
        broker.acknowledgements[1].set_result(None)
        await settle()
        assert durable == []
        broker.acknowledgements[0].set_result(None)
        await in_flight.drained()
        await settle()
        assert durable == [0, 1, 2, 99]


async def test_the_first_failure_is_raised() -> None:
    in_flight, broker = InFlight(10), Broker()
    async with acknowledging(in_flight) as task:
        await in_flight.send(broker.hand_over(0))
        broker.acknowledgements[0].set_exception(ConnectionAbortedError("refused"))
        with pytest.raises(ConnectionAbortedError, match="refused"):
            await task


async def test_nothing_in_flight_is_drained_at_once() -> None:
    await asyncio.wait_for(InFlight(1).drained(), timeout=1)


async def test_a_hand_over_that_fails_leaves_no_trace() -> None:
    in_flight, broker = InFlight(1), Broker()

    async def refuse() -> Awaitable[object]:
        raise ConnectionAbortedError("refused")

    with pytest.raises(ConnectionAbortedError):
        await in_flight.send(refuse)
    await asyncio.wait_for(in_flight.drained(), timeout=1)
    await asyncio.wait_for(in_flight.send(broker.hand_over(0)), timeout=1)
