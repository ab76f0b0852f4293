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
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import stamina
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from app.process_logs import configure_process_logs
from app.settings import Settings
from app.topics import topics_of
from domain.errors import InvalidInput
from streams.alert_board import ACTION_KEY, AlertBoard, AlertState, FoldedAlert, folded_id
from streams.broadcast import Entry
from streams.schemas import Alert

_log = logging.getLogger(__name__)

Send = Callable[[str, str], Awaitable[None]]
"""(title, text); raises `NotDelivered`."""

ATTEMPTS = 4
RETRY_S = 30.0
"""Between two tries at a message that no channel took, each of `ATTEMPTS` attempts."""
SENDING_LIMIT = 4
"""Messages that are sent at the same time."""
LOOK_S = 1.0

_decode_alert = msgspec.json.Decoder(Alert).decode


class NotDelivered(Exception):  # noqa: N818 -- the words name it well without a suffix
    """No channel took a message."""


@dataclass(frozen=True, slots=True, eq=False)
class Notice:
    """A message. `offset`: of the record that led to it; None where time did."""

    alert: str
    title: str
    text: str
    offset: int | None
    ends: bool = False
    """Whether it tells that the alert is over."""


class Notices:
    """Which messages are due: the first occurrence of an alert, one after a resolution, one again when it still goes on
    after `repeat_s`, and the end of what was told. Those of an alert go one after another; one that failed is due again
    after `RETRY_S`."""

    def __init__(self, topic: str, repeat_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self._topic = topic
        self._repeat_s = repeat_s
        self._now_s = now_s
        self.begin(0)

    def begin(self, known: int) -> None:
        """The topic is read from its beginning; what stands below the offset `known` was told by a former process."""
        self._known = known
        self._board = AlertBoard(self._topic)
        self._next: int | None = None
        self._announced: set[str] = set()
        """Alerts of which a beginning was told, or is owed, and no end."""
        self._told_s: dict[str, float] = {}
        """By alert: when its beginning, or that it goes on, was last delivered."""
        self._owed: dict[str, list[Notice]] = {}
        self._not_before_s: dict[str, float] = {}
        """By alert: when its next message may be sent; never, while one is on its way."""

    # -- what is heard -----------------------------------------------------------------------------------------------

    def take(self, key: bytes, entry: Entry) -> None:
        """One record of the topic."""
        self._next = entry.offset + 1
        name = _alert_of(key, entry)
        before = self._board.get(name)
        self._board.take(self._topic, key, entry)
        alert = self._board.get(name)
        if alert is None or alert == before:
            return
        if entry.offset < self._known:
            self._remember(alert)
        elif alert.state is AlertState.RESOLVED:
            if name in self._announced:
                self._announced.discard(name)
                text = f"{alert.reason} ({alert.changed_by})"
                self._owe(Notice(name, f"over: {name}", text, entry.offset, ends=True))
        elif before is None or alert.count != before.count:  # else somebody acknowledged it: they know
            if name not in self._announced:
                self._announced.add(name)
                self._owe(_tells(alert, entry.offset))
            elif self._goes_on(name):
                self._owe(_tells(alert, entry.offset))

    def _remember(self, alert: FoldedAlert) -> None:
        if alert.state is AlertState.RESOLVED:
            self._announced.discard(alert.alert)
            self._told_s.pop(alert.alert, None)
        else:
            self._announced.add(alert.alert)
            self._told_s[alert.alert] = self._now_s()

    def _owe(self, notice: Notice) -> None:
        owed = self._owed.setdefault(notice.alert, [])
        if len(owed) >= 2 and owed[-1].ends and not self._is_on_its_way(notice.alert):
            del owed[-2:]  # began and ended untold, and it has begun again
        owed.append(notice)

    def _goes_on(self, name: str) -> bool:
        told_s = self._told_s.get(name)
        return told_s is not None and name not in self._owed and self._now_s() - told_s >= self._repeat_s

    def _is_on_its_way(self, name: str) -> bool:
        return self._not_before_s.get(name) == math.inf

    # -- what is sent ------------------------------------------------------------------------------------------------

    def take_due(self) -> list[Notice]:
        """The messages to send now, one an alert; each is to be followed by `delivered` or `failed`."""
        for alert in self._board.alerts():
            if alert.state is AlertState.OPEN and self._goes_on(alert.alert):
                self._owe(_tells(alert, None))
        now_s = self._now_s()
        due = [owed[0] for name, owed in self._owed.items() if self._not_before_s.get(name, now_s) <= now_s]
        self._not_before_s |= {notice.alert: math.inf for notice in due}
        return due

    def delivered(self, notice: Notice) -> None:
        """A channel took it."""
        owed = self._owed.get(notice.alert, [])
        if not owed or owed[0] is not notice:
            return  # the topic is read anew
        del owed[0], self._not_before_s[notice.alert]
        if not owed:
            del self._owed[notice.alert]
        if notice.ends:
            self._told_s.pop(notice.alert, None)
        else:
            self._told_s[notice.alert] = self._now_s()

    def failed(self, notice: Notice) -> None:
        """No channel took it."""
        if self._owed.get(notice.alert, [None])[0] is notice:
            self._not_before_s[notice.alert] = self._now_s() + RETRY_S

    def done_up_to(self) -> int | None:
        """The offset below which nothing is owed; None before there is anything to commit."""
        owed = [each.offset for owed in self._owed.values() for each in owed if each.offset is not None]
        if self._next is None or self._next <= self._known:
            return None
        return min([self._next, *owed])


def _alert_of(key: bytes, entry: Entry) -> str:
    """The folded id of the alert that a record speaks of; empty if it can't be read."""
    if key.startswith(ACTION_KEY):
        return key.removeprefix(ACTION_KEY).decode(errors="replace")
    with contextlib.suppress(msgspec.DecodeError):
        alert = _decode_alert(entry.value)
        return folded_id(alert.code, alert.symbol)
    return ""


def _tells(alert: FoldedAlert, offset: int | None) -> Notice:
    times = f", {alert.count} times so far" if alert.count > 1 else ""
    return Notice(alert.alert, f"{alert.severity}: {alert.alert}", f"{alert.sentence}{times}", offset)


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
    consumer.subscribe([topics.alerts], listener=_FromTheBeginning(consumer, notices))
    await consumer.start()
    try:
        await notify(consumer, TopicPartition(topics.alerts, 0), notices, send)
    finally:
        await consumer.stop()


class _FromTheBeginning(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Reads the topic from its beginning: what is open is to be known, to be told again and to be told when it ends."""

    def __init__(self, consumer: Any, notices: Notices) -> None:
        self._consumer = consumer
        self._notices = notices

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """They are ours."""
        for partition in assigned:  # there is one
            committed = await self._consumer.committed(partition)
            first = await self._consumer.beginning_offsets([partition])
            self._notices.begin(committed or 0)
            self._consumer.seek(partition, first[partition])

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Nothing is to be done."""


async def notify(consumer: Any, partition: TopicPartition, notices: Notices, send: Send) -> None:
    """Send what is due, until cancelled, and commit what is done. `consumer` is aiokafka's, which is untyped."""
    news, places = asyncio.Event(), asyncio.Semaphore(SENDING_LIMIT)

    async def follow() -> None:
        async for record in consumer:
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
