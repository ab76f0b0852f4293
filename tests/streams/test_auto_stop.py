"""The stop-loss that follows a position while the venue, or its stream, is away (requirement P04)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from quiet_venue import NOW, SECOND, QuietVenue
from trading_desk import ACCOUNT, BTC, TOPICS, Desk, FreeTurn

from domain.commands import decode_command
from domain.errors import Uncertain
from domain.instruments import Instrument
from domain.merging import apply_update
from domain.orders import OrderType, PositionSide, Side, Sums
from domain.protection import Role, TriggerBy
from domain.updates import FillReport, OrderReport, Origin, VenueState
from streams.auto_stop import AutoStop, AutoStopSettings
from streams.belonging import external_order
from streams.record import Record
from streams.schemas import Alert
from streams.updates import UpdatePublisher
from tables.receipt import Receipt
from tables.signals import CommandRow

CALL_S = 5


class LostVenue(QuietVenue):
    """Whether it takes a stop-loss remains open, and each answer takes its time."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.stops: list[Decimal] = []

    async def set_stop_loss(self, instrument: Instrument, side: PositionSide, price: Decimal, by: TriggerBy) -> None:
        self.desk.clock.ns += CALL_S * SECOND
        self.stops.append(price)
        raise Uncertain("OUTCOME_UNKNOWN", "server error", "10016")

    async def open_orders(
        self, category: str, symbol: str | None = None, *, origin: Origin = Origin.REST, **_scope: Any
    ) -> Sequence[OrderReport]:
        self.desk.clock.ns += CALL_S * SECOND
        return await super().open_orders(category)


class Following:
    """A long position of one piece at 100, and what follows it."""

    def __init__(self) -> None:
        self.desk = desk = Desk()
        self.venue = desk.venue = LostVenue(desk)
        log: Any = desk.log
        trading: Any = self.venue
        self.stop = AutoStop(
            log=log,
            topics=TOPICS,
            orders=desk.orders,
            positions=desk.positions,
            signals=desk.signals,
            trading=trading,
            publisher=UpdatePublisher(log, TOPICS),
            market=desk.market,
            gates=desk.gates,
            applied=desk.applied,
            alerts=desk.alerts,
            clock=desk.clock,
            settings=AutoStopSettings(account=ACCOUNT, distance=Decimal("0.05"), again_s=5.0, evidence_s=0.0),
        )
        self.fills = 0
        self.trade(Side.BUY, "e1")

    def trade(self, side: Side, execution_id: str, price: int = 100) -> None:
        fill = FillReport(
            instrument=BTC,
            account=ACCOUNT,
            origin=Origin.REST,
            received_ns=NOW,
            venue_order_id="x",
            execution_id=execution_id,
            side=side,
            price=Decimal(price),
            quantity=Decimal(1),
            fee=Decimal(0),
            fee_currency="USDT",
            executed_ns=NOW,
        )
        self.fills += 1
        self.desk.positions.apply(0, fill, "", self.fills, Receipt())

    @property
    def wished(self) -> list[Record]:
        return self.desk.log.records[TOPICS.order_commands]

    async def look_for(self, seconds: int) -> None:
        for _ in range(seconds):
            self.desk.clock.ns += SECOND
            await self.stop.look()

    async def carry_out(self) -> CommandRow:
        """The newest command's turn."""
        record = self.wished[-1]
        return await self.stop.protect(FreeTurn(record), decode_command(record.value or b""))

    def has(self, report: OrderReport) -> None:
        """The stream told of it."""
        self.fills += 1
        order = apply_update(external_order(report), report, source="", offset=self.fills).order
        self.desk.orders.put(0, order, (), Receipt())

    def alerts(self) -> list[str]:
        records = self.desk.log.records[TOPICS.alerts]
        return [msgspec.json.decode(record.value or b"", type=Alert).code for record in records]

    def standing(self) -> list[str]:
        """The alerts whose condition holds: they are not told again."""
        return list(self.desk.alerts._told)


def shown(price: str, *, partial: bool = False) -> OrderReport:
    """A stop-loss that the venue has."""
    return OrderReport(
        instrument=BTC,
        account=ACCOUNT,
        origin=Origin.RECONCILE,
        received_ns=NOW,
        venue_order_id=f"stop-{price}",
        state=VenueState.UNTRIGGERED,
        raw_status="Untriggered",
        side=Side.SELL,
        order_type=OrderType.MARKET,
        quantity=Decimal(1),
        price=None,
        cumulative=Sums(),
        updated_ns=NOW,
        created_ns=NOW,
        reduce_only=True,
        role=Role.STOP_LOSS,
        trigger_price=Decimal(price),
        partial=partial,
    )


