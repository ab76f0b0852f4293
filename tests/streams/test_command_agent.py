"""Commands about orders that exist."""

from __future__ import annotations

from quiet_venue import NOW
from trading_desk import TOPICS, Desk, FreeTurn

from domain.commands import EVERY_SYMBOL, Action, Command, decode_command, encode_command
from streams.record import Record


async def test_r05_a_cancel_of_everything_reaches_each_symbol_however_long_its_id() -> None:
    desk = Desk()
    desk.intend()
    command = Command(command_id="k" * 128, action=Action.CANCEL, symbol=EVERY_SYMBOL)

    await desk.command_agent.handle(
        FreeTurn(Record(TOPICS.order_commands, 0, 0, b"*", encode_command(command), (), NOW))
    )

    (passed_on,) = desk.log.records[TOPICS.order_commands]
    assert decode_command(passed_on.value).symbol == "BTCUSDT"
