"""The Faust application: our transport, our table manager, and settings that keep the engine's promises."""

# Faust and aiokafka carry no types that mypy could follow:
# mypy: allow-subclassing-any, allow-untyped-decorators
from __future__ import annotations

import asyncio
import logging

import faust

from app.engine_options import A_DAY_S, EngineOptions
from app.transport.consumer import Transport
from app.transport.recovery import TableManager
from app.transport.wiring import Wiring

BATCH_BYTES = 131_072
"""Of a partition in one request. With aiokafka's 16 kB a run of events takes several round trips."""


class Application(faust.App):
    """The Faust application. `wiring` is what our transport looks for; every crash ends the process."""

    wiring: Wiring
    stopped_in_order = False

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> Transport:
        return Transport(self.conf.broker_producer, self)

    async def on_first_start(self) -> None:
        """Faust's monitor counts every event and its streams' times; nobody asks it (`app/metrics.py` has ours)."""
        await super().on_first_start()
        self.sensors.remove(self.monitor)

    def on_rebalance_start(self) -> None:
        """Called as early as can be, before the group's generation changes: from here on nothing new may be done."""
        self.wiring.inbox.close()
        super().on_rebalance_start()

    def _crash(self, reason: BaseException) -> None:
        if not isinstance(reason, asyncio.CancelledError):
            self.wiring.stop(f"CRASHED: {reason!r}")

    async def _stop_consumer(self) -> None:
        """The first step of stopping: take nothing more, finish, flush, commit. The rest is taken down after it."""
        consumer = self._consumer
        if consumer is not None and not self.stopped_in_order:
            self.stopped_in_order = True
            self.wiring.told_to_end = True
            await self.tables.recovery.interrupt()
            await consumer.let_go()
            self.wiring.at_rest_s = asyncio.get_running_loop().time()
            await self._stop_fetcher()
            await self.tables.stop()


def new_application(options: EngineOptions, wiring: Wiring) -> Application:
    """Faust's settings: the reasons are in docs/engine.md."""
    app = Application(
        options.app_id,
        broker=[f"kafka://{address}" for address in options.bootstrap.split(",")],
        store="memory://",
        datadir=str(options.data_directory),
        value_serializer="raw",
        processing_guarantee="at_least_once",
        TableManager=TableManager,
        topic_partitions=options.partitions,
        topic_replication_factor=options.replication_factor,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        stream_buffer_maxsize=max(4_096, options.reader_waiting + options.poll_records * 2),
        stream_wait_empty=True,
        stream_recovery_delay=0.0,
        broker_commit_interval=options.commit_interval_s,
        broker_commit_every=None,
        broker_session_timeout=options.session_timeout_s,
        broker_heartbeat_interval=options.heartbeat_s,
        broker_request_timeout=options.request_timeout_s,
        broker_rebalance_timeout=options.rebalance_timeout_s,
        broker_max_poll_interval=A_DAY_S,
        broker_max_poll_records=options.poll_records,
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=int(options.metadata_max_age_s * 1_000),
        producer_acks=-1,
        producer_linger=0.0,
        producer_max_batch_size=BATCH_BYTES,
        producer_request_timeout=options.request_timeout_s,
        producer_metadata_max_age_ms=int(options.metadata_max_age_s * 1_000),
        producer_max_request_size=max(1_048_576, options.max_record_bytes),
        web_enabled=options.web_enabled,
        web_host=options.web_host,
        web_bind=options.web_host,
        web_port=options.web_port,
        web_tables_enabled=False,
        web_router_enabled=False,
        debug=False,
        worker_redirect_stdouts=False,
        autodiscover=False,
    )
    app.wiring = wiring
    return app


def quiet_logs() -> None:
    """Faust's and aiokafka's debug calls cost a tenth of the processor even when nobody reads them."""
    for name, level in (("faust", logging.INFO), ("mode", logging.INFO), ("aiokafka", logging.WARNING)):
        logging.getLogger(name).setLevel(level)
