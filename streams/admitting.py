"""The consent to a call that adds exposure: of the venue's breaker, and of the rate limit."""

from __future__ import annotations

from domain.errors import NotAccepted
from domain.updates import Call
from exchanges.venue import Trading
from streams.ports import Clock, Turn

_NS = 1_000_000_000
_ASK_AGAIN_S = 0.25


async def admitted(trading: Trading, clock: Clock, turn: Turn, call: Call, until_ns: int, wanted: int = 1) -> int:
    """Wait for the consent to so many calls of the `wanted`; while the breaker is open, no longer than until the
    signal's end (ns UTC): the check before the call then ends it."""
    while (left_ns := until_ns - clock.now_ns()) >= 0:
        try:
            return await turn.wait(trading.admit(call, wanted))
        except NotAccepted:
            await turn.wait(clock.sleep(min(_ASK_AGAIN_S, left_ns / _NS + 0.001)))
    return 1
