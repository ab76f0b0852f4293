"""Alerts: what people should know, folded; acknowledged and resolved by them (requirement A01)."""

from __future__ import annotations

import logging
import re
from typing import Annotated

import msgspec
from aiohttp import web

from app.web.errors import bad_parameter, not_found
from app.web.guard import caller
from app.web.parameters import Parameters, read_body
from app.web.replies import json_reply
from app.web.view import ApiView, acknowledged
from streams.alert_board import AlertAction, AlertState

log = logging.getLogger(__name__)

_ID = re.compile(r"[A-Z0-9_]{1,80}(@[A-Z0-9][A-Z0-9._-]{0,39})?")


class AlertBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `POST /alerts/{id}` takes. `reason` is kept with the alert."""

    state: AlertState
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class AlertsView(ApiView):
    """`GET /alerts`: newest occurrence first; `state`, `code`, `symbol` choose. Without `state`: those not resolved."""

    path = "/alerts"

    async def get(self, request: web.Request) -> web.Response:
        """The alerts."""
        parameters = Parameters(request, ("state", "code", "symbol"))
        states = (*(state.value for state in AlertState), "all")
        wanted = parameters.choice("state", states)
        code, symbol = parameters.text("code"), parameters.symbol()
        items = [
            alert
            for alert in self.context(request).alerts()
            if (wanted in {"all", alert.state} or (not wanted and alert.state is not AlertState.RESOLVED))
            and code in {"", alert.code}
            and symbol in {"", alert.symbol}
        ]
        return json_reply({"items": items})


class AlertView(ApiView):
    """`POST /alerts/{id}`: acknowledge, resolve or open one; 200 when that is durable and shown here."""

    path = "/alerts/{alert}"

    async def post(self, request: web.Request, alert: str) -> web.Response:
        """Say something of an alert."""
        Parameters(request, ())
        if not _ID.fullmatch(alert):
            raise bad_parameter("alert", "is not CODE or CODE@SYMBOL")
        body = await read_body(request, AlertBody)
        if not (body.reason.isprintable() or not body.reason):
            raise bad_parameter("reason", "has characters that cannot be printed")
        context = self.context(request)
        if not any(known.alert == alert for known in context.alerts()):
            raise not_found("alert", alert)
        by = f"web:{caller(request).name}"
        action = AlertAction(alert=alert, state=body.state, by=by, reason=body.reason, at_ns=context.now_ns())
        await acknowledged(request, context.act_on_alert(action), f"{action.state} of {alert}")
        log.info("alert %s is %s: %s", alert, action.state, action.reason, extra={"set_by": by})
        return json_reply(next(known for known in context.alerts() if known.alert == alert))
