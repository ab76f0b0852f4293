"""`ordermanager demo`: the whole set in a scratch directory, N signals through it, and an account of what happened.

1. start everything on free ports, with a market that moves quickly
2. send the signals of the seed
3. let the market stand still and wait until everything is settled: every signal has an end, nothing is in doubt,
   no fill is missing, and the books agree with the venue's
4. check what is asked for: `verify` (tables, topics, venue), `replay` (the tables made again)
5. print what happened; the last line is one JSON object
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from app.local_set import LocalSet, percentiles, with_free_ports
from app.replay.folded import Until
from app.replay.reading import CannotCompare
from app.replay.report import replay
from app.sample_producer import SampleProducer
from app.settings import Settings
from app.settling import Books, Told, settled_books, settled_events
from app.verify.report import VerifyOptions, verify
from domain.errors import InvalidInput

SETTLE_LIMIT_S = 60.0
VERIFY, REPLAY = "verify", "replay"
CHECKS = (VERIFY, REPLAY)
"""What may be asked for at the end."""
_FAST = {
    # The paper exchange has no rate limit of its own unless asked for one: the demonstration is not to be slowed
    # down by the limits of a live account.
    "venue_orders_per_s": 1_000.0,
    "venue_queries_per_s": 1_000.0,
    "venue_address_per_s": 5_000.0,
    "paper_market_interval_s": 0.1,
    "history_lag_s": 1.0,
}


async def run_demo(
    settings: Settings,
    *,
    signals: int,
    seed: int,
    rate_per_s: float,
    keep: bool,
    say: Callable[[str], None],
    then: Collection[str] = (),
) -> dict[str, Any]:
    """Run the demonstration; returns what is printed. `keep` leaves the scratch directory for a look at its logs.
    `then` names the checks at the end, which add what they found under their own names."""
    directory = Path(tempfile.mkdtemp(prefix="ordermanager-demo-"))
    scratch = with_free_ports(settings.model_copy(update={**_FAST, "paper_seed": seed}), directory)
    local = LocalSet(scratch)
    started_s = time.monotonic()
    try:
        await local.start(say)
        say(f"ready after {time.monotonic() - started_s:.1f} s: {local.worker_urls[0]}, {directory}")
        sent = await _send(scratch, seed, signals, rate_per_s, say)
        await local.paper_post("/paper/market", {"frozen": True})
        books, unsettled = await settled_books(local, sent, SETTLE_LIMIT_S)
        if unsettled:
            say(f"not settled after {SETTLE_LIMIT_S:g} s: {len(unsettled)} reasons")
        events, untold = await settled_events(scratch.bootstrap, local.topics.order_events, books.orders)
        differences = unsettled + untold
        account = _account(local, sent, seed, books, events, differences, time.monotonic() - started_s)
        return account | {check: await _checked(check, scratch, say) for check in CHECKS if check in then}
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await local.stop()
        if keep:
            say(f"kept: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


def checks_named(text: str) -> list[str]:
    """`verify,replay` as a list. Raises `InvalidInput` for a check that we don't know."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := sorted(set(names) - set(CHECKS)):
        raise InvalidInput("BAD_OPTION", [f"--then {', '.join(unknown)}: the checks are {', '.join(CHECKS)}"])
    return names


def all_well(account: dict[str, Any]) -> bool:
    """Whether the books agree and every check found the same."""
    return bool(account["agree"]) and all(account[check]["equal"] for check in CHECKS if check in account)


async def _checked(check: str, settings: Settings, say: Callable[[str], None]) -> dict[str, Any]:
    say(f"{check} …")
    try:
        if check == VERIFY:
            return await verify(settings, VerifyOptions(settle_s=SETTLE_LIMIT_S))
        return await replay(settings, directory=None, until=Until(), settle_s=SETTLE_LIMIT_S)
    except CannotCompare as error:
        return {"equal": None, "error": {"code": error.code, "sentence": error.sentence}}


async def _send(settings: Settings, seed: int, count: int, rate_per_s: float, say: Callable[[str], None]) -> list[str]:
    """Send the signals at the rate; returns their ids."""
    producer = SampleProducer(settings, seed, prefix="demo")
    await producer.start()
    sent = []
    try:
        begin_s = time.monotonic()
        for number in range(count):
            sent.append((await producer.send_one())["signal_id"])
            await asyncio.sleep(max(0.0, begin_s + (number + 1) / rate_per_s - time.monotonic()))
            if (number + 1) % max(1, count // 10) == 0:
                say(f"sent {number + 1} of {count} signals")
    finally:
        await producer.stop()
    return sent


def _account(
    local: LocalSet,
    sent: list[str],
    seed: int,
    books: Books,
    events: dict[str, Told],
    differences: list[str],
    seconds: float,
) -> dict[str, Any]:
    agreement = books.agreement()
    return {
        "signals": len(sent),
        "seed": seed,
        "signals_by_result": dict(sorted(Counter(row["result"] for row in books.signals).items())),
        "orders": len(books.orders),
        "orders_by_status": dict(sorted(Counter(order["status"] for order in books.orders).items())),
        "fills": agreement.fills,
        "events": len(events),
        "events_by_type": dict(sorted(Counter(told.event["type"] for told in events.values()).items())),
        "positions": {
            "manager": {
                position["instrument"]["symbol"]: {
                    name: position[name] for name in ("size", "average_entry", "realised", "fees")
                }
                for position in sorted(books.positions, key=lambda position: position["instrument"]["symbol"])
            },
            "venue": {
                row["symbol"]: {
                    "size": row["size"],
                    "average_entry": row["avg_price"],
                    "realised": row["realised_pnl"],
                    "fees": row["fees"],
                }
                for row in sorted(books.account["positions"], key=lambda row: row["symbol"])
            },
        },
        "compared": {"orders": agreement.orders, "fills": agreement.fills, "positions": agreement.positions},
        "agree": not differences,
        "differences": differences,
        "latency": _latencies(books.orders),
        "worker_restarts": sum(worker.child.restarts for worker in local.workers),
        "seconds": round(seconds, 1),
    }


def _latencies(orders: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    times = [order["times"] for order in orders if order["times"]["sent_ns"]]
    return {
        "signal_to_sent": percentiles([time["sent_ns"] - time["signal_ns"] for time in times if time["signal_ns"]]),
        "sent_to_acknowledged": percentiles(
            [time["acknowledged_ns"] - time["sent_ns"] for time in times if time["acknowledged_ns"]]
        ),
    }
