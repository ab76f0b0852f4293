"""Alerts sent on: what is worth a message, and that it reaches a channel."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import TopicPartition

from app import notices as notices_module
from app import notifying
from app.notices import RETRY_S, Notices
from app.notifying import NotDelivered, notify, run_notifier
from app.settings import Settings
from app.topics import topics_of
from domain.errors import InvalidInput
from streams.alert_board import ACTION_KEY, AlertAction, AlertState, encode_action
from streams.broadcast import Entry
from streams.schemas import Alert, encode

# A part of apprise that e-mails need looks for an old module of Python's.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def occurrence(number: int, symbol: str = "BTCUSDT") -> tuple[bytes, Entry]:
    alert = Alert(
        alert_id=f"order-updates-0-{number}-ORDER_FAILED",
        code="ORDER_FAILED",
        severity="critical",
        sentence=f"order {number} failed",
        symbol=symbol,
        at_ns=number,
        source=f"order-updates-0-{number}",
    )
    return alert.alert_id.encode(), Entry(encode(alert), number, number)


def word(state: AlertState) -> tuple[bytes, Entry]:
    alert = "ORDER_FAILED@BTCUSDT"
    action = AlertAction(alert=alert, state=state, by="web:desk", reason="mended", at_ns=1)
    return ACTION_KEY + alert.encode(), Entry(encode_action(action), 1, 1)


def sent(notices: Notices) -> list[tuple[str, str]]:
    """What is due, delivered."""
    due = notices.take_due()
    for notice in due:
        notices.delivered(notice)
    return [(notice.title, notice.text) for notice in due]


def about(notices: Notices, record: tuple[bytes, Entry]) -> list[tuple[str, str]]:
    """What is sent after a record was heard."""
    notices.take(*record)
    return sent(notices)


FIRST = ("critical: ORDER_FAILED@BTCUSDT", "order 1 failed")
OVER = ("over: ORDER_FAILED@BTCUSDT", "mended (web:desk)")


def test_the_first_occurrence_is_sent_the_next_only_when_it_goes_on_for_long() -> None:
    now_s = [0.0]
    notices = Notices("alerts", 60.0, lambda: now_s[0])

    assert about(notices, occurrence(1)) == [FIRST]
    assert about(notices, occurrence(2)) == []
    assert about(notices, occurrence(2)) == []
    now_s[0] = 61.0
    assert about(notices, occurrence(3)) == [("critical: ORDER_FAILED@BTCUSDT", "order 3 failed, 3 times so far")]


def test_what_stays_open_is_sent_again_although_nothing_is_heard_of_it() -> None:
    now_s = [0.0]
    notices = Notices("alerts", 60.0, lambda: now_s[0])
    messages = about(notices, occurrence(1))

    for second in range(1, 185):
        now_s[0] = float(second)
        messages += sent(notices)

    assert messages == [FIRST] * 4
    notices.take(*word(AlertState.ACKNOWLEDGED))
    now_s[0] = 1_000.0
    assert sent(notices) == [], "somebody knows"


def test_the_end_is_sent_once_and_a_new_beginning_too() -> None:
    notices = Notices("alerts", 60.0, lambda: 0.0)
    about(notices, occurrence(1))

    assert about(notices, word(AlertState.ACKNOWLEDGED)) == []
    assert about(notices, word(AlertState.RESOLVED)) == [OVER]
    assert about(notices, word(AlertState.RESOLVED)) == []
    assert [title for title, _ in about(notices, occurrence(2))] == ["critical: ORDER_FAILED@BTCUSDT"]


def test_what_no_channel_took_is_due_again_soon_and_its_record_stays_uncommitted() -> None:
    now_s = [0.0]
    notices = Notices("alerts", 3_600.0, lambda: now_s[0])
    notices.take(*occurrence(0))
    [first] = notices.take_due()
    notices.take(*occurrence(1))
    assert notices.take_due() == [], "it is on its way"

    notices.failed(first)
    assert (notices.take_due(), notices.done_up_to()) == ([], 0)
    now_s[0] = RETRY_S
    assert notices.take_due() == [first]
    notices.delivered(first)

    assert (notices.take_due(), notices.done_up_to()) == ([], 2)


def test_what_began_and_ended_while_no_channel_took_it_is_told_and_only_its_last_time() -> None:
    now_s = [0.0]
    notices = Notices("alerts", 3_600.0, lambda: now_s[0])
    notices.take(*occurrence(1))
    notices.failed(notices.take_due()[0])
    for number in (2, 3):
        notices.take(*word(AlertState.RESOLVED))
        notices.take(*occurrence(number))
    notices.take(*word(AlertState.RESOLVED))

    now_s[0] = RETRY_S

    assert sent(notices) + sent(notices) + sent(notices) == [
        ("critical: ORDER_FAILED@BTCUSDT", "order 3 failed, 3 times so far"),
        OVER,
    ]


def test_what_a_former_process_told_is_not_told_again_but_known() -> None:
    now_s = [0.0]
    notices = Notices("alerts", 60.0, lambda: now_s[0])
    notices.begin(known=2)

    assert about(notices, occurrence(1)) == []
    assert notices.done_up_to() is None
    now_s[0] = 60.0
    assert sent(notices) == [FIRST]
    key, entry = word(AlertState.RESOLVED)
    assert about(notices, (key, replace(entry, offset=2))) == [OVER]
    assert notices.done_up_to() == 3


class Records:
    """A consumer of so many alerts, each of another symbol, that then waits. So many times it can't be asked."""

    def __init__(self, symbols: list[str], *, away: int = 0) -> None:
        self._records = [(offset, *occurrence(offset, symbol)) for offset, symbol in enumerate(symbols)]
        self._away = away
        self._next: int | None = None
        self.committed_offsets: list[int] = []
        self.all_committed = asyncio.Event()

    def assignment(self) -> set[TopicPartition]:
        return {ALERTS}

    async def committed(self, _partition: TopicPartition) -> int | None:
        if self._away:
            self._away -= 1
            raise KafkaConnectionError
        return self.committed_offsets[-1] if self.committed_offsets else None

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    def seek(self, _partition: TopicPartition, offset: int) -> None:
        self._next = offset

    async def getmany(self, *, timeout_ms: int) -> dict[TopicPartition, list[SimpleNamespace]]:
        assert self._next is not None, "it was not read from its beginning"
        found = [SimpleNamespace(key=key, value=entry.value, offset=i) for i, key, entry in self._records[self._next :]]
        self._next += len(found)
        if not found:
            await asyncio.sleep(timeout_ms / 1_000)
        return {ALERTS: found}

    async def commit(self, offsets: dict[Any, int]) -> None:
        self.committed_offsets.append(*offsets.values())
        if self.committed_offsets[-1] == len(self._records):
            self.all_committed.set()


