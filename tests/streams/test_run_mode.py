"""From a dry run to live and back: what has to be so first, and what becomes of orders in between (requirement X10)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NoReturn

import msgspec
import pytest
from fakes import MemoryRows
from quiet_venue import NOW, SECOND
from table_cases import fill, signal_row
from trading_desk import ACCOUNT, TOPICS, Desk, report

from domain.errors import NotAccepted, VenueError
from domain.orders import OrderState, SignalContext
from exchanges.dry_run import DryTrading
from streams.boards import AccountName, Heartbeat
from streams.broadcast import Entry
from streams.run_mode import Mode, ModeKeeper, RunMode
from tables.orders import OrderTable, order_index
from tables.positions import PositionTable, position_index
from tables.receipt import Receipt
from tables.signals import SignalState, SignalTable, signal_index

PARTITION = frozenset({0})
HOME, OTHER = AccountName("paper", ACCOUNT), AccountName("paper", "second")


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
    desk: Desk,
    mode: Mode = Mode.LIVE,
    *,
    home: AccountName = HOME,
    with_open: bool = False,
    beats: Iterable[Heartbeat] = (),
    alerts: list[str] | None = None,
) -> ModeKeeper:
    def refuse(reason: str) -> NoReturn:
        raise Refused(reason)

    controls = Controls(desk)
    log: Any = desk.log
    trading: Any = desk.venue
    told: list[str] = [] if alerts is None else alerts
    return ModeKeeper(
        mode=mode,
        home=home,
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

    assert len(desk.log.records[TOPICS.controls]) == 1  # with which account
    await keeper(desk, Mode.LIVE).assigned(PARTITION)
    assert len(desk.log.records[TOPICS.controls]) == 1


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


# -- accounts --------------------------------------------------------------------------------------------------------


async def moved_to(desk: Desk, home: AccountName = OTHER) -> str:
    """The refusal of a worker with another account than the one this desk was worked with."""
    with pytest.raises(Refused) as refusal:
        await keeper(desk, home=home).assigned(PARTITION)
    return str(refusal.value)


def noted(desk: Desk) -> list[AccountName | None]:
    records = [msgspec.json.decode(each.value or b"", type=RunMode) for each in desk.log.records[TOPICS.controls]]
    return [record.home for record in records]


@pytest.mark.parametrize("state", [OrderState.PLANNED, OrderState.UNCERTAIN, OrderState.ACKNOWLEDGED])
@pytest.mark.parametrize("other", [OTHER, AccountName("bybit", ACCOUNT)])
async def test_x06_another_account_is_refused_while_an_order_of_the_former_one_is_open(
    state: OrderState, other: AccountName
) -> None:
    desk = Desk()
    await keeper(desk).assigned(PARTITION)
    desk.intend(state=state)

    refusal = await moved_to(desk, other)

    assert refusal.startswith(
        f"ACCOUNT_CHANGED: this worker has account {other}, and the last one had paper/main, with 1 open: "
        f"order om1: BTCUSDT buy 1, {state}."
    )
    assert noted(desk) == [HOME]
    await keeper(desk).assigned(PARTITION)  # the former account goes on


async def test_x06_another_account_is_refused_while_the_former_one_holds_a_position() -> None:
    desk = Desk()
    await keeper(desk).assigned(PARTITION)
    desk.positions.apply(0, fill(), "om1", 0, Receipt())

    assert "position BTCUSDT net of 0.04" in await moved_to(desk)


@pytest.mark.parametrize("next_due_ns", [0, NOW])
async def test_x06_another_account_is_refused_while_a_signal_is_planned_for_the_former_one(next_due_ns: int) -> None:
    desk = Desk()
    await keeper(desk).assigned(PARTITION)
    for number in range(1_200):
        desk.signals.put(0, signal_row(f"s{number:04}"), Receipt())
    planned = signal_row("s1100", state=SignalState.PLANNED, next_due_ns=next_due_ns)
    desk.signals.put(0, planned, Receipt())

    assert "1 open: signal s1100 of BTCUSDT, planned and not finished" in await moved_to(desk)


async def test_x06_another_account_goes_on_where_nothing_is_open_and_is_the_one_from_then_on() -> None:
    desk = Desk()
    await keeper(desk).assigned(PARTITION)
    desk.signals.put(0, signal_row(), Receipt())

    await keeper(desk, home=OTHER).assigned(PARTITION)
    desk.positions.apply(0, fill(account=OTHER.account), "om2", 0, Receipt())
    await keeper(desk, home=OTHER).assigned(PARTITION)

    assert noted(desk) == [HOME, OTHER]
    assert "this worker has account paper/main, and the last one had paper/second" in await moved_to(desk, HOME)


async def test_x06_a_record_from_before_accounts_were_noted_is_taken_as_the_same() -> None:
    desk = Desk()
    older = b'{"mode":"live","worker":"worker-1","at_ns":1}'
    await desk.log.publish(TOPICS.controls, b"run-mode/0", older, partition=0)
    desk.intend()

    await keeper(desk).assigned(PARTITION)

    assert noted(desk) == [None, HOME]


async def test_x06_another_account_begins_with_a_worker_that_has_every_partition() -> None:
    desk, both = Desk(), {0, 1}
    desk.orders = OrderTable(MemoryRows(both, order_index))
    desk.signals = SignalTable(MemoryRows(both, signal_index))
    desk.positions = PositionTable(MemoryRows(both, position_index))
    await keeper(desk).assigned(frozenset({0, 1}))

    assert "also in partitions 1: start one worker alone" in await moved_to(desk)

    await keeper(desk, home=OTHER).assigned(frozenset({0, 1}))
    await keeper(desk, home=OTHER).assigned(frozenset({1}))


async def test_x06_two_workers_with_different_accounts_do_not_share_the_work() -> None:
    desk = Desk()
    other = Heartbeat(role="worker", name="worker-2", partitions=(1,), venue="paper", account="second")
    older = Heartbeat(role="worker", name="worker-3", partitions=(2,))

    with pytest.raises(Refused, match="ACCOUNTS_DIFFER: this worker has account paper/main, worker-2 paper/second"):
        await keeper(desk, beats=[other, older]).assigned(PARTITION)


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
