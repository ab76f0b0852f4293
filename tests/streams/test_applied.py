"""Waiting for what the order agent applies."""

from __future__ import annotations

import asyncio

from streams.applied import Applied


async def test_a_symbol_of_which_nothing_is_heard_does_not_collect_those_who_gave_up_waiting() -> None:
    applied = Applied()

    assert not await applied.until("BTCUSDT", lambda: False, 0.001)
    given_up = asyncio.create_task(applied.until("BTCUSDT", lambda: False, 60.0))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait([given_up])

    assert applied._changing == {}  # private: memory is what it is about


async def test_who_waits_for_a_symbol_looks_again_after_each_change_of_it() -> None:
    applied = Applied()
    seen: list[int] = []

    def third_look() -> bool:
        seen.append(len(seen))
        return len(seen) == 3

    waiting = asyncio.create_task(applied.until("BTCUSDT", third_look, 60.0))
    for _ in range(2):
        await asyncio.sleep(0)
        applied.touch("BTCUSDT")
        await asyncio.sleep(0)

    async with asyncio.timeout(5):
        assert await waiting
