"""Sending signals from the command line, as a producer would: checked first, so that a mistake is seen here."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from app.settings import Settings
from app.topics import topics_of
from domain.errors import InvalidInput, OrderManagerError
from domain.signals import parse_signal


class NoBroker(OrderManagerError):  # noqa: N818 -- the words name it well without a suffix
    """The broker could not be reached, or did not take what was sent."""


@dataclass(frozen=True, slots=True)
class SendReport:
    """How many signals the broker has, and why others were not sent."""

    sent: int
    refused: tuple[str, ...]


def one_signal(symbol: str, side: str, amount: str, signal_id: str, fields: list[str], category: str = "") -> bytes:
    """A signal of the command line's options; without a category it means the set's own. Raises `InvalidInput` for a
    field that is not name=value."""
    signal: dict[str, object] = {
        "signal_id": signal_id or f"cli-{uuid.uuid4().hex}",
        "signal_type": side,
        "symbol": symbol,
        "amount": amount,
        "timestamp": time.time_ns(),
    }
    if category:
        signal["category"] = category
    for field in fields:
        name, equals, value = field.partition("=")
        if not equals:
            raise InvalidInput("BAD_OPTION", [f"--field {field!r}: write name=value"])
        signal[name] = _json_or_text(value)
    return orjson.dumps(signal)


def _json_or_text(value: str) -> object:
    """Objects, lists and flags are read as JSON; figures stay text, so that no digit of them is lost."""
    if value[:1] in {"{", "["} or value in {"true", "false", "null"}:
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


async def send_signals(settings: Settings, lines: list[bytes]) -> SendReport:
    """Send the lines that are signals, in their order, and wait for the broker; say what is wrong with the others.

    Raises `NoBroker` when the broker cannot be reached.
    """
    readable, refused = _read(settings, lines)
    if not readable:
        return SendReport(0, tuple(refused))
    producer: Any = AIOKafkaProducer(  # Any: aiokafka is untyped
        bootstrap_servers=settings.bootstrap, acks="all", enable_idempotence=True
    )
    try:
        await producer.start()
        topic = topics_of(settings).signals
        acknowledgements = [await producer.send(topic, line, key=key) for key, line in readable]
        for acknowledgement in acknowledgements:
            await acknowledgement
    except KafkaError as error:
        sentence = f"the broker at {settings.bootstrap} does not take the signals: {error}"
        raise NoBroker("NO_BROKER", sentence) from None
    finally:
        await producer.stop()
    return SendReport(len(readable), tuple(refused))


def _read(settings: Settings, lines: list[bytes]) -> tuple[list[tuple[bytes, bytes]], list[str]]:
    """(key, line) of what is a signal, and the reasons for what is not."""
    readable, refused = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            signal = parse_signal(line, record_time_ns=time.time_ns(), max_bytes=settings.signal_max_bytes)
        except InvalidInput as error:
            refused.append(f"line {number}: {error}")
        else:
            readable.append((signal.symbol.encode(), line))
    return readable, refused
