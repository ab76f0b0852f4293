"""Alerts sent on: what is worth a message, and that it reaches a channel."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.notifying import Notices, run_notifier
from app.settings import Settings
from app.topics import topics_of
from domain.errors import InvalidInput
from streams.alert_board import ACTION_KEY, AlertAction, AlertState, encode_action
from streams.broadcast import Entry
from streams.schemas import Alert, encode

# A part of apprise that e-mails need looks for an old module of Python's.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def occurrence(number: int) -> tuple[bytes, Entry]:
    alert = Alert(
        alert_id=f"order-updates-0-{number}-ORDER_FAILED",
        code="ORDER_FAILED",
        severity="critical",
        sentence=f"order {number} failed",
        symbol="BTCUSDT",
        at_ns=number,
        source=f"order-updates-0-{number}",
    )
    return alert.alert_id.encode(), Entry(encode(alert), number, number)


def word(state: AlertState) -> tuple[bytes, Entry]:
    alert = "ORDER_FAILED@BTCUSDT"
    action = AlertAction(alert=alert, state=state, by="web:desk", reason="mended", at_ns=1)
    return ACTION_KEY + alert.encode(), Entry(encode_action(action), 1, 1)


def test_the_first_occurrence_is_sent_the_next_only_when_it_goes_on_for_long() -> None:
    now_s = [0.0]
    notices = Notices("alerts", 60.0, lambda: now_s[0])

    assert notices.about(*occurrence(1)) == [("critical: ORDER_FAILED@BTCUSDT", "order 1 failed")]
    assert notices.about(*occurrence(2)) == []
    assert notices.about(*occurrence(2)) == []
    now_s[0] = 61.0
    assert notices.about(*occurrence(3)) == [("critical: ORDER_FAILED@BTCUSDT", "order 3 failed, 3 times so far")]


def test_the_end_is_sent_once_and_a_new_beginning_too() -> None:
    notices = Notices("alerts", 60.0, lambda: 0.0)
    notices.about(*occurrence(1))

    assert notices.about(*word(AlertState.ACKNOWLEDGED)) == []
    assert notices.about(*word(AlertState.RESOLVED)) == [("over: ORDER_FAILED@BTCUSDT", "mended (web:desk)")]
    assert notices.about(*word(AlertState.RESOLVED)) == []
    assert [title for title, _ in notices.about(*occurrence(2))] == ["critical: ORDER_FAILED@BTCUSDT"]


@pytest_asyncio.fixture
async def channel() -> AsyncIterator[tuple[int, asyncio.Queue[dict[str, Any]]]]:
    """A chat server that takes JSON; its port, and what was posted."""
    posted: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    answers = iter((503, 200))  # the first message meets a server that is busy

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
    topic = topics_of(settings).alerts
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    key, entry = occurrence(1)
    await producer.send_and_wait(topic, entry.value, key=key)
    await producer.stop()

    running = asyncio.create_task(run_notifier(settings))
    async with asyncio.timeout(30):
        refused, taken = await posted.get(), await posted.get()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert (taken["title"], taken["message"]) == ("critical: ORDER_FAILED@BTCUSDT", "order 1 failed")
    assert refused["title"] == taken["title"]


@pytest.mark.parametrize(("urls", "sentence"), [("", "is empty"), ("nonsense://x", "does not know address 1")])
async def test_no_channel_or_one_that_nobody_knows_is_refused_by_name(
    kafka: str, tmp_path: Path, urls: str, sentence: str
) -> None:
    settings = Settings(kafka_bootstrap=kafka, data_dir=tmp_path, notify_urls=urls)

    with pytest.raises(InvalidInput, match=sentence):
        await run_notifier(settings)
