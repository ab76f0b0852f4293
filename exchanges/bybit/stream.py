"""The account's stream at Bybit v5 (the `PrivateStream` protocol).

Life of a connection: connect, authenticate, subscribe, say so, pass on what comes; when it ends, for whatever
reason, say so and begin again. What arrives before the subscription is confirmed is kept and passed on after it.
Source: Bybit v5, "Connect" and the private topics.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from domain.errors import InvalidInput
from domain.updates import Origin, Update
from exchanges.bybit import account, translate
from exchanges.bybit.options import BybitOptions
from exchanges.bybit.rows import MS, Row
from exchanges.bybit.server_time import ServerTime
from exchanges.bybit.signing import Credentials
from exchanges.clock import Clock, SystemClock
from exchanges.venue import Balance, StreamEvent

log = logging.getLogger(__name__)
wire_log = logging.getLogger(f"{__name__}.wire")
wire_log.setLevel(logging.INFO)  # below that the library writes every frame, the one with the signature included

TOPICS = ("order", "execution", "position", "wallet")
_AUTH_VALID_MS = 10_000
_MAX_MESSAGE_BYTES = 4 * 1024 * 1024
_CLOSE_S = 1.0


class StreamRefused(Exception):  # noqa: N818 -- what the venue said, not a failure of the program
    """The venue refused the key or the subscription."""


class StreamSilent(Exception):  # noqa: N818 -- as above
    """Nothing came for so long that the connection must be dead, whatever the socket says."""


class BybitPrivateStream:
    """Everything Bybit says of one account. `bad_messages` counts what could not be read."""

    def __init__(
        self,
        options: BybitOptions,
        *,
        clock: Clock | None = None,
        server_time: ServerTime | None = None,
        on_bad_message: Callable[[str], None] = lambda _reason: None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._options = options
        self._timings = options.stream
        self._credentials = Credentials(options.key, options.secret)
        self._clock = clock or SystemClock()
        self._server_time = server_time or ServerTime(self._clock)
        self._on_bad_message = on_bad_message
        self._jitter = jitter
        self._closing = asyncio.Event()
        self._socket: ClientConnection | None = None
        self.bad_messages = 0

    def __repr__(self) -> str:
        return f"BybitPrivateStream(venue={self._options.venue}, account={self._options.account})"

    async def close(self) -> None:
        """End the connection and the iteration."""
        self._closing.set()
        if self._socket is not None:
            await self._socket.close()

    async def events(self) -> AsyncIterator[StreamEvent]:
        """Everything the venue says until `close`, with an event for each connection gained, lost or failed."""
        failures = 0
        while not self._closing.is_set():
            began_s = self._clock.monotonic_s()
            reason = "closed"
            try:
                async with self._connected() as socket:
                    self._socket = socket
                    early = await self._open(socket)
                    yield StreamEvent(connected=True)
                    for message in early:
                        for event in self._read(message):
                            yield event
                    async for event in self._listen(socket):
                        yield event
            except (OSError, WebSocketException, InvalidInput, StreamRefused, StreamSilent) as error:
                reason = self._credentials.redact(f"{type(error).__name__}: {error}")
            finally:
                self._socket = None
            if self._closing.is_set():
                return
            log.warning("private stream of account %s lost: %s", self._options.account, reason)
            yield StreamEvent(connected=False, reason=reason)
            failures = 0 if self._clock.monotonic_s() - began_s >= self._timings.steady_s else failures + 1
            await self._pause(failures)

    # -- a connection ------------------------------------------------------------------------------------------------

    def _connected(self) -> connect:
        return connect(
            self._options.stream_url,
            open_timeout=self._timings.connect_s,
            ping_interval=self._timings.ping_s,
            ping_timeout=self._timings.ping_s,
            close_timeout=_CLOSE_S,
            max_size=_MAX_MESSAGE_BYTES,
            compression=None,
            logger=wire_log,
            proxy=None,  # REST doesn't take one from the environment either
        )

    async def _open(self, socket: ClientConnection) -> list[str | bytes]:
        """Authenticate and subscribe. Returns the messages that came in between."""
        early: list[str | bytes] = []
        expires_ms = self._server_time.now_ms() + _AUTH_VALID_MS
        await _say(socket, {"op": "auth", "args": self._credentials.stream_args(expires_ms=expires_ms)})
        await self._answer(socket, "auth", early)
        await _say(socket, {"op": "subscribe", "req_id": "1", "args": list(TOPICS)})
        await self._answer(socket, "subscribe", early)
        return early

    async def _answer(self, socket: ClientConnection, operation: str, early: list[str | bytes]) -> None:
        """Wait for the answer to `operation`. Raises `StreamRefused`, or `TimeoutError` when none comes."""
        async with asyncio.timeout(self._timings.answer_s):
            while True:
                raw = await socket.recv()
                message = _parsed(raw)
                if message is None or message.raw("op") != operation:
                    early.append(raw)
                elif message.flag("success") or (message.flag("success") is None and message.text("retCode") == "0"):
                    return
                else:
                    said = message.text("ret_msg") or message.text("retMsg") or "no reason given"
                    raise StreamRefused(f"{operation} refused: {said[:160]} (code {message.text('retCode') or 'none'})")

    async def _listen(self, socket: ClientConnection) -> AsyncIterator[StreamEvent]:
        """Pass on what comes and keep the connection alive. Raises when it ends or falls silent."""
        now_s = self._clock.monotonic_s
        ping_at_s = now_s() + self._timings.ping_s
        heard_s = now_s()
        while True:
            try:
                async with asyncio.timeout(max(0.0, min(ping_at_s, heard_s + self._timings.silence_s) - now_s())):
                    raw = await socket.recv()
            except TimeoutError:
                if now_s() - heard_s >= self._timings.silence_s:
                    raise StreamSilent(f"nothing came for {self._timings.silence_s} s") from None
            else:
                for event in self._read(raw):
                    yield event
                # Counted from here: a slow reader must not take its own delay for the venue's silence.
                heard_s = now_s()
            if now_s() >= ping_at_s:
                await _say(socket, {"op": "ping"})
                ping_at_s = now_s() + self._timings.ping_s

    async def _pause(self, failures: int) -> None:
        """Wait before the next attempt: doubling, with jitter so that two gateways don't march in step."""
        longest_s = min(self._timings.backoff_cap_s, self._timings.backoff_base_s * 2 ** min(failures, 16))
        with suppress(TimeoutError):
            async with asyncio.timeout(longest_s * (0.5 + self._jitter() / 2)):
                await self._closing.wait()

    # -- messages ----------------------------------------------------------------------------------------------------

    def _read(self, raw: str | bytes) -> list[StreamEvent]:
        """What a message says. What cannot be read is logged, counted and told by an event of its own, never raised."""
        bad_before = self.bad_messages
        events = self._read_rows(raw)
        if self.bad_messages > bad_before:
            events.append(StreamEvent(reason="a message could not be read"))
        return events

    def _read_rows(self, raw: str | bytes) -> list[StreamEvent]:
        message = _parsed(raw)
        if message is None:
            self._bad("a message is not a JSON object")
            return []
        try:
            topic = message.text("topic").partition(".")[0]
            if not topic:
                self._notice_refusal(message)
                return []
            rows, told_ms = message.rows("data"), message.whole("creationTime")
        except InvalidInput as error:
            self._bad(error.sentence)
            return []
        updates: list[Update] = []
        balances: list[Balance] = []
        for row in rows:
            try:
                if topic == "wallet":
                    balances += account.balances(row, account=self._options.account, at_ns=self._told_ns(told_ms))
                elif (update := self._update(topic, row, told_ms)) is not None:
                    updates.append(update)
            except InvalidInput as error:
                self._bad(f"{topic}: {error.sentence}")
        return [StreamEvent(updates=tuple(updates), balances=tuple(balances))] if updates or balances else []

    def _told_ns(self, told_ms: int) -> int:
        """When the venue said it, by our clock; a message may have been long on its way. At the latest now."""
        now_ns = self._clock.now_ns()
        return min(now_ns, (told_ms - self._server_time.offset_ms) * MS) if told_ms else now_ns

    def _notice_refusal(self, message: Row) -> None:
        """Answers to pings and subscriptions need no attention unless they refuse."""
        if message.flag("success") is False:
            self._bad(f"the venue refused {message.text('op')}: {message.text('ret_msg')}")

    def _update(self, topic: str, row: Row, told_ms: int) -> Update | None:
        context = translate.Context(
            venue=self._options.venue,
            account=self._options.account,
            origin=Origin.STREAM,
            received_ns=self._clock.now_ns(),
            hedge=self._options.hedge,
        )
        if row.text("category") not in self._options.categories and topic in {"order", "execution"}:
            return None  # the account trades it, but nobody here was asked to follow it
        match topic:
            case "order":
                return translate.order_report(row, context, told_ms=told_ms)
            case "execution":
                return translate.fill_report(row, context)
            case _:
                return None

    def _bad(self, reason: str) -> None:
        self.bad_messages += 1
        reason = self._credentials.redact(reason)[:300]
        log.error("private stream of account %s: unreadable message: %s", self._options.account, reason)
        self._on_bad_message(reason)


def _parsed(raw: str | bytes) -> Row | None:
    try:
        return Row(orjson.loads(raw))
    except (orjson.JSONDecodeError, InvalidInput):
        return None


async def _say(socket: ClientConnection, message: dict[str, object]) -> None:
    await socket.send(orjson.dumps(message).decode())
