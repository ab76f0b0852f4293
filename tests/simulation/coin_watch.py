"""What spot pairs and inverse contracts take, held against the account's coins whenever the venue is about to take an
order or other terms of one."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from domain.errors import Refused
from domain.ids import is_ours
from domain.orders import Side
from domain.plans import Plan
from exchanges.venue import NewOrder
from simulation.surroundings import Surroundings
from simulation.venue_orders import INSTANCE, VenueOrder
from simulation.verdict_attempts import plans_ever
from simulation.wallet import need
from tables.signals import SignalRow

if TYPE_CHECKING:
    from simulation.group import Owners


class CoinWatch:
    """The venue refuses what the account does not have; that an order of ours comes to this is a mistake where nobody
    else uses the account, all has one price and the plan knew the balance."""

    def __init__(self, around: Surroundings, owners: Owners) -> None:
        self._around = around
        self._owners = owners

    def before_taking(self, new: NewOrder) -> None:
        """Raises `Refused` for what there is not enough of."""
        if new.instrument.spot or self._opens(new):
            self._afford(new, *need(new, new.quantity, new.price), what=f"{new.quantity}")

    def before_amending(self, order: VenueOrder, quantity: Decimal, price: Decimal | None) -> None:
        """Raises `Refused` where there is not enough for what comes to it."""
        new, left = order.new, quantity - order.cumulative.quantity
        if new.instrument.spot or self._opens(new):
            coin, wanted = need(new, left, price)
            _, taken = need(new, order.leaves, order.price)
            self._afford(new, coin, wanted - taken, what=f"amended to {quantity} at {price}")

    def _opens(self, new: NewOrder) -> bool:
        return new.instrument.inverse and new.side is Side.BUY and not new.reduce_only

    def _afford(self, new: NewOrder, coin: str, wanted: Decimal, *, what: str) -> None:
        free = self._around.books.wallet.available(coin)
        if wanted <= free:
            return
        weather, ours = self._around.weather, is_ours(INSTANCE, new.client_order_id)
        certain = weather.flat_prices and not weather.transfers
        if ours and certain and any(plan.facts.available is not None for plan in self._plans_of(new)):
            self._around.effects.violate(
                f"{new.client_order_id} ({what}) takes {wanted} {coin} of {new.instrument}, and {free} is free"
            )
        raise Refused("INSUFFICIENT_BALANCE", f"not enough {coin} is free")

    def _plans_of(self, new: NewOrder) -> list[Plan]:
        """The plans that made or amended the order."""
        found = []
        for _, row in plans_ever(self._owners):
            for plan in row.plans:
                named = [each.order_id for each in (*plan.intents, *plan.amends)]
                if new.client_order_id in named:
                    found.append(plan)
        return found


def complaints(new: NewOrder, signal: SignalRow) -> list[str]:
    """What is wrong with an order in coins that is about to be sent for a signal."""
    found, instrument, intents = [], new.instrument, signal.standing_plan.intents
    if instrument.spot and (new.reduce_only or new.protection is not None):
        found.append("is a spot order with what only contracts have")
    if instrument.spot and new.side is Side.BUY and not all(intent.need for intent in intents):
        found.append("is a purchase that was not held against the balance")
    wanted = Decimal(str(msgspec.json.decode(signal.value)["amount"]))
    if instrument.inverse and (asked := sum(intent.quantity for intent in intents)) > wanted:
        found.append(f"is of {asked} dollars, and {wanted} were wanted")
    return found
