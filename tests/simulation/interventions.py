"""What the venue does by itself: it closes positions, and makes those who hold them pay, or be paid."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING

from domain.instruments import Instrument
from domain.orders import OrderType, PositionSide, Side, TimeInForce
from domain.updates import FillKind, FillReport, Origin
from exchanges.venue import NewOrder
from simulation.listing import DOLLAR, coin_of, lot_of
from simulation.sides import OPENS
from simulation.venue_orders import ACCOUNT

if TYPE_CHECKING:
    from simulation.books import Books


class Interventions:
    """Nobody's wishes. In hedge mode they are about a side that holds something; else about whatever comes."""

    def __init__(self, books: Books, chance: random.Random) -> None:
        self._books = books
        self._chance = chance

    def liquidate(self, instrument: Instrument) -> None:
        """The venue closes something: an order of its own making, which nobody sent."""
        size = lot_of(instrument) * self._chance.randint(1, 50)
        side, position = self._chance.choice((Side.BUY, Side.SELL)), PositionSide.NET
        if (hedged := self._a_held_side(instrument)) is not PositionSide.NET:
            if hedged is None:
                return
            side, position = OPENS[hedged].opposite, hedged
            size = min(size, abs(self._books.size_of(instrument, hedged)))
        kind = self._chance.choice((FillKind.LIQUIDATION, FillKind.ADL))
        new = NewOrder(
            instrument, "", side, OrderType.MARKET, size, None, TimeInForce.IOC, position_side=position
        )  # fmt: skip
        self._books.fill_unseen(new, kind)

    def pay_funding(self, instrument: Instrument) -> None:
        """A payment on a position: no order causes it. It names the side that it is made on."""
        side, position = Side.BUY, PositionSide.NET
        if (hedged := self._a_held_side(instrument)) is not PositionSide.NET:
            if hedged is None:
                return
            side, position = OPENS[hedged], hedged
        number, now_ns = self._books.next_execution(), self._books.now_ns()
        payment = FillReport(
            instrument=instrument,
            account=ACCOUNT,
            origin=Origin.STREAM,
            received_ns=now_ns,
            venue_order_id=f"funding{number}",
            execution_id=f"e{number}",
            side=side,
            price=Decimal(100),
            quantity=lot_of(instrument),
            fee=Decimal("0.0125") * self._chance.choice((1, -1)) / (100 if instrument.inverse else 1),
            fee_currency=coin_of(instrument) if instrument.inverse else DOLLAR,
            executed_ns=now_ns,
            venue_sequence=number,
            fill_kind=FillKind.FUNDING,
            position_side=position,
        )
        self._books.funding.append(payment)
        self._books.tell(payment)

    def _a_held_side(self, instrument: Instrument) -> PositionSide | None:
        """In hedge mode a side that holds something, None where none does; else the only one there is."""
        names = self._books.sides.names
        if PositionSide.NET in names:
            return PositionSide.NET
        held = [side for side in names if self._books.size_of(instrument, side)]
        return self._chance.choice(held) if held else None
