"""`verify` looks again at what moves: what it saw once, and could not look at again, has not come right by that."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.replay.reading import CannotCompare
from app.settings import Settings
from app.verify import report
from app.verify.ledger import Ledger
from app.verify.report import VerifyOptions, verify
from app.verify.tables_ledger import AWAY, PARTIAL

Look = str | CannotCompare
"""The size that a ledger tells of, or why it tells of nothing."""

GONE = CannotCompare(AWAY, "http://127.0.0.1:6066/orders: nobody is there")
IN_PART = CannotCompare(PARTIAL, "/orders: nobody answers for partitions [0]")
SILENT = CannotCompare("VENUE_UNREADABLE", "no answer")


class Looks:
    """What a ledger tells, look by look; the last one for ever."""

    def __init__(self, name: str, *looks: Look) -> None:
        self._name = name
        self._looks = list(looks)

    def ledger(self) -> Ledger:
        look = self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]
        if isinstance(look, CannotCompare):
            raise look
        return Ledger(self._name, positions={"BTCUSDT/net": {"size": Decimal(look)}})


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Verify, without a broker: our tables hold 1."""

    async def nothing(*_arguments: object) -> None:
        pass

    @asynccontextmanager
    async def rows(*_arguments: object) -> AsyncIterator[None]:
        yield

    async def run(web: Looks, venue: Looks | None = None) -> dict[str, Any]:
        async def ledger_of_web(_settings: Settings) -> Ledger:
            return web.ledger()

        @asynccontextmanager
        async def sources(_settings: object, _options: object, found: Any) -> AsyncIterator[dict[str, report.Source]]:
            async def ledger_of_venue() -> Ledger:
                assert venue is not None
                return venue.ledger()

            asked: dict[str, report.Source] = {"web": lambda: ledger_of_web(Settings())}
            if venue is not None:
                asked["venue"] = ledger_of_venue
                found.must_be_read.add("venue")
            yield asked

        monkeypatch.setattr(report, "_sources", sources)
        return await verify(Settings(), VerifyOptions(settle_s=0.0))

    monkeypatch.setattr(report, "topics_are_there", nothing)
    monkeypatch.setattr(report, "_compare_topics", nothing)
    monkeypatch.setattr(report, "live_now", rows)
    monkeypatch.setattr(report, "ledger_of_rows", lambda *_: Looks("tables", "1").ledger())
    monkeypatch.setattr(report, "_LOOK_AGAIN_S", 0.0)
    return run


@pytest.mark.parametrize(
    ("web", "equal", "listed"),
    [
        (["1"], True, ""),
        (["2"], False, "differences"),
        (["2", "1"], True, ""),
        (["2", "3"], None, "moving"),
        ([GONE], True, ""),
        (["2", GONE], None, "moving"),
        (["2", GONE, "1"], True, ""),
        ([IN_PART], None, ""),
    ],
    ids=["same", "other", "comes right", "moves", "away", "goes away", "is back and right", "in part"],
)
async def test_a_verdict_on_a_ledger_that_is_looked_at_again(
    told: Callable[..., Any], web: list[Look], equal: bool | None, listed: str, tmp_path: Path
) -> None:
    account = await told(Looks("web", *web))

    assert account["equal"] is equal
    assert [name for name in ("differences", "moving", "unsettled") if account[name]] == [listed] * bool(listed)


async def test_a_venue_that_answers_late_is_compared_all_the_same(told: Callable[..., Any]) -> None:
    account = await told(Looks("web", "2", "1"), Looks("venue", SILENT, "5"))

    assert account["equal"] is False
    assert [tuple(each["between"]) for each in account["differences"]] == [("tables", "venue")]
