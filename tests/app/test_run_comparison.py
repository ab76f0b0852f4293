"""What a dry run and a real one don't share (requirement X10)."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app.asking import NoAnswer
from app.run_comparison import Json, Runs, compared, runs_of
from app.settings import Settings
from domain.errors import InvalidInput

NOTHING = Decimal(0)
ORDER = {
    "quantity": "10",
    "price": "99.9",
    "side": "buy",
    "order_type": "limit",
    "time_in_force": "GTC",
    "reduce_only": False,
    "post_only": True,
    "position_side": "net",
    "due_ns": 0,
    "order_id": "om1",
}


def plan(**changed: Any) -> Json:
    gates = [{"gate": "freshness", "outcome": "pass", "code": "", "figures": {"age_s": "1"}}]
    return {
        "decision": "execute",
        "code": "",
        "verdicts": gates,
        "cancels": [],
        "amends": [],
        "intents": [ORDER],
        "planned_at_ns": 1,
        **changed,
    }


def runs(dry: Json, live: Json) -> Runs:
    """One signal, that was rehearsed and then came for real."""
    both = Runs()
    both.add({"symbol": "BTCUSDT", "signal_id": "s1", "dry_run": False, "plans": [live], "rehearsed": [dry]})
    return both


def fields(found: Runs, tolerance: Decimal = NOTHING) -> list[str]:
    report = compared(found, tolerance, whole=False)
    return [each["field"] for signal in report["different"] for each in signal["differences"]]


def test_x10_the_same_decision_under_other_ids_and_figures_is_the_same() -> None:
    older = [{"gate": "freshness", "outcome": "pass", "code": "", "figures": {"age_s": "2"}}]

    report = compared(runs(plan(), plan(verdicts=older, intents=[ORDER | {"order_id": "om2"}])), NOTHING, whole=True)

    assert (report["equal"], report["compared"], report["same"]) == (True, 1, 1)


@pytest.mark.parametrize(
    ("live", "field"),
    [
        (plan(decision="reject", code="NO_MONEY", intents=[]), "decision"),
        (plan(cancels=[{"order_id": "om9"}]), "cancels"),
        (plan(intents=[ORDER, ORDER]), "orders"),
        (plan(intents=[ORDER | {"order_type": "market"}]), "orders[0].order_type"),
        (plan(intents=[ORDER | {"post_only": False}]), "orders[0].post_only"),
        (plan(intents=[ORDER | {"due_ns": 2_000_000_001}]), "orders[0].due_ms"),
        (plan(verdicts=[{"gate": "freshness", "outcome": "reject", "code": "TOO_OLD"}]), "gate freshness"),
        (plan(verdicts=[]), "gate freshness"),
    ],
)
def test_x10_each_word_that_differs_is_named(live: Json, field: str) -> None:
    assert field in fields(runs(plan(), live))


def test_x10_prices_within_the_tolerance_are_alike_and_one_that_is_missing_is_not() -> None:
    near, bare = plan(intents=[ORDER | {"price": "100"}]), plan(intents=[ORDER | {"price": None}])

    assert fields(runs(plan(), near)) == ["orders[0].price"]
    assert fields(runs(plan(), near), Decimal("0.002")) == []
    assert fields(runs(plan(), bare), Decimal("0.002")) == ["orders[0].price"]


def test_x10_a_signal_of_one_run_only_counts_where_two_are_put_beside_each_other() -> None:
    found = runs(plan(), plan())
    found.dry["ETHUSDT", "s2"] = found.dry["BTCUSDT", "s1"]

    assert compared(found, NOTHING, whole=False)["equal"] is True
    beside = compared(found, NOTHING, whole=True)
    assert (beside["equal"], beside["only_dry"]) == (False, ["s2"])
    assert compared(Runs(), NOTHING, whole=False)["equal"] is None


def test_x10_what_is_saved_is_read_again_and_anything_else_refused(tmp_path: Path) -> None:
    found = runs(plan(), plan())
    (tmp_path / "runs.json").write_text(json.dumps(found.as_json()))
    (tmp_path / "other.json").write_text('{"dry": 1}')

    assert runs_of(Settings(), [str(tmp_path / "runs.json")]) == found
    with pytest.raises(InvalidInput, match="not a file that --save wrote"):
        runs_of(Settings(), [str(tmp_path / "other.json")])


@pytest.mark.parametrize(
    "missing", [{"/signals": [3]}, {"/signals?signal_id": [3]}], ids=["of the list", "of a signal"]
)
def test_signals_that_nobody_answers_for_are_not_left_out(
    missing: dict[str, list[int]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    row = {"symbol": "BTCUSDT", "signal_id": "s1", "state": "done", "dry_run": False, "rehearsed": plan()}

    def answer(request: httpx.Request) -> httpx.Response:
        of_one = "signal_id" in request.url.params
        nobody = missing.get("/signals?signal_id" if of_one else "/signals", [])
        items = [] if of_one and nobody else [row | {"plans": [plan()], "rehearsed": [plan()]}]
        return httpx.Response(200, json={"items": items, "cursor": None, "missing_partitions": nobody})

    client = partial(httpx.Client, transport=httpx.MockTransport(answer))
    monkeypatch.setattr("app.asking.httpx.Client", client)

    with pytest.raises(NoAnswer, match=r"PARTIAL: .* partitions 3"):
        runs_of(Settings(data_dir=tmp_path, api_key=SecretStr("k")), ["this"])
