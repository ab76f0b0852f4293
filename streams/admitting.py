"""The consent to a call that adds exposure: of the venue's breaker and the rate limit before it, and of the trading
state and the clock in its very instant."""

from __future__ import annotations

from domain.errors import NotAccepted
from domain.orders import Order
from domain.plans import TradingState
from domain.updates import Call
from exchanges.venue import Trading
from streams.market import Market
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


def objection_to(market: Market, clock: Clock, order: Order, until_ns: int, done: str) -> tuple[str, str] | None:
    """(code, sentence) of why nothing may be added to the market by the order now, if anything speaks against it.
    `until_ns`: its signal's end (ns UTC); `done`: what would have been done with it, in words. Synchronous: nothing can
    come between this and the first byte but the socket."""
    state, why = market.trading(order.instrument)
    if state is TradingState.HALTED or (state is TradingState.REDUCE_ONLY and not order.only_reduces):
        return "TRADING_" + state.upper(), f"trading is {state}: {why}"
    late_ns = clock.now_ns() - until_ns
    if late_ns > 0:
        return "SIGNAL_EXPIRED", f"the signal expired {late_ns / _NS:.3f} s before the order could be {done}"
    return None
