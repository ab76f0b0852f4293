"""Limits, changed while running (requirement R03)."""

from __future__ import annotations

from typing import Any

import pytest
from web_cases import READ, Worker

CHANGE: dict[str, Any] = {"scope": "all", "reason": "a quiet week"}


async def test_limits_are_taken_as_text_or_as_numbers_to_the_digit(worker: Worker) -> None:
    given = {"max_order_size": "1000.10", "max_drawdown": 0.1, "max_open_orders": 3, "max_exposure": 12345.67}

    reply = await worker.post("/limits", CHANGE | {"limits": given})

    assert reply.status_code == 200
    in_force = (await worker.get("/limits")).json()["limits"]
    assert {name: in_force[name] for name in given} == {
        "max_order_size": "1000.1",
        "max_drawdown": "0.1",
        "max_open_orders": 3,
        "max_exposure": "12345.67",
    }


async def test_a_symbols_limit_replaces_the_general_one_until_it_is_lifted(worker: Worker) -> None:
    await worker.post("/limits", CHANGE | {"limits": {"max_order_size": "1000"}})
    await worker.post("/limits", CHANGE | {"scope": "BTCUSDT", "limits": {"max_order_size": "50"}})
    own = (await worker.get("/limits", symbol="btcusdt")).json()["limits"]["max_order_size"]
    await worker.post("/limits", CHANGE | {"scope": "BTCUSDT", "limits": {"max_order_size": None}})
    lifted = (await worker.get("/limits", symbol="BTCUSDT")).json()

    assert (own, lifted["limits"]["max_order_size"]) == ("50", None)
    [everywhere, symbol] = sorted(lifted["scopes"], key=lambda scope: scope["scope"] != "all")
    assert [change["limits"] for change in symbol["changes"]] == [{"max_order_size": "50"}, {"max_order_size": None}]
    [change] = everywhere["changes"]
    assert (change["set_by"], change["reason"], change["at_ns"] > 0) == ("web:desk", "a quiet week", True)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"limits": {"max_order_size": "-1"}}, "BAD_LIMITS"),
        ({"limits": {"max_open_orders": 1.5}}, "BAD_LIMITS"),
        ({"limits": {"max_drawdown": "10"}}, "BAD_LIMITS"),
        ({"limits": {"max_ordersize": "1"}}, "BAD_LIMITS"),
        ({"limits": {"max_order_size": True}}, "BAD_PARAMETER"),
        ({"limits": {}, "reason": ""}, "BAD_PARAMETER"),
        ({"limits": {}, "scope": "btc usdt"}, "BAD_PARAMETER"),
    ],
    ids=str,
)
async def test_a_limit_that_is_none_is_refused(worker: Worker, changed: dict[str, Any], code: str) -> None:
    reply = await worker.post("/limits", CHANGE | changed)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, code)
    assert worker.limit_records == {}


async def test_a_key_for_reading_changes_no_limit(worker: Worker) -> None:
    reply = await worker.post("/limits", CHANGE | {"limits": {"max_order_size": "1"}}, READ)
    assert (reply.status_code, worker.limit_records) == (403, {})
