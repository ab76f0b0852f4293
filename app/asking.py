"""Asking a worker's web views from the command line: tables for people, JSON for programs."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import orjson
import typer
from rich.console import Console
from rich.table import Table

from app.settings import Settings, api_key
from domain.errors import OrderManagerError
from domain.money import plain

Row = Mapping[str, Any]  # Any: JSON

_PAGE = 500
LONGEST_WAIT_S = 10
"""The views hold a question no longer."""
AGAIN_S = 0.5


class NoAnswer(OrderManagerError):  # noqa: N818 -- the words name it well without a suffix
    """The worker could not be reached, or refused the question."""


class Asker:
    """A client of the web views. Raises `NoAnswer` with what the worker said."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.own_url
        self._http = httpx.Client(
            base_url=self._url, headers={"X-API-Key": api_key(settings)}, timeout=30.0, follow_redirects=True
        )
        self._missing: frozenset[int] = frozenset()
        weakref.finalize(self, self._http.close)

    def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Any:  # Any: JSON
        """One answer."""
        # Parameters, none of them too, would take the place of those in the path.
        return self._ask("GET", path, **({"params": dict(parameters)} if parameters else {}))

    def post(self, path: str, body: Mapping[str, object]) -> Any:  # Any: JSON
        """Ask for something to be done."""
        return self._ask("POST", path, content=orjson.dumps(body), headers={"Content-Type": "application/json"})

    def command(self, body: Mapping[str, str], until_s: float) -> dict[str, Any]:
        """Give a command and wait for its result, whose `ok` is false where it is not done at `until_s` (monotonic)."""
        taken = self.post("/commands", body)
        named = {name: taken[name] for name in ("command_id", "symbol", "order_id")}
        return named | self.result_at(taken["result_at"], until_s)

    def result_at(self, place: str, until_s: float) -> dict[str, Any]:
        """The result of a command that was taken, as above. Who works on it may be away for a while."""
        while True:
            left_s = until_s - time.monotonic()
            wait_s = min(LONGEST_WAIT_S, max(0, round(left_s)))
            try:
                result = dict(self.get(f"{place}{'&' if '?' in place else '?'}wait_s={wait_s}"))
            except NoAnswer as error:
                if left_s <= 0:
                    sentence = f"it was taken, and is not known to be done: GET {place} will tell ({error.sentence})"
                    return {"ok": False, "code": "NOT_DONE_YET", "sentence": sentence}
                waited = wait_s > 0 and error.code == "COMMAND_NOT_FOUND"
            else:
                if result["done"] or left_s <= 0:
                    return result
                waited = wait_s > 0
            if not waited:
                time.sleep(min(left_s, AGAIN_S))

    def _ask(self, method: str, path: str, **request: Any) -> Any:  # Any: JSON
        try:
            reply = self._http.request(method, path, **request)
        except httpx.TransportError as error:
            sentence = f"no worker answers at {self._url} ({type(error).__name__}): is one running?"
            raise NoAnswer("NO_WORKER", sentence) from None
        if reply.is_success:
            return orjson.loads(reply.content)
        raise NoAnswer(*_refusal(reply))

    def items(self, path: str, parameters: Mapping[str, str], limit: int) -> Iterator[Row]:
        """The rows of a list, page by page, up to `limit`."""
        cursor: str | None = None
        while limit > 0:
            page_parameters = {**parameters, "limit": str(min(limit, _PAGE)), **({"cursor": cursor} if cursor else {})}
            page = self.get(path, page_parameters)
            self._note_missing(page.get("missing_partitions", ()))
            yield from page["items"]
            limit -= len(page["items"])
            cursor = page["cursor"]
            if cursor is None:
                return

    def check_whole(self, *answers: Row) -> None:
        """Raises `NoAnswer` if one of these answers, or of the lists that were read by now, lacks partitions."""
        for answer in answers:
            self._note_missing(answer.get("missing_partitions", ()))
        if self._missing:
            named = ", ".join(map(str, sorted(self._missing)))
            raise NoAnswer("PARTIAL", f"nobody answered at {self._url} for partitions {named}")

    def _note_missing(self, partitions: Sequence[int]) -> None:
        if new := frozenset(partitions) - self._missing:
            self._missing |= new
            named = ", ".join(map(str, sorted(new)))
            typer.echo(f"not the whole list: nobody answered for partitions {named}", err=True)


