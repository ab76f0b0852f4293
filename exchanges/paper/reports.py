"""Two reports made of executions: what closing positions brought, and the log of all that moved a balance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

from exchanges.paper.exact import ZERO, average, exactly, plain
from exchanges.paper.fields import Fields, text
from exchanges.paper.instruments import LISTED
from exchanges.paper.orders import Execution
from exchanges.paper.paging import any_category, cursor_text, page_limit, place_in_cursor, symbols_of, time_range
from exchanges.paper.rows import NS_PER_MS, ms_text
from exchanges.paper.store import Selection
from exchanges.paper.turn import Row
from exchanges.paper.venue import PaperVenue
from exchanges.paper.vocabulary import Category, ExecType, Side

DAY_MS: Final = 24 * 3600 * 1000


# -- closed profit and loss ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Closed:
    """What one order closed."""

    last: Execution
    first_at_ns: int
    size: Decimal = ZERO
    exit_value: Decimal = ZERO
    pnl: Decimal = ZERO
    open_fee: Decimal = ZERO
    close_fee: Decimal = ZERO
    fills: int = 0

    def add(self, fill: Execution) -> None:
        self.size += fill.closed_size
        self.exit_value += fill.value * fill.closed_size / fill.qty
        self.open_fee += fill.open_fee
        self.close_fee += fill.close_fee
        self.pnl += fill.pnl
        self.fills += 1
        self.first_at_ns = min(self.first_at_ns, fill.executed_at_ns)

    @property
    def entry_value(self) -> Decimal:
        """What the closed part had cost, or brought when it was sold short."""
        gains = self.last.side is Side.SELL
        if self.last.category is Category.INVERSE:
            gains = not gains
        return self.exit_value - self.pnl if gains else self.exit_value + self.pnl

    def average(self, value: Decimal) -> Decimal:
        """The price at which `size` is worth `value`."""
        inverse = self.last.category is Category.INVERSE
        return average(self.size, value) if inverse else average(value, self.size)


@exactly
def closed_pnl(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """Orders that closed something, newest first. `closedPnl` is less the fees of closing and, for the part that
    closed, of opening; these were charged when the position was opened."""
    category = any_category(fields)
    limit = page_limit(fields, default=50, maximum=100)
    start_ms, end_ms = time_range(venue.clock() // NS_PER_MS, fields)
    selected = Selection(
        uid=uid,
        category=category,
        symbols=symbols_of(fields, required=False),
        from_ns=None if start_ms is None else start_ms * NS_PER_MS,
        until_ns=None if end_ms is None else end_ms * NS_PER_MS + NS_PER_MS - 1,
    )
    below = place_in_cursor(fields)
    found = [one for one in _closed(venue.store.executions(selected)) if below is None or one.last.seq < below]
    cursor = cursor_text(found[limit - 1].last.seq) if len(found) > limit else ""
    rows = [_closed_row(one, venue.accounts[uid].leverage(one.last.symbol)) for one in found[:limit]]
    return {"category": category, "list": rows, "nextPageCursor": cursor}


def _closed(executions: list[Execution]) -> list[Closed]:
    by_order: dict[str, Closed] = {}
    for fill in executions:
        if fill.closed_size and fill.exec_type is not ExecType.FUNDING:
            by_order.setdefault(fill.order_id, Closed(fill, fill.executed_at_ns)).add(fill)
    return list(by_order.values())


def _closed_row(closed: Closed, leverage: Decimal) -> Row:
    last = closed.last
    return {
        "symbol": last.symbol,
        "orderId": last.order_id,
        "side": last.side,
        "qty": plain(last.order_qty),
        "orderPrice": plain(last.order_price),
        "orderType": last.order_type,
        "execType": last.exec_type,
        "closedSize": plain(closed.size),
        "cumEntryValue": plain(closed.entry_value),
        "avgEntryPrice": plain(closed.average(closed.entry_value)),
        "cumExitValue": plain(closed.exit_value),
        "avgExitPrice": plain(closed.average(closed.exit_value)),
        "closedPnl": plain(closed.pnl - closed.open_fee - closed.close_fee),
        "openFee": plain(closed.open_fee),
        "closeFee": plain(closed.close_fee),
        "fillCount": str(closed.fills),
        "leverage": plain(leverage),
        "createdTime": ms_text(closed.first_at_ns),
        "updatedTime": ms_text(last.executed_at_ns),
    }


# -- the log of transactions -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Backwards:
    """Balances and positions as they were after the execution that is looked at, going back from now."""

    balances: dict[str, Decimal]
    sizes: dict[tuple[str, int], Decimal] = field(default_factory=dict)


class Leg(NamedTuple):
    """What one execution did to one coin: what came in (or went out), and the fee that was taken from it."""

    coin: str
    cash_flow: Decimal
    fee: Decimal


def legs(fill: Execution) -> tuple[Leg, ...]:
    """A contract moves its settle coin; a spot trade moves two coins, and pays its fee in the one received."""
    if fill.category is not Category.SPOT:
        return (Leg(fill.fee_coin, fill.pnl, fill.fee),)
    pair, sign = LISTED[Category.SPOT][fill.symbol], fill.side.sign
    flows = ((pair.base, fill.qty * sign), (pair.quote, -fill.value * sign))
    return tuple(Leg(coin, flow, fill.fee if coin == fill.fee_coin else ZERO) for coin, flow in flows)


@exactly
def transaction_log(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """What moved the balance, newest first, with the balance after each: change = cashFlow + funding - fee."""
    limit = page_limit(fields, default=20, maximum=50)
    now_ms = venue.clock() // NS_PER_MS
    start_ms, end_ms = time_range(now_ms, fields, default_ms=DAY_MS)
    below = place_in_cursor(fields)
    rows: list[Row] = []
    last_seq, cursor = 0, ""
    for fill, row in _entries(venue, uid, from_ns=(start_ms or 0) * NS_PER_MS):
        if (below is not None and fill.seq >= below) or not _is_wanted(row, fields, end_ms):
            continue
        if len(rows) == limit:
            cursor = cursor_text(last_seq)
            break
        rows.append(row)
        last_seq = fill.seq
    return {"list": rows, "nextPageCursor": cursor}


def _entries(venue: PaperVenue, uid: int, from_ns: int) -> Iterator[tuple[Execution, Row]]:
    account = venue.accounts[uid]
    balances = {coin: held.balance for coin, held in account.wallet.coins.items()}
    now = Backwards(balances, {key: position.size for key, position in account.positions.items()})
    for fill in venue.store.executions(Selection(uid=uid, from_ns=from_ns)):
        key = (fill.symbol, fill.position_idx)
        spot = fill.category is Category.SPOT
        for leg in legs(fill):
            balance = now.balances.get(leg.coin, ZERO)
            yield fill, _entry(fill, leg, balance, ZERO if spot else now.sizes.get(key, ZERO))
            now.balances[leg.coin] = balance - (leg.cash_flow - leg.fee)
        if fill.exec_type is not ExecType.FUNDING and not spot:
            now.sizes[key] = now.sizes.get(key, ZERO) - fill.qty * fill.side.sign


def _entry(fill: Execution, leg: Leg, balance: Decimal, size: Decimal) -> Row:
    is_funding = fill.exec_type is ExecType.FUNDING
    kinds = {ExecType.FUNDING: "SETTLEMENT", ExecType.BUST_TRADE: "LIQUIDATION", ExecType.ADL_TRADE: "ADL"}
    return {
        "id": f"{fill.uid}_{fill.symbol}_{fill.seq}",
        "symbol": fill.symbol,
        "category": fill.category,
        "side": fill.side,
        "transactionTime": ms_text(fill.executed_at_ns),
        "type": kinds.get(fill.exec_type, "TRADE"),
        "transSubType": "",
        "qty": plain(fill.qty),
        "size": plain(size),
        "currency": leg.coin,
        "tradePrice": plain(fill.price),
        "funding": plain(-leg.fee) if is_funding else "",
        "fee": "0" if is_funding else plain(leg.fee),
        "cashFlow": plain(leg.cash_flow),
        "change": plain(leg.cash_flow - leg.fee),
        "cashBalance": plain(balance),
        "feeRate": plain(fill.fee_rate),
        "bonusChange": "",
        "tradeId": fill.exec_id,
        "orderId": fill.order_id,
        "orderLinkId": fill.order_link_id,
        "extraFees": "",
    }


def _is_wanted(row: Row, fields: Fields, end_ms: int | None) -> bool:
    if end_ms is not None and int(str(row["transactionTime"])) > end_ms:
        return False
    if text(fields, "category") and any_category(fields) != row["category"]:
        return False
    base = text(fields, "baseCoin")
    if base and LISTED[Category(str(row["category"]))][str(row["symbol"])].base != base:
        return False
    wanted = ((text(fields, name), row[name]) for name in ("currency", "type", "symbol", "transSubType"))
    return all(not value or value == shown for value, shown in wanted)
