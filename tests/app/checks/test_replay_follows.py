"""What the live order agent decided by what it had in memory, replay decides from the log: each case that is its own.

A life is lived by the real agent on rows in memory, its rows and copies noted as a broker would keep them; then the
tables are made again from that.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from fakes import MemoryRows

from app.replay.fold import Fold, PutOff
from app.replay.intents import Intent
from app.replay.live import LiveTables
from app.replay.scratch import Scratch, ScratchInbox, ScratchLog
from domain.instruments import Instrument
from domain.orders import LocalState, Order, OrderState, OrderType, Side, Sums, TimeInForce, Times, VenueState
from domain.transitions import created
from domain.updates import FillReport, OrderReport, Origin, Update, encode_update
from streams.applied import Applied
from streams.order_agent import OrderAgent
from streams.ports import Headers
from streams.record import Record
from streams.topics import Topics
from streams.updates import MARK
from tables.index_entries import IndexFunction
from tables.orders import OrderTable, order_index
from tables.positions import PositionTable, position_index
from tables.receipt import Receipt

TOPICS = Topics(partitions=1)
BTC = Instrument("paper", "linear", "BTCUSDT")
INSTANCE = "om"
NOW = 1_763_700_000_000_000_000


class KeptRows(MemoryRows):
    """Rows with their changelog."""

    def __init__(self, name: str, index: IndexFunction) -> None:
        super().__init__([0], index)
        self.changelog: list[Record] = []
        self._topic = TOPICS.changelog(name)

    def put(self, partition: int, key: bytes, value: bytes | None, receipt: Receipt) -> None:
        self.changelog.append(Record(self._topic, partition, len(self.changelog), key, value, (), NOW))
        super().put(partition, key, value, receipt)


class KeptLog(ScratchLog):
    """Keeps what goes out to `order-updates`."""

    def __init__(self) -> None:
        super().__init__(1)
        self.copies: list[tuple[bytes | None, Headers]] = []

    def append(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        receipt: Receipt,
        headers: Headers = (),
        on_ack: Callable[[int], None] | None = None,
    ) -> None:
        if topic == TOPICS.order_updates:
            self.copies.append((value, headers))
        super().append(topic, partition, key, value, receipt, headers, on_ack)


class Life:
    """One partition's updates and intents, lived by the real agent."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._log = KeptLog()
        self._rows = {"orders": KeptRows("orders", order_index), "positions": KeptRows("positions", position_index)}
        self.orders = OrderTable(self._rows["orders"])
        self.updates: list[Record] = []
        self._meant: dict[str, Intent] = {}
        self._agent = OrderAgent(
            log=self._log,
            inbox=ScratchInbox(),
            topics=TOPICS,
            orders=self.orders,
            positions=PositionTable(self._rows["positions"]),
            applied=Applied(),
            instance=INSTANCE,
        )

    def intend(self, order_id: str) -> Intent:
        """The signal agent writes an intent."""
        order = _order(order_id)
        intent = Intent(order, created(order, source="signals-0-0", origin="signal"))
        self._meant[order_id] = intent
        self.orders.put(0, order, [intent.transition], Receipt())
        return intent

    def take_back(self, intent: Intent) -> None:
        """It was never meant: its plan is not there."""
        self.orders.discard_intent(0, intent.order, Receipt())

    def appended(self, update: Update | None, headers: Headers = ()) -> Record:
        """A record of `order-updates`, a mark without an update, that nobody has read yet."""
        value, key = (b"{}", b"") if update is None else (encode_update(update), b"BTCUSDT")
        record = Record(TOPICS.order_updates, 0, len(self.updates), key, value, headers, NOW)
        self.updates.append(record)
        return record

    def told(self, update: Update) -> Record:
        """An update is appended and handled."""
        record = self.appended(update)
        self._agent.handle([record])
        return record

    def mark(self) -> None:
        """A mark is appended and handled."""
        self._agent.handle([self.appended(None, MARK)])

    def copies(self) -> list[Record]:
        """What the agent has appended since the last time, now in the log, not handled yet."""
        found = []
        for value, headers in self._log.copies:
            record = Record(TOPICS.order_updates, 0, len(self.updates), b"BTCUSDT", value, headers, NOW)
            self.updates.append(record)
            found.append(record)
        self._log.copies.clear()
        return found

    def handle(self, record: Record) -> None:
        """A record's turn."""
        self._agent.handle([record])

    def both(self, until: int | None = None) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
        """The rows of orders as of an update, live and made again."""
        end = len(self.updates) if until is None else until
        scratch = Scratch(self._directory / f"again-{end}", 1)
        try:
            put_off = PutOff({0: end})
            for record in self.updates:
                put_off.note(record)
            live = LiveTables(scratch, TOPICS, {0: end}, copied_at=put_off.copied_at)
            for rows in self._rows.values():
                for record in rows.changelog:
                    live.take(record)
            live.settle()
            made = {"orders": scratch.table("made", order_index), "positions": scratch.table("held", position_index)}
            fold = Fold(
                made,
                scratch.log,
                TOPICS,
                INSTANCE,
                intents=live.intents,
                make_intent=lambda _partition, order_id: self._meant.get(order_id),
                put_off=put_off,
            )
            for record in self.updates[:end]:
                fold.take(record)
            fold.finish()
            return dict(live.rows["orders"].scan(0, b"")), dict(made["orders"].scan(0, b""))
        finally:
            scratch.close()


