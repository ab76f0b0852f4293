"""The views on a real worker: Faust's own server, tables on disk, a broker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
from table_cases import filled, order, partition_of, signal_row, store_orders, store_signals
from web_cases import INTERNAL_KEY, READ, Worker

from app.engine import build_engine, engine_running
from app.engine_options import EngineOptions
from app.kafka.broker import free_ports
from app.web import WebContext, WebSettings, readiness, register_views
from streams.topics import Topics
from tables.orders import order_index
from tables.positions import position_index
from tables.signals import signal_index


async def test_a_worker_answers_from_its_own_tables(kafka: str, topics: Topics, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    options = EngineOptions(
        app_id=topics.app_id,
        bootstrap=kafka,
        data_directory=tmp_path,
        partitions=topics.partitions,
        web_port=port,
    )
    engine = build_engine(options)
    orders = engine.table("orders", index=order_index)
    signals = engine.table("signals", index=signal_index)
    positions = engine.table("positions", index=position_index)
    engine.runs(topics.order_updates, lambda _run: None)
    context: WebContext = replace(
        Worker()._context(),
        settings=WebSettings(partitions=topics.partitions, internal_key=INTERNAL_KEY),
        orders=orders,
        signals=signals,
        positions=positions,
        checks=readiness(engine.ready),
    )
    register_views(engine.app, context)

    async with engine_running(engine), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
        store_orders(orders, order(1), filled(2, symbol="ETHUSDT"))
        store_signals(signals, signal_row("s1"))
        listed = (await http.get("/orders", headers=READ)).json()
        by_venue = await http.get("/orders/v2", headers=READ)
        symbols = await http.get("/orders", headers=READ, params={"symbol": "BTCUSDT", "status": "pending"})
        signal = await http.get("/signals/s1", headers=READ)
        ready = await http.get("/health/ready")
        closed = {path: (await http.get(path)).status_code for path in ("/", "/table/orders/", "/router/", "/stats")}

    assert {partition_of("BTCUSDT"), partition_of("ETHUSDT")} <= set(range(topics.partitions))
    assert [each["order_id"] for each in listed["items"]] == ["om2", "om1"]
    assert (listed["partial"], listed["missing_partitions"]) == (False, [])
    assert by_venue.json()["order"]["order_id"] == "om2"
    assert [each["order_id"] for each in symbols.json()["items"]] == ["om1"]
    assert signal.json()["items"][0]["result"] == "executed"
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert set(closed.values()) == {401}
