"""Trading states: armed, reduce-only, halted, for all, a venue or a symbol (requirement R05)."""

from __future__ import annotations

import logging
import re
from typing import Annotated

import msgspec
from aiohttp import web

from app.web.context import WebContext
from app.web.errors import bad_parameter
from app.web.guard import caller
from app.web.parameters import Parameters, read_body
from app.web.replies import json_reply
from app.web.view import ApiView, acknowledged
from domain.plans import TradingState
from streams.boards import EVERYWHERE, Control

log = logging.getLogger(__name__)

_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,39}")


class ControlBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `POST /controls` takes. `scope`: `all`, a venue's name, or a symbol in upper case."""

    scope: str
    state: TradingState
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


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
        control = Control(
            scope=_checked_scope(context, body.scope),
            state=body.state,
            reason=body.reason,
            set_by=f"web:{caller(request).name}",
            at_ns=context.now_ns(),
        )
        await acknowledged(request, context.set_control(control), f"{control.state} for {control.scope}")
        log.warning(
            "trading is %s for %s: %s", control.state, control.scope, control.reason, extra={"set_by": control.set_by}
        )
        return json_reply(control)


def _checked_scope(context: WebContext, scope: str) -> str:
    """`scope`, if it names something: a halt of a misspelt venue would stop nothing and look as if it did."""
    venues = sorted(context.settings.venues)
    if scope == EVERYWHERE or scope in venues or _SYMBOL.fullmatch(scope):
        return scope
    names = ", ".join((EVERYWHERE, *venues))
    raise bad_parameter("scope", f"{scope[:80]!r} is not one of {names}, nor a symbol in upper case", venues=venues)
