"""`verify` and `replay` on a set of real processes: equal when it is sound, and not to be fooled.

The worker and the gateway are stopped, then one thing is spoilt at a time where the truth of a ledger lies: in a
changelog, in the events, at the exchange. Each must be found and named; when it is mended, all is equal again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from fault_set import FaultSet
from typer.testing import CliRunner

from app.check_printing import CANNOT_TELL, DIFFERS, EQUAL
from app.cli import app as commands
from app.replay.folded import Until, folded
from app.replay.reading import CannotCompare
from app.replay.report import compare_directories, replay
from app.sample_producer import SampleProducer
from app.settings import Settings
from app.venue import bybit_options
from app.verify.ledger import Ledger
from app.verify.report import VerifyOptions, verify
from app.verify.tables_ledger import PARTIAL, ledger_of_web
from domain.instruments import Instrument
from domain.orders import OrderType, Side, TimeInForce
from exchanges.bybit.trading import BybitTrading
from exchanges.venue import NewOrder
from tables.rows import Rows

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

SOON = VerifyOptions(settle_s=0.0)
INSIDE = VerifyOptions(settle_s=0.0, venue=False)
PATIENT = VerifyOptions(settle_s=30.0)

Row = dict[str, Any]  # Any: JSON


@dataclass(frozen=True, slots=True)
class Stored:
    """A row as a changelog has it."""

    table: str
    partition: int
    key: bytes
    value: bytes


class Stopped:
    """A set whose worker and gateway have stopped after trading; the exchange and the topics are there."""

    def __init__(self, traded: FaultSet, producer: Any) -> None:  # Any: aiokafka is untyped
        self.traded = traded
        self.settings: Settings = traded.settings
        self.topics = traded.local.topics
        self._producer = producer

    async def row(self, table: str, letter: bytes, where: Callable[[Row], bool] = lambda _row: True) -> Stored:
        """The first row of its kind for which `where` holds."""
        directory = self.settings.data_dir / "look"
        async with folded(self.settings, directory, Until(), 0.0) as tables:
            rows: Rows = tables.live[table]
            for partition in sorted(rows.partitions()):
                for key, value in rows.scan(partition, letter + b"/"):
                    if where(json.loads(value)):
                        return Stored(table, partition, key, value)
        raise LookupError(f"no such row {table} {letter.decode()}")

    async def write(self, row: Stored, value: bytes | None) -> None:
        """Append to the changelog, as a stranger would."""
        topic = self.topics.changelog(row.table)
        await self._producer.send_and_wait(topic, value, key=row.key, partition=row.partition)

    async def tell(self, topic: str, partition: int, value: bytes) -> None:
        """Append to a topic of events."""
        await self._producer.send_and_wait(topic, value, key=b"spoilt", partition=partition)

    @asynccontextmanager
    async def spoilt(self, row: Stored, change: Callable[[Row], None] | None) -> AsyncIterator[None]:
        """The row changed (or gone, without a change) for as long as the context lasts."""
        value = None
        if change is not None:
            fields = json.loads(row.value)
            change(fields)
            value = json.dumps(fields).encode()
        await self.write(row, value)
        try:
            yield
        finally:
            await self.write(row, row.value)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def moving(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FaultSet]:
    """A set with a market that moves, and signals through it."""
    async with FaultSet(kafka, tmp_path_factory.mktemp("checks"), paper_market_interval_s=0.1) as made:
        producer = SampleProducer(made.settings, 5, prefix="checks")
        await producer.start()
        for _ in range(60):
            signal = await producer.send_one()
            made.sent[signal["signal_id"]] = signal["symbol"]
        await producer.stop()
        await made.send_resting("BTCUSDT")
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stopped(moving: FaultSet) -> AsyncIterator[Stopped]:
    """The same set, settled, with nobody at work."""
    await moving.local.paper_post("/paper/market", {"frozen": True})
    (await moving.verdict()).assert_agreed()
    await moving.local.workers[0].stop()
    await moving.local.gateway.stop()
    producer = AIOKafkaProducer(bootstrap_servers=moving.settings.bootstrap, acks="all")
    await producer.start()
    yield Stopped(moving, producer)
    await producer.stop()


def found(report: Row, kind: str, field: str | None) -> list[Row]:
    """The differences of one kind and field between the tables and those made again."""
    inside = ["tables", "topics"]
    return [
        each
        for each in report["differences"]
        if each["between"] == inside and each["kind"] == kind and each["field"] == field
    ]


# -- while it runs -----------------------------------------------------------------------------------------------------


async def test_a_set_at_work_in_a_moving_market_is_equal(moving: FaultSet) -> None:
    report = await verify(moving.settings, PATIENT)

    assert report["equal"] is True, report
    assert report["compared"]["tables, venue"]["orders"] > 0
    # Fills go on while one ledger is read after the other; all orders were there before.
    orders = {name: report["compared"][f"tables, {name}"]["orders"] for name in ("web", "books")}
    assert orders["web"] == orders["books"] > 60, orders
    assert report["compared"]["tables, web"]["fills"] > 0
    assert not report["unread"]


async def test_partitions_that_nobody_answers_for_are_asked_for_again(
    moving: FaultSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Settings] = []

    async def late_at_first(settings: Settings) -> Ledger:
        asked.append(settings)
        if len(asked) == 1:
            raise CannotCompare(PARTIAL, "/orders: nobody answers for partitions [0]")
        return await ledger_of_web(settings)

    monkeypatch.setattr("app.verify.report.ledger_of_web", late_at_first)

    report = await verify(moving.settings, PATIENT)

    assert report["equal"] is True, report
    assert not report["unread"]
    assert report["compared"]["tables, web"]["orders"] > 0


async def test_a_venue_that_is_unwell_for_a_moment_is_asked_again(stopped: Stopped) -> None:
    fault = {"kind": "error_5xx_before", "endpoint": "order/realtime", "count": 3}
    await stopped.traded.local.paper_post("/paper/faults", fault)

    report = await verify(stopped.settings, PATIENT)

    assert report["equal"] is True, report
    assert report["compared"]["tables, venue"]["orders"] > 0


async def test_the_tables_made_again_while_it_works_are_the_live_ones(moving: FaultSet) -> None:
    report = await replay(moving.settings, directory=None, until=Until(), settle_s=30.0)

    assert report["equal"] is True, report["first_difference"]
    assert report["intents"]["from_plans"] > 0


# -- when it is stopped ------------------------------------------------------------------------------------------------


async def test_what_is_sound_is_equal_and_the_same_each_time(stopped: Stopped) -> None:
    first = await verify(stopped.settings, SOON)
    again = await verify(stopped.settings, SOON)

    assert first["equal"] is True, first
    assert first["digest"]["live"] == first["digest"]["replayed"] == again["digest"]["replayed"]
    assert first["compared"]["tables, events"]["events"] > 60
    assert list(first["unread"]) == ["web"]


PLANTED: dict[str, tuple[str, bytes, Callable[[Row], None] | None, str, str | None]] = {
    "an order's executed quantity": (
        "orders", b"o", lambda row: row["fills"].update(quantity="9"), "order", "fills.quantity",
    ),
    "an order's price": ("orders", b"o", lambda row: row.update(price="1.5"), "order", "price"),
    "an order's state": ("orders", b"o", lambda row: row.update(state="rejected"), "order", "state"),
    "an order's last update": (
        "orders", b"o", lambda row: row.update(applied_offset=0), "order", "applied_offset",
    ),
    "an order that is gone": ("orders", b"o", None, "order", None),
    "a step of its history": ("orders", b"h", lambda row: row.update(reason="because"), "transition", "reason"),
    "a fill's price": ("orders", b"f", lambda row: row["fill"].update(price="1"), "fill", "fill.price"),
    "a fill that is gone": ("orders", b"f", None, "fill", None),
    "a position's size": ("positions", b"p", lambda row: row["state"].update(size="7"), "position", "state.size"),
    "a position's profit": (
        "positions", b"p", lambda row: row["state"].update(realised="0.01"), "position", "state.realised",
    ),
    "a ledger entry": ("positions", b"l", lambda row: row["fill"].update(fee="5"), "ledger entry", "fill.fee"),
    "a ledger entry that is gone": ("positions", b"l", None, "ledger entry", None),
    "a signal's words": ("signals", b"s", lambda row: row.update(value="{}"), "signal", "value"),
    "a signal's fingerprint": (
        "signals", b"s", lambda row: row.update(fingerprint="x"), "signal", "fingerprint",
    ),
    "a signal's orders": ("signals", b"s", lambda row: row.update(order_ids=["om1"]), "signal", "order_ids"),
}  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED)
async def test_what_is_spoilt_in_a_changelog_is_found(stopped: Stopped, planted: str) -> None:
    table, letter, change, kind, field = PLANTED[planted]
    row = await stopped.row(table, letter)

    async with stopped.spoilt(row, change):
        report = await verify(stopped.settings, INSIDE)

    assert report["equal"] is False
    assert [each["key"] for each in found(report, kind, field)] == [row.key.decode()], report["differences"]


async def test_a_row_that_is_spoilt_shows_against_the_exchange_too(stopped: Stopped) -> None:
    row = await stopped.row("orders", b"o", lambda row: row["state"] == "filled")

    async with stopped.spoilt(row, lambda fields: fields["fills"].update(value="1")):
        report = await verify(stopped.settings, SOON)

    key = json.loads(row.value)["venue_order_id"]
    ledgers = [each["between"][1] for each in report["differences"] if each["key"] == key]
    assert ledgers == ["venue", "books"]


async def test_replay_names_the_record_that_a_spoilt_row_comes_from(stopped: Stopped) -> None:
    step = await stopped.row("orders", b"h", lambda row: row["kind"] == "filled")

    async with stopped.spoilt(step, lambda fields: fields.update(reason="because")):
        report = await replay(stopped.settings, directory=None, until=Until(), settle_s=0.0)

    assert report["equal"] is False
    assert report["first_difference"]["key"] == step.key.decode()
    assert report["first_difference"]["record"] == json.loads(step.value)["source"]


async def test_what_was_mended_is_equal_again(stopped: Stopped) -> None:
    assert (await verify(stopped.settings, SOON))["equal"] is True


async def test_a_result_that_the_orders_never_had_is_found(stopped: Stopped) -> None:
    executed = await stopped.row("signals", b"s", lambda row: row["result"] == "executed" and not row["code"])

    async with stopped.spoilt(executed, lambda row: row.update(result="rejected")):
        report = await verify(stopped.settings, SOON)

    assert [each["values"] for each in found(report, "signal", "result")] == [["rejected", "executed"]]


async def test_a_plan_that_does_not_lead_to_its_order_is_found(stopped: Stopped) -> None:
    planned = await stopped.row("signals", b"s", lambda row: bool(row["plan"]["intents"]))

    async with stopped.spoilt(planned, lambda row: row["plan"]["intents"][0].update(quantity="123")):
        report = await verify(stopped.settings, SOON)

    order_id = json.loads(planned.value)["plan"]["intents"][0]["order_id"]
    assert [each["key"] for each in found(report, "order", "quantity")] == [f"o/{order_id}"]


async def test_tables_as_of_an_earlier_offset_are_made_and_compared(stopped: Stopped, tmp_path: Path) -> None:
    until = Until(offsets={-1: 40})
    early = await replay(stopped.settings, directory=tmp_path / "early", until=until, settle_s=0.0)
    late = await replay(stopped.settings, directory=tmp_path / "late", until=Until(), settle_s=0.0)

    between = compare_directories(tmp_path / "early" / "replayed", tmp_path / "late" / "replayed")

    assert early["equal"] is True, early["first_difference"]
    assert max(early["until"].values()) == 40
    assert early["digest"]["replayed"] != late["digest"]["replayed"]
    assert between["equal"] is False
    assert between["first_difference"]["record"]


async def test_tables_as_of_a_time_are_made_and_compared(stopped: Stopped) -> None:
    order = json.loads((await stopped.row("orders", b"o", lambda row: row["times"]["finished_ns"] > 0)).value)
    until = Until(time_ns=order["times"]["finished_ns"] - 1_000_000)

    report = await replay(stopped.settings, directory=None, until=until, settle_s=0.0)

    assert report["equal"] is True, report["first_difference"]
    assert report["updates"] > 0


# -- exit codes --------------------------------------------------------------------------------------------------------


async def test_exit_codes_tell_equal_from_different_and_from_unknown(
    stopped: Stopped, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in stopped.settings.environment().items():
        monkeypatch.setenv(name, value)
    row = await stopped.row("orders", b"o")

    sound = await in_thread("verify", "--settle-s", "0", "--json")
    async with stopped.spoilt(row, lambda fields: fields.update(attempts=77)):
        spoilt = await in_thread("verify", "--settle-s", "0", "--json")
    monkeypatch.setenv("ORDERMANAGER_VENUE_REST_URL", "http://127.0.0.1:9")
    silent = await in_thread("verify", "--settle-s", "0", "--json")

    assert (sound[0], json.loads(sound[1])["equal"]) == (EQUAL, True)
    assert (spoilt[0], json.loads(spoilt[1])["equal"]) == (DIFFERS, False)
    assert (silent[0], json.loads(silent[1])["equal"]) == (CANNOT_TELL, None)


async def in_thread(*arguments: str) -> tuple[int, str]:
    """(exit code, standard output) of a command, which brings an event loop of its own."""
    result = await asyncio.to_thread(CliRunner().invoke, commands, arguments)
    return result.exit_code, result.stdout


# -- at the exchange, and what the world was told: these can't be mended, so they come last ----------------------------


async def test_an_event_that_says_another_thing_is_found(stopped: Stopped) -> None:
    step = await stopped.row("orders", b"h", lambda row: row["kind"] == "filled")
    order_id = step.key.split(b"/")[1].decode()
    event = {"event_id": f"{order_id}-{json.loads(step.value)['sequence']}", "order_id": order_id, "sequence": 99}

    await stopped.tell(stopped.topics.order_events, step.partition, json.dumps(event).encode())
    report = await verify(stopped.settings, SOON)

    assert report["equal"] is False
    said = [each["key"] for each in report["differences"] if each["field"] == "sequence"]
    assert said == [event["event_id"]]


async def test_an_event_without_an_order_is_found(stopped: Stopped) -> None:
    event = {"event_id": "omnobody-1", "order_id": "omnobody", "sequence": 1, "source": "signals-0-0"}

    await stopped.tell(stopped.topics.order_events, 0, json.dumps(event).encode())
    report = await verify(stopped.settings, SOON)

    assert [each["values"] for each in report["differences"] if each["key"] == "omnobody-1"] == [[None, "was told"]]


async def test_what_only_the_exchange_has_is_found(stopped: Stopped) -> None:
    before = await verify(stopped.settings, SOON)
    trading = BybitTrading(bybit_options(stopped.settings))
    instrument = Instrument("paper", "linear", "BTCUSDT")
    order = NewOrder(instrument, "stranger-1", Side.SELL, OrderType.MARKET, Decimal("0.01"), None, TimeInForce.IOC)

    venue_order_id = await trading.create(order)
    await trading.close()
    report = await verify(stopped.settings, SOON)

    new = [each for each in report["differences"] if each not in before["differences"]]
    kinds = {(tuple(each["between"]), each["kind"]) for each in new}
    assert {
        (("tables", ledger), kind) for ledger in ("venue", "books") for kind in ("order", "fill", "position")
    } <= kinds
    assert venue_order_id in {each["key"] for each in new}


async def test_records_that_nobody_has_finished_are_told(stopped: Stopped) -> None:
    await stopped.tell(stopped.topics.order_updates, 0, b"{}")

    report = await verify(stopped.settings, SOON)

    assert report["unfinished"] == 1
