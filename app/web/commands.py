"""Commands of operators: accepted when they are durable on their topic, carried out by the symbol's worker."""

from __future__ import annotations

import logging
import re
import uuid
from functools import partial
from typing import Annotated
from urllib.parse import quote

import msgspec
from aiohttp import web

from app.web.errors import ApiError, bad_parameter, not_found
from app.web.guard import caller
from app.web.orders import only_one
from app.web.parameters import MAX_WAIT_S, Parameters, check_id, check_symbol, read_body, trace_of_request
from app.web.questions import OneCommand, OneOrder
from app.web.replies import json_reply
from app.web.scatter import Gathered
from app.web.view import ApiView, acknowledged, nothing_found
from domain.commands import EVERY_SYMBOL, Action, Command
from domain.ids import trace_id
from tables.signals import COMMAND_ID_CONFLICT, CommandRow

log = logging.getLogger(__name__)

MAX_REASON = 500
_FIGURE = re.compile(r"\d+")

Reason = Annotated[str, msgspec.Meta(max_length=MAX_REASON)]


class CommandBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `POST /commands` takes: one of `order_id` (ours or the venue's) and `symbol` (its open orders; `*`: those of
    every symbol)."""

    action: Action
    order_id: str = ""
    symbol: str = ""
    reason: Reason = ""
    command_id: str = ""

    def __post_init__(self) -> None:
        if self.action is Action.PROTECT:
            raise ValueError("action: protect is a timer's wish; switch AUTO_STOP_LOSS on instead")


class _Where(msgspec.Struct, frozen=True):
    symbol: str


class _OrderName(msgspec.Struct, frozen=True):
    order_id: str
    instrument: _Where


class CommandsView(ApiView):
    """`POST /commands`: 202 when the command is durable; its result is at `GET /commands/{id}`. The same
    `command_id` again does nothing more; for something else it is refused (409), here or by the symbol's worker."""

    path = "/commands"

    async def post(self, request: web.Request) -> web.Response:
        """Publish a command."""
        Parameters(request, ())
        body = await read_body(request, CommandBody)
        order_id, symbol = await self._target(request, body)
        context, key = self.context(request), caller(request)
        publish_everywhere = context.publish_everywhere if symbol == EVERY_SYMBOL else None
        command_id = check_id("command_id", body.command_id) if body.command_id else f"web-{uuid.uuid4().hex}"
        command = Command(
            command_id=command_id,
            action=body.action,
            symbol=symbol,
            order_id=order_id,
            reason=_printable("reason", body.reason),
            requested_by=f"web:{key.name}",
            at_ns=context.now_ns(),
            trace_id=trace_of_request(request) or trace_id(f"command {command_id}"),
        )
        if body.command_id:
            await self._refuse_conflict(request, command)
        publishing = publish_everywhere(command) if publish_everywhere else context.publish_command(command)
        await acknowledged(request, publishing, f"command {command.command_id}")
        log.info(
            "command accepted: %s of %s",
            command.action,
            order_id or symbol,
            extra={"command_id": command.command_id, "requested_by": key.name, "trace_id": command.trace_id},
        )
        where = f"{self.path}/{command.command_id}" + ("" if publish_everywhere else f"?symbol={quote(symbol)}")
        accepted = {"command_id": command.command_id, "symbol": symbol, "order_id": order_id, "result_at": where}
        return json_reply(accepted, status=202, headers={"Location": where})

    async def _refuse_conflict(self, request: web.Request, command: Command) -> None:
        """One that is still at work is not known here: the worker finds that."""
        symbol = "" if command.symbol == EVERY_SYMBOL else command.symbol
        question = OneCommand(command_id=command.command_id, symbol=symbol)
        for row in _rows(await self.scatter(request).gather(question)):
            if conflict := row.conflict_with(command):
                raise ApiError(409, COMMAND_ID_CONFLICT, conflict, {"command_id": command.command_id})

    async def _target(self, request: web.Request, body: CommandBody) -> tuple[str, str]:
        """(our order id or empty, symbol): a command is keyed by the symbol, so a named order is looked up first."""
        if bool(body.order_id) == bool(body.symbol):
            raise bad_parameter("order_id", "exactly one of order_id and symbol must be given")
        if body.symbol == EVERY_SYMBOL and self.context(request).publish_everywhere is not None:
            return "", EVERY_SYMBOL
        if body.symbol:
            return "", check_symbol("symbol", body.symbol)
        question = OneOrder(any_id=check_id("order_id", body.order_id), detail=False)
        found = only_one(await self.scatter(request).gather(question), body.order_id)
        order = msgspec.json.decode(found, type=_OrderName)
        return order.order_id, order.instrument.symbol


