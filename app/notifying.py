"""The user's own channels: alerts sent on to e-mail, chat, pagers, whatever `apprise` knows (requirement A01).

A process of its own (`ordermanager notify`), so that a slow channel delays nothing. It follows the topic `alerts` in a
group of its own: what was raised while it was away is sent when it is back, once. A record is committed when a channel
has taken its message; until then it is tried again, and the messages of other alerts go on. An alert that stays open is
sent again after a time, whether or not anything is heard of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain
from typing import Any

import stamina
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from app.notices import Notice, Notices
from app.process_logs import configure_process_logs
from app.settings import Settings
from app.topics import topics_of
from domain.errors import InvalidInput
from streams.broadcast import Entry

_log = logging.getLogger(__name__)

Send = Callable[[str, str], Awaitable[None]]
"""(title, text); raises `NotDelivered`."""

ATTEMPTS = 4
"""Of one try at a message."""
SENDING_LIMIT = 4
"""Messages that are sent at the same time."""
LOOK_S = 1.0


class NotDelivered(Exception):  # noqa: N818 -- the words name it well without a suffix
    """No channel took a message."""


def channels(urls: list[str]) -> Send:
    """The channels behind apprise's URLs. Raises `InvalidInput` for one that it does not know, without showing it:
    such addresses carry tokens.

    A message is delivered when one of them has taken it; the others are tried as often, and told of in the log."""
    try:
        import apprise  # noqa: PLC0415 -- an extra
    except ModuleNotFoundError:
        raise InvalidInput("NO_APPRISE", ["apprise is not installed: pip install 'ordermanager[notify]'"]) from None
    known: list[Any] = []  # Any: apprise is untyped
    for number, url in enumerate(urls, start=1):
        known.append(apprise.Apprise())
        if not known[-1].add(url):
            raise InvalidInput("BAD_SETTINGS", [f"ORDERMANAGER_NOTIFY_URLS: apprise does not know address {number}"])

    async def try_one(channel: Any, title: str, text: str) -> bool:
        with contextlib.suppress(NotDelivered):
            async for attempt in stamina.retry_context(on=NotDelivered, attempts=ATTEMPTS, timeout=None, wait_max=10.0):
                with attempt:
                    if not await channel.async_notify(title=title, body=text):
                        raise NotDelivered(title)
            return True
        return False

    async def send(title: str, text: str) -> None:
        taken = await asyncio.gather(*(try_one(channel, title, text) for channel in known))
        if not any(taken):
            raise NotDelivered(title)
        if not all(taken):
            away = ", ".join(str(number) for number, took in enumerate(taken, start=1) if not took)
            _log.error("address %s of ORDERMANAGER_NOTIFY_URLS did not take: %s", away, title)

    return send


async def run_notifier(settings: Settings) -> None:
    """Run until cancelled. Raises `InvalidInput` when no channel is set."""
    urls = settings.notify_urls.get_secret_value().split()
    if not urls:
        raise InvalidInput("BAD_SETTINGS", ["ORDERMANAGER_NOTIFY_URLS is empty: there is nowhere to send alerts to"])
    send = channels(urls)
    topics = topics_of(settings)
    notices = Notices(topics.alerts, settings.notify_repeat_s)
    consumer: Any = AIOKafkaConsumer(  # Any: aiokafka is untyped
        bootstrap_servers=settings.bootstrap,
        group_id=f"{topics.app_id}-notifier",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    moved = asyncio.Event()
    consumer.subscribe([topics.alerts], listener=_Moves(moved))
    await consumer.start()
    try:
        await notify(consumer, TopicPartition(topics.alerts, 0), notices, send, moved)
    finally:
        await consumer.stop()


class _Moves(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Tells that the topic went or came. Nothing is asked of the broker here: aiokafka swallows the errors."""

    def __init__(self, moved: asyncio.Event) -> None:
        self._moved = moved

    async def on_partitions_assigned(self, _assigned: Sequence[TopicPartition]) -> None:
        """They are ours."""
        self._moved.set()

    async def on_partitions_revoked(self, _revoked: Sequence[TopicPartition]) -> None:
        """They are not, for now."""
        self._moved.set()


async def notify(consumer: Any, partition: TopicPartition, notices: Notices, send: Send, moved: asyncio.Event) -> None:
    """Send what is due, until cancelled, and commit what is done. `consumer` is aiokafka's, which is untyped.

    When the partition `moved` here, the topic is read from its beginning: what is open is to be known, to be told again
    and to be told when it ends.
    """
    news, places = asyncio.Event(), asyncio.Semaphore(SENDING_LIMIT)

    async def begin() -> None:
        if partition not in consumer.assignment():
            notices.begin(0)  # nothing is ours to tell
            return
        committed = await consumer.committed(partition)
        first = await consumer.beginning_offsets([partition])
        notices.begin(committed or 0)
        consumer.seek(partition, first[partition])

    async def follow() -> None:
        while True:
            if moved.is_set():
                moved.clear()
                try:
                    await begin()
                except KafkaError as error:
                    _log.warning("the topic of alerts can't be read from its beginning yet: %s", error)
                    moved.set()
                    await asyncio.sleep(LOOK_S)
                    continue
            batches = await consumer.getmany(timeout_ms=round(LOOK_S * 1_000))
            for record in () if moved.is_set() else chain.from_iterable(batches.values()):
                notices.take(record.key or b"", Entry(record.value or b"", 0, record.offset))
            news.set()

    async def deliver(notice: Notice) -> None:
        try:
            async with places:
                await send(notice.title, notice.text)
        except NotDelivered:
            _log.error("no channel takes an alert, it is tried again: %s", notice.title)
            notices.failed(notice)
        else:
            notices.delivered(notice)
        news.set()

    done = None
    async with asyncio.TaskGroup() as group:
        group.create_task(follow())
        while True:
            for notice in notices.take_due():
                group.create_task(deliver(notice))
            if (up_to := notices.done_up_to()) is not None and up_to != done:
                try:
                    await consumer.commit({partition: up_to})
                    done = up_to
                except KafkaError as error:
                    _log.warning("what was sent is not committed yet: %s", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), LOOK_S)
            news.clear()


def main(settings: Settings) -> None:
    """The process."""
    configure_process_logs(settings, "notifier")
    asyncio.run(run_notifier(settings))
