"""Commands, controls, probes and metrics."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from table_cases import NOW, PARTITIONS, filled, order, partition_of, store_orders
from web_cases import READ, TRADE, Worker

from app.web import Check, readiness
from domain.commands import Action
from domain.plans import TradingState
from streams.boards import Control
from tables.receipt import Receipt
from tables.signals import CommandRow, SignalTable


async def test_a_cancel_of_a_symbol_is_published_and_accepted(worker: Worker) -> None:
    reply = await worker.post("/commands", {"action": "cancel", "symbol": "btcusdt", "reason": "too risky"})

    assert reply.status_code == 202
    [command] = worker.commands
    assert (command.action, command.symbol, command.order_id) == (Action.CANCEL, "BTCUSDT", "")
    assert (command.reason, command.requested_by) == ("too risky", "web:desk")
    assert command.at_ns > NOW
    assert reply.json()["command_id"] == command.command_id
    assert reply.headers["Location"] == f"/commands/{command.command_id}?symbol=BTCUSDT"
    assert len(command.trace_id) == 32


async def test_a_command_belongs_to_the_trace_of_its_request(worker: Worker) -> None:
    headers = {**TRADE, "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
    await worker.post("/commands", {"action": "sync", "symbol": "BTCUSDT"}, headers)
    await worker.post("/commands", {"action": "sync", "symbol": "BTCUSDT"}, {**TRADE, "traceparent": "00-x-y-z"})
    ours, made = (command.trace_id for command in worker.commands)
    assert ours == "ab" * 16
    assert len(made) == 32


async def test_the_result_of_a_command_about_one_symbol_is_asked_of_its_worker_only(start_worker: Any) -> None:
    worker = await start_worker(held=frozenset({partition_of("BTCUSDT")}))
    finish(worker, "c1")
    assert (await worker.get("/commands/c2", symbol="BTCUSDT")).status_code == 404
    assert (await worker.get("/commands/c2")).status_code == 503
    assert (await worker.get("/commands/c1", symbol="BTCUSDT")).json()["ok"] is True


async def test_a_command_keeps_the_id_it_was_given(worker: Worker) -> None:
    await worker.post("/commands", {"action": "sync", "symbol": "BTCUSDT", "command_id": "mine-1"})
    assert worker.commands[0].command_id == "mine-1"


@pytest.mark.parametrize("any_id", ["om2", "v2"])
async def test_a_command_about_an_order_goes_to_its_symbol_under_our_id(worker: Worker, any_id: str) -> None:
    store_orders(worker.orders, filled(2, symbol="ETHUSDT"))
    await worker.post("/commands", {"action": "cancel", "order_id": any_id})
    assert (worker.commands[0].symbol, worker.commands[0].order_id) == ("ETHUSDT", "om2")


async def test_a_command_about_an_unknown_order_is_not_published(worker: Worker) -> None:
    reply = await worker.post("/commands", {"action": "cancel", "order_id": "om9"})
    assert (reply.status_code, worker.commands) == (404, [])


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"action": "cancel"}, "order_id"),
        ({"action": "cancel", "symbol": "BTCUSDT", "order_id": "om1"}, "order_id"),
        ({"action": "delete", "symbol": "BTCUSDT"}, "action"),
        ({"symbol": "BTCUSDT"}, "body"),
        ({"action": "cancel", "symbol": "BTC USDT"}, "symbol"),
        ({"action": "cancel", "symbol": "BTCUSDT", "reason": "x" * 501}, "reason"),
        ({"action": "cancel", "symbol": "BTCUSDT", "reason": "a\nb"}, "reason"),
        ({"action": "cancel", "symbol": "BTCUSDT", "command_id": "../x"}, "command_id"),
        ({"action": "cancel", "symbol": 7}, "symbol"),
        ({"action": "cancel", "symbol": "BTCUSDT", "force": True}, "body"),
        ([], "body"),
    ],
    ids=str,
)
async def test_a_bad_command_is_refused_by_field(worker: Worker, body: Any, name: str) -> None:
    reply = await worker.post("/commands", body)
    assert reply.status_code == 400
    assert reply.json()["error"]["details"]["parameter"] == name
    assert worker.commands == []


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 5_000, b'{"action": "cancel"'])
async def test_what_is_no_json_is_refused(worker: Worker, content: bytes) -> None:
    headers = {**TRADE, "Content-Type": "application/json"}
    assert (await worker.client.post("/commands", headers=headers, content=content)).status_code == 400


async def test_a_form_is_not_taken_for_json(worker: Worker) -> None:
    reply = await worker.client.post("/commands", headers=TRADE, data={"action": "cancel", "symbol": "BTCUSDT"})
    assert (reply.status_code, worker.commands) == (415, [])


def finish(worker: Worker, command_id: str) -> None:
    row = CommandRow(
        command_id=command_id, symbol="BTCUSDT", action="cancel", source="order-commands-0-1", done=True, ok=True
    )
    SignalTable(worker.signals).put_command(partition_of("BTCUSDT"), row, Receipt())


async def test_the_result_of_a_command_is_shown_when_it_is_done(worker: Worker) -> None:
    before = await worker.get("/commands/c1")
    finish(worker, "c1")
    after = await worker.get("/commands/c1")
    assert (before.status_code, before.json()["error"]["code"]) == (404, "COMMAND_NOT_FOUND")
    assert (after.status_code, after.json()["ok"], after.json()["done"]) == (200, True, True)


async def test_the_result_of_a_command_can_be_waited_for(worker: Worker) -> None:
    waiting = asyncio.create_task(worker.get("/commands/c1", wait_s=5))
    await worker.get("/health/live")
    assert not waiting.done()
    finish(worker, "c1")
    assert (await waiting).json()["command_id"] == "c1"


async def test_the_id_of_another_command_is_refused(worker: Worker) -> None:
    finish(worker, "c1")
    again = await worker.post("/commands", {"action": "cancel", "symbol": "BTCUSDT", "command_id": "c1"})
    other = await worker.post("/commands", {"action": "sync", "symbol": "BTCUSDT", "command_id": "c1"})

    assert (again.status_code, other.status_code, len(worker.commands)) == (202, 409, 1)
    assert other.json()["error"]["code"] == "COMMAND_ID_CONFLICT"
    assert "cancel of BTCUSDT (order-commands-0-1), not sync of BTCUSDT" in other.json()["error"]["message"]


async def test_a_command_for_every_symbol_is_published_once_for_all_partitions(worker: Worker) -> None:
    reply = await worker.post("/commands", {"action": "cancel", "symbol": "*", "reason": "stop"})
    assert reply.status_code == 202
    assert [command.symbol for command in worker.commands] == ["*"]
    assert "?" not in reply.headers["Location"]


async def test_a_command_for_every_symbol_is_refused_where_it_would_reach_one_partition_only(start_worker: Any) -> None:
    worker = await start_worker(publishes_everywhere=False)
    reply = await worker.post("/commands", {"action": "cancel", "symbol": "*"})
    assert (reply.status_code, worker.commands) == (400, [])


async def test_a_command_for_every_symbol_is_done_when_every_partition_has_passed_it_on(worker: Worker) -> None:
    def pass_on(partition: int, symbol: str) -> None:
        row = CommandRow(
            command_id="c1", symbol="*", action="cancel", source="x", done=True, ok=True, details={symbol: "passed on"}
        )
        SignalTable(worker.signals).put_command(partition, row, Receipt())

    for partition in range(PARTITIONS - 1):
        pass_on(partition, f"S{partition}")
    before = (await worker.get("/commands/c1")).json()
    pass_on(PARTITIONS - 1, "LAST")
    after = (await worker.get("/commands/c1", wait_s=5)).json()

    assert (before["done"], before["ok"]) == (False, False)
    assert (after["done"], after["ok"], after["symbol"]) == (True, True, "*")
    assert set(after["details"]) == {"S0", "S1", "S2", "LAST"}


# -- controls --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["all", "paper", "BTCUSDT"])
async def test_a_control_is_set_and_shown(worker: Worker, scope: str) -> None:
    reply = await worker.post("/controls", {"scope": scope, "state": "halted", "reason": "kill switch"})

    assert reply.status_code == 200
    [control] = worker.controls
    assert (control.scope, control.state, control.set_by) == (scope, TradingState.HALTED, "web:desk")
    shown = (await worker.get("/controls")).json()["items"]
    assert [(each["scope"], each["state"], each["reason"]) for each in shown] == [(scope, "halted", "kill switch")]


@pytest.mark.parametrize(("scope", "symbol"), [("all", "*"), ("paper", "*"), ("BTCUSDT", "BTCUSDT")])
async def test_a_halt_can_cancel_what_is_open_after_it_is_in_force(worker: Worker, scope: str, symbol: str) -> None:
    body = {"scope": scope, "state": "halted", "reason": "kill switch", "cancel_open": True}
    reply = await worker.post("/controls", body)

    assert reply.status_code == 200, reply.text
    [control], [command] = worker.controls, worker.commands
    assert control.state is TradingState.HALTED
    assert (command.action, command.symbol, command.reason) == (Action.CANCEL, symbol, "halted: kill switch")
    assert reply.json()["cancel_result_at"].startswith(f"/commands/{command.command_id}")


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"scope": "all", "state": "armed", "reason": "x", "cancel_open": True}, "cancel_open"),
        ({"scope": "binance", "state": "halted", "reason": "x"}, "scope"),
        ({"scope": "btcusdt", "state": "halted", "reason": "x"}, "scope"),
        ({"scope": "", "state": "halted", "reason": "x"}, "scope"),
        ({"scope": "all", "state": "off", "reason": "x"}, "state"),
        ({"scope": "all", "state": "armed", "reason": ""}, "reason"),
        ({"scope": "all", "state": "armed", "reason": "  "}, "reason"),
        ({"scope": "all", "state": "armed"}, "body"),
    ],
    ids=str,
)
async def test_a_control_that_would_stop_nothing_is_refused(worker: Worker, body: Any, name: str) -> None:
    reply = await worker.post("/controls", body)
    assert (reply.status_code, reply.json()["error"]["details"]["parameter"]) == (400, name)
    assert worker.controls == []


async def test_a_control_that_is_not_durable_is_no_success(start_worker: Any) -> None:
    worker: Worker = await start_worker()

    class Refusing(list[Control]):
        def append(self, _control: Control) -> None:
            raise TimeoutError("no acknowledgement")

    worker.controls = Refusing()
    reply = await worker.post("/controls", {"scope": "all", "state": "halted", "reason": "x"})
    assert reply.status_code == 503
    assert reply.json()["error"]["code"] == "NOT_ACKNOWLEDGED"


# -- probes and metrics ----------------------------------------------------------------------------------------------


async def test_a_worker_is_alive_while_it_recovers(worker: Worker) -> None:
    worker.checks = [Check("recovered", "RECOVERING: tables follow their changelogs")]
    assert (await worker.client.get("/health/live")).json() == {"live": True}


async def test_readiness_names_what_is_missing(worker: Worker) -> None:
    worker.checks = [Check("assigned"), Check("recovered", "RECOVERING: tables follow their changelogs")]
    reply = await worker.client.get("/health/ready")
    assert reply.status_code == 503
    assert reply.json() == {
        "ready": False,
        "checks": {
            "assigned": {"ok": True, "reason": ""},
            "recovered": {"ok": False, "reason": "RECOVERING: tables follow their changelogs"},
        },
    }


async def test_a_worker_with_every_condition_met_is_ready(worker: Worker) -> None:
    worker.checks = [Check("assigned")]
    assert (await worker.client.get("/health/ready")).status_code == 200


def reasons(**given: Any) -> dict[str, str]:
    fields = {"engine_ready": lambda: (True, []), **given}
    return {check.name: check.reason for check in readiness(**fields)() if check.reason}


def test_the_engines_reasons_are_sorted_into_conditions() -> None:
    engine = ["NOT_ASSIGNED: a", "REBALANCING: b", "RECOVERING: c", "LEASE_LAPSED: d", "DISK_FULL: e"]
    assert reasons(engine_ready=lambda: (False, engine)) == {
        "assigned": "NOT_ASSIGNED: a",
        "not_rebalancing": "REBALANCING: b",
        "recovered": "RECOVERING: c",
        "broker": "LEASE_LAPSED: d",
        "engine": "DISK_FULL: e",
    }


def test_a_silent_gateway_and_unchecked_symbols_keep_a_worker_from_being_ready() -> None:
    assert reasons() == {}
    assert reasons(gateway_ages_s=lambda: [("paper", 1.0), ("bybit", 20.0), ("okx", None)]) == {
        "gateway_bybit": "GATEWAY_SILENT: last heard 20.0 s ago",
        "gateway_okx": "GATEWAY_SILENT: not heard of yet",
    }
    assert "symbols_checked" in reasons(shut_symbols=lambda: [(0, "BTCUSDT")])
    assert "balance" in reasons(knows_a_balance=lambda: False)


def test_an_engine_that_is_not_ready_and_does_not_say_why_is_not_ready() -> None:
    assert "engine" in reasons(engine_ready=lambda: (False, []))


async def test_metrics_are_read_without_a_key(worker: Worker) -> None:
    worker.metrics.signal_ended("executed")
    reply = await worker.client.get("/metrics")
    assert reply.status_code == 200
    assert reply.headers["Content-Type"].startswith("text/plain")
    assert 'ordermanager_signals_total{result="executed"} 1.0' in reply.text


async def test_head_is_answered_like_get(worker: Worker) -> None:
    store_orders(worker.orders, order(1))
    assert (await worker.client.head("/orders", headers=READ)).status_code == 200
