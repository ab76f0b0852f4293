"""Positions, with unrealised profit where a mark price is known."""

from __future__ import annotations

from aiohttp import web

from app.web.parameters import Parameters, check_symbol
from app.web.questions import Ledger, Positions
from app.web.view import ApiView, list_reply
from tables.queries import PositionFilter

_PARAMETERS = ("venue", "open", "limit", "cursor")


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
    newest first unless `order=asc`."""

    path = "/positions/{symbol}/history"

    async def get(self, request: web.Request, symbol: str) -> web.Response:
        """A page of fills."""
        parameters = Parameters(request, ("order", "limit", "cursor"))
        listing = Ledger(
            symbol=check_symbol("symbol", symbol),
            limit=parameters.limit(),
            descending=parameters.choice("order", ("asc", "desc")) != "asc",
        )
        return await list_reply(request, parameters.going_on(listing))


async def _reply(request: web.Request, parameters: Parameters, symbol: str) -> web.Response:
    wanted = PositionFilter(symbol=symbol, venue=parameters.place("venue"), open_only=parameters.flag("open"))
    listing = Positions(wanted=wanted, limit=parameters.limit(), descending=False)
    return await list_reply(request, parameters.going_on(listing))
