"""What orders of this worker will take from a balance whose figure does not show them yet (requirement R02)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

import msgspec

from domain.exposure import Taking
from domain.instruments import Instrument
from domain.money import ZERO

replace = msgspec.structs.replace


class Reservations:
    """By order. One venue account, so a currency says which balance is meant."""

    def __init__(self) -> None:
        self._taking: dict[str, tuple[Instrument, Taking]] = {}
        self.on_change: Callable[[Instrument], None] = lambda _instrument: None
        """Told of an instrument whose orders' reservations are others than before."""

    def hold(self, instrument: Instrument, currency: str, order_id: str, amount: Decimal, source: str) -> None:
        """Count `amount` from now on, for the signal that came as the record `source`."""
        self._put(instrument, order_id, Taking(source=source, currency=currency, amount=amount))

    def inherit(self, instrument: Instrument, taking: Mapping[str, Taking], shown_after_ns: int) -> None:
        """What a former owner of the instrument counted. Nobody here follows these orders: a balance that was read
        after `shown_after_ns` shows them, whatever became of them."""
        for order_id, each in taking.items():
            if order_id not in self._taking:
                known = shown_after_ns if each.shown_after_ns is None else each.shown_after_ns
                self._taking[order_id] = instrument, replace(each, shown_after_ns=known)

    def shown_after(self, order_id: str, at_ns: int) -> None:
        """The venue has the order: a balance that was read after `at_ns` shows it."""
        if (known := self._taking.get(order_id)) is not None:
            self._put(known[0], order_id, replace(known[1], shown_after_ns=at_ns))

    def give_up(self, source: str, at_ns: int) -> None:
        """The signal was ended early: what it sent is at the venue by now, the rest takes nothing."""
        for order_id, (instrument, taking) in list(self._taking.items()):
            if taking.source == source and taking.shown_after_ns is None:
                self._put(instrument, order_id, replace(taking, shown_after_ns=at_ns))

    def release(self, order_id: str) -> None:
        """The order will take nothing."""
        if (known := self._taking.pop(order_id, None)) is not None:
            self.on_change(known[0])

    def leave(self, instrument: Instrument) -> None:
        """The instrument is another worker's from now on: what its orders take is not ours to count."""
        for order_id in self.of(instrument):
            del self._taking[order_id]

    def total(self, currency: str, balance_at_ns: int) -> Decimal:
        """What a balance of that time does not show."""
        counted, shown = ZERO, []
        for order_id, (_, taking) in self._taking.items():  # once through: every plan asks, and there are hundreds
            if taking.counts(currency, balance_at_ns):
                counted += taking.amount
            elif taking.currency == currency:
                shown.append(order_id)
        for order_id in shown:
            del self._taking[order_id]
        return counted

    def of(self, instrument: Instrument) -> dict[str, Taking]:
        """Those of an instrument, by order."""
        return {name: taking for name, (where, taking) in self._taking.items() if where == instrument}

    def instruments(self) -> set[Instrument]:
        """Those that have any."""
        return {instrument for instrument, _ in self._taking.values()}

    def _put(self, instrument: Instrument, order_id: str, taking: Taking) -> None:
        self._taking[order_id] = instrument, taking
        self.on_change(instrument)
