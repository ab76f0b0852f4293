"""Rows of positions that are older than what we know: nothing is judged by them (P03)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from quiet_venue import SECOND
from trading_desk import ACCOUNT, BTC, TOPICS, Desk, FreeTurn, fill_of

from domain.commands import Action, Command, encode_command
from domain.orders import PositionSide, Side
from domain.positions import Position
from domain.updates import FillKind, FillReport
from exchanges.venue import VenuePosition
from streams.record import Record

NET, LONG, SHORT = PositionSide.NET, PositionSide.LONG, PositionSide.SHORT


async def traded(desk: Desk, name: str = "om1", side: Side = Side.BUY, **changes: Any) -> FillReport:
    """One piece by an order of ours, 50 s ago, the tenth event of the venue."""
    order = desk.intend(name, age_s=60, side=side)
    past_ns = desk.clock.now_ns() - 50 * SECOND
    fields = {"executed_ns": past_ns, "received_ns": past_ns, "venue_sequence": 10} | changes
    fill = msgspec.structs.replace(fill_of(order, f"e-{name}"), **fields)
    await desk.told(fill)
    return fill


def row(size: str, *, at_ns: int = 0, sequence: int = 0, side: PositionSide = NET) -> VenuePosition:
    """What the venue shows."""
    return VenuePosition(
        instrument=BTC,
        side=side,
        size=Decimal(size),
        average_entry=Decimal(100),
        mark=Decimal(100),
        unrealised=Decimal(0),
        updated_ns=at_ns,
        venue_sequence=sequence,
    )


async def check(desk: Desk) -> list[Any]:
    """One validation, as a command asks for it."""
    return (await desk.recovery.compare(0, ["BTCUSDT"])).positions[BTC]


def held(desk: Desk, side: PositionSide = NET) -> Position:
    """Our row."""
    return desk.positions.get(0, BTC, ACCOUNT, side)


def codes(desk: Desk) -> list[str]:
    """What a person was told."""
    return [msgspec.json.decode(record.value or b"")["code"] for record in desk.log.records[TOPICS.alerts]]


@pytest.mark.parametrize(
    ("sequence", "age_s", "shown_sequence", "shown_age_s"),
    [
        pytest.param(10, 50, 9, 600, id="an earlier sequence"),
        pytest.param(10, 50, 9, 5, id="an earlier sequence that a change of leverage made look young"),
        pytest.param(0, 50, 9, 51, id="an earlier time where our fill has no sequence"),
        pytest.param(10, 50, 0, 51, id="an earlier time where the row has no sequence"),
        pytest.param(10, 50, 0, None, id="no sequence and no time"),
    ],
)
async def test_p03_a_row_that_is_older_than_our_last_fill_is_neither_a_mismatch_nor_taken_over(
    sequence: int, age_s: int, shown_sequence: int, shown_age_s: int | None
) -> None:
    desk = Desk()
    now_ns = desk.clock.now_ns()
    await traded(desk, venue_sequence=sequence, executed_ns=now_ns - age_s * SECOND)
    at_ns = 0 if shown_age_s is None else now_ns - shown_age_s * SECOND
    desk.venue.held = [row("0", at_ns=at_ns, sequence=shown_sequence)]

    (item,) = await check(desk)

    assert (item.agrees, item.corrected, item.older, held(desk).state.size) == (False, False, True, 1)
    assert codes(desk) == []


@pytest.mark.parametrize(
    ("sequence", "shown_sequence", "shown_age_s"),
    [
        pytest.param(10, 11, 600, id="a later sequence, though the venue's clock was set back"),
        pytest.param(10, 10, 50, id="the sequence of our last fill"),
        pytest.param(0, 11, 50, id="the time of our last fill"),
        pytest.param(10, 0, 5, id="a later time"),
    ],
)
async def test_p03_a_row_that_contains_our_last_fill_is_judged(
    sequence: int, shown_sequence: int, shown_age_s: int
) -> None:
    desk = Desk()
    await traded(desk, venue_sequence=sequence)
    desk.venue.held = [row("3", at_ns=desk.clock.now_ns() - shown_age_s * SECOND, sequence=shown_sequence)]

    (item,) = await check(desk)

    assert (item.corrected, held(desk).state.size) == (True, 3)
    assert codes(desk) == ["POSITION_MISMATCH", "POSITION_CORRECTED"]


async def test_p03_no_row_at_all_is_of_no_known_age() -> None:
    desk = Desk()
    await traded(desk)
    desk.venue.held = []

    (item,) = await check(desk)

    assert (item.older, held(desk).state.size, codes(desk)) == (True, 1, [])


async def test_p03_a_row_that_became_flat_since_our_last_fill_is_judged() -> None:
    desk = Desk()
    await traded(desk)
    desk.venue.held = [row("0", at_ns=desk.clock.now_ns() - 20 * SECOND, sequence=12)]

    (item,) = await check(desk)

    assert (item.corrected, held(desk).state.size) == (True, 0)


async def test_p03_a_second_look_at_an_older_row_corrects_nothing() -> None:
    desk = Desk()
    await traded(desk)
    at_ns = desk.clock.now_ns() - 20 * SECOND
    sequences = iter([11, 11, 11, 9])

    def turn() -> None:
        desk.venue.held = [row("3", at_ns=at_ns, sequence=next(sequences))]

    desk.venue.on_positions = turn

    (item,) = await check(desk)

    assert (item.corrected, held(desk).state.size) == (False, 1)


async def test_p03_a_row_from_before_the_venues_word_that_was_taken_changes_it_no_more() -> None:
    desk = Desk()
    await traded(desk)
    taken_ns = desk.clock.now_ns() - 20 * SECOND
    desk.venue.held = [row("3", at_ns=taken_ns, sequence=12)]
    await check(desk)
    desk.clock.ns += 60 * SECOND
    desk.venue.held = [row("2", at_ns=taken_ns - SECOND, sequence=11)]

    (item,) = await check(desk)

    assert (item.older, held(desk).state.size) == (True, 3)


async def test_p03_a_payment_makes_no_row_older_as_it_changes_no_size() -> None:
    desk = Desk()
    fill = await traded(desk)
    paid_ns = fill.executed_ns + 10 * SECOND
    payment = {"execution_id": "f1", "fill_kind": FillKind.FUNDING, "venue_sequence": 30, "executed_ns": paid_ns}
    await desk.told(msgspec.structs.replace(fill, **payment))
    desk.venue.held = [row("3", at_ns=fill.executed_ns + SECOND, sequence=11)]

    (item,) = await check(desk)

    assert (item.corrected, held(desk).state.size) == (True, 3)


async def test_d11_each_side_of_a_hedged_symbol_has_an_age_of_its_own() -> None:
    desk = Desk()
    await traded(desk, "long", venue_sequence=10, position_side=LONG)
    await traded(desk, "short", Side.SELL, venue_sequence=20, position_side=SHORT)
    now_ns = desk.clock.now_ns()
    desk.venue.held = [row("3", at_ns=now_ns, sequence=11, side=LONG), row("-3", at_ns=now_ns, sequence=19, side=SHORT)]

    items = {item.side: item for item in await check(desk)}

    assert (items[LONG].corrected, held(desk, LONG).state.size) == (True, 3)
    assert (items[SHORT].older, held(desk, SHORT).state.size) == (True, -1)


async def test_y02_a_row_that_stays_too_old_is_told_of_and_is_well_again_when_it_has_caught_up() -> None:
    desk = Desk()
    await traded(desk)
    desk.venue.held = [row("0", at_ns=desk.clock.now_ns() - 600 * SECOND, sequence=9)]

    async def round_of() -> list[str]:
        assert await desk.recovery._round(0, thorough=False), "asking sooner would not help"  # private: see elsewhere
        desk.clock.ns += 300 * SECOND
        return codes(desk)

    assert [await round_of() for _ in range(4)] == [[], [], ["NOT_COMPARED"], ["NOT_COMPARED"]]
    desk.venue.held = [row("1", at_ns=desk.clock.now_ns() - 900 * SECOND, sequence=10)]
    await round_of()

    assert held(desk).taken_over_ns == 0
    assert not desk.recovery._uncompared.knows(0, "BTCUSDT")


async def test_y03_the_result_of_a_sync_tells_that_a_position_was_not_compared() -> None:
    desk = Desk()
    await traded(desk)
    desk.venue.held = [row("0", at_ns=desk.clock.now_ns() - 600 * SECOND, sequence=9)]
    value = encode_command(Command(command_id="c1", action=Action.SYNC, symbol="BTCUSDT"))

    await desk.command_agent.handle(
        FreeTurn(Record(TOPICS.order_commands, 0, 0, b"BTCUSDT", value, (), desk.clock.now_ns()))
    )

    told = desk.signals.command(0, "c1")
    assert told is not None
    [(name, words)] = [(name, words) for name, words in told.details.items() if name.startswith("position")]
    assert words == (
        "not_compared: the venue's row (0) is older than our last fill, after which there is 1: not judged"
    ), name
    assert told.sentence.endswith("1 positions checked, 0 differed")