def _refusal(reply: httpx.Response) -> tuple[str, str]:
    try:
        error = orjson.loads(reply.content)["error"]
        return str(error["code"]), str(error["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "REFUSED", f"HTTP {reply.status_code}"


def show(title: str, columns: Sequence[tuple[str, str]], rows: Sequence[Row]) -> None:
    """A table; `columns` are (heading, path of the value with dots)."""
    table = Table(title=title, title_justify="left")
    for heading, _ in columns:
        table.add_column(heading, no_wrap=heading not in _LONG, overflow="fold")
    for row in rows:
        table.add_row(*(_shown(heading, _value(row, path)) for heading, path in columns))
    console = Console()
    # Into a file or a pipe the table is as wide as it needs to be: nobody folds it there.
    (console if console.is_terminal else Console(width=_WIDE)).print(table)


_TIMES = {"created", "time", "updated"}
_LONG = {"reason", "figures", "sentence"}
_WIDE = 220
_PLACES = Decimal("0.00000001")


def _value(row: Any, path: str) -> Any:  # Any: JSON
    for name in path.split("."):
        if not isinstance(row, Mapping):
            return None
        row = row.get(name)
    return row


def _shown(heading: str, value: Any) -> str:  # Any: JSON
    if value is None:
        return ""
    if heading in _TIMES and isinstance(value, int):
        return "" if not value else datetime.fromtimestamp(value / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    if isinstance(value, Mapping):
        return " ".join(f"{short(str(figure))} {name}" for name, figure in value.items())
    return short(str(value))


def short(text: str) -> str:
    """Figures with at most eight places, for people; programs get every digit with `--json`."""
    whole, point, places = text.partition(".")
    if point and len(places) > 8 and places.isdecimal() and whole.removeprefix("-").isdecimal():
        return plain(Decimal(text).quantize(_PLACES))
    return text


ORDER_COLUMNS = (
    ("created", "times.created_ns"),
    ("order", "order_id"),
    ("symbol", "instrument.symbol"),
    ("category", "instrument.category"),
    ("side", "side"),
    ("type", "order_type"),
    ("quantity", "quantity"),
    ("price", "price"),
    ("executed", "executed_quantity"),
    ("average", "average_price"),
    ("state", "state"),
    ("reason", "reason"),
)
POSITION_COLUMNS = (
    ("symbol", "instrument.symbol"),
    ("category", "instrument.category"),
    ("side", "side"),
    ("size", "size"),
    ("average entry", "average_entry"),
    ("realised", "realised"),
    ("unrealised", "unrealised"),
    ("fees", "fees"),
    ("fills", "fills"),
)
LEDGER_COLUMNS = (
    ("time", "executed_ns"),
    ("kind", "kind"),
    ("side", "side"),
    ("quantity", "quantity"),
    ("price", "price"),
    ("fee", "fee"),
    ("currency", "fee_currency"),
    ("size after", "after.size"),
    ("entry after", "after.average_entry"),
    ("realised after", "after.realised"),
)
SNAPSHOT_COLUMNS = (
    ("time", "moment_ns"),
    ("side", "side"),
    ("size", "state.size"),
    ("average entry", "state.average_entry"),
    ("realised", "state.realised"),
    ("mark", "mark"),
    ("unrealised", "unrealised"),
    ("fees", "state.fees"),
    ("funding", "state.funding"),
)
HISTORY_COLUMNS = (
    ("#", "sequence"),
    ("time", "at_ns"),
    ("event", "type"),
    ("state", "state"),
    ("executed", "executed_quantity"),
    ("by", "origin"),
    ("reason", "reason"),
)
VERDICT_COLUMNS = (("gate", "gate"), ("verdict", "outcome"), ("code", "code"), ("figures", "figures"))
FILL_COLUMNS = (
    ("time", "executed_ns"),
    ("execution", "execution_id"),
    ("quantity", "quantity"),
    ("price", "price"),
    ("fee", "fee"),
    ("currency", "fee_currency"),
    ("maker", "maker"),
)
ALERT_COLUMNS = (
    ("time", "last_ns"),
    ("alert", "alert"),
    ("severity", "severity"),
    ("state", "state"),
    ("count", "count"),
    ("sentence", "sentence"),
    ("by", "changed_by"),
    ("reason", "reason"),
)
