"""Snapshots at regular moments, and warnings of losses: each once, whoever takes over (P02, P04)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from quiet_venue import SECOND
from trading_desk import ACCOUNT, BTC, TOPICS, Desk, fill_of

from domain.instruments import Instrument, Quote
from domain.orders import PositionSide, Side
from streams.alert_board import AlertAction, AlertBoard, AlertState, encode_action
from streams.broadcast import Entry
from streams.position_watch import PositionWatch, PositionWatchSettings

MINUTE = 60 * SECOND


class Ground:
    """A desk whose positions are watched, and a market that a test moves."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.price: str | None = "100"
        self.quote_age_s = 0
        self.on_topic: frozenset[str] = frozenset()
        self.asked: list[tuple[int, int]] = []
        self.board = AlertBoard(TOPICS.alerts)
        self._read = 0

    def watch(self, **settings: Any) -> PositionWatch:
        """A worker's watch; another one for another worker."""
        log: Any = self.desk.log
        return PositionWatch(
            log=log,
            topics=TOPICS,
            positions=self.desk.positions,
            mark=self._mark,
            board=self.board,
            taken=self._taken,
            is_open=lambda: True,
            clock=self.desk.clock,
            settings=PositionWatchSettings(**{"snapshot_s": 60.0, **settings}),
        )

    async def bought(self, name: str = "1", side: Side = Side.BUY) -> None:
        """One piece at 100."""
        order = self.desk.intend(f"om{name}", age_s=60)
        fill = msgspec.structs.replace(fill_of(order, f"e{name}"), side=side, received_ns=self.desk.clock.now_ns())
        await self.desk.told(fill)

    def snapshots(self) -> list[dict[str, Any]]:
        return self._bodies(TOPICS.position_snapshots)

    def losses(self) -> list[dict[str, Any]]:
        return [event for event in self._bodies(TOPICS.position_events) if event["type"] != "changed"]

    def fold_alerts(self) -> None:
        """As the broadcast would."""
        records = self.desk.log.records[TOPICS.alerts]
        for record in records[self._read :]:
            entry = Entry(record.value or b"", record.timestamp_ns, record.offset)
            self.board.take(TOPICS.alerts, record.key or b"", entry)
        self._read = len(records)

    def _bodies(self, topic: str) -> list[dict[str, Any]]:
        return [msgspec.json.decode(record.value or b"") for record in self.desk.log.records[topic]]

    def _mark(self, instrument: Instrument) -> Quote | None:
        if self.price is None:
            return None
        price = Decimal(self.price)
        at_ns = self.desk.clock.now_ns() - self.quote_age_s * SECOND
        return Quote(bid=price, ask=price, last=price, mark=price, at_ns=at_ns)

    async def _taken(self, partition: int, moment_ns: int) -> frozenset[str]:
        self.asked.append((partition, moment_ns))
        return self.on_topic


async def test_p02_an_open_position_is_published_once_for_each_moment() -> None:
    ground = Ground()
    await ground.bought()
    watch = ground.watch()

    await watch.look()
    await watch.look()
    moment_ns = ground.desk.clock.ns // MINUTE * MINUTE
    ground.desk.clock.ns = moment_ns + MINUTE
    ground.price = "103"
    await watch.look()

    first, second = ground.snapshots()
    assert (first["moment_ns"], second["moment_ns"]) == (moment_ns, moment_ns + MINUTE)
    assert first["event_id"] == f"paper-linear-BTCUSDT-{ACCOUNT}-net-{moment_ns}"
    assert (first["state"]["size"], first["mark"], first["unrealised"]) == ("1", "100", "0")
    assert second["unrealised"] == "3"


async def test_p02_what_a_former_owner_published_for_the_moment_is_not_published_again() -> None:
    ground = Ground()
    await ground.bought()
    await ground.watch().look()
    ground.on_topic = frozenset({ground.snapshots()[0]["event_id"]})

    await ground.watch().look()

    assert len(ground.snapshots()) == 1
    assert len(ground.asked) == 2, "each asks once, when the partition has become its own"


async def test_p02_a_position_that_was_closed_is_published_once_more_and_then_no_more() -> None:
    ground = Ground()
    await ground.bought()
    await ground.bought("2", Side.SELL)
    watch = ground.watch()

    for _ in range(4):
        await watch.look()
        ground.desk.clock.ns += MINUTE

    assert [picture["state"]["size"] for picture in ground.snapshots()] == ["0", "0"]


