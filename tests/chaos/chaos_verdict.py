"""What must be true once nothing is done to anybody any more.

1. every worker is ready again within its time, and each symbol trades
2. at rest: every signal has its end, the books of both sides agree order by order and position by position, events are
   whole, no call came before its intent (`fault_verdict`)
3. no signal has more orders at the exchange than its plan
4. no part of the account's limits is held for anything any more, and every worker tells the same load and controls
5. `verify` and `replay`, by their commands, say equal
6. nobody ended in a way, and no alert was raised, that these faults do not explain
7. told to end, all end in order
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from decimal import Decimal
from typing import Any

import httpx
from chaos_circumstances import SYMBOLS
from chaos_people import ordermanager
from chaos_set import ChaosSet
from chaos_venue import SKEW_MS
from chaos_wishes import Wishes
from fault_verdict import Verdict, verdict_on

from app.local_set import NotReady
from app.settling import settled_books, unread_records

log = logging.getLogger(__name__)

Row = dict[str, Any]  # Any: JSON

READY_LIMIT_S = 120.0
SETTLE_LIMIT_S = 150.0
LOAD_LIMIT_S = 20.0
CHECK_LIMIT_S = 240.0
MAX_STARTS = 40
"""A part that was started more often ended by itself again and again."""

EXPLAINED_ENDS = {
    "EVICTED": "it slept, or was cut off, and the group went on without it",
    "DRAIN_LIMIT": "it could not finish what was at the venue in time, which cannot be told from never",
}
EXPLAINED_ALERTS = {
    "BREAKER_OPEN": "the exchange was killed, or failed one call after another",
    "STREAM_DOWN": "the gateway or the exchange was killed, or one could not reach the other",
    "BALANCE_UNKNOWN": "as STREAM_DOWN, or the exchange was told not to tell it",
    "NOT_COMPARED": "the exchange was away, or failed what it was asked, for two rounds and more",
    "ORDER_CORRECTED": "a fill was told after its order's end: streams were reordered",
    "ORDER_FAILED": "surely not accepted, several times: the exchange was away",
    "FOREIGN_WRITE": "a worker that had slept wrote rows of a partition that another had by then",
    "SIGNAL_CONFLICT": "the same id was sent with another wish",
    "UNREALIZED_LOSS": "the market fell",
    "QUEUE_TOO_DEEP": "signals or commands waited for a symbol whose order was in doubt",
    "CANCEL_NOT_CONFIRMED": "the exchange said nothing of it in time",
    "AMEND_NOT_CONFIRMED": "as CANCEL_NOT_CONFIRMED",
    "AUTO_STOP_LOSS_REFUSED": "the exchange was told to refuse",
    "AUTO_STOP_LOSS_NOT_CONFIRMED": "as CANCEL_NOT_CONFIRMED, or it was away",
    "PARTS_NOT_SENT": "halted, or too old, between two parts",
}


async def verdict(chaos: ChaosSet, wishes: Wishes) -> list[str]:
    """Everything that is not as it must be, in words."""
    found = [f"not ready after {READY_LIMIT_S:g} s: {why}" for why in await _not_ready(chaos) if why]
    for scope in (*SYMBOLS, "paper", "all"):
        body = {"scope": scope, "state": "armed", "reason": "chaos is over"}
        if not await chaos.until_accepted("/controls", body, READY_LIMIT_S):
            found.append(f"nobody takes the control that arms {scope}")
    log.info("%6.1f everybody is ready%s", chaos.age_s, ", but: " + "; ".join(found) if found else "")
    probes = await _probed(chaos, wishes)
    log.info("%6.1f every symbol is tried", chaos.age_s)
    await chaos.persistently(
        lambda: chaos.http.post(chaos.local.paper_url + "/paper/market", json={"frozen": True}), READY_LIMIT_S
    )
    at_rest = await _at_rest(chaos, list(wishes.sent))
    if isinstance(at_rest, str):
        return [*found, at_rest]
    log.info("%6.1f at rest: %s", chaos.age_s, at_rest.account())
    found += at_rest.differences
    found += too_many_orders(at_rest, chaos.around.splits)
    found += _failed_probes(at_rest, probes)
    found += await _load_at_rest(chaos, at_rest)
    for check in ("verify", "replay"):
        code, output = await ordermanager(chaos, check, "--json", "--settle-s", "60", limit_s=CHECK_LIMIT_S)
        log.info("%6.1f %s: %s", chaos.age_s, check, "equal" if code == 0 else code)
        found += [f"{check} ended with code {code}: {output[-1_500:]}"] if code else []
    found += await _unexplained_alerts(chaos)
    found += await chaos.stop_in_order()
    return found + unexplained_ends(chaos)


async def _not_ready(chaos: ChaosSet) -> list[str]:
    return await asyncio.gather(*(chaos.until_ready(number, READY_LIMIT_S) for number in range(len(chaos.workers))))


async def _probed(chaos: ChaosSet, wishes: Wishes) -> dict[str, str]:
    """A market buy of each symbol, once every worker has heard that it may."""
    end_s = asyncio.get_running_loop().time() + READY_LIMIT_S
    wish = {"amount": "300", "order_type": "market", "signal_type": "buy", "confidence": "0.99"}
    while asyncio.get_running_loop().time() < end_s:
        try:
            states = [row["state"] for row in (await chaos.local.get("/controls"))["items"]]
            plans = [await _planned(chaos, *market, wish) for market in chaos.around.markets]
        except (httpx.HTTPError, NotReady):
            states, plans = ["unknown"], []
        if set(states) <= {"armed"} and all(plans):
            break
        await asyncio.sleep(0.5)
    return {" ".join(market): await wishes.send(*market, **wish) for market in chaos.around.markets}


async def _planned(chaos: ChaosSet, symbol: str, category: str, wish: Row) -> bool:
    """Whether the signal would be executed now."""
    body = {"signal_id": "chaos-probe", "symbol": symbol, "category": category} | wish
    if chaos.around.hedges and category == "linear":
        body["position_side"] = "long"
    reply = await chaos.http.post(chaos.local.worker_urls[0] + "/plan", json=body)
    return reply.is_success and '"decision":"execute"' in reply.text.replace(" ", "")


def _failed_probes(at_rest: Verdict, probes: dict[str, str]) -> list[str]:
    ends = {row["signal_id"]: row for row in at_rest.books.signals}
    return [
        f"after all {symbol} does not trade: {end.get('result')} {end.get('code')} {end.get('reason')}"
        for symbol, signal_id in probes.items()
        if (end := ends.get(signal_id, {})).get("result") != "executed"
    ]


async def _at_rest(chaos: ChaosSet, sent: list[str]) -> Verdict | str:
    """Both sides' books when nothing moves any more, and what is wrong with them."""
    end_s = asyncio.get_running_loop().time() + SETTLE_LIMIT_S
    topics = chaos.local.topics
    inputs = (topics.signals, topics.order_updates, topics.order_commands)
    while True:
        left_s = end_s - asyncio.get_running_loop().time()
        try:
            books, trouble = await settled_books(chaos.local, sent, max(1.0, left_s))
        except (httpx.HTTPError, NotReady) as error:
            return f"the books cannot be read: {error!r}"
        unread = await unread_records(chaos.settings.bootstrap, topics.app_id, inputs)
        if not unread or left_s <= 0:
            break
        await asyncio.sleep(0.2)
    if unread:
        trouble = [*trouble, f"{unread} records were not finished"]
    return await verdict_on(chaos.local, books, trouble, clock_behind_ms=SKEW_MS)


