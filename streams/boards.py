"""What the gateway shows on the broadcast topics, and how it is written and read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from domain.instruments import InstrumentRules, Quote
from domain.plans import TradingState
from exchanges.venue import Balance
from streams.topics import Topics

EVERYWHERE = "all"
"""The scope of a control that is about everything."""


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's word on what may be traded (requirement R05): for `all`, a venue (lower case) or a symbol (upper
    case). The scope is the key of its record."""

    scope: str
    state: TradingState
    reason: str
    set_by: str = ""
    at_ns: int = 0
    restored: bool = False
    """Not said anew: it stood in spite of a record that came too late, and was written after that one."""


@dataclass(frozen=True, slots=True)
class AccountName:
    """An account, and the venue where it is."""

    venue: str
    account: str

    def __str__(self) -> str:
        return f"{self.venue}/{self.account}"


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """A process says that it lives: a worker (with its web address and partitions) or a gateway."""

    role: str
    name: str
    url: str = ""
    partitions: tuple[int, ...] = ()
    ready: bool = False
    reasons: tuple[str, ...] = ()
    at_ns: int = 0
    dry_run: bool = False
    """Of a worker: it decides and sends nothing (requirement X10)."""
    sharing: int = 0
    """Of a worker: by how many it divides what the account may ask of the venue."""
    venue: str = ""
    account: str = ""
    """Of a worker: the account it trades with, which is the same for all."""
    session: str = ""
    connections: int = 0
    """Of a gateway: which run of the process this is, and how many connections its stream has had. One that is ready
    has filled the gap before the last of them."""


encode = msgspec.json.Encoder().encode
decode_control = msgspec.json.Decoder(Control).decode
decode_balance = msgspec.json.Decoder(Balance).decode
decode_quote = msgspec.json.Decoder(Quote).decode
decode_rules = msgspec.json.Decoder(InstrumentRules).decode
decode_heartbeat = msgspec.json.Decoder(Heartbeat).decode


def readable_balances(values: Iterable[bytes]) -> list[Balance]:
    """Those that can be read; the others are somebody else's records."""
    found = []
    for value in values:
        with contextlib.suppress(msgspec.DecodeError):
            found.append(decode_balance(value))
    return found


_STRICTNESS = {TradingState.ARMED: 0, TradingState.REDUCE_ONLY: 1, TradingState.HALTED: 2}


def overtaken(standing: bytes, late: bytes) -> bool:
    """Whether a control that is read now was set before the one that stands, and so says nothing any more: nobody heard
    that it was durable, and its worker's producer kept it.

    A stricter one always counts, however old it says it is: whose clock is wrong cannot be known, and a halt too many
    costs less than one too few. One that was only `restored` wanted nothing new, so a newer one stands."""
    try:
        old, new = decode_control(standing), decode_control(late)
    except msgspec.DecodeError:
        return False
    stricter = _STRICTNESS[new.state] > _STRICTNESS[old.state] and not new.restored
    return bool(new.at_ns) and new.at_ns < old.at_ns and not stricter


AHEAD_NS = 5_000_000_000
"""What is dated so far ahead of our clock is from a clock that was wrong; less may be the difference of two."""


def older(standing: bytes, late: bytes, now_ns: int) -> bool:
    """Whether a balance that is read now was asked for before the one that stands, by another gateway whose reply was
    slow: what was reserved is forgotten by a balance that shows it, so an older one would give it back. One that
    stands and is from the future stands in nobody's way."""
    try:
        known_ns, told_ns = decode_balance(standing).at_ns, decode_balance(late).at_ns
    except msgspec.DecodeError:
        return False
    return told_ns < known_ns <= now_ns + AHEAD_NS


def too_late(topics: Topics, now_ns: Callable[[], int]) -> Callable[[str, bytes, bytes], bool]:
    """For the broadcasts: whether of a topic's (value that stands, value that is read) the latter counts no more."""

    def judge(topic: str, standing: bytes, late: bytes) -> bool:
        if topic == topics.balances:
            return older(standing, late, now_ns())
        return topic == topics.controls and overtaken(standing, late)

    return judge


def restored(standing: bytes) -> bytes:
    """The control as it is written after one that came too late: compaction would keep that one."""
    return encode(msgspec.structs.replace(decode_control(standing), restored=True))


def after(known: Iterable[Control], scope: str, now_ns: int) -> int:
    """The time of a control that is set now by somebody who knows those: later than the one of its scope, though that
    came from a clock ahead of ours. It would count as overtaken otherwise."""
    return max([now_ns, *(control.at_ns + 1 for control in known if control.scope == scope)])


def market_key(category: str, symbol: str) -> bytes:
    """Key of an instrument's quote and rules."""
    return f"{category}/{symbol}".encode()


def balance_key(account: str, currency: str) -> bytes:
    """Key of a balance."""
    return f"{account}/{currency}".encode()


class Publish(Protocol):
    """Publishes one record to a one-partition topic and returns when the broker has it."""

    async def __call__(self, topic: str, key: bytes, value: bytes) -> object: ...


class BoardWriter:
    """Writes balances, quotes and rules; each method returns when the broker has them."""

    def __init__(self, topics: Topics, publish: Publish) -> None:
        self._topics = topics
        self._publish = publish

    async def balance(self, balance: Balance) -> None:
        """One currency of the account."""
        await self._publish(self._topics.balances, balance_key(balance.account, balance.currency), encode(balance))

    async def quotes(self, category: str, quotes: Mapping[str, Quote]) -> None:
        """Best prices of a category's instruments."""
        await asyncio.gather(
            *(
                self._publish(self._topics.marks, market_key(category, symbol), encode(quote))
                for symbol, quote in quotes.items()
            )
        )

    async def instruments(self, category: str, rules: Sequence[InstrumentRules]) -> None:
        """The rules of a category's instruments."""
        await asyncio.gather(
            *(
                self._publish(self._topics.instruments, market_key(category, rule.instrument.symbol), encode(rule))
                for rule in rules
            )
        )
