"""Signals: handing them in, recent ones, and everything of one."""

from __future__ import annotations

import logging
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from app.web.errors import ApiError, not_found
from app.web.guard import caller
from app.web.orders import check_range
from app.web.parameters import (
    MAX_WAIT_S,
    Parameters,
    can_stand_in_a_path,
    check_id,
    read_raw_body,
    trace_of_request,
)
from app.web.questions import Item, OneSignal, Signals
from app.web.replies import json_reply
from app.web.scatter import Gathered
from app.web.view import ApiView, acknowledged, list_reply, nothing_found
from domain.errors import InvalidInput
from domain.signals import Signal
from streams.record import Source
from streams.signal_door import SignalDoor, trace_of
from tables.filters import SignalFilter
from tables.signals import SignalResult, SignalState

log = logging.getLogger(__name__)

_PARAMETERS = (
    *("signal_id", "symbol", "result", "strategy_id"),
    *("planned_from", "planned_to", "order", "limit", "cursor"),
)
_RESULTS = tuple(result.value for result in SignalResult if result)


class _Repeat(msgspec.Struct, frozen=True):
    source: str
    verdict: str


class _Told(msgspec.Struct, frozen=True):
    """What a signal's answer tells of its end."""

    source: str
    state: SignalState
    result: str | None
    repeats: tuple[_Repeat, ...]


class SignalsView(ApiView):
    """`GET /signals`: by time of planning, newest first unless `order=asc`. With `signal_id` (any text that an id may
    be), the signals of that id.

    `POST /signals`: a signal, as its record's value. 202 when it is durable on its topic. With `wait_s` (0 to 10), 200
    with its outcome if it has one by then. The same id again is a duplicate, or, after a failure, a new attempt.
    """

    path = "/signals"

    async def get(self, request: web.Request) -> web.Response:
        """A page of signals."""
        parameters = Parameters(request, _PARAMETERS)
        if signal_id := parameters.text("signal_id"):
            return _signals_reply(await self.scatter(request).gather(OneSignal(signal_id=signal_id)), signal_id)
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

    async def post(self, request: web.Request) -> web.Response:
        """Publish a signal, and wait for its outcome if that is wanted."""
        wait_s = Parameters(request, ("wait_s",)).whole("wait_s", default=0, low=0, high=MAX_WAIT_S)
        door = self.context(request).signal_door
        if door is None:
            raise ApiError(501, "NOT_HERE", "this process takes no signals")
        value, trace = await read_raw_body(request), trace_of_request(request)
        signal = read_signal(door, value)
        source = await acknowledged(request, door.publish(signal, value, trace), f"signal {signal.signal_id}")
        log.info(
            "signal handed in: %s %s of %s",
            signal.signal_type,
            signal.symbol,
            signal.signal_id,
            extra={"requested_by": caller(request).name, "trace_id": trace_of(signal, trace, source)},
        )
        question = OneSignal(signal_id=signal.signal_id, symbol=signal.symbol)
        told = await self._told(request, question, source, wait_s) if wait_s else None
        where = _where(signal, source)
        reply = {
            "signal_id": signal.signal_id,
            "symbol": signal.symbol,
            "source": str(source),
            "trace_id": trace_of(signal, trace, source),
            "outcome": None if told is None else told[0],
            "signal": None if told is None else told[1].body,
            "result_at": where,
        }
        return json_reply(reply, status=202 if told is None else 200, headers={"Location": where})

    async def _told(
        self, request: web.Request, question: OneSignal, source: Source, wait_s: int
    ) -> tuple[str, Item] | None:
        gathered = await self.gather_until(
            request, question, wait_s, lambda found: _told_of(found, str(source)) is not None
        )
        return _told_of(gathered, str(source))


class SignalView(ApiView):
    """`GET /signals/{id}`: the signal with its plans and orders, for each symbol that had this id. `wait_s` (0 to 10)
    waits until it has ended; `source` (what `POST /signals` replied) says by which of its records; `symbol` spares
    asking every worker."""

    path = "/signals/{signal_id}"

    async def get(self, request: web.Request, signal_id: str) -> web.Response:
        """The signals of this id."""
        parameters = Parameters(request, ("wait_s", "source", "symbol"))
        wait_s = parameters.whole("wait_s", default=0, low=0, high=MAX_WAIT_S)
        question = OneSignal(signal_id=check_id("signal_id", signal_id), symbol=parameters.symbol())
        source = parameters.text("source")
        gathered = await self.gather_until(request, question, wait_s, lambda found: _told_of(found, source) is not None)
        return _signals_reply(gathered, signal_id, source)


def read_signal(door: SignalDoor, value: bytes) -> Signal:
    """The signal of a request's body, by the topic's own rules. Raises `ApiError` (400) with every reason."""
    try:
        return door.read(value)
    except InvalidInput as error:
        raise ApiError(400, error.code, error.sentence, {"reasons": error.reasons}) from None


def _told_of(gathered: Gathered, source: str) -> tuple[str, Item] | None:
    """(outcome, signal) if the record at `source` (empty: whichever began the signal) has come to its end."""
    outcomes = ((_outcome(item, source), item) for item in gathered.items)
    return next(((outcome, item) for outcome, item in outcomes if outcome), None)


def _outcome(item: Item, source: str) -> str:
    """How the signal ended by this record, or what the record was: `duplicate`, `conflict`, or `retry` for one whose
    attempt failed and was followed by another. Empty while there is none."""
    told = msgspec.json.decode(item.body, type=_Told)
    if source in {"", told.source}:
        return told.result or "" if told.state is SignalState.DONE else ""
    return next((repeat.verdict for repeat in told.repeats if repeat.source == source), "")


def _signals_reply(gathered: Gathered, signal_id: str, source: str = "") -> web.Response:
    if not gathered.items:
        raise nothing_found(gathered, lambda: not_found("signal", signal_id))
    body = {"items": [item.body for item in gathered.items], **gathered.completeness()}
    if source:
        told = _told_of(gathered, source)
        body["outcome"] = None if told is None else told[0]
    return json_reply(body)


def _where(signal: Signal, source: Source) -> str:
    if can_stand_in_a_path(signal.signal_id):
        return f"/signals/{signal.signal_id}?" + urlencode({"symbol": signal.symbol, "source": str(source)})
    return "/signals?" + urlencode({"signal_id": signal.signal_id})
