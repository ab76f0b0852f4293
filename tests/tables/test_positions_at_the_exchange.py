"""Requirement P01: positions over random sessions of thousands of fills, to the last digit: against the exchange's own
ledger, and against a computation in fractions that shares no code with either.

The paper exchange trades in this process; what its stream says goes through the adapter's translation into the table,
late, repeated and out of order.
"""

from __future__ import annotations

import random
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction

import pytest
from fakes import MemoryRows

from domain.instruments import Instrument
from domain.orders import PositionSide
from domain.positions import Position
from domain.updates import FillKind, FillReport, Origin
from exchanges.bybit.rows import Row
from exchanges.bybit.translate import Context, fill_report
from exchanges.paper import ApiKey, PaperOptions
from exchanges.paper.exact import exactly, floored
from exchanges.paper.instruments import MARKETS
from exchanges.paper.refusals import Refusal
from exchanges.paper.store import Store
from exchanges.paper.venue import PaperVenue
from exchanges.paper.vocabulary import CreateType, OrderType, Side, TimeInForce
from exchanges.paper.wishes import NewOrder
from tables.positions import PositionTable, position_index
from tables.receipt import Receipt

OURS, THEIRS = 1, 2
ACCOUNT = "main"
SYMBOLS = ("BTCUSDT", "SOLUSDT", "XRPUSDT")
SIDES = {0: PositionSide.NET, 1: PositionSide.LONG, 2: PositionSide.SHORT}
FILLS = 1_500
"""Of a session, at least."""


class Session:
    """Two accounts that trade with each other and with the market, as chance has it."""

    def __init__(self, seed: int, *, hedge: bool) -> None:
        self.chance = random.Random(seed)  # noqa: S311 -- chooses deeds, guards nothing
        self.hedge = hedge
        self.store = Store(None)
        ticks = iter(range(10**18, 10**19, 1_000_000))
        keys = (ApiKey("a", "a", OURS), ApiKey("b", "b", THEIRS))
        options = PaperOptions(keys=keys, seed=seed, deposit=Decimal(10**9), id_salt="m")
        self.venue = PaperVenue(options, self.store, lambda: next(ticks))
        for uid in (OURS, THEIRS):
            self.venue.accounts[uid].settings.hedged.update(dict.fromkeys(SYMBOLS, hedge))
        self.told: list[FillReport] = []

    def play(self) -> None:
        """Until there are enough fills."""
        while len(self.told) < FILLS:
            try:
                self._act()
            except Refusal:
                continue
            finally:
                self._listen()

    @exactly
    def _act(self) -> None:
        symbol, uid = self.chance.choice(SYMBOLS), self.chance.choice((OURS, OURS, THEIRS))
        deed = self.chance.choices(("create", "step", "fund", "take"), (80, 15, 3, 2))[0]
        match deed:
            case "create":
                self.venue.create(uid, self._wish(symbol))
            case "step":
                self.venue.step(symbol)
            case "fund":
                self.venue.fund(symbol, Decimal(self.chance.randint(-75, 75)) / 100_000, [OURS, THEIRS])
            case _:
                why = self.chance.choice(
                    (CreateType.BY_LIQUIDATION, CreateType.BY_DELEVERAGING, CreateType.BY_SETTLEMENT)
                )
                self.venue.liquidate(uid, symbol, self.chance.choice(self._indexes()), why)

    def _indexes(self) -> tuple[int, ...]:
        return (1, 2) if self.hedge else (0,)

    def _wish(self, symbol: str) -> NewOrder:
        instrument, side = MARKETS[symbol], self.chance.choice((Side.BUY, Side.SELL))
        market = self.chance.random() < 0.5
        price = floored(
            self.venue.mark_price(symbol) * (10_000 + self.chance.randint(-20, 20)) / 10_000, instrument.tick
        )
        quantity = floored(Decimal(self.chance.randint(500, 60_000)) / price, instrument.lot)
        return NewOrder(
            instrument=instrument,
            side=side,
            order_type=OrderType.MARKET if market else OrderType.LIMIT,
            qty=quantity or instrument.min_qty,
            price=None if market else price,
            time_in_force=TimeInForce.IOC if market else TimeInForce.GTC,
            order_link_id="",
            position_idx=self.chance.choice(self._indexes()),
            reduce_only=self.chance.random() < 0.1,
            close_on_trigger=False,
        )

    def _listen(self) -> None:
        messages, self.venue.outbox[:] = list(self.venue.outbox), []
        for message in messages:
            if message.uid == OURS and message.topic == "execution":
                context = Context("paper", ACCOUNT, Origin.STREAM, message.created_at_ms, hedge=self.hedge)
                self.told += [fill_report(Row(row), context) for row in message.rows]

    def as_it_arrives(self) -> list[FillReport]:
        """Some late, some twice."""
        arrived = []
        for number, fill in enumerate(self.told):
            late = self.chance.randint(1, 40) if self.chance.random() < 0.03 else 0
            arrived.append((number + late, fill))
            if self.chance.random() < 0.03:
                arrived.append((number + self.chance.randint(0, 60), fill))
        return [fill for _, fill in sorted(arrived, key=lambda each: each[0])]


