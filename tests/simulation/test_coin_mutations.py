"""The simulation against handlers that mistake coins and dollars: each must be found, as `test_mutations.py` says."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from domain.money import ZERO
from domain.orders import Order
from domain.plans import Facts, Plan
from domain.positions import Position
from domain.updates import FillReport
from exchanges.venue import NewOrder
from simulation.listing import coin_of
from simulation.seasons import coins
from simulation.test_season_mutations import found_in
from simulation.worker import Worker
from simulation.world import Mutate
from streams.position_check import PositionItem
from streams.record import Record
from tables.receipt import Receipt


def fees_leave_the_coins_alone(worker: Worker) -> None:
    """A fee that is taken in the coin that was bought stays in the position."""
    apply = worker.order_agent._apply_position

    def whole(record: Record, fill: FillReport, order: Order | None, rows: Receipt) -> Any:
        taken = fill.instrument.spot and fill.fee_currency == coin_of(fill.instrument)
        told = msgspec.structs.replace(fill, fee_currency="MNT") if taken else fill
        return apply(record, told, order, rows)

    worker.order_agent._apply_position = whole  # type: ignore[method-assign]


def contracts_worth_what_we_reckon(worker: Worker) -> None:
    """What the venue says that an execution was worth is not looked at."""
    apply = worker.order_agent._apply_position

    def reckoned(record: Record, fill: FillReport, order: Order | None, rows: Receipt) -> Any:
        return apply(record, msgspec.structs.replace(fill, worth=msgspec.UNSET), order, rows)

    worker.order_agent._apply_position = reckoned  # type: ignore[method-assign]


def all_coins_are_for_sale(worker: Worker) -> None:
    """A sale may take what other sales take already."""
    read = worker.facts.read

    def alone(*arguments: Any, **named: Any) -> Facts:
        facts = read(*arguments, **named)
        return facts if named["buys"] else msgspec.structs.replace(facts, open_orders=())

    worker.facts.read = alone  # type: ignore[method-assign]


def nothing_is_reserved(worker: Worker) -> None:
    """A balance that does not show an order yet is counted on again."""

    def forget(_plan: Plan, _but: object = ()) -> None:
        """Nothing is held."""

    worker.facts.reserve = forget  # type: ignore[method-assign]


def coins_paid_for_in_dollars(worker: Worker) -> None:
    """Inverse contracts are held against the balance of dollars."""
    read = worker.facts.read

    def dollars(*arguments: Any, **named: Any) -> Facts:
        facts = read(*arguments, **named)
        if facts.rules is None or not facts.rules.instrument.inverse:
            return facts
        return msgspec.structs.replace(facts, available=Decimal(1_000_000), reserved=ZERO)

    worker.facts.read = dollars  # type: ignore[method-assign]


def contracts_counted_in_coins(worker: Worker) -> None:
    """An order for inverse contracts goes out for a hundred times what it should be."""
    create = worker.venue.create

    async def many(order: NewOrder) -> str:
        fields = {name: getattr(order, name) for name in NewOrder.__dataclass_fields__}
        times = 100 if order.instrument.inverse else 1
        return await create(NewOrder(**{**fields, "quantity": order.quantity * times}))

    worker.venue.create = many  # type: ignore[method-assign]


def wallets_taken_for_positions(worker: Worker) -> None:
    """A spot position is corrected to what the wallet has, whose entry nobody knows."""
    check = worker.recovery._position_check
    tell = check._differs

    async def correct(partition: int, stored: Position, shown: Any, subject: str) -> PositionItem:
        if stored.instrument.spot:
            await check._take_over(stored, shown)
        return await tell(partition, stored, shown, subject)

    check._differs = correct  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "mutate",
    [
        fees_leave_the_coins_alone,
        contracts_worth_what_we_reckon,
        all_coins_are_for_sale,
        nothing_is_reserved,
        coins_paid_for_in_dollars,
        contracts_counted_in_coins,
        wallets_taken_for_positions,
    ],
    ids=lambda mutate: mutate.__name__,
)
def test_a_mistake_in_coins_is_found(mutate: Mutate) -> None:
    assert found_in(coins, mutate)
