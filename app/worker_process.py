"""The worker as a process: checks what it stands on, serves its views, runs until it is told to stop."""

from __future__ import annotations

import asyncio

from app.allocator import give_back_large_blocks
from app.engine import run_engine
from app.process_logs import configure_process_logs
from app.settings import Settings
from app.topic_creation import check_topics
from app.topics import topics_of
from app.web import register_views
from app.web_context import call_hooks, stream_hooks, web_context, worker_metrics
from app.worker import build_worker
from streams.waiting_for_brokers import BROKER_LIMIT_S


def run_worker(settings: Settings) -> int:
    """Run a worker; returns its exit code. Raises `TopicsUnfit` when a topic is missing or of another shape."""
    give_back_large_blocks()
    logging_config = configure_process_logs(settings, "worker")
    asyncio.run(check_topics(settings.bootstrap, topics_of(settings), timeout_s=BROKER_LIMIT_S))
    metrics = worker_metrics(settings)
    worker = build_worker(settings, hooks=stream_hooks(metrics), call_hooks=call_hooks(metrics))
    register_views(worker.engine.app, web_context(worker, metrics))
    return run_engine(worker.engine, logging_config=logging_config)
