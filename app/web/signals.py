"""Signals: recent ones, and what became of one."""

from __future__ import annotations

from aiohttp import web

from app.web.errors import not_found
from app.web.orders import check_range
from app.web.parameters import Parameters, check_id
from app.web.questions import OneSignal, Signals
from app.web.replies import json_reply
from app.web.view import ApiView, list_reply, nothing_found
from tables.filters import SignalFilter
from tables.signals import SignalResult

_PARAMETERS = (
    *("signal_id", "symbol", "result", "strategy_id"),
    *("planned_from", "planned_to", "order", "limit", "cursor"),
)
_RESULTS = tuple(result.value for result in SignalResult if result)


class SignalsView(ApiView):
    """`GET /signals`: by time of planning, newest first unless `order=asc`. With `signal_id` (any text that an id may
    be), the signals of that id."""

    path = "/signals"

    async def get(self, request: web.Request) -> web.Response:
        """A page of signals."""
        parameters = Parameters(request, _PARAMETERS)
        if signal_id := parameters.text("signal_id"):
            return await _signals_of(self, request, signal_id)
        from_ns, to_ns = parameters.time_ns("planned_from") or 0, parameters.time_ns("planned_to")
        check_range("planned_from", from_ns, to_ns)
        listing = Signals(
            wanted=SignalFilter(
                symbol=parameters.symbol(),
                result=parameters.choice("result", _RESULTS),
                strategy_id=parameters.text("strategy_id"),
                from_ns=from_ns,
                to_ns=to_ns,
            ),
            limit=parameters.limit(),
            descending=parameters.choice("order", ("asc", "desc")) != "asc",
        )
        return await list_reply(request, parameters.going_on(listing))


class SignalView(ApiView):
    """`GET /signals/{id}`: the signal with its plans and orders, for each symbol that had this id."""

    path = "/signals/{signal_id}"

    async def get(self, request: web.Request, signal_id: str) -> web.Response:
        """The signals of this id."""
        Parameters(request, ())
        return await _signals_of(self, request, check_id("signal_id", signal_id))


async def _signals_of(view: ApiView, request: web.Request, signal_id: str) -> web.Response:
    gathered = await view.scatter(request).gather(OneSignal(signal_id=signal_id))
    if not gathered.items:
        raise nothing_found(gathered, lambda: not_found("signal", signal_id))
    return json_reply({"items": [item.body for item in gathered.items], **gathered.completeness()})
