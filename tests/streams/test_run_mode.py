"""From a dry run to live and back: what has to be so first, and what becomes of orders in between (requirement X10)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NoReturn

import pytest
from quiet_venue import SECOND
from trading_desk import TOPICS, Desk, report

from domain.errors import NotAccepted, VenueError
from domain.orders import OrderState, SignalContext
from exchanges.dry_run import DryTrading
from streams.boards import Heartbeat
from streams.broadcast import Entry
from streams.run_mode import Mode, ModeKeeper

PARTITION = frozenset({0})


class Refused(Exception):  # noqa: N818 -- stands for the end of the process
    """The process would have ended."""


class Controls:
    """The topic `controls`, read back at once."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def read_back(self, topic: str, offset: int) -> None:
        assert self._desk.log.records[topic][offset].value is not None

    def table(self) -> dict[bytes, Entry]:
        records = self._desk.log.records[TOPICS.controls]
        return {record.key or b"": Entry(record.value or b"", 0, record.offset) for record in records}


def keeper(
    desk: Desk, mode: Mode, *, with_open: bool = False, beats: Iterable[Heartbeat] = (), alerts: list[str] | None = None
) -> ModeKeeper:
    def refuse(reason: str) -> NoReturn:
        raise Refused(reason)

    controls = Controls(desk)
    log: Any = desk.log
    trading: Any = desk.venue
    told: list[str] = [] if alerts is None else alerts
    return ModeKeeper(
        mode=mode,
        with_open=with_open,
        worker="worker-1",
        categories=("linear",),
        topic=TOPICS.controls,
        log=log,
        read_back=controls.read_back,
        controls=controls.table,
        heartbeats=lambda: beats,
        orders=desk.orders,
        positions=desk.positions,
        signals=desk.signals,
        trading=trading,
        clock=desk.clock,
        refuse=refuse,
        alert=lambda code, sentence: told.append(f"{code}: {sentence}"),
    )


async def test_x10_live_follows_live_without_a_question() -> None:
    desk = Desk()
    desk.intend()
    desk.venue.away = VenueError("AWAY", "nobody answers")

    await keeper(desk, Mode.LIVE).assigned(PARTITION)

    assert not desk.log.records[TOPICS.controls]


async def test_x10_live_after_a_dry_run_is_refused_while_an_order_is_open_and_names_it() -> None:
    desk = Desk()
    await keeper(desk, Mode.DRY_RUN).assigned(PARTITION)
    order = desk.intend(state=OrderState.ACKNOWLEDGED, venue_order_id="venue-om1")
    desk.venue.listed = [report(order), report(order, client_order_id="by-hand", venue_order_id="v9")]

    with pytest.raises(Refused) as refusal:
        await keeper(desk, Mode.LIVE).assigned(PARTITION)

    assert "LIVE_AFTER_DRY_RUN: 2 open: order by-hand: BTCUSDT buy 1; order om1: BTCUSDT buy 1, acknowledged" in str(
        refusal.value
    )


async def test_x10_live_after_a_dry_run_begins_once_everything_is_closed() -> None:
    desk = Desk()
    await keeper(desk, Mode.DRY_RUN).assigned(PARTITION)

    await keeper(desk, Mode.LIVE).assigned(PARTITION)

    assert len(desk.log.records[TOPICS.controls]) == 2
    desk.intend()
    await keeper(desk, Mode.LIVE).assigned(PARTITION)  # the next start of the same mode asks nothing


async def test_x10_live_after_a_dry_run_is_refused_while_the_venue_cannot_be_asked() -> None:
    desk = Desk()
    await keeper(desk, Mode.DRY_RUN).assigned(PARTITION)
    desk.venue.away = NotAccepted("AWAY", "nobody answers")

    with pytest.raises(Refused, match="the venue cannot be asked"):
        await keeper(desk, Mode.LIVE).assigned(PARTITION)


async def test_x10_who_wants_to_goes_live_with_something_open_and_is_told_what() -> None:
    desk = Desk()
    await keeper(desk, Mode.DRY_RUN).assigned(PARTITION)
    desk.intend()
    alerts: list[str] = []

    await keeper(desk, Mode.LIVE, with_open=True, alerts=alerts).assigned(PARTITION)

    assert [alert.split(":")[0] for alert in alerts] == ["LIVE_WITH_OPEN"]


async def test_x10_a_dry_run_over_open_orders_begins_and_tells_of_them() -> None:
    desk = Desk()
    desk.intend()
    alerts: list[str] = []

    await keeper(desk, Mode.DRY_RUN, alerts=alerts).assigned(PARTITION)

    assert "1 open: order om1: BTCUSDT buy 1, planned" in alerts[0]


async def test_x10_two_workers_in_different_modes_do_not_share_the_work() -> None:
    desk = Desk()
    live = Heartbeat(role="worker", name="worker-2", partitions=(1,), dry_run=False)

    with pytest.raises(Refused, match="MODES_DIFFER: this worker is dry_run, worker worker-2 not"):
        await keeper(desk, Mode.DRY_RUN, beats=[live]).assigned(PARTITION)


# -- orders ----------------------------------------------------------------------------------------------------------


def in_dry_run(desk: Desk) -> None:
    """The submitter's way to the venue is shut, as in a dry run."""
    trading: Any = desk.venue
    desk.submitter._attempts._trading = DryTrading(trading)  # private: as the worker would be assembled


async def test_x10_an_order_that_was_meant_for_real_expires_unsent_in_a_dry_run() -> None:
    desk = Desk()
    desk.intend(age_s=10)
    in_dry_run(desk)

    order = await desk.submit(maybe_sent=True)

    assert (order.state, order.attempts) == (OrderState.EXPIRED, 0)
    assert order.reason.startswith("DRY_RUN: a dry run does not create")
    assert desk.venue.created == []


async def test_x10_a_rehearsed_order_is_not_sent_by_a_worker_that_is_live_again() -> None:
    desk = Desk()
    desk.intend(signal=rehearsed())

    order = await desk.submit(maybe_sent=True)

    assert (order.state, order.attempts) == (OrderState.DRY_RUN, 0)
    assert desk.venue.created == desk.venue.asked == []


def rehearsed() -> SignalContext:
    """The context of an order that was decided in a dry run."""
    return SignalContext(
        signal_id="s1",
        attempt=1,
        part=0,
        source="signals-0-0",
        signal_type="buy",
        amount=Decimal(100),
        at_ns=SECOND,
        dry_run=True,
    )
