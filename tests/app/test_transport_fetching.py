"""Between two fetches: records go on at once, the next fetch waits a moment for company."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from app.transport import group_member
from app.transport.group_member import GroupMember

FOR_EVER_S = 3_600.0


class Fetcher:
    """As much of aiokafka's as is called: one answer, and a poll that waits for it."""

    def __init__(self, *, has_records: bool) -> None:
        self._has_records = has_records
        self._fetch_waiters = [asyncio.get_running_loop().create_future()]

    async def _proc_fetch_request(self, *_request: object) -> bool:
        return self._has_records

    def _notify(self, waiter: asyncio.Future[None]) -> None:
        waiter.set_result(None)


def paced(fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> Fetcher:
    monkeypatch.setattr(group_member, "FETCH_PAUSE_S", FOR_EVER_S)
    member = object.__new__(GroupMember)
    member._consumer = SimpleNamespace(_fetcher=fetcher)
    member._pace_fetches()
    return fetcher


async def test_a_poll_gets_its_records_before_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    fetcher = paced(Fetcher(has_records=True), monkeypatch)
    under_way = asyncio.create_task(fetcher._proc_fetch_request("assignment", 0, "request"))
    async with asyncio.timeout(5):
        await fetcher._fetch_waiters[0]
    assert not under_way.done(), "or the next fetch would leave at once"
    under_way.cancel()


async def test_an_answer_without_records_is_not_followed_by_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    fetcher = paced(Fetcher(has_records=False), monkeypatch)
    async with asyncio.timeout(5):
        await fetcher._proc_fetch_request("assignment", 0, "request")
    assert not fetcher._fetch_waiters[0].done()