async def test_p02_an_old_mark_is_no_mark() -> None:
    ground = Ground()
    await ground.bought()
    ground.quote_age_s = 61

    await ground.watch().look()

    [picture] = ground.snapshots()
    assert (picture["mark"], picture["unrealised"]) == (None, None)


async def test_p04_a_loss_is_told_once_and_ends_itself() -> None:
    ground = Ground()
    await ground.bought()
    watch = ground.watch(loss_threshold=Decimal("0.05"))

    for price in ("95", "94.9", "94", "94.9", "95.4", "95.5", "96", "94"):
        ground.price = price
        ground.desk.clock.ns += SECOND
        await watch.look()
        ground.fold_alerts()
        if price == "94.9":
            standing = ground.board.get("UNREALIZED_LOSS@BTCUSDT")
            assert standing is not None
            assert (standing.state, standing.count, standing.severity) == (AlertState.OPEN, 1, "warning")

    told = [(event["type"], event["price"], event["unrealised"]) for event in ground.losses()]
    assert told == [
        ("loss_warning", "94.9", "-5.1"),
        ("loss_warning_over", "95.5", "-4.5"),
        ("loss_warning", "94", "-6"),
    ]
    assert len({event["event_id"] for event in ground.losses()}) == 3
    assert {(event["quantity"], event["fee"], event["execution_id"]) for event in ground.losses()} == {("0", "0", "")}
    again = ground.board.get("UNREALIZED_LOSS@BTCUSDT")
    assert again is not None
    assert (again.state, again.count) == (AlertState.OPEN, 2)


async def test_p04_a_worker_that_takes_over_knows_what_was_told_although_a_person_has_resolved_it() -> None:
    ground = Ground()
    await ground.bought()
    ground.price = "90"
    await ground.watch(loss_threshold=Decimal("0.05")).look()
    ground.fold_alerts()
    word = AlertAction(alert="UNREALIZED_LOSS@BTCUSDT", state=AlertState.RESOLVED, by="desk", reason="I know", at_ns=1)
    ground.board.take(TOPICS.alerts, b"action/UNREALIZED_LOSS@BTCUSDT", Entry(encode_action(word), 1, 99))

    next_owner = ground.watch(loss_threshold=Decimal("0.05"))
    await next_owner.look()
    ground.price = "99"
    await next_owner.look()
    ground.fold_alerts()

    assert [event["type"] for event in ground.losses()] == ["loss_warning", "loss_warning_over"]
    over = ground.board.get("UNREALIZED_LOSS@BTCUSDT")
    assert over is not None
    assert (over.state, over.changed_by) == (AlertState.RESOLVED, "manager")


async def test_p04_closing_the_position_ends_the_warning() -> None:
    ground = Ground()
    await ground.bought()
    watch = ground.watch(loss_threshold=Decimal("0.05"))
    ground.price = "90"
    await watch.look()

    await ground.bought("2", Side.SELL)
    await watch.look()

    assert [(event["type"], event["state"]["size"]) for event in ground.losses()] == [
        ("loss_warning", "1"),
        ("loss_warning_over", "0"),
    ]


async def test_p04_without_a_threshold_or_a_mark_nothing_is_told() -> None:
    ground = Ground()
    await ground.bought()
    ground.price = "1"
    await ground.watch().look()
    ground.price = None
    await ground.watch(loss_threshold=Decimal("0.05")).look()

    assert ground.losses() == []


async def test_p04_the_sides_of_a_hedged_symbol_are_warned_of_apart() -> None:
    ground = Ground()
    order = ground.desk.intend("om1", age_s=60)
    for number, (side, held) in enumerate([(Side.BUY, PositionSide.LONG), (Side.SELL, PositionSide.SHORT)]):
        told = msgspec.structs.replace(fill_of(order, f"e{number}"), side=side, position_side=held)
        await ground.desk.told(told)
    watch = ground.watch(loss_threshold=Decimal("0.05"))

    for price in ("90", "110"):
        ground.price = price
        await watch.look()
    ground.fold_alerts()

    assert [(event["type"], event["side"]) for event in ground.losses()] == [
        ("loss_warning", "long"),
        ("loss_warning_over", "long"),
        ("loss_warning", "short"),
    ]
    assert ground.board.get("UNREALIZED_LOSS_LONG@BTCUSDT") is not None
    assert BTC.symbol in {event["instrument"]["symbol"] for event in ground.losses()}
