"""Faults on order: rules that tell the exchange when to misbehave, and how.

A rule names a kind, says what it applies to (endpoint, topic, symbol, account; each may be left out), and how often: at
most `count` times, after `skip` occasions, with `probability` drawn from `seed`. Rules are tried in the order in which
they were given, and one call has at most one rule that spoils its reply.
"""

from __future__ import annotations

import random
from enum import StrEnum
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class FaultKind(StrEnum):
    """What goes wrong. `before` means the exchange has not looked at the call; `after`: it has done all of it."""

    LATENCY = "latency"  # wait delay_ms, then serve the call
    TIMEOUT_BEFORE_ACCEPT = "timeout_before_accept"  # do nothing and never answer
    TIMEOUT_AFTER_ACCEPT = "timeout_after_accept"  # do it and never answer
    ERROR_5XX_BEFORE = "error_5xx_before"  # HTTP 502 with a page of HTML, nothing done
    ERROR_5XX_AFTER = "error_5xx_after"  # the same page, all done
    ERROR_CODE_BEFORE = "error_code_before"  # retCode `code`, nothing done
    ERROR_CODE_AFTER = "error_code_after"  # retCode `code`, all done
    RESET_BEFORE = "reset_before"  # connection reset, nothing done
    RESET_MID_REPLY = "reset_mid_reply"  # all done, connection reset after half of the reply
    CUT_JSON = "cut_json"  # all done, a complete HTTP reply whose JSON ends in the middle
    SLOW_REPLY = "slow_reply"  # all done, the reply trickles at bytes_per_s
    LATE_REPLY = "late_reply"  # all done, the reply comes delay_ms later: the stream tells it first
    RATE_LIMITED = "rate_limited"  # retCode 10006 with its headers, nothing done
    IP_BANNED = "ip_banned"  # HTTP 403, nothing done
    HIDE_ROWS = "hide_rows"  # a list lacks what changed in the last delay_ms; with delay_ms 0 it is empty
    BALANCE_UNKNOWN = "balance_unknown"  # wallet-balance has no account, the wallet's messages do not come
    MAINTENANCE = "maintenance"  # calls get `code`, new connections are refused, while the rule stands
    DUPLICATE_STREAM = "duplicate_stream"  # send a private message `times` more
    DROP_STREAM = "drop_stream"  # never send it
    DELAY_STREAM = "delay_stream"  # send it delay_ms later; what comes after it overtakes
    REORDER_STREAM = "reorder_stream"  # hold it back until `times` later ones have gone out, or delay_ms are over
    SECOND_FILLED = "second_filled"  # after a filled order's message, the row that a late cancel gets
    DISCONNECT = "disconnect"  # cut the connections of a channel now; refuse new ones for refuse_ms
    CLOCK_SKEW = "clock_skew"  # the exchange's clock is skew_ms ahead (negative: behind) while the rule stands


class Channel(StrEnum):
    """A way to the exchange."""

    REST = "rest"
    TRADE = "trade"
    PRIVATE = "private"
    PUBLIC = "public"


STREAM_KINDS: Final = frozenset({
    FaultKind.DUPLICATE_STREAM, FaultKind.DROP_STREAM, FaultKind.DELAY_STREAM, FaultKind.REORDER_STREAM,
    FaultKind.SECOND_FILLED,
})  # fmt: skip
DELAYING_KINDS: Final = frozenset({FaultKind.LATENCY, FaultKind.LATE_REPLY})
STANDING_KINDS: Final = frozenset({
    FaultKind.DISCONNECT, FaultKind.CLOCK_SKEW, FaultKind.MAINTENANCE, FaultKind.BALANCE_UNKNOWN,
})  # fmt: skip


