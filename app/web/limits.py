"""Limits: what is in force, what was changed while running and by whom, and changing them (requirement R03)."""

from __future__ import annotations

import logging
import re
from typing import Annotated

import msgspec
from aiohttp import web

from app.web.errors import ApiError, bad_parameter
from app.web.guard import caller
from app.web.parameters import Parameters, read_body
from app.web.replies import json_reply
from app.web.view import ApiView, acknowledged
from domain.errors import InvalidInput
from domain.limits import Limits, read_limits
from domain.money import plain
from streams.boards import EVERYWHERE
from streams.limits_board import LimitChange

log = logging.getLogger(__name__)

_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,39}")


class LimitsBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `POST /limits` takes. `scope`: `all`, or a symbol in upper case; `limits` by name, null lifts one. A JSON
    number is read through its shortest text, which is what its writer saw."""

    scope: str
    limits: dict[str, str | int | float | None]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class LimitsView(ApiView):
    """`GET /limits` (`?symbol=`): those in force, and every scope's changes. `POST /limits` changes some: 200 when the
    change is durable and in force here."""

    path = "/limits"

    async def get(self, request: web.Request) -> web.Response:
        """The limits in force."""
        parameters = Parameters(request, ("symbol",))
        board = self.context(request).limits
        symbol = parameters.symbol()
        in_force = board.of(symbol) if symbol else board.everywhere()
        return json_reply({"symbol": symbol, "limits": _shown(in_force), "scopes": board.scopes()})

    async def post(self, request: web.Request) -> web.Response:
        """Change limits."""
        Parameters(request, ())
        body = await read_body(request, LimitsBody)
        if body.scope != EVERYWHERE and not _SYMBOL.fullmatch(body.scope):
            raise bad_parameter("scope", f"{body.scope[:80]!r} is neither {EVERYWHERE} nor a symbol in upper case")
        if not body.reason.isprintable() or not body.reason.strip():
            raise bad_parameter("reason", "must say why, in characters that can be printed")
        try:
            read = read_limits(body.limits)
        except InvalidInput as error:
            raise ApiError(400, error.code, error.sentence, {"reasons": error.reasons}) from None
        context = self.context(request)
        change = LimitChange(
            limits={name: None if figure is None else _text(figure) for name, figure in read.items()},
            reason=body.reason,
            set_by=f"web:{caller(request).name}",
            at_ns=context.now_ns(),
        )
        record = context.limits.changed(body.scope, change)
        await acknowledged(request, context.set_limits(record), f"limits of {body.scope}")
        log.warning(
            "limits of %s changed: %s: %s",
            body.scope,
            ", ".join(f"{name} = {text}" for name, text in change.limits.items()),
            change.reason,
            extra={"set_by": change.set_by},
        )
        return json_reply(record)


class ExposureView(ApiView):
    """`GET /exposure`: what each symbol adds to the account's load, and the sum."""

    path = "/exposure"

    async def get(self, request: web.Request) -> web.Response:
        """The account's load."""
        Parameters(request, ())
        board = self.context(request).exposure
        if board is None:
            raise ApiError(501, "NOT_HERE", "this process does not know the account's load")
        return json_reply({"account": board.load(None), "symbols": board.records(), "peak": board.peak})


def _text(figure: object) -> str:
    return str(figure) if isinstance(figure, int) else plain(figure)  # type: ignore[arg-type]  # else a Decimal


def _shown(limits: Limits) -> dict[str, object]:
    return msgspec.structs.asdict(limits)
