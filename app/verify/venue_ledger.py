"""The venue's side: what its REST API says, and for the paper exchange its own books, read without the adapter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import httpx
import orjson

from app.replay.reading import CannotCompare
from app.settings import Settings
from app.venue import Reader, bybit_options
from app.verify.ledger import (
    CANCELLED,
    FILLED,
    OPEN,
    ORDER,
    REJECTED,
    STANDING_OF,
    Difference,
    Figures,
    Ledger,
    fees_text,
)
from domain.errors import VenueError
from domain.instruments import SPOT, label
from domain.money import ZERO
from domain.updates import FillReport, OrderReport
from exchanges.bybit.trading import BybitTrading
from exchanges.venue import Trading, VenuePosition

_NS = 1_000_000_000
_LAG_S = 60
"""Between an order's end and ours noting it, and between two clocks: nearer to the edge of the reach than this nothing
is asked for."""


def venue_of(settings: Settings) -> Trading:
    """The adapter that speaks to the venue of the settings. Close it."""
    return BybitTrading(bybit_options(settings, Reader.CHECKS))


async def ledger_of_venue(
    trading: Trading, categories: Sequence[str], *, since_ns: int, now_ns: int, exact: bool
) -> Ledger:
    """Open orders, those that ended since `since_ns`, executions since, open positions; the wallet where spot is
    traded. Raises `CannotCompare`.

    `exact`: the venue's average entry is unrounded, so it is compared too.
    """
    executions: list[FillReport] = []
    closed: list[OrderReport] = []
    open_orders: list[OrderReport] = []
    positions: list[VenuePosition] = []
    try:
        for category in categories:
            executions += await trading.executions(category, since_ns=since_ns)
            closed += await trading.closed_orders(category, since_ns=since_ns)
            open_orders += await trading.open_orders(category)
            positions += await trading.positions(category)
        balances = await trading.balances() if SPOT in categories else ()
    except VenueError as error:
        raise CannotCompare("VENUE_UNREADABLE", str(error)) from error
    unfilled_ns = now_ns - int((trading.traits.unfilled_history_s - _LAG_S) * _NS)
    told_ns = since_ns + _LAG_S * _NS
    ledger = Ledger("venue", of_venue=True, since_ns=told_ns, placed_since_ns=since_ns)
    ledger.unfilled_since_ns = max(told_ns, unfilled_ns)
    _add_orders(ledger, [*open_orders, *closed])
    for fill in executions:
        ledger.fills[fill.execution_id] = {
            "venue_order_id": fill.venue_order_id or None,
            "symbol": fill.instrument.symbol,
            "fill_kind": fill.fill_kind.value,
            "side": fill.side.value,
            "quantity": fill.quantity,
            "price": fill.price,
            "fee": fill.fee,
            "at_ns": fill.executed_ns,
        }
    ledger.wallet = {each.currency: each.total for each in balances}
    for position in positions:
        ledger.positions[f"{position.instrument.label}/{position.side}"] = _position(position, exact=exact)
    return ledger


def with_flat_positions(ledger: Ledger, ours: Ledger) -> Ledger:
    """Venues list positions that are open: what they don't list is flat. Of spot positions the venue has the coins: all
    that is held, or what the wallet has where that is less. It counts once for all pairs of a coin, and so does what
    was sold by another of them."""
    left, held = {coin: max(ZERO, total) for coin, total in ledger.wallet.items()}, dict[str, tuple[str, Decimal]]()
    for key, figures in sorted(ours.positions.items()):
        size, pair = figures.get("size"), key.removeprefix(f"{SPOT}/").partition("/")[0]
        if key.startswith(f"{SPOT}/") and left and isinstance(size, Decimal):
            coin = max((each for each in ledger.wallet if pair.startswith(each) and pair != each), key=len, default="")
            held[key] = coin, size
            left[coin] = left.get(coin, ZERO) - min(ZERO, size)
        else:
            ledger.positions.setdefault(key, {"size": ZERO})
    for key, (coin, size) in held.items():
        shown = min(size, left[coin])
        left[coin] -= max(ZERO, shown)
        ledger.positions.setdefault(key, {"size": shown})
    return ledger


def _add_orders(ledger: Ledger, reports: Sequence[OrderReport]) -> None:
    """The later one wins: an order may end between two questions, and open ones were asked for before."""
    named: dict[str, str] = {}
    for report in reports:
        ledger.orders[report.venue_order_id] = {
            "client_order_id": report.client_order_id or None,
            "symbol": report.instrument.symbol,
            "side": report.side.value,
            "standing": STANDING_OF[report.state],
            "quantity": report.quantity,
            "price": report.price,
            "executed_quantity": report.cumulative.quantity,
            "executed_value": report.cumulative.value,
            "fees": fees_text(report.cumulative.fees),
        }
        if report.client_order_id:
            other = named.setdefault(report.client_order_id, report.venue_order_id)
            if other != report.venue_order_id:
                _note_twin(ledger, report.client_order_id, other, report.venue_order_id)


def _note_twin(ledger: Ledger, client_order_id: str, one: str, other: str) -> None:
    pair = (ledger.name, ledger.name)
    ledger.twice.append(Difference(pair, ORDER, client_order_id, "venue_order_id", (one, other)))


def _position(position: VenuePosition, *, exact: bool) -> Figures:
    entry = position.average_entry if exact and position.size else None
    return {"size": position.size, "average_entry": entry}


# -- the paper exchange's books ------------------------------------------------------------------------------------

_STANDING = {
    "New": OPEN,
    "PartiallyFilled": OPEN,
    "Untriggered": OPEN,
    "Triggered": OPEN,
    "Filled": FILLED,
    "Cancelled": CANCELLED,
    "PartiallyFilledCanceled": CANCELLED,
    "Deactivated": CANCELLED,
    "Rejected": REJECTED,
}
_SIDES = {0: "net", 1: "long", 2: "short"}
_KINDS = {
    "Trade": "trade",
    "Funding": "funding",
    "BustTrade": "liquidation",
    "AdlTrade": "adl",
    "Delivery": "settlement",
    "Settle": "settlement",
}


async def ledger_of_books(settings: Settings) -> Ledger:
    """Everything that the paper exchange has of our account. Raises `CannotCompare` if it can't be reached."""
    url = f"{settings.rest_url}/paper/books"
    try:
        async with httpx.AsyncClient(timeout=30.0) as http:
            reply = await http.get(url, params={"key": settings.key_pair[0]})
            reply.raise_for_status()
        [account] = orjson.loads(reply.content)["accounts"]
    except (httpx.HTTPError, orjson.JSONDecodeError) as error:
        raise CannotCompare("BOOKS_UNREADABLE", f"{url}: {error or type(error).__name__}") from None
    except (LookupError, TypeError, ValueError) as error:
        raise CannotCompare("BOOKS_UNREADABLE", f"{url} does not show the one account that our key opens") from error
    return ledger_of_account(account)


