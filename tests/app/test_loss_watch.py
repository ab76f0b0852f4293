"""Who publishes the account's load: only the certain owner of the partitions (requirement R04)."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from app.account_parts import LossWatch
from app.inbox import GroupInbox
from app.transport.ledger import Ledger
from domain.limits import Limits
from streams.limits_board import LimitsBoard
from streams.topics import Topics


class Looks:
    """A clock that counts the looks and ends with the last of them."""

    def __init__(self, looks: int) -> None:
        self.left = looks
        self.over = asyncio.Event()

    def now_ns(self) -> int:
        return 0

    async def sleep(self, _seconds: float) -> None:
        if not self.left:
            self.over.set()
            await asyncio.Event().wait()
        self.left -= 1


async def told_by(inbox: GroupInbox) -> int:
    """How often a process with this inbox, three times asked, publishes what changed."""
    told: list[int] = []
    board: Any = SimpleNamespace(alone=True, refresh=told.append)
    clock = Looks(3)
    nothing: Any = None
    watch = LossWatch(
        log=nothing,
        topics=Topics(),
        board=board,
        limits=LimitsBoard(Limits(), dict),
        is_certain=lambda: inbox.is_certain,
        alert=lambda _code, _sentence: None,
        clock=clock,
    )
    running = asyncio.create_task(watch.run())
    await asyncio.wait((running, asyncio.create_task(clock.over.wait())), return_when=asyncio.FIRST_COMPLETED)
    running.cancel()
    return len(told)


async def test_r04_who_may_have_lost_its_partitions_publishes_nothing() -> None:
    good = [True]
    lease: Any = SimpleNamespace(good=lambda: good[0])
    inbox = GroupInbox(Ledger(), lease)
    inbox.open()

    as_owner = await told_by(inbox)
    good[0] = False
    when_paused = await told_by(inbox)

    assert (as_owner, when_paused) == (3, 0)
