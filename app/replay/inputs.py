"""The records that signals and commands came from, by the place where their producers put them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.replay.scratch import Scratch
from domain.commands import Command, decode_command
from domain.errors import InvalidInput
from streams.origin import origin_of
from streams.record import Record
from streams.signal_events import SignalEvents
from streams.signal_intake import SignalIntake, Work
from streams.topics import Topics

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)


class Inputs:
    """Keeps `signals` and `order-commands` in scratch files, so that a row's own record can be read again."""

    def __init__(
        self, scratch: Scratch, topics: Topics, *, venue: str, categories: Sequence[str], max_bytes: int
    ) -> None:
        self._records = scratch.table("inputs")
        self._waiting: dict[int, list[tuple[bytes, bytes | None]]] = {}
        events = SignalEvents(scratch.log, topics)
        self._intake = SignalIntake(scratch.log, topics, events, venue, categories, max_bytes)

    def take(self, record: Record) -> None:
        """One record of either topic."""
        key = str(origin_of(record).source).encode()
        self._waiting.setdefault(record.partition, []).append((key, _encoder.encode(record)))

    def settle(self) -> None:
        """Bring to the scratch files what was taken."""
        waiting, self._waiting = self._waiting, {}
        for partition, pairs in waiting.items():
            self._records.load(partition, pairs)

    def work(self, partition: int, source: str) -> Work | None:
        """The signal as its agent read it; None if the record is gone or is no signal for us."""
        record = self._record(partition, source)
        if record is None:
            return None
        try:
            work = self._intake.read(record)
        except InvalidInput:
            return None
        return work if isinstance(work, Work) else None

    def value(self, partition: int, source: str) -> bytes:
        """The record's own bytes; none if it is gone."""
        record = self._record(partition, source)
        return b"" if record is None else record.value or b""

    def command(self, partition: int, source: str) -> Command | None:
        """The command; None if its record is gone or is no command."""
        record = self._record(partition, source)
        try:
            return None if record is None else decode_command(record.value)
        except InvalidInput:
            return None

    def _record(self, partition: int, source: str) -> Record | None:
        value = self._records.get(partition, source.encode())
        return None if value is None else _decoder.decode(value)
