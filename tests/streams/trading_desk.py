"""The real handlers between rows in memory, a log that is a list, and a venue that a test may move."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

from fakes import MemoryRows
from quiet_venue import NOW, SECOND, CalmMarket, QuietVenue

from domain.instruments import Instrument
from domain.orders import LocalState, Order, OrderState, OrderType, Side, TimeInForce, Times, VenueState
from domain.plans import PlanSettings
from domain.updates import FillReport, OrderReport, Origin, Update, encode_update
from streams.alerting import Alerts
from streams.amending import Amender
from streams.applied import Applied
from streams.cancelling import Canceller, CancelSettings
from streams.command_agent import CommandAgent, CommandSettings
from streams.comparing import Comparer, CompareSettings
from streams.creating import SubmitSettings
from streams.facts import FactsGatherer
from streams.order_agent import OrderAgent
from streams.ports import Headers
from streams.position_check import PositionCheck, PositionSettings
from streams.reconciling import Reconciler, ReconcileSettings
from streams.record import Record, Source
from streams.recovery import Recovery, RecoverySettings
from streams.reservations import Reservations
from streams.signal_agent import SignalAgent, SignalSettings
from streams.submitting import Submitter
from streams.symbol_gates import SymbolGates
from streams.topics import Topics
from streams.updates import UpdatePublisher
from streams.venue_lists import ListReader
from tables.orders import OrderTable, order_index
from tables.positions import PositionTable, position_index
from tables.receipt import Receipt
from tables.signals import SignalTable, signal_index

T = TypeVar("T")

ACCOUNT = "main"
TOPICS = Topics(partitions=1)
BTC = Instrument("paper", "linear", "BTCUSDT")


class MovedClock:
    """Stands still but for sleeping, which costs no time and moves it."""

    def __init__(self) -> None:
        self.ns = NOW

    def now_ns(self) -> int:
        return self.ns

    async def sleep(self, seconds: float) -> None:
        self.ns += int(seconds * SECOND)
        await asyncio.sleep(0)


class ListLog:
    """Durable at once. `reader` is given the records of `order-updates`, a turn of the loop later."""

    def __init__(self, clock: MovedClock) -> None:
        self.records: dict[str, list[Record]] = defaultdict(list)
        self.reader: Callable[[list[Record]], None] = lambda _records: None
        self._clock = clock

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
        offset = len(self.records[topic])
        record = Record(topic, partition, offset, key, value, headers, self._clock.now_ns())
        self.records[topic].append(record)
        receipt.expect()
        if on_ack is not None:
            on_ack(offset)
        receipt.settle()
        if topic == TOPICS.order_updates:
            asyncio.get_running_loop().call_soon(lambda: self.reader([record]))

    async def publish(
        self, topic: str, key: bytes, value: bytes, headers: Headers = (), partition: int | None = None
    ) -> Source:
        self.append(topic, partition or 0, key, value, Receipt(), headers)
        return self.records[topic][-1].source

    async def room(self) -> None:
        """There always is."""

    def partition_of(self, key: bytes) -> int:
        return 0


class OpenInbox:
    """Everything is current and the lease holds, until a test says otherwise."""

    def __init__(self) -> None:
        self.current = True

    def is_current(self, record: Record) -> bool:
        return self.current

    def may_act(self, record: Record) -> bool:
        return self.current

    def finished(self, record: Record) -> None:
        """Nobody counts."""

    def forgotten(self, record: Record) -> None:
        """Nobody counts."""


class FreeTurn:
    """A turn that nobody takes away."""

    def __init__(self, record: Record) -> None:
        self.record = record

    async def wait(self, awaitable: Awaitable[T]) -> T:
        return await awaitable

    async def call(self, effect: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return await effect()

    def release(self) -> None:
        """It holds no place."""


class Desk:
    """Everything wired, one partition."""

    def __init__(self, plan: PlanSettings | None = None) -> None:
        self.clock, self.venue, self.market = MovedClock(), QuietVenue(), CalmMarket()
        self.log, self.inbox, self.applied = ListLog(self.clock), OpenInbox(), Applied()
        self.orders = OrderTable(MemoryRows({0}, order_index))
        self.signals = SignalTable(MemoryRows({0}, signal_index))
        self.positions = PositionTable(MemoryRows({0}, position_index))
        self.reservations = Reservations()
        self.failures: list[BaseException] = []
        self.signals_from = 0
        """The first record of `signals` that can still come."""
        self.gates = gates = SymbolGates()
        gates.assign(0, set(), NOW)
        gates.caught_up(0, set())
        trading: Any = self.venue  # what the tests don't ask of a venue, this one can't do
        log: Any = self.log
        publisher = UpdatePublisher(log, TOPICS)
        self.order_agent = OrderAgent(
            log=log,
            inbox=self.inbox,
            topics=TOPICS,
            orders=self.orders,
            positions=self.positions,
            applied=self.applied,
            instance="om",
        )
        self.log.reader = self.order_agent.handle
        self.reconciler = Reconciler(
            trading=trading,
            publisher=publisher,
            orders=self.orders,
            applied=self.applied,
            gates=gates,
            clock=self.clock,
            settings=ReconcileSettings(),
        )
        self.submitter = Submitter(
            trading=trading,
            publisher=publisher,
            reconciler=self.reconciler,
            orders=self.orders,
            applied=self.applied,
            gates=gates,
            market=self.market,
            clock=self.clock,
            settings=SubmitSettings(),
            jitter=random.Random(1),  # noqa: S311 -- spreads retries, guards nothing
        )
        self.canceller = Canceller(
            trading=trading,
            publisher=publisher,
            reconciler=self.reconciler,
            orders=self.orders,
            applied=self.applied,
            clock=self.clock,
            settings=CancelSettings(),
        )
        self.signal_settings = SignalSettings(plan or PlanSettings(), "paper", ("linear",), ACCOUNT)
        self.amender = Amender(
            trading=trading,
            publisher=publisher,
            reconciler=self.reconciler,
            orders=self.orders,
            applied=self.applied,
            gates=gates,
            market=self.market,
            clock=self.clock,
            evidence_s=0.01,
        )
        self.facts = FactsGatherer(
            orders=self.orders,
            signals=self.signals,
            positions=self.positions,
            market=self.market,
            reservations=self.reservations,
            clock=self.clock,
            account=ACCOUNT,
        )
        self.signal_agent = self._signal_agent()
        self.alerts = Alerts(log=log, topics=TOPICS, clock=self.clock)
        self.comparer = Comparer(
            reconciler=self.reconciler,
            publisher=publisher,
            orders=self.orders,
            applied=self.applied,
            alerts=self.alerts,
            clock=self.clock,
            settings=CompareSettings(),
            in_hand=lambda order_id: order_id in self.submitter.in_hand,
        )
        self.position_check = PositionCheck(
            trading=trading,
            reconciler=self.reconciler,
            publisher=publisher,
            orders=self.orders,
            positions=self.positions,
            applied=self.applied,
            alerts=self.alerts,
            clock=self.clock,
            settings=PositionSettings(account=ACCOUNT),
        )
        self.lists = ListReader(trading=trading, clock=self.clock, categories=("linear",), orders=self.orders)
        self.recovery = Recovery(
            reconciler=self.reconciler,
            lists=self.lists,
            comparer=self.comparer,
            position_check=self.position_check,
            orders=self.orders,
            positions=self.positions,
            gates=gates,
            applied=self.applied,
            alerts=self.alerts,
            log=log,
            clock=self.clock,
            settings=RecoverySettings(venue="paper", categories=("linear",)),
            on_failure=self.failures.append,
        )
        self.command_agent = CommandAgent(
            log=log,
            topics=TOPICS,
            orders=self.orders,
            signals=self.signals,
            canceller=self.canceller,
            reconciler=self.reconciler,
            submitter=self.submitter,
            compare=self.recovery.compare,
            clock=self.clock,
            settings=CommandSettings(),
            is_past=lambda _partition, offset: offset < self.signals_from,
        )

    def _signal_agent(self) -> SignalAgent:
        log: Any = self.log
        return SignalAgent(
            log=log,
            topics=TOPICS,
            orders=self.orders,
            signals=self.signals,
            facts=self.facts,
            submitter=self.submitter,
            canceller=self.canceller,
            applied=self.applied,
            gates=self.gates,
            clock=self.clock,
            settings=self.signal_settings,
            amender=self.amender,
        )

    def restart(self, **settings: Any) -> None:
        """Signals are read with these settings from now on."""
        self.signal_settings = replace(self.signal_settings, **settings)
        self.signal_agent = self._signal_agent()

    def intend(self, order_id: str = "om1", *, age_s: float = 0.0, **terms: Any) -> Order:
        """An intent that is durable, and `age_s` old."""
        created_ns = self.clock.now_ns() - int(age_s * SECOND)
        order = Order(
            **{
                "order_id": order_id,
                "client_order_id": order_id,
                "instrument": BTC,
                "account": ACCOUNT,
                "side": Side.BUY,
                "order_type": OrderType.LIMIT,
                "quantity": Decimal(1),
                "price": Decimal(100),
                "time_in_force": TimeInForce.GTC,
                "local": LocalState.PLANNED,
                "state": OrderState.PLANNED,
                "sequence": 1,
                "times": Times(created_ns=created_ns, updated_ns=created_ns),
                **terms,
            }
        )
        self.orders.put(0, order, [], Receipt())
        return order

    async def told(self, update: Update) -> None:
        """The venue says something on the stream, and it is applied."""
        at = await self.log.publish(TOPICS.order_updates, update.instrument.symbol.encode(), encode_update(update))
        await self.applied.reached(at)

    async def submit(self, order_id: str = "om1", *, maybe_sent: bool = False, for_s: float = 60.0) -> Order:
        """One order's way through the submitter; the order as it is then."""
        expires_at_ns = self.clock.now_ns() + int(for_s * SECOND)
        turn = FreeTurn(Record(TOPICS.signals, 0, 0, b"BTCUSDT", b"", (), NOW))
        await self.submitter.submit(turn, order_id, expires_at_ns=expires_at_ns, maybe_sent=maybe_sent)
        order = self.orders.get(0, order_id)
        assert order is not None
        return order


def report(order: Order, state: VenueState = VenueState.LIVE, **changed: Any) -> OrderReport:
    """The venue's row of the order."""
    fields: dict[str, Any] = {
        "instrument": order.instrument,
        "account": order.account,
        "origin": Origin.STREAM,
        "received_ns": NOW,
        "client_order_id": order.order_id,
        "venue_order_id": f"venue-{order.order_id}",
        "state": state,
        "raw_status": state,
        "side": order.side,
        "order_type": order.order_type,
        "quantity": order.quantity,
        "price": order.price,
        "cumulative": order.cumulative,
        "updated_ns": NOW,
    }
    return OrderReport(**(fields | changed))


def fill_of(order: Order, execution_id: str = "e1") -> FillReport:
    """The execution of the whole order."""
    return FillReport(
        instrument=order.instrument,
        account=order.account,
        origin=Origin.REST,
        received_ns=NOW,
        client_order_id=order.order_id,
        venue_order_id=f"venue-{order.order_id}",
        execution_id=execution_id,
        side=order.side,
        price=order.price or Decimal(100),
        quantity=order.quantity,
        fee=Decimal("0.05"),
        fee_currency="USDT",
        executed_ns=NOW,
    )