ALERTS = TopicPartition("alerts", 0)


@asynccontextmanager
async def notifying_of(records: Records, send: Callable[[str, str], Awaitable[None]]) -> AsyncIterator[None]:
    """The notifier's loop with this consumer, which has just got the topic."""
    moved = asyncio.Event()
    moved.set()
    task = asyncio.create_task(notify(records, ALERTS, Notices("alerts", 60.0), send, moved))
    async with asyncio.timeout(20):
        yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_broker_that_is_away_when_the_topic_comes_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifying, "LOOK_S", 0.01)
    records, taken = Records(["A"], away=2), list[str]()

    async def send(title: str, text: str) -> None:
        taken.append(title)

    async with notifying_of(records, send):
        await records.all_committed.wait()

    assert taken == ["critical: ORDER_FAILED@A"]


async def test_a_message_that_no_channel_takes_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices_module, "RETRY_S", 0.01)
    monkeypatch.setattr(notifying, "LOOK_S", 0.01)
    records, taken, away = Records(["A", "B", "C"]), list[str](), asyncio.Event()
    others = asyncio.Event()

    async def send(title: str, text: str) -> None:
        if title.endswith("@A") and not away.is_set():
            raise NotDelivered(title)
        taken.append(title)
        if len(taken) >= 2:
            others.set()

    async with notifying_of(records, send):
        await others.wait()
        assert sorted(taken) == ["critical: ORDER_FAILED@B", "critical: ORDER_FAILED@C"]
        assert set(records.committed_offsets) <= {0}
        away.set()
        await records.all_committed.wait()

    assert sorted(taken) == [f"critical: ORDER_FAILED@{symbol}" for symbol in "ABC"]


@pytest_asyncio.fixture
async def channel() -> AsyncIterator[tuple[int, asyncio.Queue[dict[str, Any]]]]:
    """A chat server that takes JSON; its port, and what was posted."""
    posted: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    answers = chain((503,), repeat(200))  # the first message meets a server that is busy

    async def take(request: web.Request) -> web.Response:
        posted.put_nowait(await request.json())
        return web.Response(status=next(answers))

    application = web.Application()
    application.router.add_post("/{tail:.*}", take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1], posted
    await runner.cleanup()


async def test_an_alert_reaches_the_users_channel_although_it_is_busy_at_first(
    kafka: str, tmp_path: Path, channel: tuple[int, asyncio.Queue[dict[str, Any]]]
) -> None:
    port, posted = channel
    settings = Settings(
        kafka_bootstrap=kafka,
        data_dir=tmp_path,
        topic_prefix=f"n{uuid.uuid4().hex[:8]}-",
        notify_urls=f"json://127.0.0.1:{port}/",
    )
    topics = topics_of(settings)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topics.alerts, 1, 1)])
    await produce(kafka, topics.alerts, occurrence(1))

    async with running(settings):
        refused, taken = await posted.get(), await posted.get()
        told: list[int] = []
        while told != [1]:  # it was delivered
            committed = await admin.list_consumer_group_offsets(f"{topics.app_id}-notifier")
            told = [each.offset for each in committed.values()]
    await produce(kafka, topics.alerts, word(AlertState.RESOLVED))
    async with running(settings):  # another process
        over = await posted.get()
    await admin.close()

    assert (taken["title"], taken["message"]) == FIRST
    assert refused["title"] == taken["title"]
    assert (over["title"], over["message"]) == OVER, "it is not told again, and known to end"


async def produce(kafka: str, topic: str, record: tuple[bytes, Entry]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    await producer.send_and_wait(topic, record[1].value, key=record[0])
    await producer.stop()


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[None]:
    """The notifier, for as long as the block, which has its time."""
    notifier = asyncio.create_task(run_notifier(settings))
    async with asyncio.timeout(30):
        yield
    notifier.cancel()
    await asyncio.gather(notifier, return_exceptions=True)


@pytest.mark.parametrize(("urls", "sentence"), [("", "is empty"), ("nonsense://x", "does not know address 1")])
async def test_no_channel_or_one_that_nobody_knows_is_refused_by_name(
    kafka: str, tmp_path: Path, urls: str, sentence: str
) -> None:
    settings = Settings(kafka_bootstrap=kafka, data_dir=tmp_path, notify_urls=urls)

    with pytest.raises(InvalidInput, match=sentence):
        await run_notifier(settings)
