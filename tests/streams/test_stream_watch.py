"""Symbols and the account's stream: shut while it may miss something, open when what was missed is applied (Y01)."""

from __future__ import annotations

from trading_desk import TOPICS, Desk

from streams.boards import Heartbeat
from streams.stream_watch import StreamWatch, StreamWatchSettings

READY = Heartbeat(role="gateway", name="main", ready=True, session="a", connections=1)
DOWN = Heartbeat(role="gateway", name="main", ready=False, session="a", connections=1, reasons=("stream: reset",))
BACK = Heartbeat(role="gateway", name="main", ready=True, session="a", connections=2)
OTHER = Heartbeat(role="gateway", name="main", ready=True, session="b", connections=7)


class Watched:
    """A watch whose gateways say what a test wants."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.beats: list[Heartbeat] = []
        self.watch = StreamWatch(
            heartbeats=lambda _younger_than_s: self.beats,
            partitions=lambda: [0],
            reconciler=self.desk.reconciler,
            gates=self.desk.gates,
            applied=self.desk.applied,
            clock=self.desk.clock,
            settings=StreamWatchSettings(),
        )

    async def sees(self, *beats: Heartbeat) -> bool:
        """Whether symbols are open after a look at these."""
        self.beats = list(beats)
        await self.watch.look()
        return self.desk.gates.is_open(0, "BTCUSDT")


async def test_a_stream_that_is_lost_shuts_symbols_and_they_open_when_its_gap_is_filled_and_applied() -> None:
    watched = Watched()

    assert await watched.sees(READY)
    assert not await watched.sees(DOWN)
    assert watched.desk.gates.blind_because == "STREAM_GAP: stream: reset"
    assert watched.desk.gates.may_reduce(0, "BTCUSDT")
    marks = len(watched.desk.log.records[TOPICS.order_updates])
    assert await watched.sees(BACK)
    assert len(watched.desk.log.records[TOPICS.order_updates]) == marks + 1, "caught up with the log"


async def test_a_reconnection_between_two_looks_is_a_gap_too() -> None:
    watched = Watched()
    await watched.sees(READY)
    before = len(watched.desk.log.records[TOPICS.order_updates])

    assert await watched.sees(BACK)

    assert len(watched.desk.log.records[TOPICS.order_updates]) == before + 1


async def test_a_second_gateway_that_goes_on_listening_covers_the_first() -> None:
    watched = Watched()
    await watched.sees(READY, OTHER)

    assert await watched.sees(DOWN, OTHER)
    assert await watched.sees(BACK, OTHER)
    assert watched.desk.log.records[TOPICS.order_updates] == []


async def test_a_gateway_that_falls_silent_is_a_gap() -> None:
    watched = Watched()
    await watched.sees(READY)

    assert not await watched.sees()


async def test_a_set_that_never_had_a_gateway_has_no_stream_to_lose() -> None:
    assert await Watched().sees()


async def test_a_worker_that_starts_before_the_gap_is_filled_waits_for_it() -> None:
    watched = Watched()

    assert not await watched.sees(DOWN)
    assert await watched.sees(BACK)