def ledger_of_account(account: dict[str, Any]) -> Ledger:  # Any: JSON
    """One account of the books, all of it."""
    ledger = Ledger("books", of_venue=True)
    named: dict[str, str] = {}
    for row in account["orders"]:
        market = row["orderType"] == "Market"
        ledger.orders[row["orderId"]] = {
            "client_order_id": row["orderLinkId"] or None,
            "symbol": row["symbol"],
            "side": row["side"].lower(),
            "standing": _STANDING[row["orderStatus"]],
            "quantity": Decimal(row["qty"]),
            "price": None if market else Decimal(row["price"]),
            "executed_quantity": Decimal(row["cumExecQty"]),
            "executed_value": Decimal(row["cumExecValue"]),
            "fees": fees_text({name: Decimal(fee) for name, fee in row["cumFeeDetail"].items()}),
        }
        if link := row["orderLinkId"]:
            other = named.setdefault(link, row["orderId"])
            if other != row["orderId"]:
                _note_twin(ledger, link, other, row["orderId"])
    for row in account["executions"]:
        kind = _KINDS.get(row["execType"], row["execType"])
        ledger.fills[row["execId"]] = {
            # The order that a settlement names is nobody's: its own id stands in (`exchanges.bybit.translate`).
            "venue_order_id": (row["execId"] if kind == "settlement" else row["orderId"]) or None,
            "symbol": row["symbol"],
            "fill_kind": kind,
            "side": row["side"].lower(),
            "quantity": Decimal(row["execQty"]),
            "price": Decimal(row["execPrice"]),
            "fee": Decimal(row["execFee"]),
        }
    for row in account["positions"]:
        ledger.positions[f"{label(row['category'], row['symbol'])}/{_SIDES[row['positionIdx']]}"] = {
            "size": Decimal(row["size"]),
            "average_entry": Decimal(row["avg_price"]),
            "realised": Decimal(row["realised_pnl"]),
        }
    for pair, size in spot_sizes(account["executions"]).items():
        ledger.positions[f"{label(SPOT, pair)}/net"] = {"size": size}
    return ledger


def spot_sizes(executions: Iterable[Mapping[str, Any]]) -> dict[str, Decimal]:
    """What the spot executions in the books leave of each pair: bought less sold, less fees in what is bought."""
    sizes: dict[str, Decimal] = {}
    for row in executions:
        if row["category"] != SPOT:
            continue
        buys, pair = row["side"] == "Buy", row["symbol"]
        change = Decimal(row["execQty"]) * (1 if buys else -1)
        if pair.startswith(row["feeCurrency"]):
            change -= Decimal(row["execFee"])
        sizes[pair] = sizes.get(pair, ZERO) + change
    return sizes
