"""Health and metrics: open to whoever can reach the port, so nothing is told that helps a stranger."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from app.web.context import Check
from app.web.replies import json_reply
from app.web.view import ApiView

GATEWAY_LIMIT_S = 15.0
"""A venue gateway says every second that it lives; without a word for this long its stream counts as down."""

_ENGINE_CHECKS = {
    "assigned": ("NOT_ASSIGNED", "CLOSED"),
    "recovered": ("RECOVERING",),
    "not_rebalancing": ("REBALANCING",),
    "broker": ("LEASE_LAPSED",),
}


class LiveView(ApiView):
    """`GET /health/live`: the process answers."""

    path = "/health/live"

    async def get(self, _request: web.Request) -> web.Response:
        """Always 200."""
        return json_reply({"live": True})


class ReadyView(ApiView):
    """`GET /health/ready`: 200 when every condition holds, else 503; each condition with its reason."""

    path = "/health/ready"

    async def get(self, request: web.Request) -> web.Response:
        """All conditions."""
        checks = self.context(request).checks()
        ready = not any(check.reason for check in checks)
        body = {
            "ready": ready,
            "checks": {check.name: {"ok": not check.reason, "reason": check.reason} for check in checks},
        }
        return json_reply(body, status=200 if ready else 503)


class MetricsView(ApiView):
    """`GET /metrics`: everything measured, as Prometheus reads it."""

    path = "/metrics"

    async def get(self, request: web.Request) -> web.Response:
        """The exposition."""
        return web.Response(body=self.context(request).metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def readiness(
    engine_ready: Callable[[], tuple[bool, list[str]]],
    gateway_ages_s: Callable[[], Iterable[tuple[str, float | None]]] = lambda: (),
    shut_symbols: Callable[[], list[tuple[int, str]]] = list,
    stream_gap: Callable[[], str] = str,
    knows_a_balance: Callable[[], bool] = lambda: True,
) -> Callable[[], list[Check]]:
    """The conditions of a worker: what the engine says (its reasons begin with a code), how long ago each venue's
    gateway was heard (None = never), the symbols that may not trade before their venue was asked, why none may
    while the account's stream has a gap, and whether it is known what the account has, without which nothing is
    bought."""

    def checks() -> list[Check]:
        ready, reasons = engine_ready()
        found = [
            Check(name, "; ".join(reason for reason in reasons if reason.startswith(codes)))
            for name, codes in _ENGINE_CHECKS.items()
        ]
        known = tuple(code for codes in _ENGINE_CHECKS.values() for code in codes)
        others = [reason for reason in reasons if not reason.startswith(known)]
        found.append(Check("engine", "; ".join(others) or ("" if ready or reasons else "NOT_READY: no reason given")))
        found += [Check(f"gateway_{venue}", _gateway_reason(age_s)) for venue, age_s in gateway_ages_s()]
        found.append(Check("symbols_checked", stream_gap() or _gates_reason(shut_symbols())))
        unknown = "BALANCE_UNKNOWN: what is available was not heard lately: nothing is bought"
        found.append(Check("balance", "" if knows_a_balance() else unknown))
        return found

    return checks


def _gateway_reason(age_s: float | None) -> str:
    if age_s is None:
        return "GATEWAY_SILENT: not heard of yet"
    return f"GATEWAY_SILENT: last heard {age_s:.1f} s ago" if age_s > GATEWAY_LIMIT_S else ""


def _gates_reason(shut: list[tuple[int, str]]) -> str:
    return f"SYMBOLS_SHUT: {len(shut)} wait until their venue was asked for unfinished orders" if shut else ""