class FaultRule(BaseModel):
    """One rule, as it is posted. Unknown fields are refused, so that a typing error cannot make a test pass."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    endpoint: str | None = Field(None, description="such as order/create; without /v5/")
    channel: Channel | None = Field(None, description="calls: rest or trade; disconnect: private, public or trade")
    topic: str | None = Field(
        None,
        description="order, execution, position, wallet, or a public one (tickers, orderbook, publicTrade, kline); "
        "stream faults only, without it all private topics",
    )
    symbol: str | None = None
    uid: int | None = None
    probability: float = Field(1.0, ge=0, le=1)
    count: int | None = Field(None, ge=1, description="fires at most so often; absent: without end")
    skip: int = Field(0, ge=0, description="lets so many occasions pass first")
    seed: int = 0
    delay_ms: int = Field(0, ge=0)
    hold_ms: int = Field(60_000, gt=0, description="a reply that never comes: the connection is cut after this")
    times: int = Field(1, ge=1)
    refuse_ms: int = Field(0, ge=0)
    skew_ms: int = 0
    code: int = 10016
    message: str = "Server error."
    status: int = Field(502, ge=400, le=599)
    retry_after_ms: int = Field(1000, ge=0, description="rate_limited: how far away the reset time is")
    bytes_per_s: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.topic is not None and self.kind not in STREAM_KINDS:
            raise ValueError(f"TOPIC_WITHOUT_STREAM: kind={self.kind} has no topic")
        if self.endpoint is not None and self.kind in STREAM_KINDS | STANDING_KINDS:
            raise ValueError(f"ENDPOINT_WITHOUT_CALL: kind={self.kind} has no endpoint")
        if self.channel is not None and self.channel not in _channels_of(self.kind):
            raise ValueError(f"WRONG_CHANNEL: kind={self.kind} has nothing to do with {self.channel}")
        return self


def _channels_of(kind: FaultKind) -> set[Channel]:
    if kind is FaultKind.DISCONNECT:
        return {Channel.PRIVATE, Channel.PUBLIC, Channel.TRADE}
    return set() if kind in STREAM_KINDS | STANDING_KINDS else {Channel.REST, Channel.TRADE}


class ActiveFault:
    """A rule that stands, with what it has seen and done."""

    def __init__(self, fault_id: int, rule: FaultRule) -> None:
        self.fault_id = fault_id
        self.rule = rule
        self.seen = 0
        self.fired = 0
        self._random = random.Random(rule.seed)  # noqa: S311 -- repeatable by intent

    def fires(self) -> bool:
        """Count an occasion that the rule applies to, and say whether it strikes."""
        self.seen += 1
        if self.seen <= self.rule.skip or self.is_spent:
            return False
        if self.rule.probability < 1 and self._random.random() >= self.rule.probability:
            return False
        self.fired += 1
        return True

    @property
    def is_spent(self) -> bool:
        return self.rule.count is not None and self.fired >= self.rule.count

    def shown(self) -> dict[str, object]:
        return {"id": self.fault_id, "seen": self.seen, "fired": self.fired} | self.rule.model_dump(mode="json")


class Faults:
    """The rules that stand."""

    def __init__(self) -> None:
        self._active: list[ActiveFault] = []
        self._last_id = 0

    def add(self, rule: FaultRule) -> ActiveFault:
        self._last_id += 1
        fault = ActiveFault(self._last_id, rule)
        self._active.append(fault)
        return fault

    def remove(self, fault_id: int | None = None) -> int:
        """Remove one rule, or all (None). Gives the number removed."""
        before = len(self._active)
        self._active = [fault for fault in self._active if fault_id is not None and fault.fault_id != fault_id]
        return before - len(self._active)

    def shown(self) -> list[dict[str, object]]:
        return [fault.shown() for fault in self._active]

    @property
    def skew_ms(self) -> int:
        """How far ahead the exchange's clock is."""
        return sum(fault.rule.skew_ms for fault in self._active if fault.rule.kind is FaultKind.CLOCK_SKEW)

    def standing(self, kind: FaultKind, uid: int | None = None) -> FaultRule | None:
        """The first rule of a kind that holds for as long as it is there; one for an account is for that one only."""
        rules = (fault.rule for fault in self._active if fault.rule.kind is kind)
        return next((rule for rule in rules if rule.uid in {None, uid}), None)

    def for_call(self, endpoint: str, symbol: str, uid: int | None, channel: Channel = Channel.REST) -> list[FaultRule]:
        """The rules that strike a call: any that delay it, and at most one that spoils its reply.

        A rule that finds the reply spoiled already has not had its occasion: it waits for the next call.
        """
        striking: list[FaultRule] = []
        spoiled = False
        for fault in self._active:
            rule = fault.rule
            delays = rule.kind in DELAYING_KINDS
            if (
                rule.kind in STREAM_KINDS | STANDING_KINDS
                or (spoiled and not delays)
                or rule.channel not in {None, channel}
                or rule.endpoint not in {None, endpoint}
                or rule.symbol not in {None, symbol}
                or rule.uid not in {None, uid}
                or not fault.fires()
            ):
                continue
            spoiled = spoiled or not delays
            striking.append(rule)
        return striking

    def for_message(self, topic: str, symbol: str, uid: int) -> list[FaultRule]:
        """The rules that strike a message of the private stream."""
        if not self._active:
            return []
        return [
            fault.rule
            for fault in self._active
            if fault.rule.kind in STREAM_KINDS
            and fault.rule.topic in {None, topic}
            and fault.rule.symbol in {None, symbol}
            and fault.rule.uid in {None, uid}
            and fault.fires()
        ]

    def for_public(self, topic: str, symbol: str) -> list[FaultRule]:
        """The rules that strike a message of the public streams: only those that name its topic."""
        if not self._active:
            return []
        return [
            fault.rule
            for fault in self._active
            if fault.rule.kind in STREAM_KINDS
            and fault.rule.topic == topic
            and fault.rule.symbol in {None, symbol}
            and fault.fires()
        ]
