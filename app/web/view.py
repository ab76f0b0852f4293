"""What the views share: the context of their application and the scatter over the workers."""

# Faust carries no types that mypy could follow:
# mypy: allow-subclassing-any
from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import ClassVar, TypeVar

from aiohttp import web
from faust.web import View

from app.web.context import CONTEXT, WebContext
from app.web.errors import ApiError
from app.web.parameters import cursor_after
from app.web.questions import Listing, Question
from app.web.replies import json_reply
from app.web.scatter import Gathered, Scatter, merged

log = logging.getLogger(__name__)

T = TypeVar("T")

_LOOK_EVERY_S = 0.1

SCATTER: web.AppKey[Scatter] = web.AppKey("scatter", Scatter)


class ApiView(View):
    """A view of ours. `path` is its route; keys are checked before it is reached."""

    path: ClassVar[str]

    def context(self, request: web.Request) -> WebContext:
        """What the application was given."""
        return request.app[CONTEXT]

    def scatter(self, request: web.Request) -> Scatter:
        """The way to all workers' tables."""
        return request.app[SCATTER]

    async def gather_until(
        self, request: web.Request, question: Question, wait_s: int, enough: Callable[[Gathered], bool]
    ) -> Gathered:
        """All workers' answers, asked for again until they are enough or `wait_s` seconds have passed."""
        clock = asyncio.get_running_loop().time
        deadline_s = clock() + wait_s
        while True:
            gathered = await self.scatter(request).gather(question)
            if clock() >= deadline_s or enough(gathered):
                return gathered
            await asyncio.sleep(_LOOK_EVERY_S)


async def list_reply(request: web.Request, listing: Listing) -> web.Response:
    """The page that `listing` asks for. `scan_limited` says that the bound on rows looked at ended it early: the
    cursor goes on from there."""
    gathered = await request.app[SCATTER].gather(listing)
    items, resume = merged(gathered.answers, listing.limit, descending=listing.descending)
    return json_reply(
        {
            "items": [item.body for item in items],
            "cursor": None if resume is None else cursor_after(listing.same_list(), resume),
            "scan_limited": any(each.cut_short for each in gathered.answers),
            "scanned": sum(each.scanned for each in gathered.answers),
            **gathered.completeness(),
        }
    )


async def acknowledged(request: web.Request, publishing: Awaitable[T], name: str) -> T:
    """Wait until a record is durable; returns what publishing does. Raises `ApiError` (503) when nobody knows whether
    it will be: a producer keeps trying what it was given."""
    try:
        async with asyncio.timeout(request.app[CONTEXT].settings.publish_timeout_s):
            return await publishing
    except (TimeoutError, OSError) as error:
        log.warning("no acknowledgement of %s: %r", name, error)
        sentence = f"{name} is not acknowledged by the broker; it may still take effect: look before asking again"
        raise ApiError(503, "NOT_ACKNOWLEDGED", sentence, {"name": name}) from None


def nothing_found(gathered: Gathered, unknown: Callable[[], ApiError]) -> ApiError:
    """404 where everybody answered; 503 where a partition is missing, as the thing may be there."""
    if not gathered.missing:
        return unknown()
    sentence = "not found in the partitions that answered, and some did not"
    return ApiError(503, "PARTITIONS_MISSING", sentence, gathered.completeness(), {"Retry-After": "2"})
