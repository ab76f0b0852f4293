"""Step 1 of a signal's way: from a record to a signal that may be worked on here, or to where it goes instead."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from domain.errors import InvalidInput
from domain.ids import trace_id
from domain.instruments import Instrument
from domain.money import plain
from domain.plans import Plan
from domain.signals import Signal, fingerprint, identify, parse_signal, signal_time_ns
from domain.times import seconds
from streams.dead_letters import MAX_HEADERS_BYTES, put_aside, size_of
from streams.hooks import Hooks
from streams.origin import Origin, origin_of, republished
from streams.outbox import Outgoing
from streams.ports import Log
from streams.record import Record
from streams.signal_events import SignalEvents
from streams.topics import Topics

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Work:
    """A readable signal at its place, and where it came from first."""

    signal: Signal
    origin: Origin
    instrument: Instrument
    trace_id: str
    fingerprint: str

    @property
    def source(self) -> str:
        """The record that its producer wrote: what makes this wish different from every other."""
        return str(self.origin.source)

    @property
    def reduces(self) -> bool:
        """Whether its producer wants it to make a position smaller and nothing else."""
        return self.signal.reduce_only is True

    @property
    def born_ns(self) -> int:
        """When its age begins (requirement S09)."""
        return signal_time_ns(self.signal, self.origin.timestamp_ns)

    def as_planned(self, plan: Plan) -> Work:
        """The same, on the instrument of the plan: what signals mean that name none may be another kind by now."""
        return replace(self, instrument=plan.instrument)


def read_signal(
    value: bytes | None, *, record_time_ns: int, max_bytes: int, venue: str, categories: Sequence[str]
) -> Signal:
    """The signal, for whichever way it comes by (the topic, the views): in range, and to be traded here.

    Raises `InvalidInput` with code `BAD_SIGNAL` and every reason.
    """
    signal = parse_signal(value, record_time_ns=record_time_ns, max_bytes=max_bytes)
    wishes = (("venue", signal.venue, (venue,)), ("category", signal.category, tuple(categories)))
    reasons = [
        f"{name}: {wish!r} is not traded here, {' and '.join(map(repr, ours))} {'is' if len(ours) == 1 else 'are'}"
        for name, wish, ours in wishes
        if wish is not None and wish not in ours
    ]
    if reasons:
        raise InvalidInput("BAD_SIGNAL", reasons)
    return signal


def watch_timestamp(work: Work, limit_ns: int, hooks: Hooks) -> None:
    """Arrival decides the order of signals, never their timestamps (requirement S03); but a producer whose clock is far
    off, or who kept a signal back, is logged and counted."""
    late_ns = work.origin.timestamp_ns - work.signal.timestamp_ns
    if abs(late_ns) <= limit_ns:
        return
    hooks.on_far_timestamp("early" if late_ns > 0 else "ahead")
    _log.warning(
        "TIMESTAMP_FAR_FROM_ARRIVAL: signal %s of %s is of %s s %s its record",
        work.signal.signal_id,
        work.signal.symbol,
        plain(seconds(abs(late_ns))),
        "before" if late_ns > 0 else "after",
        extra={"trace_id": work.trace_id},
    )


class SignalIntake:
    """Reads records of `signals` for one venue and the categories that are traded there, the first by default."""

    def __init__(
        self, log: Log, topics: Topics, events: SignalEvents, venue: str, categories: Sequence[str], max_bytes: int
    ) -> None:
        self._log = log
        self._topics = topics
        self._events = events
        self._venue = venue
        self._categories = categories
        self._max_bytes = max_bytes

    def read(self, record: Record) -> Work | Outgoing:
        """The work, or the record as it is published again under its own symbol's key and partition, once.

        Raises `InvalidInput` with every reason for what is not a signal for us (see `refusal`).
        """
        origin = origin_of(record)
        signal = read_signal(
            record.value,
            record_time_ns=origin.timestamp_ns,
            max_bytes=self._max_bytes,
            venue=self._venue,
            categories=self._categories,
        )
        key = signal.symbol.encode()
        partition = self._log.partition_of(key)
        if record.key != key or record.partition != partition:
            if size_of(record.headers) > MAX_HEADERS_BYTES:
                raise InvalidInput("BAD_SIGNAL", [f"headers: more than {MAX_HEADERS_BYTES} bytes"])
            if origin.hops:
                sentence = f"key {record.key!r} in partition {record.partition} after it was sent to {signal.symbol}'s"
                raise InvalidInput("WRONG_PARTITION", [sentence])
            return Outgoing(self._topics.signals, partition, key, record.value or b"", republished(record, origin))
        instrument = Instrument(self._venue, signal.category or self._categories[0], signal.symbol)
        trace = signal.trace_id or origin.trace_id or trace_id(str(origin.source))
        return Work(signal, origin, instrument, trace, fingerprint(signal))

    def objection(self, plan: Plan, account: str) -> InvalidInput | None:
        """Why a plan that was made before a restart is not for us any more, if it is not. Its record may read as well
        as ever: a signal need not name what it is to be traded on."""
        where = plan.instrument
        wishes = (
            ("venue", where.venue, (self._venue,)),
            ("category", where.category, self._categories),
            ("account", plan.account, (account,)),
        )
        reasons = [
            f"{name}: it was planned for {planned!r}, and traded here is {' or '.join(map(repr, ours))}"
            for name, planned, ours in wishes
            if planned not in ours
        ]
        return InvalidInput("BAD_SIGNAL", reasons) if reasons else None

    def refusal(self, record: Record, error: InvalidInput, *, begun: bool = False) -> list[Outgoing]:
        """The dead letter, and an event where the signal can be named (requirement S02); of one that was `begun` its
        row has the end to tell."""
        out = put_aside(self._topics, record, error.code, error.reasons)
        signal_id, symbol = identify(record.value)
        if signal_id is not None and symbol is not None and not begun:
            out.append(self._events.unreadable(record, error, str(origin_of(record).source), signal_id, symbol))
        return out