class CommandView(ApiView):
    """`GET /commands/{id}`: the result, listed when the command is done. `wait_s` (0 to 10) waits for it; `symbol`, if
    given, spares asking every worker."""

    path = "/commands/{command_id}"

    async def get(self, request: web.Request, command_id: str) -> web.Response:
        """What came of the command."""
        parameters = Parameters(request, ("wait_s", "symbol"))
        wait_s = parameters.whole("wait_s", default=0, low=0, high=MAX_WAIT_S)
        question = OneCommand(command_id=check_id("command_id", command_id), symbol=parameters.symbol())
        gathered = await self.gather_until(request, question, wait_s, partial(self._is_found, request))
        if not gathered.items:
            raise nothing_found(gathered, lambda: _not_done(command_id))
        rows = _rows(gathered)
        if rows[0].symbol != EVERY_SYMBOL:
            return json_reply(rows[0])
        return json_reply(_summary(rows, self.context(request).settings.partitions))

    def _is_found(self, request: web.Request, gathered: Gathered) -> bool:
        """Everywhere, if it is for every symbol."""
        rows = _rows(gathered)
        everywhere = bool(rows) and rows[0].symbol == EVERY_SYMBOL
        return len(rows) >= (self.context(request).settings.partitions if everywhere else 1)


def _rows(gathered: Gathered) -> list[CommandRow]:
    return [msgspec.json.decode(item.body, type=CommandRow) for item in gathered.items]


def _summary(rows: list[CommandRow], partitions: int) -> dict[str, object]:
    """What came of a command for every symbol: each partition passes a cancel on to the symbols that have open orders,
    under the id `<command id>:<symbol>`; a sync is done for the whole partition, and its figures add up."""
    details = {name: said for row in rows for name, said in row.details.items()}
    if rows[0].action == Action.SYNC:
        sentence = f"{len(rows)} of {partitions} partitions: " + _added_up([row.sentence for row in rows])
    else:
        sentence = f"{len(rows)} of {partitions} partitions have passed it on to {len(details)} symbols"
    whole = len(rows) == partitions
    return {
        "command_id": rows[0].command_id,
        "symbol": EVERY_SYMBOL,
        "action": rows[0].action,
        "done": whole and all(row.done for row in rows),
        "ok": whole and all(row.ok for row in rows),
        "code": next((row.code for row in rows if row.code), "" if whole else "PARTITIONS_MISSING"),
        "sentence": sentence,
        "details": details,
        "at_ns": max(row.at_ns for row in rows),
    }


def _added_up(sentences: list[str]) -> str:
    """The sentences of partitions that say the same with other figures, with the sums of these. Others as they are."""
    figures = [[int(figure) for figure in _FIGURE.findall(sentence)] for sentence in sentences]
    shapes = {_FIGURE.sub("#", sentence) for sentence in sentences}
    if len(shapes) != 1:
        return "; ".join(sorted(set(sentences)))
    sums = iter(sum(column) for column in zip(*figures, strict=True))
    return _FIGURE.sub(lambda _match: str(next(sums)), sentences[0])


def _not_done(command_id: str) -> ApiError:
    error = not_found("command", command_id)
    return ApiError(error.status, error.code, f"{error.message} is done: unknown, or still at work", error.details)


def _printable(name: str, text: str) -> str:
    if not text.isprintable():
        raise bad_parameter(name, "has characters that cannot be printed")
    return text