async def test_p04_a_wish_is_not_repeated_before_its_command_has_ended() -> None:
    following = Following()

    await following.look_for(120)
    assert len(following.wished) == 1, "it waits behind other commands of the symbol"
    following.trade(Side.BUY, "e2", 110)
    await following.look_for(10)
    assert len(following.wished) == 1, "at whatever price"

    row = await following.carry_out()
    assert row.sentence.startswith("no longer wanted")
    await following.look_for(1)
    assert len(following.wished) == 2


async def test_p04_a_wish_whose_end_nobody_tells_is_repeated_in_the_end() -> None:
    following = Following()
    await following.stop.look()

    await following.look_for(299)
    assert len(following.wished) == 1
    await following.look_for(1)

    assert len(following.wished) == 2


async def test_p04_a_wish_of_a_former_time_with_the_partition_does_not_hold_up_another() -> None:
    following = Following()
    await following.look_for(1)

    following.desk.gates.revoke(0)
    following.desk.clock.ns += SECOND
    following.desk.gates.assign(0, set(), following.desk.clock.now_ns())
    following.desk.gates.caught_up(0, set())
    await following.look_for(1)

    assert len(following.wished) == 2


async def test_p04_a_stop_that_is_not_shown_for_long_is_an_alert_until_the_position_has_gone() -> None:
    following = Following()
    rows = []
    for _ in range(4):
        await following.look_for(1)
        rows.append((await following.carry_out()).code)
        following.desk.clock.ns += 5 * SECOND

    assert rows == ["NOT_CONFIRMED"] * 4
    assert following.alerts() == ["AUTO_STOP_LOSS_NOT_CONFIRMED"]

    following.trade(Side.SELL, "e2")
    await following.look_for(1)
    following.trade(Side.BUY, "e3")
    await following.look_for(1)
    await following.carry_out()
    assert following.alerts() == ["AUTO_STOP_LOSS_NOT_CONFIRMED"], "another position has its own time"


async def test_p04_while_the_stream_is_down_a_position_gets_its_stop() -> None:
    following = Following()
    following.desk.gates.blind("STREAM_GAP: away")

    await following.look_for(1)
    assert len(following.wished) == 1
    await following.carry_out()

    assert following.venue.stops == [Decimal(95)]


async def test_p04_a_stop_that_only_the_venue_knows_is_left_alone_while_the_stream_is_down() -> None:
    following = Following()
    following.desk.gates.blind("STREAM_GAP: away")
    following.venue.listed = [shown("97")]

    await following.look_for(1)
    row = await following.carry_out()
    await following.look_for(10)

    assert row.sentence.startswith("no longer wanted")
    assert following.venue.stops == []
    assert len(following.wished) == 1


async def test_p04_no_stop_is_asked_for_while_the_stream_is_down_and_the_orders_cannot_be_read() -> None:
    following = Following()
    following.desk.gates.blind("STREAM_GAP: away")
    following.venue.away = Uncertain("NO_ANSWER", "away")

    await following.look_for(1)
    row = await following.carry_out()

    assert (row.code, following.venue.stops) == ("NOT_CONFIRMED", [])


@pytest.mark.parametrize("quantity", ["0.1", "1"], ids=["a part", "as much as there is"])
async def test_p04_a_stop_for_a_part_of_the_position_does_not_stand_for_the_one_of_all_of_it(quantity: str) -> None:
    following = Following()
    part = msgspec.structs.replace(shown("97", partial=True), quantity=Decimal(quantity))
    following.has(part)

    await following.look_for(1)
    await following.carry_out()

    assert following.venue.stops == [Decimal(95)]


async def test_p04_a_stop_for_a_part_ends_no_alert_of_the_one_that_is_missing() -> None:
    following = Following()
    part = shown("95", partial=True)
    following.venue.listed = [part]
    following.has(part)
    rows = []
    for _ in range(4):
        await following.look_for(1)
        rows.append((await following.carry_out()).code)
        following.desk.clock.ns += 5 * SECOND
    told, standing = following.alerts(), following.standing()

    following.has(shown("96"))
    await following.look_for(1)

    assert (rows, told) == (["NOT_CONFIRMED"] * 4, ["AUTO_STOP_LOSS_NOT_CONFIRMED"])
    assert (len(standing), following.standing()) == (1, []), "over when the whole position has one"
