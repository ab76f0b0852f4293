"""The logs of one of our processes, as the settings have them."""

from __future__ import annotations

from typing import Any

from app.logs import configure_logs
from app.settings import Settings


def configure_process_logs(settings: Settings, service: str) -> dict[str, Any]:
    """Configure this process's logs; returns what Faust takes as its logging configuration."""
    return configure_logs(
        level=settings.log_level,
        renderer=settings.log_format,
        service=service,
        worker=settings.worker_id if service == "worker" else "",
        prefix="[DRY-RUN]" if settings.dry_run and service == "worker" else "",
        secrets=settings.secret_values(),
    )
