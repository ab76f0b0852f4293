"""Orders as a worker has them after some time, by the million, and the updates of more to come."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from app.transport.partitioner import partition_of
from domain.instruments import Instrument
from domain.orders import (
    Evidence,
    LocalState,
    Order,
    OrderState,
    OrderType,
    Side,
    SignalContext,
    Sums,
    Times,
    VenueState,
)
from domain.updates import FillReport, OrderReport, Origin, encode_update
from tables.keys import join

PARTITIONS = 8
SYMBOLS = tuple(f"S{number:03d}USDT" for number in range(200))
STRATEGIES = ("momentum", "reversion", "carry", "grid", "breakout")
OPEN_ORDERS = 1_000
"""Resting at the venue: the newest ones."""

START_NS = 1_760_000_000_000_000_000
SPACING_NS = 5_000_000_000
ACCOUNT = "main"
VENUE = "paper"

_HOME = {symbol: partition_of(symbol.encode(), PARTITIONS) for symbol in SYMBOLS}
_encoder = msgspec.json.Encoder()
_ENDS = (
    (OrderState.FILLED, VenueState.FILLED, "Filled"),
    (OrderState.FILLED, VenueState.FILLED, "Filled"),
    (OrderState.FILLED, VenueState.FILLED, "Filled"),
    (OrderState.CANCELLED, VenueState.CANCELLED, "Cancelled"),
    (OrderState.REJECTED, VenueState.REJECTED, "Rejected"),
)


def symbol_of(number: int) -> str:
    """The symbol of an order; neighbours in time are of different symbols."""
    return SYMBOLS[number * 7 % len(SYMBOLS)]


def order_id_of(number: int) -> str:
    """As ours are: a prefix and a hash, of no order."""
    return f"om{uuid.uuid5(uuid.NAMESPACE_OID, str(number)).hex[:30]}"


def created_ns_of(number: int) -> int:
    """When the order was meant."""
    return START_NS + number * SPACING_NS


def order(number: int, *, is_open: bool) -> Order:
    """One order, as its row has it at the end or while it rests."""
    symbol, created_ns = symbol_of(number), created_ns_of(number)
    quantity, price = Decimal("0.125"), Decimal("64990.5")
    state, venue_state, raw_status = _ENDS[number % len(_ENDS)]
    if is_open:
        state, venue_state, raw_status = OrderState.ACKNOWLEDGED, VenueState.LIVE, "New"
    sums = Sums()
    if state is OrderState.FILLED:
        sums = Sums(quantity, Decimal("8123.8125"), {"USDT": Decimal("4.46809687")})
    return Order(
        order_id=order_id_of(number),
        instrument=Instrument(VENUE, "linear", symbol),
        account=ACCOUNT,
        side=Side.BUY if number % 3 else Side.SELL,
        order_type=OrderType.LIMIT,
        quantity=quantity,
        price=price,
        signal=SignalContext(
            signal_id=f"{STRATEGIES[number % 5]}-{number:09d}",
            attempt=1,
            part=0,
            source=f"signals-{_HOME[symbol]}-{number}",
            signal_type="buy",
            amount=Decimal(1000),
            at_ns=created_ns - 2_000_000,
            strategy_id=STRATEGIES[number % 5],
            confidence=Decimal("0.82"),
            model_version="2026-03-01",
            rule="limit",
            market={"price": "64990.5", "spread": "12.1"},
        ),
        trace_id=uuid.uuid5(uuid.NAMESPACE_URL, str(number)).hex,
        local=LocalState.ACCEPTED,
        venue_order_id=str(uuid.uuid5(uuid.NAMESPACE_DNS, str(number))),
        client_order_id="",
        evidence=Evidence(
            state=venue_state, raw_status=raw_status, cumulative=sums, terms_at_ns=created_ns + 30_000_000,
            price=price, quantity=quantity,
        ),
        fills=sums,
        state=state,
        sequence=3,
        applied_offset=0,
        times=Times(
            signal_ns=created_ns - 2_000_000,
            created_ns=created_ns,
            sent_ns=created_ns + 3_000_000,
            acknowledged_ns=created_ns + 9_000_000,
            first_fill_ns=0 if is_open else created_ns + 2_000_000_000,
            finished_ns=0 if is_open else created_ns + 2_500_000_000,
            updated_ns=created_ns + 2_500_000_000,
        ),
        attempts=1,
    )  # fmt: skip


def rows(count: int) -> Iterator[tuple[int, bytes, bytes]]:
    """(partition, row key, row) of `count` orders, as the changelog has them; the newest are open."""
    for number in range(count):
        made = order(number, is_open=number >= count - OPEN_ORDERS)
        yield _HOME[made.instrument.symbol], join(b"o", made.order_id), _encoder.encode(made)


def resting_rows(count: int) -> Iterator[tuple[int, bytes, bytes]]:
    """Orders that were sent and of which nothing has been heard yet."""
    for number in range(count):
        made = order(number, is_open=True)
        blank = msgspec.structs.replace(
            made,
            local=LocalState.SUBMITTING,
            state=OrderState.SUBMITTING,
            evidence=Evidence(),
            applied_offset=-1,
            sequence=2,
        )
        yield _HOME[made.instrument.symbol], join(b"o", made.order_id), _encoder.encode(blank)


STEPS = 5
"""Updates of an order from its acknowledgement to its end; they lead to as many events."""

ABREAST = 200
"""Orders that go through their steps side by side."""


def updates(orders: int) -> Iterator[tuple[int, bytes, bytes]]:
    """(partition, key, update) of each step of each order: the venue's report, then fill and report, twice."""
    for first in range(0, orders, ABREAST):
        for step in range(STEPS):
            for number in range(first, min(orders, first + ABREAST)):
                symbol = symbol_of(number)
                yield _HOME[symbol], symbol.encode(), update(number, step, created_ns_of(number) + step * 10_000_000)