class ExactLedger:
    """The average-cost method in fractions, from the executions alone."""

    def __init__(self) -> None:
        self.size = self.average = self.realised = self.fees = self.funding = Fraction(0)

    def take(self, fill: FillReport) -> None:
        if fill.fill_kind is FillKind.FUNDING:
            self.funding -= Fraction(fill.fee)
            return
        self.fees += Fraction(fill.fee)
        change, price = fill.side.sign * Fraction(fill.quantity), Fraction(fill.price)
        closed = min(abs(self.size), abs(change)) if self.size * change < 0 else Fraction(0)
        self.realised += closed * (price - self.average) * (1 if self.size > 0 else -1)
        opened = abs(change) - closed
        held = abs(self.size) - closed
        self.size += change
        if opened:
            self.average = (self.average * held + price * opened) / (held + opened)
        elif not self.size:
            self.average = Fraction(0)


def fold(arrived: list[FillReport]) -> dict[tuple[str, PositionSide], Position]:
    """What the table makes of them."""
    table = PositionTable(MemoryRows([0], position_index))
    for offset, fill in enumerate(arrived):
        if table.entry(0, fill) is None:
            table.apply(0, fill, "", offset, Receipt())
    return {(each.instrument.symbol, each.side): each for each in table.all(0)}


@pytest.mark.parametrize("hedge", [False, True], ids=["one_way", "hedge"])
@pytest.mark.parametrize("seed", [3, 5, 8])
def test_p01_positions_are_those_of_the_exchange_to_the_last_digit(seed: int, hedge: bool) -> None:
    session = Session(seed, hedge=hedge)
    session.play()
    ours = fold(session.as_it_arrives())

    account = session.venue.accounts[OURS]
    compared = 0
    for (symbol, index), theirs in account.positions.items():
        position = ours[symbol, SIDES[index]]
        state = position.state
        assert position.instrument == Instrument("paper", "linear", symbol)
        assert state.size == theirs.size
        assert state.average_entry == theirs.avg_price
        assert state.cost == theirs.cost
        assert state.realised == theirs.realised_pnl
        assert set(state.fees) <= {"USDT"}
        assert sum(state.fees.values()) - state.funding == theirs.fees
        mark = session.venue.mark_price(symbol)
        assert state.unrealised(mark, position.instrument) == theirs.unrealised(mark)
        compared += 1
    assert compared == len(ours) == len(SYMBOLS) * (2 if hedge else 1)
    earned = sum(each.state.realised + each.state.funding - sum(each.state.fees.values()) for each in ours.values())
    assert account.wallet.balance("USDT") == Decimal(10**9) + earned
    session.store.close()


@pytest.mark.parametrize("hedge", [False, True], ids=["one_way", "hedge"])
def test_p01_positions_are_those_of_exact_arithmetic(hedge: bool) -> None:
    """Size, fees and funding exactly; entry and profit within half a last place for each rounding."""
    session = Session(13, hedge=hedge)
    session.play()
    exact: dict[tuple[str, PositionSide], ExactLedger] = defaultdict(ExactLedger)
    for fill in sorted(session.told, key=lambda told: told.venue_sequence):
        exact[fill.instrument.symbol, fill.position_side].take(fill)

    ours = fold(session.as_it_arrives())

    assert ours.keys() == exact.keys()
    slack = Fraction(FILLS, 10**18)
    for place, ledger in exact.items():
        state = ours[place].state
        fees = Fraction(sum(state.fees.values()))
        assert (Fraction(state.size), fees, Fraction(state.funding)) == (ledger.size, ledger.fees, ledger.funding)
        assert abs(Fraction(state.realised) - ledger.realised) < slack
        assert abs(Fraction(state.average_entry) - ledger.average) < slack * 1000
    session.store.close()


def test_p01_a_session_has_everything_that_can_go_wrong() -> None:
    """Else the comparisons above would prove little."""
    session = Session(3, hedge=False)
    session.play()

    kinds = {fill.fill_kind for fill in session.told}
    arrived = session.as_it_arrives()
    signs: dict[str, set[bool]] = {symbol: set() for symbol in SYMBOLS}
    sizes: dict[str, Decimal] = defaultdict(Decimal)
    reversals = 0
    for fill in session.told:
        symbol = fill.instrument.symbol
        before = sizes[symbol]
        if fill.fill_kind is not FillKind.FUNDING:
            sizes[symbol] += fill.side.sign * fill.quantity
        reversals += before * sizes[symbol] < 0
        signs[symbol].add(sizes[symbol] > 0)

    assert kinds == {FillKind.TRADE, FillKind.FUNDING, FillKind.LIQUIDATION, FillKind.ADL, FillKind.SETTLEMENT}
    assert reversals > 20
    assert all(len(seen) == 2 for seen in signs.values())
    assert len(arrived) > len(session.told) + 20
    assert [fill.execution_id for fill in arrived] != sorted({fill.execution_id for fill in arrived})
    session.store.close()
