"""Money that orders on their way will take is counted once, and not for ever."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

from quiet_venue import NOW
from trading_desk import TOPICS, Desk

from domain.errors import Refused
from domain.instruments import Instrument
from streams.lanes import Lanes
from streams.record import Record
from streams.reservations import Reservations
from streams.taken_before import TakenBefore
from tables.signals import SignalResult

BTC = Instrument("paper", "linear", "BTCUSDT")


def signal(offset: int, symbol: str, amount: str, order_type: str = "limit") -> Record:
    value = {
        "signal_id": f"s{offset}",
        "signal_type": "buy",
        "symbol": symbol,
        "amount": amount,
        "order_type": order_type,
    }
    return Record(TOPICS.signals, 0, offset, symbol.encode(), json.dumps(value).encode(), (), NOW)


def lanes_of(desk: Desk) -> Lanes:
    return Lanes(desk.signal_agent.handle, desk.inbox)


def begun_anew(desk: Desk) -> Reservations:
    """What the next process counts, by the tables of this one."""
    afresh = Reservations()
    next_one(desk, afresh, Holds()).assigned(0)
    return afresh


def next_one(desk: Desk, reservations: Reservations, holds: Any) -> TakenBefore:
    return TakenBefore(
        orders=desk.orders,
        signals=desk.signals,
        reservations=reservations,
        board=holds,
        clock=desk.clock,
        clock_error_ns=5,
    )


class Holds:
    """What the account's board lists for signals, by the record of each."""

    def __init__(self, *sources: str) -> None:
        self.sources = list(sources)

    def held_in(self, _partition: int) -> list[tuple[Instrument, str]]:
        return [(BTC, source) for source in self.sources]

    def release(self, _instrument: Instrument, source: str) -> None:
        self.sources.remove(source)


async def test_r02_signals_of_two_symbols_at_once_do_not_count_on_the_same_money() -> None:
    desk = Desk()
    lanes = lanes_of(desk)

    for offset, symbol in enumerate(("BTCUSDT", "ETHUSDT")):
        await lanes.submit(signal(offset, symbol, "600"))
    await lanes.drained()

    rows = [desk.signals.get(0, "BTCUSDT", "s0"), desk.signals.get(0, "ETHUSDT", "s1")]
    assert [row.result for row in rows if row] == [SignalResult.EXECUTED, SignalResult.REJECTED]
    assert len(desk.venue.created) == 1


async def test_r02_a_turn_that_loses_its_partition_does_not_keep_money_back_for_ever() -> None:
    desk = Desk()
    token = asyncio.Event()
    waiting = asyncio.Event()

    async def no_token_yet() -> None:
        waiting.set()
        await token.wait()

    desk.venue.on_admit = no_token_yet
    lanes = lanes_of(desk)
    await lanes.submit(signal(0, "BTCUSDT", "600"))
    await waiting.wait()
    assert desk.reservations.total("USDT", NOW) > 0

    desk.inbox.current = False
    lanes.stop_taking()
    await lanes.drained()
    told = desk.reservations.of(BTC)  # the next owner sends the order, and counts it from here on
    desk.reservations.leave(BTC)

    assert [taking.shown_after_ns for taking in told.values()] == [None]
    assert desk.reservations.total("USDT", desk.clock.now_ns()) == Decimal(0)


async def test_r02_a_process_counts_what_the_one_before_it_had_reserved_until_a_balance_shows_it() -> None:
    desk = Desk()
    lanes = lanes_of(desk)
    await lanes.submit(signal(0, "BTCUSDT", "600"))
    await lanes.drained()
    [order] = desk.orders.newest(0, "BTCUSDT")
    known_ns = order.times.acknowledged_ns

    afresh = begun_anew(desk)

    assert afresh.total("USDT", known_ns + 5) == desk.reservations.total("USDT", NOW) > 0
    assert afresh.total("USDT", known_ns + 6) == 0


async def test_r02_nothing_is_counted_again_for_what_the_venue_never_took() -> None:
    desk = Desk()
    lanes = lanes_of(desk)
    desk.venue.answers = [Refused("NO_MARGIN", "not enough margin")]
    await lanes.submit(signal(0, "BTCUSDT", "600"))
    await lanes.drained()

    assert begun_anew(desk).instruments() == set()


async def test_r02_what_was_planned_long_ago_is_shown_by_every_balance_that_counts() -> None:
    desk = Desk()
    lanes = lanes_of(desk)
    await lanes.submit(signal(0, "BTCUSDT", "600"))
    await lanes.drained()
    assert begun_anew(desk).instruments() == {BTC}

    await desk.clock.sleep(121)

    assert begun_anew(desk).instruments() == set()


async def test_r04_what_is_held_for_a_signal_that_is_over_is_given_back_by_whoever_comes_next() -> None:
    desk = Desk()
    lanes = lanes_of(desk)
    await lanes.submit(signal(0, "BTCUSDT", "600"))
    await lanes.drained()
    holds = Holds("signals-0-0", "signals-0-1")

    next_one(desk, Reservations(), holds).let_go(0)

    assert holds.sources == ["signals-0-1"], "of the other signal nothing is known yet"


async def test_r02_what_an_order_may_cost_at_worst_is_kept_for_it_with_its_fee() -> None:
    desk = Desk()
    desk.market.free = (Decimal(1_008), NOW)
    lanes = lanes_of(desk)

    for offset, symbol in enumerate(("BTCUSDT", "ETHUSDT")):  # each 500, at worst 505 and a fee
        await lanes.submit(signal(offset, symbol, "500", "market"))
    await lanes.drained()

    second = desk.signals.get(0, "ETHUSDT", "s1")
    assert second is not None
    assert second.code == "INSUFFICIENT_BALANCE"
