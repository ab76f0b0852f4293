"""The worker as a process: checks what it stands on, serves its views, runs until it is told to stop."""

from __future__ import annotations

import asyncio

from app.engine import run_engine
from app.settings import Settings
from app.topic_creation import check_topics
from app.topics import topics_of
from app.worker import build_worker


def run_worker(settings: Settings) -> int:
    """Run a worker; returns its exit code. Raises `TopicsUnfit` when a topic is missing or of another shape."""
    asyncio.run(check_topics(settings.bootstrap, topics_of(settings)))
    worker = build_worker(settings)
    return run_engine(worker.engine)
