"""What the paper exchange is told to do wrong, all of it by its documented control interface."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import httpx
from chaos_circumstances import SYMBOLS
from chaos_set import ChaosSet

Rule = dict[str, Any]  # Any: JSON

_CREATE, _CANCEL, _AMEND = "order/create", "order/cancel", "order/amend"
_CALLS: tuple[tuple[str, str], ...] = (
    *((kind, _CREATE) for kind in ("timeout_after_accept", "timeout_before_accept", "error_5xx_after")),
    *((kind, _CREATE) for kind in ("error_5xx_before", "reset_mid_reply", "reset_before", "cut_json", "slow_reply")),
    *((kind, _CREATE) for kind in ("late_reply", "rate_limited", "error_code_before", "error_code_after")),
    *((kind, _CANCEL) for kind in ("timeout_after_accept", "timeout_before_accept", "error_5xx_after", "cut_json")),
    *((kind, _CANCEL) for kind in ("reset_mid_reply", "late_reply")),
    *((kind, _AMEND) for kind in ("timeout_after_accept", "timeout_before_accept", "error_5xx_after", "late_reply")),
    *(("hide_rows", endpoint) for endpoint in ("order/realtime", "order/history", "execution/list", "position/list")),
    *(
        ("error_5xx_before", at)
        for at in ("order/realtime", "execution/list", "position/list", "position/trading-stop")
    ),
    *((kind, "order/realtime") for kind in ("cut_json", "timeout_before_accept", "latency")),
    *(("latency", at) for at in ("order/history", "execution/list", "account/wallet-balance")),
    ("error_5xx_before", ""),
    ("latency", ""),
    ("rate_limited", ""),
)
_STREAMS: tuple[Rule, ...] = (
    {"kind": "duplicate_stream", "count": 30, "times": 2},
    {"kind": "reorder_stream", "count": 30, "times": 3, "delay_ms": 1_500},
    {"kind": "delay_stream", "count": 20, "delay_ms": 1_000},
    {"kind": "delay_stream", "count": 20, "delay_ms": 4_000},
    {"kind": "drop_stream", "count": 1},
    {"kind": "drop_stream", "count": 5},
    {"kind": "second_filled", "count": 5},
    {"kind": "disconnect", "refuse_ms": 500},
    {"kind": "disconnect", "refuse_ms": 6_000},
)
SKEW_MS = 10_000
_STATES: tuple[Rule, ...] = (
    {"kind": "clock_skew", "skew_ms": SKEW_MS},
    {"kind": "clock_skew", "skew_ms": -SKEW_MS},
    {"kind": "maintenance"},
    {"kind": "balance_unknown"},
)


def call_fault(draw: random.Random) -> Rule:
    """One that strikes REST calls."""
    kind, endpoint = draw.choice(_CALLS)
    rule: Rule = {"kind": kind, "count": draw.choice([1, 3, 10]), "seed": draw.randrange(1_000)}
    if endpoint:
        rule["endpoint"] = endpoint
    if kind in {"latency", "late_reply"}:
        rule["delay_ms"] = draw.choice([300, 2_500, 6_000])
    elif kind == "hide_rows":
        rule["delay_ms"] = draw.choice([500, 900])
    elif kind == "slow_reply":
        rule["bytes_per_s"] = 20
    elif kind == "rate_limited":
        rule["retry_after_ms"] = draw.choice([200, 3_000])
    elif kind.startswith("error_code"):
        codes = [10_000] if kind.endswith("after") else [10_000, 10_002, 10_016]
        rule |= {"code": draw.choice(codes), "message": "server error"}
    if endpoint in {_CREATE, _CANCEL} and draw.random() < 0.3:
        rule["symbol"] = draw.choice(SYMBOLS)
    return rule


async def spoil_calls(chaos: ChaosSet, draw: random.Random) -> str:
    """One to three rules at once, for REST calls."""
    return await _told(chaos, [call_fault(draw) for _ in range(draw.choice([1, 1, 2, 3]))])


async def spoil_streams(chaos: ChaosSet, draw: random.Random) -> str:
    """Messages that come twice, late, in another order, or never."""
    return await _told(chaos, [draw.choice(_STREAMS)])


async def change_state(chaos: ChaosSet, draw: random.Random) -> str:
    """Another clock, maintenance, or no balances, for seconds."""
    url = chaos.local.paper_url + "/paper/faults"
    rule, seconds = draw.choice(_STATES), draw.choice([2.0, 8.0, 20.0])
    try:
        reply = await chaos.http.post(url, json=rule)
    except httpx.HTTPError:
        return "exchange away"
    await asyncio.sleep(seconds)
    number = reply.json().get("id")
    await chaos.persistently(lambda: chaos.http.request("DELETE", url, params={"id": number}))
    return f"{rule} for {seconds:g} s"


async def _told(chaos: ChaosSet, rules: list[Rule]) -> str:
    try:
        reply = await chaos.http.post(chaos.local.paper_url + "/paper/faults", json=rules)
    except httpx.HTTPError:
        return "exchange away"
    refused = "" if reply.is_success else f": refused, {reply.text[:200]}"
    return f"{rules}{refused}"
