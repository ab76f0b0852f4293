"""Requirement P01: positions over random sessions of thousands of fills, to the last digit: against the exchange's own
ledger, and against a computation in fractions that shares no code with either.

The paper exchange trades in this process; what its stream says goes through the adapter's translation into the table,
late, repeated and out of order.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction

import pytest
from exchange_session import FILLS, OURS, SIDES, SYMBOLS, Session
from fakes import MemoryRows
from position_recount import recount

from domain.instruments import Instrument
from domain.orders import PositionSide
from domain.positions import Position
from domain.updates import FillKind, FillReport
from tables.positions import PositionTable, position_index
from tables.receipt import Receipt


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
    """What the table makes of them, by the instrument's name (a linear contract's symbol, else category/symbol)."""
    table = PositionTable(MemoryRows([0], position_index))
    for offset, fill in enumerate(arrived):
        if table.entry(0, fill) is None:
            table.apply(0, fill, "", offset, Receipt())
    return {(each.instrument.label, each.side): each for each in table.all(0)}


@pytest.mark.parametrize("hedge", [False, True], ids=["one_way", "hedge"])
@pytest.mark.parametrize("clock_jumps", [False, True], ids=["", "clock_jumps"])
@pytest.mark.parametrize("seed", [3, 5, 8])
def test_p01_positions_are_those_of_the_exchange_to_the_last_digit(seed: int, clock_jumps: bool, hedge: bool) -> None:
    session = Session(seed, hedge=hedge, clock_jumps=clock_jumps)
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


KINDS = ("BTCUSDT", "XRPUSDT", "BTCUSD", "XRPUSD", "spot:BTCUSDT", "spot:ETHBTC")
COINS = (("BTC", Decimal(10_000)), ("ETH", Decimal(100_000)), ("XRP", Decimal(10**9)))


@pytest.mark.parametrize("seed", range(100, 110))
def test_p01_positions_of_every_kind_are_those_of_another_program(seed: int) -> None:
    session = Session(seed, hedge=bool(seed % 2), markets=KINDS, coins=COINS)
    session.play()
    ours = fold(session.as_it_arrives())

    theirs, _ = recount(session.executions())

    shown = {(each.instrument.category, each.instrument.symbol, str(each.side)): each for each in ours.values()}
    assert shown.keys() == theirs.keys()
    for place, position in shown.items():
        state, other = position.state, theirs[place]
        assert state.fills == other.fills, place
        assert (state.size, state.cost, state.average_entry) == (other.size, other.cost, other.entry), place
        assert (state.realised, state.funding) == (other.realised, other.funding), place
        assert {coin: fee for coin, fee in state.fees.items() if fee} == other.fees, place
        assert (state.bought, state.bought_value) == (other.bought, other.bought_value), place
        assert (state.sold, state.sold_value) == (other.sold, other.sold_value), place
        mark = other.entry * Decimal("1.03") or Decimal(1)
        assert state.unrealised(mark, position.instrument) == other.unrealised(mark), place
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
