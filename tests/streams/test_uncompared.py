"""Symbols that the venue can't be asked about: others are compared all the same, and a person hears of it (Y02)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from quiet_venue import SECOND
from trading_desk import ACCOUNT, TOPICS, Desk, FreeTurn

from domain.commands import EVERY_SYMBOL, Action, Command, encode_command
from domain.errors import NotAccepted, RateLimited, Refused, VenueError
from domain.instruments import Instrument
from domain.orders import PositionSide
from domain.updates import FillReport
from exchanges.venue import OrderRef, VenuePosition
from streams.record import Record
from streams.recovery import RecoverySettings

DELISTED = Refused("BAD_REQUEST", "symbol invalid (venue code 10001)", "10001")
UNREADABLE = NotAccepted("UNREADABLE_REPLY", "the reply has no list")
TROUBLE = NotAccepted("VENUE_TROUBLE", "HTTP 502: empty body", "502")
LIMITED = RateLimited("RATE_LIMITED", "too many visits")


class DeskOfMany(Desk):
    """With a position at the venue in each of these symbols that no row here knows of. `errors`: what asking for the
    executions of a symbol comes to; `asked`: whose were asked for."""

    def __init__(self, *symbols: str) -> None:
        super().__init__()
        self.errors: dict[str, VenueError] = {}
        self.asked: list[str] = []
        self.venue.held = [held(symbol) for symbol in symbols]
        self.venue.positions = self._positions  # type: ignore[method-assign]
        self.venue.executions = self._executions  # type: ignore[method-assign]

    async def _positions(self, category: str, symbol: str | None = None) -> Sequence[VenuePosition]:
        return [each for each in self.venue.held if symbol in (None, each.instrument.symbol)]

    async def _executions(
        self, category: str, *, since_ns: int, symbol: str = "", **_scope: Any
    ) -> Sequence[FillReport]:
        self.asked.append(symbol)
        if symbol in self.errors:
            raise self.errors[symbol]
        return []

    async def round(self) -> bool:
        """One round, and the time until the next."""
        done = await self.recovery._round(0, thorough=True)  # private: the clock would run on for ever
        self.clock.ns += 300 * SECOND
        return done

    def size(self, symbol: str) -> Decimal:
        return self.positions.get(0, held(symbol).instrument, ACCOUNT, PositionSide.NET).state.size

    def said(self) -> list[tuple[str, str]]:
        rows = [msgspec.json.decode(record.value or b"") for record in self.log.records[TOPICS.alerts]]
        return [(row["symbol"], row["sentence"]) for row in rows if row["code"] == "NOT_COMPARED"]


def held(symbol: str) -> VenuePosition:
    figure = Decimal(100)
    return VenuePosition(
        instrument=Instrument("paper", "linear", symbol),
        side=PositionSide.NET,
        size=Decimal(3),
        average_entry=figure,
        mark=figure,
        unrealised=Decimal(0),
        updated_ns=1,
    )


@pytest.mark.parametrize("error", [DELISTED, UNREADABLE, TROUBLE], ids=["delisted", "unreadable", "trouble"])
async def test_y02_a_symbol_that_cannot_be_asked_for_keeps_no_other_from_being_compared(error: VenueError) -> None:
    desk = DeskOfMany("AAAUSDT", "BBBUSDT", "CCCUSDT")
    desk.errors = {"AAAUSDT": error}

    await desk.round()

    assert [desk.size(symbol) for symbol in ("AAAUSDT", "BBBUSDT", "CCCUSDT")] == [0, 3, 3]
    assert desk.venue.payment_reads == 1


@pytest.mark.parametrize("error", [DELISTED, TROUBLE], ids=["delisted", "trouble"])
async def test_y03_a_comparison_on_demand_tells_of_the_others_too(error: VenueError) -> None:
    desk = DeskOfMany("AAAUSDT", "BBBUSDT")
    desk.errors = {"AAAUSDT": error}
    command = Command(command_id="k1", action=Action.SYNC, symbol=EVERY_SYMBOL)

    await desk.command_agent.handle(
        FreeTurn(Record(TOPICS.order_commands, 0, 0, b"*", encode_command(command), (), desk.clock.ns))
    )

    row = desk.signals.command(0, "k1")
    assert row is not None
    assert (row.ok, row.code) == (False, "UNANSWERED")
    assert row.details["AAAUSDT"] == f"unanswered: {error}"
    assert row.details["position BBBUSDT net"].startswith("corrected: ")
    assert "1 without an answer" in row.sentence
    assert desk.venue.payment_reads == 1


async def test_y02_a_symbol_that_cannot_be_compared_in_three_rounds_is_told_of_once_and_again_when_it_recurs() -> None:
    desk = DeskOfMany("AAAUSDT", "BBBUSDT")
    desk.errors = {"AAAUSDT": DELISTED}

    await desk.round()
    await desk.round()
    early = desk.said()
    for _ in range(3):
        assert await desk.round(), "a refusal is an answer: asking sooner would not help"
    ((symbol, sentence),) = desk.said()
    desk.errors = {}
    await desk.round()
    desk.venue.held = [msgspec.structs.replace(each, size=Decimal(4)) for each in desk.venue.held]
    desk.errors = {"AAAUSDT": DELISTED}
    for _ in range(3):
        await desk.round()

    assert early == []
    assert symbol == "AAAUSDT"
    assert sentence.startswith("AAAUSDT could not be compared with the venue for 600 s, in no round: BAD_REQUEST: ")
    assert [told for told, _ in desk.said()] == ["AAAUSDT", "AAAUSDT"]


async def test_y02_a_venue_that_is_away_is_not_asked_for_every_symbol_and_told_of_as_a_whole() -> None:
    names = [f"S{number:02}USDT" for number in range(40)]
    desk = DeskOfMany(*names)
    desk.errors = dict.fromkeys(names, TROUBLE)

    rounds = [await desk.round() for _ in range(3)]

    assert rounds == [False] * 3
    assert len(desk.asked) == 3 * 3
    assert [symbol for symbol, _ in desk.said()] == [""]


async def test_y02_a_limit_on_rates_ends_a_round_at_once() -> None:
    desk = DeskOfMany("AAAUSDT", "BBBUSDT")
    desk.errors = {"AAAUSDT": LIMITED}

    done = await desk.round()

    assert (done, desk.asked) == (False, ["AAAUSDT"])


async def test_y02_symbols_that_are_never_answered_for_come_last_and_the_others_are_compared() -> None:
    desk = DeskOfMany("AAAUSDT", "BBBUSDT", "CCCUSDT", "DDDUSDT")
    desk.errors = dict.fromkeys(("AAAUSDT", "BBBUSDT", "CCCUSDT"), TROUBLE)

    await desk.round()
    await desk.round()

    assert desk.size("DDDUSDT") == 3


async def test_y02_a_symbol_that_is_nobodys_any_more_is_forgotten() -> None:
    desk = DeskOfMany("AAAUSDT", "BBBUSDT")
    desk.errors = {"AAAUSDT": DELISTED}
    await desk.round()
    desk.venue.held = [held("BBBUSDT")]
    await desk.round()
    desk.venue.held = [held("AAAUSDT"), held("BBBUSDT")]

    await desk.round()

    assert desk.said() == []


async def test_y01_a_symbol_that_cannot_be_opened_keeps_no_round_from_beginning_and_no_other_shut() -> None:
    stuck = [f"A{number:02}USDT" for number in range(desk_places() + 1)]
    desk = DeskOfMany("BBBUSDT")
    for symbol in (*stuck, "CCCUSDT"):
        desk.intend(f"om-{symbol}", age_s=60, instrument=held(symbol).instrument)

    async def order(ref: OrderRef, **_scope: Any) -> None:
        if ref.instrument.symbol != "CCCUSDT":
            raise DELISTED

    desk.venue.order = order  # type: ignore[method-assign, assignment]
    desk.recovery.assigned(0)
    async with asyncio.timeout(10):
        while not desk.size("BBBUSDT") or not desk.gates.is_open(0, "CCCUSDT"):  # noqa: ASYNC110 -- no event tells
            await asyncio.sleep(0)
        shut = [symbol for _, symbol in desk.gates.shut()]
        awaited, reason = desk.gates.awaited(), desk.gates.reason(0, stuck[0])
    desk.recovery.revoked(0)

    assert (shut, awaited, reason) == (stuck, [], str(DELISTED))
    assert sorted(symbol for symbol, _ in desk.said()) == stuck, "each is told of at once"
    assert desk.failures == []


async def test_y02_a_symbol_whose_order_cannot_be_asked_for_is_told_of_too() -> None:
    desk = DeskOfMany("BBBUSDT")
    desk.intend("om-A", age_s=60, instrument=held("AAAUSDT").instrument)
    desk.venue.order = delisted  # type: ignore[method-assign, assignment]

    for _ in range(4):
        await desk.round()

    assert [symbol for symbol, _ in desk.said()] == ["AAAUSDT"]
    assert desk.size("BBBUSDT") == 3


async def test_y01_a_symbol_that_stays_shut_is_compared_with_what_the_venue_shows_now_and_ever_more_seldom() -> None:
    desk = DeskOfMany()
    desk.intend("om-A", age_s=60, instrument=held("AAAUSDT").instrument)
    desk.venue.order = delisted  # type: ignore[method-assign, assignment]
    pauses: list[float] = []
    readings: list[int] = []

    async def sleep(seconds: float) -> None:
        if seconds >= 2.0:
            pauses.append(seconds)
            readings.append(desk.venue.readings)
        desk.clock.ns += int(seconds * SECOND)
        await asyncio.sleep(0 if len(pauses) < 6 else 3_600)

    desk.clock.sleep = sleep  # type: ignore[method-assign]
    opening = asyncio.create_task(desk.recovery._open(0, {"AAAUSDT"}, asyncio.Event()))
    async with asyncio.timeout(10):
        while len(pauses) < 6:  # noqa: ASYNC110 -- no event tells
            await asyncio.sleep(0)
    opening.cancel()

    assert pauses == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0]
    assert readings == [1, 1, 2, 3, 4, 5], "the lists were not read again"  # the second try has those of 2 s ago


async def test_y02_a_symbol_that_is_opened_after_all_is_uncompared_no_more() -> None:
    desk, asked = DeskOfMany(), list[OrderRef]()
    desk.intend("om-A", age_s=60, instrument=held("AAAUSDT").instrument)

    async def order(ref: OrderRef, **_scope: Any) -> None:
        asked.append(ref)
        if len(asked) <= 3:
            raise DELISTED

    async def sleep(seconds: float) -> None:
        desk.clock.ns += int(seconds * SECOND)
        await asyncio.sleep(0)

    desk.venue.order = order  # type: ignore[method-assign, assignment]
    desk.clock.sleep = sleep  # type: ignore[method-assign]
    async with asyncio.timeout(10):
        await desk.recovery._open(0, {"AAAUSDT"}, asyncio.Event())

    assert [symbol for symbol, _ in desk.said()] == ["AAAUSDT"]
    assert not desk.recovery._uncompared.knows(0, "AAAUSDT"), "the alert stands until the next round"


async def delisted(_ref: OrderRef, **_scope: Any) -> None:
    raise DELISTED


def desk_places() -> int:
    """How many symbols are asked for at a time."""
    return RecoverySettings(venue="paper", categories=("linear",)).parallel
