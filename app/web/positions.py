"""Positions, with unrealised profit where a mark price is known."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web
from aiokafka.errors import KafkaError

from app.web.errors import ApiError, bad_parameter
from app.web.parameters import Parameters, check_symbol, cursor_after
from app.web.questions import Ledger, Positions, Snapshots
from app.web.replies import json_reply
from app.web.view import ApiView, list_reply
from domain.instruments import CATEGORIES
from tables.filters import PositionFilter

SNAPSHOTS_TIMEOUT_S = 10.0
_PARAMETERS = ("venue", "category", "open", "limit", "cursor")


class PositionsView(ApiView):
    """`GET /positions`: all, by venue, category, symbol, account and side. `open=true` leaves out the flat ones."""

    path = "/positions"

    async def get(self, request: web.Request) -> web.Response:
        """A page of positions."""
        parameters = Parameters(request, (*_PARAMETERS, "symbol"))
        return await _reply(request, parameters, parameters.symbol())


class SymbolPositionsView(ApiView):
    """`GET /positions/{symbol}`: every venue's, account's and side's of one symbol. None is an empty list: a symbol
    that was never traded is flat."""

    path = "/positions/{symbol}"

    async def get(self, request: web.Request, symbol: str) -> web.Response:
        """A page of positions."""
        return await _reply(request, Parameters(request, _PARAMETERS), check_symbol("symbol", symbol))


class PositionHistoryView(ApiView):
    """`GET /positions/{symbol}/history`: every fill with the position after it, in the venue's order of execution,
    newest first unless `order=asc`. `of=snapshots`: the position at regular moments instead, `from` and `to` (not
    included) naming a time."""

    path = "/positions/{symbol}/history"

    async def get(self, request: web.Request, symbol: str) -> web.Response:
        """A page of fills, or of snapshots."""
        parameters = Parameters(request, ("category", "of", "from", "to", "order", "limit", "cursor"))
        symbol, descending = check_symbol("symbol", symbol), parameters.choice("order", ("asc", "desc")) != "asc"
        if parameters.choice("of", ("fills", "snapshots")) == "snapshots":
            listing = Snapshots(
                symbol=symbol,
                category=parameters.choice("category", CATEGORIES),
                from_ns=parameters.time_ns("from"),
                to_ns=parameters.time_ns("to"),
                limit=parameters.limit(),
                descending=descending,
            )
            return await self._snapshots(request, parameters.going_on(listing))
        for name in ("from", "to"):
            if parameters.text(name):
                raise bad_parameter(name, "goes with of=snapshots")
        category = parameters.choice("category", CATEGORIES)
        fills = Ledger(symbol=symbol, category=category, limit=parameters.limit(), descending=descending)
        return await list_reply(request, parameters.going_on(fills))

    async def _snapshots(self, request: web.Request, wanted: Snapshots) -> web.Response:
        context = self.context(request)
        if context.snapshots is None:
            raise ApiError(501, "NO_SNAPSHOTS", "this worker does not read snapshots")
        try:
            async with asyncio.timeout(SNAPSHOTS_TIMEOUT_S):
                page = await context.snapshots.page(
                    context.partition_of(wanted.symbol),
                    wanted.symbol,
                    wanted.category,
                    limit=wanted.limit,
                    from_ns=wanted.from_ns,
                    to_ns=wanted.to_ns,
                    resume=None if wanted.after is None else int(wanted.after),
                    descending=wanted.descending,
                )
        except (TimeoutError, KafkaError):
            sentence = f"the topic of snapshots could not be read within {SNAPSHOTS_TIMEOUT_S:g} s"
            raise ApiError(503, "SNAPSHOTS_UNREADABLE", sentence, {}, {"Retry-After": "2"}) from None
        return json_reply(
            {
                "items": [msgspec.to_builtins(picture) for picture in page.found],
                "cursor": None if page.resume is None else cursor_after(wanted.same_list(), str(page.resume)),
                "scan_limited": page.resume is not None and len(page.found) < wanted.limit,
                "scanned": page.read,
                "partial": False,
                "missing_partitions": [],
            }
        )


async def _reply(request: web.Request, parameters: Parameters, symbol: str) -> web.Response:
    wanted = PositionFilter(
        symbol=symbol,
        venue=parameters.place("venue"),
        category=parameters.choice("category", CATEGORIES),
        open_only=parameters.flag("open"),
    )
    listing = Positions(wanted=wanted, limit=parameters.limit(), descending=False)
    return await list_reply(request, parameters.going_on(listing))