def _order(order_id: str) -> Order:
    return Order(
        order_id=order_id,
        client_order_id=order_id,
        instrument=BTC,
        account="main",
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        quantity=Decimal(1),
        price=Decimal(100),
        time_in_force=TimeInForce.GTC,
        local=LocalState.PLANNED,
        state=OrderState.PLANNED,
        sequence=1,
        times=Times(created_ns=NOW, updated_ns=NOW),
    )


def nameless(venue_order_id: str = "v-stranger", received_ns: int = NOW) -> OrderReport:
    """The venue's word on an order without saying whose it is."""
    return OrderReport(
        instrument=BTC,
        account="main",
        origin=Origin.STREAM,
        received_ns=received_ns,
        venue_order_id=venue_order_id,
        state=VenueState.LIVE,
        raw_status="New",
        side=Side.SELL,
        order_type=OrderType.LIMIT,
        quantity=Decimal(2),
        price=Decimal(200),
        cumulative=Sums(),
        updated_ns=NOW,
    )


def nameless_fill(venue_order_id: str) -> FillReport:
    return FillReport(
        instrument=BTC,
        account="main",
        origin=Origin.STREAM,
        received_ns=NOW,
        venue_order_id=venue_order_id,
        execution_id="e-1",
        side=Side.SELL,
        price=Decimal(200),
        quantity=Decimal(1),
        fee=Decimal("0.1"),
        fee_currency="USDT",
        executed_ns=NOW,
    )


def parked_in(rows: dict[bytes, bytes]) -> list[bytes]:
    return [key for key in rows if key.startswith(b"p/")]


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path)


def test_what_waited_for_an_intent_that_was_taken_back_waits_in_both(life: Life) -> None:
    intent = life.intend("om1")
    life.told(nameless())
    life.take_back(intent)

    live, again = life.both()

    assert len(parked_in(live)) == 1
    assert again == live


def test_a_mark_lets_what_waited_for_an_intent_that_was_taken_back_go_on(life: Life) -> None:
    intent = life.intend("om1")
    life.told(nameless())
    life.take_back(intent)
    life.mark()
    for copy in life.copies():
        life.handle(copy)

    live, again = life.both()

    assert not parked_in(live)
    assert [order.external for order in life.orders.open_orders(0, "BTCUSDT")] == [True]
    assert again == live


def test_an_intent_that_is_written_again_after_it_was_taken_back_counts_from_there(life: Life) -> None:
    life.take_back(life.intend("om1"))
    life.told(nameless())
    life.intend("om1")
    life.told(nameless("v-another"))

    live, again = life.both()

    assert len(parked_in(live)) == 1
    assert again == live


def test_the_same_bytes_told_twice_while_an_order_is_in_flight_wait_twice(life: Life) -> None:
    life.intend("om1")
    life.told(nameless())
    life.told(nameless())

    live, again = life.both()

    assert len(parked_in(live)) == 2
    assert again == live


def test_what_a_later_copy_took_away_still_waits_as_of_an_earlier_update(life: Life) -> None:
    life.intend("om1")
    fill = msgspec.structs.replace(nameless_fill("v-1"), side=Side.BUY)
    life.told(fill)
    life.told(msgspec.structs.replace(fill, client_order_id="om1"))
    (copy,) = life.copies()
    life.handle(copy)  # it was counted meanwhile: no row but the parked one changes

    live, again = life.both(until=copy.offset)

    assert len(parked_in(live)) == 1
    assert again == live


def test_a_fill_that_came_too_late_for_its_place_counts_where_its_copy_stands(life: Life) -> None:
    fill = life.appended(nameless_fill("v-stranger"))
    life.told(nameless())  # read before it, as after a crash that has lost where the fill was parked
    life.handle(fill)
    (copy,) = life.copies()
    life.handle(copy)

    live, again = life.both()

    assert [key for key in live if key.startswith(b"f/")]
    assert again == live


@pytest.mark.parametrize(
    ("offsets", "compacted"), [((0, 1), False), ((0, 2), True), ((1, 2), True)], ids=["whole", "a hole", "no beginning"]
)
def test_rows_that_compaction_took_are_noticed_wherever_they_stood(
    offsets: tuple[int, int], compacted: bool, tmp_path: Path
) -> None:
    scratch = Scratch(tmp_path / "scratch", 1)
    live = LiveTables(scratch, TOPICS, {0: 1})

    for offset in offsets:
        live.take(Record(TOPICS.changelog("signals"), 0, offset, b"x/s", b"1", (), NOW))
    scratch.close()

    assert live.compacted is compacted
