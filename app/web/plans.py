"""What would be decided about a signal (requirement D13)."""

from __future__ import annotations

from aiohttp import web

from app.web.errors import ApiError
from app.web.parameters import Parameters, read_raw_body
from app.web.rendering import plan_json
from app.web.replies import json_reply
from app.web.signals import read_signal
from app.web.view import ApiView
from domain.errors import VenueError


class PlanView(ApiView):
    """`POST /plan`: a signal, as its record's value; replies with the plan and each gate's verdict. Nothing is done.

    Only the symbol's own worker can tell, as it has the state: another one redirects to it (307).
    """

    path = "/plan"

    async def post(self, request: web.Request) -> web.Response:
        """Plan and forget."""
        Parameters(request, ())
        context = self.context(request)
        explainer, door = context.explainer, context.signal_door
        if explainer is None or door is None:
            raise ApiError(501, "NOT_HERE", "this process does not plan")
        signal = read_signal(door, await read_raw_body(request))
        partition = context.partition_of(signal.symbol)
        if partition not in context.orders.partitions():
            return self._elsewhere(request, partition)
        try:
            plan = await explainer.explain(partition, signal)
        except VenueError as error:
            raise ApiError(503, error.code, f"the venue could not be asked: {error.sentence}") from None
        return json_reply({"signal_id": signal.signal_id, "symbol": signal.symbol, **plan_json(plan)})

    def _elsewhere(self, request: web.Request, partition: int) -> web.Response:
        for url, partitions in self.context(request).peers().items():
            if partition in partitions:
                raise web.HTTPTemporaryRedirect(url + self.path)
        raise ApiError(503, "PARTITIONS_MISSING", f"no worker has partition {partition} now", {}, {"Retry-After": "2"})
