"""Our own side: from tables, live or made again, and from the web views of the workers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any

import httpx
import orjson

from app.replay.reading import CannotCompare
from app.replay.rows import decode
from app.settings import Settings, api_key
from app.verify.ledger import (
    FILL,
    ORDER,
    Difference,
    Figures,
    Ledger,
    fees_text,
    fill_figures,
    order_figures,
    order_key,
    position_figures,
    position_key,
    text,
)
from domain.instruments import label
from domain.orders import Order
from domain.positions import LedgerEntry, Position
from domain.updates import FillKind
from tables.orders import FillRow
from tables.rows import Rows

_PAGE = "500"
AWAY = "NO_WORKER"
"""The code of no answer at all: a set that is stopped has no worker."""
UNREADABLE = "WEB_UNREADABLE"
"""The code of an answer that can't be used, and of none by somebody who is there."""
PARTIAL = "PARTIAL"
"""The code of an answer that lacks partitions."""


def ledger_of_rows(name: str, tables: Mapping[str, Rows]) -> Ledger:
    """What the tables say. Fills are the positions' ledger; an order's own fill rows must be the same."""
    ledger = Ledger(name)
    for partition in sorted(tables["orders"].partitions()):
        for key, value in tables["orders"].scan(partition, b"o/"):
            order = decode("orders", key, value)
            if isinstance(order, Order):
                _add(ledger, ORDER, order_key(order), order_figures(order), told_apart_by="order_id")
        for key, value in tables["positions"].scan(partition, b"l/"):
            entry = decode("positions", key, value)
            if isinstance(entry, LedgerEntry):
                figures = fill_figures(entry.fill, entry.order_id)
                _add(ledger, FILL, entry.fill.execution_id, figures, told_apart_by="at_ns")
        for key, value in tables["positions"].scan(partition, b"p/"):
            position = decode("positions", key, value)
            if isinstance(position, Position):
                ledger.positions[position_key(position)] = position_figures(position)
    return ledger


def _add(ledger: Ledger, kind: str, key: str, figures: Figures, *, told_apart_by: str) -> None:
    """One more entry; a second one of the same key is a difference by itself."""
    known = ledger.part(kind).setdefault(key, figures)
    if known is not figures:
        values = text(known[told_apart_by]), text(figures[told_apart_by])
        ledger.twice.append(Difference((ledger.name, ledger.name), kind, key, told_apart_by, values))


def ledger_of_fill_rows(name: str, tables: Mapping[str, Rows]) -> Ledger:
    """The fills as the orders have counted them."""
    ledger = Ledger(name)
    for partition in sorted(tables["orders"].partitions()):
        for key, value in tables["orders"].scan(partition, b"f/"):
            row = decode("orders", key, value)
            if isinstance(row, FillRow):
                ledger.fills[row.fill.execution_id] = fill_figures(row.fill, row.order_id)
    return ledger


def trades(ledger: Ledger) -> Ledger:
    """Only what belongs to an order."""
    return Ledger(ledger.name, fills={key: fill for key, fill in ledger.fills.items() if fill["order_id"]})


async def ledger_of_web(settings: Settings) -> Ledger:
    """What the workers answer, all partitions. Raises `CannotCompare` if nobody answers for some."""
    ledger = Ledger("web")
    headers = {"X-API-Key": api_key(settings)}
    async with httpx.AsyncClient(base_url=settings.own_url, headers=headers, timeout=30.0) as http:
        async for row in _rows(http, "/orders"):
            ledger.orders[row["venue_order_id"] or row["order_id"]] = _order(row)
        symbols = set()
        async for row in _rows(http, "/positions"):
            symbol, category = row["instrument"]["symbol"], row["instrument"]["category"]
            symbols.add(symbol)
            ledger.positions[f"{label(category, symbol)}/{row['side']}"] = _position(row)
        for symbol in sorted(symbols):
            async for row in _rows(http, f"/positions/{symbol}/history"):
                ledger.fills[row["execution_id"]] = _fill(row, symbol)
    return ledger


async def _rows(http: httpx.AsyncClient, path: str) -> AsyncIterator[dict[str, Any]]:  # Any: JSON
    cursor: str | None = None
    while True:
        try:
            reply = await http.get(path, params={"limit": _PAGE, **({"cursor": cursor} if cursor else {})})
            reply.raise_for_status()
            page = orjson.loads(reply.content)
        except (httpx.HTTPError, orjson.JSONDecodeError) as error:
            code = AWAY if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) else UNREADABLE
            raise CannotCompare(code, f"{http.base_url}{path}: {error or type(error).__name__}") from None
        if page["partial"]:
            raise CannotCompare(PARTIAL, f"{path}: nobody answers for partitions {page['missing_partitions']}")
        for row in page["items"]:
            yield row
        cursor = page.get("cursor")
        if not cursor:
            return


def _order(row: dict[str, Any]) -> Figures:
    return {
        "order_id": row["order_id"],
        "symbol": row["instrument"]["symbol"],
        "side": row["side"],
        "state": row["state"],
        "quantity": Decimal(row["quantity"]),
        "price": None if row["price"] is None else Decimal(row["price"]),
        "executed_quantity": Decimal(row["executed_quantity"]),
        "executed_value": Decimal(row["executed_value"]),
        "fees": _fees(row["fees"]),
        "missing_fills": row["missing_fills"],
        "sequence": row["sequence"],
    }


def _fill(row: dict[str, Any], symbol: str) -> Figures:
    return {
        "order_id": row["order_id"],
        "symbol": symbol,
        "fill_kind": row.get("kind", FillKind.TRADE.value),
        "side": row["side"],
        "quantity": Decimal(row["quantity"]),
        "price": Decimal(row["price"]),
        "fee": Decimal(row["fee"]),
        "at_ns": row["executed_ns"],
    }


def _position(row: dict[str, Any]) -> Figures:
    return {
        "size": Decimal(row["size"]),
        "average_entry": Decimal(row["average_entry"]),
        "realised": Decimal(row["realised"]),
        "fees": _fees(row["fees"]),
        "funding": Decimal(row["funding"]),
    }


def _fees(fees: Mapping[str, str]) -> str:
    return fees_text({currency: Decimal(fee) for currency, fee in fees.items()})
