"""Signals that come by the views instead of from a producer (requirement Q06): read by the topic's own rules, and
published where a producer would have put them. From there on nothing tells them apart."""

from __future__ import annotations

from domain.ids import trace_id
from domain.signals import Signal
from streams.ports import Clock, Headers, Log
from streams.record import Source
from streams.schemas import CONTENT_TYPE, traceparent
from streams.signal_agent import SignalSettings
from streams.signal_intake import read_signal
from streams.topics import Topics


class SignalDoor:
    """Reads and publishes; it decides nothing."""

    def __init__(self, *, log: Log, topics: Topics, clock: Clock, settings: SignalSettings) -> None:
        self._log = log
        self._topics = topics
        self._clock = clock
        self._settings = settings

    def read(self, value: bytes) -> Signal:
        """The signal, as a record's value. Raises `InvalidInput` with every reason."""
        settings = self._settings
        return read_signal(
            value,
            record_time_ns=self._clock.now_ns(),
            max_bytes=settings.max_bytes,
            venue=settings.venue,
            categories=settings.categories,
        )

    async def publish(self, signal: Signal, value: bytes, trace: str) -> Source:
        """Publish the value as it came, under its symbol; returns its place once the broker has it. `trace`: 32 hex
        digits, or empty."""
        headers: Headers = (CONTENT_TYPE,)
        if trace:
            headers = (*headers, ("traceparent", traceparent(trace).encode()))
        return await self._log.publish(self._topics.signals, signal.symbol.encode(), value, headers)


def trace_of(signal: Signal, trace: str, source: Source) -> str:
    """The trace that the signal will carry: its own, else the caller's, else the one that follows from its record."""
    return signal.trace_id or trace or trace_id(str(source))
