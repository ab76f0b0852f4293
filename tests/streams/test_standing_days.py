"""What an instrument adds to the account's load: a day's figures are the ledger's, whatever was looked at before."""

from __future__ import annotations

from decimal import Decimal

from fakes import MemoryRows
from table_cases import fill, instrument

from domain.exposure import SymbolLoad, day_begins_ns, day_of
from domain.instruments import Instrument
from streams.standing import Standing
from tables.orders import OrderTable, order_index
from tables.positions import PositionTable, position_index
from tables.receipt import Receipt

MINUTE = 60_000_000_000
MIDNIGHT = day_begins_ns(20_500)
BTC = instrument()


class Clock:
    """Stands where a test puts it."""

    def __init__(self, now_ns: int) -> None:
        self.at_ns = now_ns

    def now_ns(self) -> int:
        return self.at_ns


class Ground:
    """A position's table and what is worked out from it, at a mark that does not move."""

    def __init__(self) -> None:
        self.positions = PositionTable(MemoryRows([0], position_index))
        self.clock = Clock(MIDNIGHT + MINUTE)
        self.standing = Standing(
            orders=OrderTable(MemoryRows([0], order_index)),
            positions=self.positions,
            mark=lambda _instrument: Decimal(100),
            dollars=lambda _currency: Decimal(1),
            clock=self.clock,
        )
        self._offset = 0

    def bought(self, name: str, executed_ns: int, sequence: int = 0) -> None:
        """One piece at 100, applied now."""
        self._offset += 1
        at = {"executed_ns": executed_ns, "venue_sequence": sequence}
        each = fill(name, "1", price=Decimal(100), fee=Decimal(0), **at)
        self.positions.apply(0, each, "om1", self._offset, Receipt())

    def load(self, of: Instrument = BTC) -> SymbolLoad:
        return self.standing.figures(0, of, SymbolLoad(symbol=of.symbol, worker="w"))


def test_r03_a_fill_of_yesterday_that_is_told_after_midnight_is_no_trade_of_today() -> None:
    ground = Ground()
    ground.bought("today", MIDNIGHT + MINUTE // 2)
    assert ground.load().traded_today == Decimal(100)

    ground.bought("late", MIDNIGHT - MINUTE)
    ground.standing.filled(BTC, MIDNIGHT - MINUTE)

    assert ground.load().traded_today == Decimal(100)


def test_r03_a_fill_that_the_venues_sequence_puts_before_midnight_is_no_trade_of_today() -> None:
    ground = Ground()
    ground.bought("clock set back", MIDNIGHT - MINUTE // 4, sequence=2)
    assert ground.load().traded_today == 0

    ground.bought("late", MIDNIGHT + MINUTE // 4, sequence=1)
    ground.standing.filled(BTC, MIDNIGHT + MINUTE // 4)

    assert ground.load().traded_today == 0


def test_r03_what_others_applied_meanwhile_counts_for_the_day_on_which_it_was_traded() -> None:
    ground = Ground()
    ground.bought("ours", MIDNIGHT - 2 * MINUTE)
    assert ground.load().traded_today == 0

    ground.bought("theirs", MIDNIGHT - MINUTE)
    ground.standing.forget()

    assert ground.load().traded_today == 0


def test_r03_at_midnight_a_new_day_begins() -> None:
    ground = Ground()
    ground.bought("one", MIDNIGHT + MINUTE // 2)
    assert ground.load().traded_today == Decimal(100)

    ground.clock.at_ns = MIDNIGHT + 24 * 60 * MINUTE

    assert day_of(ground.clock.at_ns) == 20_501
    assert ground.load().traded_today == 0
