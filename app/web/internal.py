"""What workers ask each other. The guard lets in whoever shows the workers' own key."""

from __future__ import annotations

import msgspec
from aiohttp import web

from app.web.parameters import read_body
from app.web.questions import Ask, answer
from app.web.scatter import ASK_PATH
from app.web.view import ApiView


class AskView(ApiView):
    """`POST /internal/ask`: an answer for those of the partitions asked for that this worker has."""

    path = ASK_PATH

    async def post(self, request: web.Request) -> web.Response:
        """Answer another worker."""
        ask = await read_body(request, Ask)
        body = msgspec.json.encode(await answer(self.context(request), ask))
        return web.Response(body=body, content_type="application/json")
