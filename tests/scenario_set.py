"""The whole set for scenario tests: paper exchange, gateway and worker as processes, and a desk in front of them.

Every symbol's market is pinned at the same quotes, 99.9 for 100.1, so that prices and quantities in a test are plain
figures; it moves only when a test says so. Waits are for conditions, each with a deadline.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import orjson
from aiokafka import AIOKafkaProducer
from scenario_reader import Reader, Row, until
from scenario_told import ToldSide
from scenario_venue import DEADLINE_S, MID, SPREAD, VenueSide

from app.agreement import compare
from app.kafka.broker import free_ports
from app.local_set import LocalSet
from app.settings import Settings, api_key
from app.transport.partitioner import partition_of
from domain.commands import Command, encode_command
from exchanges.paper.instruments import INSTRUMENTS

PROMPT: dict[str, Any] = {  # Any: each setting has its own type
    "partitions": 4,
    "paper_market_interval_s": 0.0,
    "venue_orders_per_s": 1_000.0,
    "venue_queries_per_s": 1_000.0,
    "venue_address_per_s": 5_000.0,
    "venue_timeout_s": 1.0,
    "receive_window_ms": 500,
    "history_lag_s": 0.2,
    "clock_error_s": 0.1,
    "api_retry_base_s": 0.05,
    "api_retry_cap_s": 0.2,
    "order_execution_timeout_s": 6.0,
    "cancel_timeout_s": 4.0,
    "doubt_s": 1.0,
    "timer_interval_s": 0.2,
    "reconcile_interval_s": 86_400.0,
    "gateway_interval_s": 0.2,
    "gap_overlap_s": 5.0,
    "session_timeout_s": 6.0,
    "breaker_open_s": 0.5,
}
"""Short waits instead of the careful ones: the exchange is on this machine, and honest about its clock."""

_OUTPUTS = (
    *("order_events", "position_events", "position_snapshots", "alerts", "signals", "order_updates"),
    *("signals_dead", "order_updates_dead", "order_commands_dead", "balances", "marks", "heartbeats"),
)
_IN_DOUBT = {"planned", "submitting", "uncertain", "pending_cancel", "pending_replace"}


def wish(symbol: str, signal_type: str = "buy", **fields: object) -> Row:
    """A signal over 1000 USDT at 100: ten pieces. A field that is None is left out."""
    signal: Row = {
        "signal_id": f"s-{uuid.uuid4().hex[:12]}",
        "signal_type": signal_type,
        "symbol": symbol,
        "amount": "1000",
        "timestamp": time.time_ns(),
        "market_data_snapshot": {"price": MID, "spread": SPREAD},
        **fields,
    }
    return {name: value for name, value in signal.items() if value is not None}


class Desk(VenueSide, ToldSide):
    """Where a scenario sends signals, reads what is told, asks the views, and is the exchange's weather."""

    def __init__(self, settings: Settings, workers: int = 1) -> None:
        http = httpx.AsyncClient(timeout=10.0, headers={"X-API-Key": api_key(settings)})
        super().__init__(settings, LocalSet(settings, broker=False, workers=workers), http)
        self.topics = self.set.topics
        self.reader = Reader(settings.bootstrap, tuple(getattr(self.topics, name) for name in _OUTPUTS))
        self._producer: Any = None  # Any: aiokafka is untyped
        self._given: set[str] = set()
        self._named: set[str] = set()

    async def start(self) -> None:
        """Start everything, and wait until the worker has seen balances and prices."""
        await self.set.start()
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self.settings.bootstrap, acks="all", enable_idempotence=True, linger_ms=0
        )
        await self._producer.start()
        await self.reader.start()
        await self.record("balances")
        for symbol in INSTRUMENTS:
            await self.quote(symbol)
        await self.quotes_are_seen()

    async def stop(self) -> None:
        """Stop everything."""
        await self.reader.stop()
        if self._producer is not None:
            await self._producer.stop()
        await self.stranger.close()
        await self._http.aclose()
        await self.set.stop()

    def symbols(self, count: int, *, same_partition: bool = False) -> list[str]:
        """Symbols that no test has had yet."""
        left = sorted(set(INSTRUMENTS) - self._given)
        if same_partition:
            left = max(([each for each in left if self.partition(each) == number] for number in range(4)), key=len)
        assert len(left) >= count, "this module has no symbols left"
        self._given.update(left[:count])
        return left[:count]

    def named(self, symbol: str) -> str:
        """This symbol, which is shared by the tests that name it and given to no other."""
        assert symbol not in self._given or symbol in self._named, f"{symbol} was given to a test already"
        self._given.add(symbol)
        self._named.add(symbol)
        return symbol

    def partition(self, symbol: str) -> int:
        """Where the symbol's records belong."""
        return partition_of(symbol.encode(), self.settings.partitions)

    # -- telling the manager -----------------------------------------------------------------------------------------

    async def send(self, signal: Row | bytes, **where: Any) -> str:  # Any: aiokafka is untyped
        """Publish a signal, under its symbol unless `key` or `partition` says otherwise; returns its source."""
        value = signal if isinstance(signal, bytes) else orjson.dumps(signal)
        if isinstance(signal, dict):
            where.setdefault("key", str(signal.get("symbol", signal.get("asset", ""))).encode())
        return await self._publish(self.topics.signals, value, **where)

    async def tell_update(self, symbol: str, value: bytes, **where: Any) -> str:  # Any: aiokafka is untyped
        """Publish anything as an update of the symbol."""
        return await self._publish(self.topics.order_updates, value, key=symbol.encode(), **where)

    async def everything_is_read(self, symbol: str) -> None:
        """Wait until the worker has read every update of the symbol's partition up to now: a last one, which can only
        go to the dead letters, has arrived there."""
        marker = uuid.uuid4().hex.encode()
        await self.tell_update(symbol, marker)

        def arrived() -> bool | None:
            return any(record.value == marker for record in self.told("order_updates_dead")) or None

        await self.reader.until(arrived, DEADLINE_S, "the end of the symbol's updates")

    async def tell_command(self, command: Command | bytes, *, symbol: str = "") -> str:
        """Publish a command, or anything in place of one."""
        value = command if isinstance(command, bytes) else encode_command(command)
        key = (symbol if isinstance(command, bytes) else command.symbol).encode()
        return await self._publish(self.topics.order_commands, value, key=key)

    async def _publish(self, topic: str, value: bytes, **where: Any) -> str:
        where["headers"] = list(where.get("headers", ()))
        at = await self._producer.send_and_wait(topic, value, **where)
        return f"{at.topic}-{at.partition}-{at.offset}"

    async def trade(self, signal: Row, within_s: float = DEADLINE_S, **where: Any) -> Row:  # Any: as `send`
        """Send a signal and wait for its end; returns what the view tells of it, its orders included."""
        source = await self.send(signal, **where)
        return await self.end_of(signal["signal_id"], source=source, within_s=within_s)

    async def end_of(self, signal_id: str, *, source: str = "", within_s: float = DEADLINE_S) -> Row:
        """The signal once it has ended (by the record of `source`, where that is given)."""

        async def ended() -> Row | None:
            found = await self.ask(f"/signals/{signal_id}", missing=None)
            rows = [
                row
                for row in (found or {"items": []})["items"]
                if row["state"] == "done" and source in {"", row["source"]}
            ]
            return rows[0] if rows else None

        return await until(ended, within_s, f"the end of signal {signal_id}")

    async def bought(self, symbol: str, amount: str = "1000") -> Row:
        """Buy at the market; returns the filled order. The position's event has been told."""
        row = await self.trade(wish(symbol, amount=amount, order_type="market"))
        return await self.order_in(row["order_ids"][0], "filled")

    async def resting(self, symbol: str, side: str = "buy", **fields: object) -> Row:
        """A limit order that rests at the best price of its side; returns it as acknowledged by the venue itself."""
        row = await self.trade(wish(symbol, side, order_type="limit", **fields))
        assert row["result"] == "executed", row
        return await self.order_where(
            row["order_ids"][0],
            lambda order: order["state"] == "acknowledged" and order["venue"]["raw_status"] == "New",
        )

    async def command(self, **body: object) -> Row:
        """Give a command and wait for its result."""
        reply = await self._http.post(self._url("/commands"), json=body)
        assert reply.status_code == httpx.codes.ACCEPTED, reply.text
        return await self.result_of(reply.json()["command_id"])

    async def result_of(self, command_id: str, within_s: float = DEADLINE_S) -> Row:
        """The result of a command, once it is done."""

        async def done() -> Row | None:
            found: Row | None = await self.ask(f"/commands/{command_id}", missing=None)
            return found if found and found["done"] else None

        return await until(done, within_s, f"the result of command {command_id}")

    async def sync_everything(self, within_s: float = DEADLINE_S) -> Row:
        """Compare all symbols with the venue, and wait for the result of every partition."""
        reply = await self._http.post(self._url("/commands"), json={"action": "sync", "symbol": "*"})
        assert reply.status_code == httpx.codes.ACCEPTED, reply.text
        return await self.result_of(reply.json()["command_id"], within_s)

    async def post(self, path: str, **body: object) -> httpx.Response:
        """Post to the views, whatever the reply."""
        return await self._http.post(self._url(path), json=body)

    async def post_to(self, url: str, body: object) -> httpx.Response:
        """Post to a worker's address that another one has named."""
        return await self._http.post(url, json=body)

    # -- asking the manager ------------------------------------------------------------------------------------------

    _NEEDED = object()

    async def ask(self, path: str, missing: object = _NEEDED, **parameters: Any) -> Any:  # Any: JSON
        """Ask the views. `missing` is what a 404 gives; without it a 404 fails the test."""
        reply = await self._http.get(self._url(path), params=parameters)
        if reply.status_code == httpx.codes.NOT_FOUND and missing is not self._NEEDED:
            return missing
        assert reply.status_code == httpx.codes.OK, f"{path}: {reply.status_code} {reply.text}"
        return orjson.loads(reply.content)

    def _url(self, path: str) -> str:
        return self.set.worker_urls[0] + path

    async def order(self, order_id: str) -> Row:
        """The order's row."""
        detail: Row = await self.ask(f"/orders/{order_id}")
        return dict(detail["order"])

    async def order_where(self, order_id: str, holds: Callable[[Row], object], within_s: float = DEADLINE_S) -> Row:
        """The order once the condition holds."""
        last: Row = {}

        async def there() -> Row | None:
            detail = await self.ask(f"/orders/{order_id}", missing=None)
            last.update(detail["order"] if detail else {})
            return dict(last) if detail and holds(last) else None

        try:
            return await until(there, within_s, f"order {order_id} as wanted")
        except AssertionError as error:
            raise AssertionError(f"{error}: it is {last.get('state')}: {last}") from None

    async def order_in(self, order_id: str, *states: str, within_s: float = DEADLINE_S) -> Row:
        """The order once it is in one of the states, with all of its fills."""
        return await self.order_where(
            order_id, lambda order: order["state"] in states and not order["missing_fills"], within_s
        )

    def worker_log(self) -> list[Row]:
        """Every line that the worker has written so far."""
        text = self.set.workers[0].child.log_file.read_text()
        return [orjson.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]

    async def position(self, symbol: str, side: str = "net", category: str | None = None) -> Row:
        """The symbol's position (in the set's own category); an empty one where there is none."""
        found = (await self.ask(f"/positions/{symbol}", category=category or self.settings.category))["items"]
        rows = [row for row in found if row["side"] == side]
        return rows[0] if rows else {"size": "0", "realised": "0", "average_entry": "0", "fees": {}}

    async def position_is(self, symbol: str, size: str, category: str | None = None) -> None:
        """Wait until the symbol's position has this size."""

        async def reached() -> bool | None:
            return Decimal((await self.position(symbol, category=category))["size"]) == Decimal(size) or None

        await until(reached, DEADLINE_S, f"a position of {size} {symbol}")

    async def health(self) -> Row:
        """What the worker says of its readiness, ready or not."""
        reply = await self._http.get(self._url("/health/ready"))
        return dict(orjson.loads(reply.content))

    async def metrics(self) -> str:
        """What the worker measures, as Prometheus reads it."""
        return (await self._http.get(self._url("/metrics"))).text

    async def worker_is_ready(self) -> None:
        """Wait until the worker says so."""
        await until(lambda: self._health_says(lambda health: health["ready"]), 30, "the worker's readiness")

    @asynccontextmanager
    async def worker_away(self, *, ready: bool = True) -> AsyncIterator[None]:
        """Without the worker, which has stopped in order; afterwards it runs again, and is `ready` or at least has
        its tables."""
        [worker] = self.set.workers
        await worker.stop()
        try:
            yield
        finally:
            worker.start()
            if ready:
                await self.worker_is_ready()
            else:
                await until(lambda: self._health_says(_has_tables), 30, "the worker's tables")

    async def _health_says(self, holds: Callable[[Row], bool]) -> bool | None:
        try:
            return holds(await self.health()) or None
        except httpx.TransportError:
            return None

    async def updates(self, symbol: str, kind: str, count: int) -> list[Row]:
        """The symbol's updates of a kind, once there are so many."""

        def enough() -> list[Row] | None:
            found = [record.body for record in self.told("order_updates", instrument__symbol=symbol, kind=kind)]
            return found if len(found) >= count else None

        return await self.reader.until(enough, DEADLINE_S, f"{count} updates of {symbol}")

    # -- the end of a module -----------------------------------------------------------------------------------------

    async def agrees(self, besides: Collection[str] = ()) -> None:
        """Wait until everything is settled and the manager agrees with the exchange's books, order by order, position
        by position; then that every order's events count from 1 without a gap, each told alike whenever it is told.

        `besides`: client order ids that a test has made disagree on purpose.
        """
        await self.heal()
        found = ["nothing was compared"]

        async def agreed() -> bool | None:
            orders, positions, books = await asyncio.gather(
                self.set.pages("/orders", limit=500),
                self.set.pages("/positions", limit=500),
                self.set.paper_get("/paper/books"),
            )
            account = books["accounts"][0]
            account["orders"] = [row for row in account["orders"] if row["orderLinkId"] not in besides]
            orders = [order for order in orders if order["client_order_id"] not in besides]
            unsettled = [order for order in orders if order["missing_fills"] or order["state"] in _IN_DOUBT]
            found[:] = [f"order {order['order_id']} is {order['state']}" for order in unsettled]
            found[len(found) :] = compare(orders, positions, account).differences
            return not found or None

        try:
            await until(agreed, DEADLINE_S, "agreement with the exchange")
        except AssertionError:
            raise AssertionError("\n".join(found)) from None
        rows = await self.set.pages("/orders", limit=500)
        await self.events_are_complete({order["order_id"]: order["sequence"] for order in rows})


def _has_tables(health: Row) -> bool:
    return all(check["ok"] for name, check in health["checks"].items() if name != "symbols_checked")


@asynccontextmanager
async def running_set(
    kafka: str,
    directory: Path,
    *,
    workers: int = 1,
    **changes: Any,  # Any: settings
) -> AsyncIterator[Desk]:
    """A set of its own on the shared broker: own topics, own directory, own ports."""
    paper_port, web_port = free_ports(2)
    settings = Settings(
        **{
            **PROMPT,
            "kafka_bootstrap": kafka,
            "topic_prefix": f"sc{uuid.uuid4().hex[:8]}-",
            "data_dir": directory,
            "paper_port": paper_port,
            "web_port": web_port,
            **changes,
        }
    )
    desk = Desk(settings, workers)
    try:
        await desk.start()
        yield desk
    finally:
        await desk.stop()
