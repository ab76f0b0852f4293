"""Trading states: armed, reduce-only, halted, for all, a venue or a symbol (requirement R05)."""

from __future__ import annotations

import logging
import re
import uuid
from typing import Annotated
from urllib.parse import quote

import msgspec
from aiohttp import web

from app.web.commands import MAX_REASON
from app.web.context import WebContext
from app.web.errors import bad_parameter
from app.web.guard import caller
from app.web.parameters import Parameters, read_body
from app.web.replies import json_reply
from app.web.view import ApiView, acknowledged
from domain.commands import EVERY_SYMBOL, Action, Command
from domain.ids import trace_id
from domain.plans import TradingState
from streams import boards
from streams.boards import EVERYWHERE, Control

log = logging.getLogger(__name__)

_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,39}")


class ControlBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `POST /controls` takes. `scope`: `all`, a venue's name, or a symbol in upper case. `cancel_open`: with a
    halt, cancel its open orders too."""

    scope: str
    state: TradingState
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    cancel_open: bool = False


class ControlAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The control in force, and where the result of cancelling can be asked for, if that was wished."""

    scope: str
    state: TradingState
    reason: str
    set_by: str
    at_ns: int
    cancel_result_at: str = ""


class ControlsView(ApiView):
    """`GET /controls`: the states in force. `POST /controls` changes one: 200 when the change is durable."""

    path = "/controls"

    async def get(self, request: web.Request) -> web.Response:
        """The states in force."""
        Parameters(request, ())
        return json_reply({"items": list(self.context(request).controls())})

    async def post(self, request: web.Request) -> web.Response:
        """Change a state."""
        Parameters(request, ())
        body = await read_body(request, ControlBody)
        context = self.context(request)
        if not body.reason.isprintable() or not body.reason.strip():
            raise bad_parameter("reason", "must say why, in characters that can be printed")
        if body.cancel_open and body.state is not TradingState.HALTED:
            raise bad_parameter("cancel_open", f"goes with halted only: orders that are {body.state} may go on")
        control = Control(
            scope=_checked_scope(context, body.scope),
            state=body.state,
            reason=body.reason,
            set_by=f"web:{caller(request).name}",
            at_ns=boards.after(context.controls(), body.scope, context.now_ns()),
        )
        await acknowledged(request, context.set_control(control), f"{control.state} for {control.scope}")
        log.warning(
            "trading is %s for %s: %s", control.state, control.scope, control.reason, extra={"set_by": control.set_by}
        )
        answer = ControlAnswer(
            scope=control.scope,
            state=control.state,
            reason=control.reason,
            set_by=control.set_by,
            at_ns=control.at_ns,
            cancel_result_at=await self._cancel_open(request, control) if body.cancel_open else "",
        )
        return json_reply(answer)

    async def _cancel_open(self, request: web.Request, control: Control) -> str:
        """The halt is in force when this begins: what is cancelled is not followed by anything new."""
        context = self.context(request)
        one_symbol = bool(_SYMBOL.fullmatch(control.scope))
        command_id = f"web-{uuid.uuid4().hex}"
        command = Command(
            command_id=command_id,
            action=Action.CANCEL,
            symbol=control.scope if one_symbol else EVERY_SYMBOL,
            order_id="",
            reason=f"halted: {control.reason}"[:MAX_REASON],
            requested_by=control.set_by,
            at_ns=control.at_ns,
            trace_id=trace_id(f"command {command_id}"),
        )
        publish = context.publish_command if one_symbol else context.publish_everywhere
        if publish is None:
            raise bad_parameter("cancel_open", "it is halted, but orders of every symbol cannot be cancelled here")
        await acknowledged(request, publish(command), f"command {command_id}")
        return f"/commands/{command_id}" + (f"?symbol={quote(control.scope)}" if one_symbol else "")


def _checked_scope(context: WebContext, scope: str) -> str:
    """`scope`, if it names something: a halt of a misspelt venue would stop nothing and look as if it did."""
    venues = sorted(context.settings.venues)
    if scope == EVERYWHERE or scope in venues or _SYMBOL.fullmatch(scope):
        return scope
    names = ", ".join((EVERYWHERE, *venues))
    raise bad_parameter("scope", f"{scope[:80]!r} is not one of {names}, nor a symbol in upper case", venues=venues)