def update(number: int, step: int, at_ns: int) -> bytes:
    """The update of step 0…4 of an order."""
    half, price = Decimal("0.0625"), Decimal("64990.5")
    who = {
        "instrument": Instrument(VENUE, "linear", symbol_of(number)),
        "account": ACCOUNT,
        "origin": Origin.STREAM,
        "received_ns": at_ns,
        "client_order_id": order_id_of(number),
        "venue_order_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, str(number))),
    }
    side = Side.BUY if number % 3 else Side.SELL
    if step in {1, 3}:
        return encode_update(
            FillReport(
                **who, execution_id=f"{number:09d}-{step}", side=side, price=price, quantity=half,
                fee=Decimal("2.234048"), fee_currency="USDT", executed_ns=at_ns - 1_000_000, maker=True,
            )
        )  # fmt: skip
    state, raw_status = {0: (VenueState.LIVE, "New"), 2: (VenueState.LIVE, "PartiallyFilled")}.get(
        step, (VenueState.FILLED, "Filled")
    )
    executed = half * (step // 2)
    fees = {"USDT": Decimal("2.234048") * (step // 2)} if step else {}
    return encode_update(
        OrderReport(
            **who, state=state, raw_status=raw_status, side=side, order_type=OrderType.LIMIT,
            quantity=Decimal("0.125"), price=price, cumulative=Sums(executed, executed * price, fees),
            updated_ns=at_ns, created_ns=created_ns_of(number),
        )
    )  # fmt: skip


def amendment(number: int, at_ns: int) -> bytes:
    """The venue's report of a resting order whose price was moved."""
    price = Decimal(60_000) + at_ns // 1_000 % 10_000
    return encode_update(
        OrderReport(
            instrument=Instrument(VENUE, "linear", symbol_of(number)), account=ACCOUNT, origin=Origin.STREAM,
            received_ns=at_ns, client_order_id=order_id_of(number), venue_order_id="", state=VenueState.LIVE,
            raw_status="New", side=Side.BUY if number % 3 else Side.SELL, order_type=OrderType.LIMIT,
            quantity=Decimal("0.125"), price=price, cumulative=Sums(), updated_ns=at_ns,
            created_ns=created_ns_of(number),
        )
    )  # fmt: skip
