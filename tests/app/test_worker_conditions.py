"""What an operator is told of queues."""

from __future__ import annotations

import asyncio

from app.worker_conditions import too_deep
from domain.commands import Action, Command, encode_command
from streams.command_agent import lane_of
from streams.lanes import Lanes
from streams.ports import Turn
from streams.record import Record


class OpenInbox:
    """Everything is current and the lease holds."""

    def is_current(self, record: Record) -> bool:
        return True

    def may_act(self, record: Record) -> bool:
        return True

    def finished(self, record: Record) -> None:
        """Nobody counts."""

    def forgotten(self, record: Record) -> None:
        """Nobody counts."""


async def test_commands_that_wait_behind_one_that_does_not_end_are_told_of() -> None:
    now_s, begun, release = [0.0], asyncio.Event(), asyncio.Event()

    async def stuck(turn: Turn) -> None:
        begun.set()
        await turn.wait(release.wait())

    lanes = {
        "signals": Lanes(stuck, OpenInbox(), monotonic_s=lambda: now_s[0]),
        "commands": Lanes(stuck, OpenInbox(), key=lane_of, monotonic_s=lambda: now_s[0]),
    }
    cancel = encode_command(Command(command_id="c", action=Action.CANCEL, symbol="BTCUSDT", at_ns=1))
    for offset in range(3):
        await lanes["commands"].submit(Record("order-commands", 0, offset, b"BTCUSDT", cancel, (), 0))
    await begun.wait()
    now_s[0] = 30.0

    assert too_deep(lanes, max_depth=100, max_wait_s=30.0) == ""
    assert too_deep(lanes, max_depth=1, max_wait_s=60.0) == "2 commands of BTCUSDT (cancel) wait, the oldest for 30.0 s"
    now_s[0] = 31.0
    assert (
        too_deep(lanes, max_depth=100, max_wait_s=30.0) == "2 commands of BTCUSDT (cancel) wait, the oldest for 31.0 s"
    )
    release.set()
    await lanes["commands"].drained()
    assert too_deep(lanes, max_depth=0, max_wait_s=0.0) == ""
