"""The user's own channels: alerts sent on to e-mail, chat, pagers, whatever `apprise` knows (requirement A01).

A process of its own (`ordermanager notify`), so that a slow channel delays nothing. It follows the topic `alerts` in a
group of its own: what was raised while it was away is sent when it is back, once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import stamina
from aiokafka import AIOKafkaConsumer

from app.process_logs import configure_process_logs
from app.settings import Settings
from app.topics import topics_of
from domain.errors import InvalidInput
from streams.alert_board import AlertBoard, AlertState, FoldedAlert
from streams.broadcast import Entry

_log = logging.getLogger(__name__)

Send = Callable[[str, str], Awaitable[None]]
"""(title, text); raises `NotDelivered`."""

ATTEMPTS = 4


class NotDelivered(Exception):  # noqa: N818 -- the words name it well without a suffix
    """A channel did not take a message."""


class Notices:
    """Which records of `alerts` are worth a message: the first occurrence, one after a resolution, one again when it
    still goes on after `repeat_s`, and the end of what was told."""

    def __init__(self, topic: str, repeat_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self._topic = topic
        self._board = AlertBoard(topic)
        self._repeat_s = repeat_s
        self._now_s = now_s
        self._told_s: dict[str, float] = {}

    def about(self, key: bytes, entry: Entry) -> list[tuple[str, str]]:
        """(title, text) of the messages that a record leads to."""
        before = {alert.alert: alert for alert in self._board.alerts()}
        self._board.take(self._topic, key, entry)
        changed = [alert for alert in self._board.alerts() if before.get(alert.alert) != alert]
        return [message for alert in changed if (message := self._message(before.get(alert.alert), alert)) is not None]

    def _message(self, before: FoldedAlert | None, alert: FoldedAlert) -> tuple[str, str] | None:
        now_s = self._now_s()
        if alert.state is AlertState.RESOLVED:
            if self._told_s.pop(alert.alert, None) is None:
                return None
            return f"over: {alert.alert}", f"{alert.reason} ({alert.changed_by})"
        if before is not None and alert.count == before.count:
            return None  # somebody acknowledged it: they know
        told_s = self._told_s.get(alert.alert)
        if told_s is not None and now_s - told_s < self._repeat_s:
            return None
        self._told_s[alert.alert] = now_s
        times = f", {alert.count} times so far" if alert.count > 1 else ""
        return f"{alert.severity}: {alert.alert}", f"{alert.sentence}{times}"


def channels(urls: list[str]) -> Send:
    """The channels behind apprise's URLs. Raises `InvalidInput` for one that it does not know, without showing it:
    such addresses carry tokens."""
    try:
        import apprise  # noqa: PLC0415 -- an extra
    except ModuleNotFoundError:
        raise InvalidInput("NO_APPRISE", ["apprise is not installed: pip install 'ordermanager[notify]'"]) from None
    known: Any = apprise.Apprise()  # Any: apprise is untyped
    for number, url in enumerate(urls, start=1):
        if not known.add(url):
            raise InvalidInput("BAD_SETTINGS", [f"ORDERMANAGER_NOTIFY_URLS: apprise does not know address {number}"])

    async def send(title: str, text: str) -> None:
        async for attempt in stamina.retry_context(on=NotDelivered, attempts=ATTEMPTS, timeout=None, wait_max=10.0):
            with attempt:
                if not await known.async_notify(title=title, body=text):
                    raise NotDelivered(title)

    return send


async def run_notifier(settings: Settings) -> None:
    """Run until cancelled. Raises `InvalidInput` when no channel is set."""
    urls = settings.notify_urls.get_secret_value().split()
    if not urls:
        raise InvalidInput("BAD_SETTINGS", ["ORDERMANAGER_NOTIFY_URLS is empty: there is nowhere to send alerts to"])
    send = channels(urls)
    topics = topics_of(settings)
    consumer: Any = AIOKafkaConsumer(  # Any: aiokafka is untyped
        topics.alerts,
        bootstrap_servers=settings.bootstrap,
        group_id=f"{topics.app_id}-notifier",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        await notify(consumer, Notices(topics.alerts, settings.notify_repeat_s), send)
    finally:
        await consumer.stop()


async def notify(consumer: Any, notices: Notices, send: Send) -> None:  # Any: aiokafka is untyped
    """Send what each record leads to, then commit it. A channel that stays away costs its message, not the next."""
    async for record in consumer:
        for title, text in notices.about(record.key or b"", Entry(record.value or b"", 0, record.offset)):
            try:
                await send(title, text)
            except NotDelivered:
                _log.exception("an alert could not be sent on: %s", title)
        await consumer.commit()


def main(settings: Settings) -> None:
    """The process."""
    configure_process_logs(settings, "notifier")
    asyncio.run(run_notifier(settings))
