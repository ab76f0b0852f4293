"""Broadcasts that can't be followed any more are no silence to get used to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.kafka.broker import LocalKafka
from streams import broadcast
from streams.broadcast import Broadcasts


class BrokenConsumer:
    """Starts, and fails at the first read."""

    def __init__(self, **_options: Any) -> None:
        self.stopped = False

    async def start(self) -> None: ...

    async def stop(self) -> None:
        self.stopped = True

    def assign(self, _partitions: Any) -> None: ...

    async def seek_to_beginning(self, *_partitions: Any) -> None: ...

    async def end_offsets(self, partitions: Any) -> Any:
        return dict.fromkeys(partitions, 0)

    async def position(self, _partition: Any) -> int:
        return 0

    async def getmany(self, **_options: Any) -> Any:
        raise OSError("the connection is gone")


async def test_r05_whoever_can_not_hear_a_halt_any_more_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "AIOKafkaConsumer", BrokenConsumer)
    broadcasts = Broadcasts("nowhere:9092", ["controls"])
    failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
    broadcasts.on_failure = failed.set_result

    await broadcasts.start()

    async with asyncio.timeout(5):
        assert isinstance(await failed, OSError)
    await broadcasts.stop()


async def test_a_broker_that_is_away_at_the_start_is_waited_for(
    broker: LocalKafka, caplog: pytest.LogCaptureFixture
) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("controls", 1, 1)])
    await admin.close()
    await broker.stop()
    broadcasts = Broadcasts(broker.bootstrap, ["controls"])

    starting = asyncio.create_task(broadcasts.start())
    async with asyncio.timeout(20):
        while "broadcasts waits for the brokers" not in caplog.text:  # noqa: ASYNC110 -- a log has no event
            await asyncio.sleep(0.05)
    assert not starting.done()
    await broker.start()
    async with asyncio.timeout(30):
        await starting
    await broadcasts.stop()


async def test_a_start_that_is_cut_short_leaves_no_connection_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[BrokenConsumer] = []
    reading = asyncio.Event()

    class SlowConsumer(BrokenConsumer):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            made.append(self)

        async def end_offsets(self, partitions: Any) -> Any:
            return dict.fromkeys(partitions, 1)

        async def getmany(self, **_options: Any) -> Any:
            reading.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(broadcast, "AIOKafkaConsumer", SlowConsumer)
    starting = asyncio.create_task(Broadcasts("nowhere:9092", ["controls"]).start())
    await reading.wait()

    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)

    (consumer,) = made
    assert consumer.stopped