def too_many_orders(at_rest: Verdict, splits: bool) -> list[str]:
    """Signals with two orders for one part, and those with more attempts that did something than one."""
    there = {row["orderLinkId"] for row in at_rest.books.account["orders"]}
    parts: Counter[tuple[str, int, int]] = Counter()
    traded: dict[str, set[int]] = {}
    for order in at_rest.books.orders:
        signal = order["signal"]
        if not signal or order["external"] or order["role"] or order["order_id"] not in there:
            continue
        parts[signal["signal_id"], signal["attempt"], signal["part"] if splits else 0] += 1
        if Decimal(order["executed_quantity"]):
            traded.setdefault(signal["signal_id"], set()).add(signal["attempt"])
    return [f"signal {part} has {count} orders at the exchange" for part, count in parts.items() if count > 1] + [
        f"signal {name} traded in its attempts {sorted(attempts)}"
        for name, attempts in traded.items()
        if len(attempts) > 1
    ]


async def _load_at_rest(chaos: ChaosSet, at_rest: Verdict) -> list[str]:
    """What each worker tells of the account's load and the controls, until it is what the orders say."""
    open_orders = Counter(
        (order["instrument"]["symbol"], order["instrument"]["category"])
        for order in at_rest.books.orders
        if order["status"] in {"pending", "partially_filled"} and not order["role"]
    )
    end_s = asyncio.get_running_loop().time() + LOAD_LIMIT_S
    while True:
        told = [await _told_of_load(chaos, url, open_orders) for url in chaos.local.worker_urls]
        if not any(told) or asyncio.get_running_loop().time() > end_s:
            return [sentence for sentences in told for sentence in sentences]
        await asyncio.sleep(0.5)


async def _told_of_load(chaos: ChaosSet, url: str, open_orders: Counter[tuple[str, str]]) -> list[str]:
    load, controls = (await chaos.http.get(url + "/exposure")).json(), (await chaos.http.get(url + "/controls")).json()
    found = [f"{url}: {row['scope']} is {row['state']}" for row in controls["items"] if row["state"] != "armed"]
    for row in load["symbols"]:
        market = row["symbol"], row["category"]
        if row["pending"] or row["held"] or row["orders"] != open_orders[market]:
            figures = {name: row[name] for name in ("orders", "pending", "held", "worker")}
            found.append(f"{url}: load of {market} {figures}, open orders {open_orders[market]}")
    return found


async def _unexplained_alerts(chaos: ChaosSet) -> list[str]:
    alerts = (await chaos.local.get("/alerts", state="all"))["items"]
    log.info("alerts: %s", {alert["alert"]: alert["count"] for alert in alerts})
    return [
        f"alert {alert['alert']}: {alert['sentence'][:300]}"
        for alert in alerts
        if alert["code"] not in EXPLAINED_ALERTS
    ]


def unexplained_ends(chaos: ChaosSet) -> list[str]:
    """Processes that ended by themselves for a reason that is none here, or far too often."""
    ends = [end for part in chaos.parts for end in part.exits if not end.as_promised]
    log.info("ends: %s", Counter(f"{end.part} {end.code} {_code(end.last_line)}" for end in ends))
    return [
        f"{end.part} ended{', told to,' if end.asked else ''} after {end.at_s:.0f} s, code {end.code}: {end.last_line}"
        for end in ends
        if _code(end.last_line) not in EXPLAINED_ENDS
    ] + [f"{part.name} was started {part.starts} times" for part in chaos.parts if part.starts > MAX_STARTS]


def _code(last_line: str) -> str:
    """`CODE` of `FATAL CODE: sentence`."""
    return last_line.removeprefix("FATAL ").partition(":")[0]
