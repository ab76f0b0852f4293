"""Orders: lists, single ones with all that explains them, their history."""

from __future__ import annotations

import msgspec
from aiohttp import web

from app.web.errors import ApiError, bad_parameter, not_found
from app.web.parameters import DEFAULT_LIMIT, MAX_LIMIT, Parameters, check_id
from app.web.questions import History, OneOrder, Orders
from app.web.replies import json_reply
from app.web.scatter import Gathered
from app.web.view import ApiView, list_reply, nothing_found
from domain.instruments import CATEGORIES
from domain.orders import STATUSES, OrderState, Side
from tables.filters import OrderFilter

_PARAMETERS = (
    *("symbol", "status", "state", "side", "signal_id", "venue", "category", "strategy_id"),
    *("created_from", "created_to", "sort", "order", "limit", "cursor"),
)


class OrdersView(ApiView):
    """`GET /orders`: filtered, by time of creation, newest first unless `order=asc`."""

    path = "/orders"

    async def get(self, request: web.Request) -> web.Response:
        """A page of orders."""
        parameters = Parameters(request, _PARAMETERS)
        parameters.choice("sort", ("created",))
        from_ns, to_ns = parameters.time_ns("created_from") or 0, parameters.time_ns("created_to")
        check_range("created_from", from_ns, to_ns)
        listing = Orders(
            wanted=OrderFilter(
                symbol=parameters.symbol(),
                status=parameters.choice("status", STATUSES, {"canceled": "cancelled"}),
                state=parameters.enum("state", OrderState),
                side=parameters.enum("side", Side),
                signal_id=parameters.text("signal_id"),
                venue=parameters.place("venue"),
                category=parameters.choice("category", CATEGORIES),
                strategy_id=parameters.text("strategy_id"),
                from_ns=from_ns,
                to_ns=to_ns,
            ),
            limit=parameters.limit(),
            descending=parameters.choice("order", ("asc", "desc")) != "asc",
        )
        return await list_reply(request, parameters.going_on(listing))


class OrderView(ApiView):
    """`GET /orders/{id}`: by our id or the venue's, with history, fills, signal, plan and position."""

    path = "/orders/{order_id}"

    async def get(self, request: web.Request, order_id: str) -> web.Response:
        """The order and what explains it."""
        Parameters(request, ())
        gathered = await self.scatter(request).gather(OneOrder(any_id=check_id("order_id", order_id)))
        return json_reply(only_one(gathered, order_id))


class ExplainView(OrderView):
    """`GET /orders/{id}/explain`: the same; its `story` goes from the signal over the gates to the last step."""

    path = "/orders/{order_id}/explain"


class HistoryView(ApiView):
    """`GET /orders/{id}/history`: the order's transitions, oldest first, above the sequence `after`."""

    path = "/orders/{order_id}/history"

    async def get(self, request: web.Request, order_id: str) -> web.Response:
        """A page of transitions."""
        parameters = Parameters(request, ("limit", "after"))
        question = History(
            any_id=check_id("order_id", order_id),
            limit=parameters.whole("limit", default=DEFAULT_LIMIT, low=1, high=MAX_LIMIT),
            after=parameters.whole("after", default=0, low=0, high=10**10 - 1),
        )
        gathered = await self.scatter(request).gather(question)
        return json_reply(only_one(gathered, order_id))


def only_one(gathered: Gathered, order_id: str) -> msgspec.Raw:
    """The one order that was found. Raises `ApiError`: none (404), perhaps one (503), several (409)."""
    items = gathered.items
    if not items:
        raise nothing_found(gathered, lambda: not_found("order", order_id))
    if len(items) > 1:
        sentence = f"{len(items)} orders have the venue id {order_id}: ask by our ids"
        raise ApiError(409, "AMBIGUOUS_ID", sentence, {"order_id": order_id, "orders": len(items)})
    return items[0].body


def check_range(name: str, from_ns: int, to_ns: int | None) -> None:
    """Raise `ApiError` (400) for a range of time that holds nothing."""
    if to_ns is not None and from_ns >= to_ns:
        raise bad_parameter(name, "is not before the end of the range", from_ns=from_ns, to_ns=to_ns)
