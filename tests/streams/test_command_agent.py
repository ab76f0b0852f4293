"""Commands about orders that exist."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

import pytest
from quiet_venue import NOW
from trading_desk import TOPICS, Desk, FreeTurn

from domain.commands import EVERY_SYMBOL, Action, Command, decode_command, encode_command
from streams.record import Record
from tables.receipt import Receipt

T = TypeVar("T")


async def test_r05_a_cancel_of_everything_reaches_each_symbol_however_long_its_id() -> None:
    desk = Desk()
    desk.intend()
    command = Command(command_id="k" * 128, action=Action.CANCEL, symbol=EVERY_SYMBOL)

    await desk.command_agent.handle(
        FreeTurn(Record(TOPICS.order_commands, 0, 0, b"*", encode_command(command), (), NOW))
    )

    (passed_on,) = desk.log.records[TOPICS.order_commands]
    assert decode_command(passed_on.value).symbol == "BTCUSDT"


class TakenBack(FreeTurn):
    """Before its first wait is over, the order's own signal has taken its intent back."""

    def __init__(self, record: Record, desk: Desk, order_id: str) -> None:
        super().__init__(record)
        self._desk, self._order_id = desk, order_id

    async def wait(self, what: Awaitable[T]) -> T:
        done = await super().wait(what)
        order = self._desk.orders.get(0, self._order_id)
        if order is not None:
            self._desk.orders.discard_intent(0, order, Receipt())
        return done


@pytest.mark.parametrize(
    ("order_id", "ok", "code"), [("om1", False, "ORDER_NOT_FOUND"), ("", True, "")], ids=["named", "of its symbol"]
)
async def test_c03_an_order_whose_intent_is_taken_back_meanwhile_is_not_found(
    order_id: str, ok: bool, code: str
) -> None:
    desk = Desk()
    desk.intend("om1")
    command = Command(command_id="k1", action=Action.CANCEL, symbol="BTCUSDT", order_id=order_id)
    record = Record(TOPICS.order_commands, 0, 0, b"BTCUSDT", encode_command(command), (), NOW)

    await desk.command_agent.handle(TakenBack(record, desk, "om1"))

    row = desk.signals.command(0, "k1")
    assert row is not None
    assert (row.done, row.ok, row.code, row.details) == (True, ok, code, {})
