"""What the dry run would have sent (requirement X10)."""

from __future__ import annotations

from aiohttp import web

from app.web.orders import check_range
from app.web.parameters import Parameters
from app.web.questions import DryRun
from app.web.replies import json_reply
from app.web.view import ApiView
from domain.money import ZERO


class DryRunView(ApiView):
    """`GET /dry-run`: orders that ended as `dry_run`, by symbol, side and type: how many, quantity, notional; and their
    sum. `symbol`, `created_from` and `created_to` narrow it down. `scan_limited` says that there are more than were
    looked at: ask for a shorter time. `dry_run` says whether this worker is in one now."""

    path = "/dry-run"

    async def get(self, request: web.Request) -> web.Response:
        """The sums."""
        parameters = Parameters(request, ("symbol", "created_from", "created_to"))
        from_ns, to_ns = parameters.time_ns("created_from") or 0, parameters.time_ns("created_to")
        check_range("created_from", from_ns, to_ns)
        question = DryRun(symbol=parameters.symbol(), from_ns=from_ns, to_ns=to_ns)
        gathered = await self.scatter(request).gather(question)
        rows = sorted(
            (row for each in gathered.answers for row in each.rehearsed),
            key=lambda row: (row.symbol, row.side, row.order_type),
        )
        return json_reply(
            {
                "dry_run": self.context(request).settings.dry_run,
                "items": rows,
                "orders": sum(row.orders for row in rows),
                "notional": sum((row.notional for row in rows), ZERO),
                "scan_limited": any(each.cut_short for each in gathered.answers),
                **gathered.completeness(),
            }
        )
