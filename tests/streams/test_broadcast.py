"""Broadcasts that can't be followed any more are no silence to get used to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.kafka.broker import LocalKafka
from domain.plans import TradingState
from streams import boards, broadcast
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

    def assignment(self) -> set[TopicPartition]:
        return set()


class ReadConsumer(BrokenConsumer):
    """Has three records, one of which replaces another."""

    last: ReadConsumer | None = None

    def __init__(self, **_options: Any) -> None:
        super().__init__()
        self.read = 0
        ReadConsumer.last = self

    async def end_offsets(self, partitions: Any) -> Any:
        return dict.fromkeys(partitions, 3)

    async def position(self, _partition: Any) -> int:
        return self.read

    async def getmany(self, **_options: Any) -> Any:
        if self.read == 3:
            await asyncio.sleep(3_600)
        self.read = 3
        told = ((b"main/BTC", b"2"), (b"main/USDT", b"7"), (b"main/BTC", b"1"))
        return {TopicPartition("balances", 0): [Told(*each, offset) for offset, each in enumerate(told)]}


@dataclass(frozen=True)
class Told:
    """A record as the consumer has it."""

    key: bytes
    value: bytes
    offset: int
    timestamp: int = 1


async def test_what_stands_on_a_topic_is_read_once_and_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "AIOKafkaConsumer", ReadConsumer)

    values = await broadcast.standing("nowhere:9092", "balances")

    assert sorted(values) == [b"1", b"7"]
    assert ReadConsumer.last is not None
    assert ReadConsumer.last.stopped


async def becomes(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 -- a figure has no event
        await asyncio.sleep(0.02)


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


async def test_r05_a_topic_that_no_broker_answers_for_is_noticed_while_others_are_heard(broker: LocalKafka) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    controls, heartbeats = "controls", "heartbeats"
    await admin.create_topics([NewTopic(name, 1, 1) for name in (controls, heartbeats)])
    await admin.close()
    broadcasts = Broadcasts(broker.bootstrap, [controls, heartbeats])
    unanswered_s = broadcasts.unanswered_s
    assert unanswered_s(controls) == float("inf")
    await broadcasts.start()
    try:
        async with asyncio.timeout(20):
            await becomes(lambda: max(unanswered_s(controls), unanswered_s(heartbeats)) < 0.5)
            broadcasts._consumer.pause(TopicPartition(controls, 0))
            await becomes(lambda: unanswered_s(controls) > 2.0 and unanswered_s(heartbeats) < 0.5)
            broadcasts._consumer.resume(TopicPartition(controls, 0))
            await becomes(lambda: unanswered_s(controls) < 0.5)
    finally:
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


@dataclass(frozen=True)
class Said:
    """A record of the topic of controls."""

    value: bytes
    offset: int
    key: bytes = b"all"
    timestamp: int = 0


def control(state: TradingState, at_s: float) -> bytes:
    return boards.encode(boards.Control(scope="all", state=state, reason="test", at_ns=int(at_s * 1e9)))


@pytest.mark.parametrize(
    ("standing", "late", "stands"),
    [
        ((TradingState.HALTED, 9.0), (TradingState.ARMED, 8.9), TradingState.HALTED),
        ((TradingState.ARMED, 9.0), (TradingState.REDUCE_ONLY, 5.0), TradingState.REDUCE_ONLY),
        ((TradingState.REDUCE_ONLY, 9.0), (TradingState.HALTED, 1.0), TradingState.HALTED),
        ((TradingState.HALTED, 9.0), (TradingState.REDUCE_ONLY, 8.9), TradingState.HALTED),
        ((TradingState.HALTED, 9.0), (TradingState.ARMED, 9.1), TradingState.ARMED),
    ],
    ids=["armed-late", "stricter-long-late", "halted-long-late", "less-strict-late", "in-order"],
)
async def test_r05_a_control_that_a_producer_kept_does_not_undo_a_newer_one(
    monkeypatch: pytest.MonkeyPatch,
    standing: tuple[TradingState, float],
    late: tuple[TradingState, float],
    stands: TradingState,
) -> None:
    read = [Said(control(*standing), 0), Said(control(*late), 1)]

    class Consumer(BrokenConsumer):
        async def getmany(self, **_options: Any) -> Any:
            if not read:
                await asyncio.Event().wait()
            return {TopicPartition("controls", 0): [read.pop(0)]}

    monkeypatch.setattr(broadcast, "AIOKafkaConsumer", Consumer)
    broadcasts = Broadcasts("nowhere:9092", ["controls"])
    broadcasts.overtaken = lambda _topic, old, new: boards.overtaken(old, new)
    written: list[bytes] = []
    broadcasts.on_overtaken = lambda _topic, _key, value: written.append(value)

    await broadcasts.start()
    async with asyncio.timeout(5):
        await broadcasts.read_back("controls", 1)
    await broadcasts.stop()

    assert boards.decode_control(broadcasts.table("controls")[b"all"].value).state is stands
    assert written == ([control(*standing)] if stands is standing[0] else [])


async def test_a_topic_with_ever_new_keys_is_passed_on_and_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    read = [Said(b"an alert", offset, key=b"alert-%d" % offset) for offset in range(3)]

    class Consumer(BrokenConsumer):
        async def getmany(self, **_options: Any) -> Any:
            if not read:
                await asyncio.Event().wait()
            return {TopicPartition("alerts", 0): [read.pop(0)]}

    monkeypatch.setattr(broadcast, "AIOKafkaConsumer", Consumer)
    broadcasts = Broadcasts("nowhere:9092", ["alerts"], passed_on=["alerts"])
    heard: list[bytes] = []
    broadcasts.listen(lambda _topic, key, _entry: heard.append(key))

    await broadcasts.start()
    async with asyncio.timeout(5):
        await broadcasts.read_back("alerts", 2)
    await broadcasts.stop()

    assert heard == [b"alert-0", b"alert-1", b"alert-2"]
    assert broadcasts.table("alerts") == {}


def test_r05_a_control_that_was_only_written_again_does_not_undo_a_newer_one() -> None:
    halted, armed = control(TradingState.HALTED, 9.0), control(TradingState.ARMED, 9.5)

    assert boards.overtaken(armed, boards.restored(halted))
    assert not boards.overtaken(armed, halted)


def test_r05_a_control_set_by_a_slow_clock_is_newer_than_the_one_it_follows() -> None:
    standing = boards.decode_control(control(TradingState.HALTED, 9.0))

    assert boards.after([standing], "all", now_ns=4_000_000_000) == 9_000_000_001
    assert boards.after([standing], "BTCUSDT", now_ns=4_000_000_000) == 4_000_000_000
