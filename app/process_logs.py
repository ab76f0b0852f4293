"""The logs of one of our processes, as the settings have them."""

from __future__ import annotations

import logging
from typing import Any

from app.logs import configure_logs
from app.settings import Settings
from app.settings_names import misspelt_variables

log = logging.getLogger(__name__)


def configure_process_logs(settings: Settings, service: str) -> dict[str, Any]:
    """Configure this process's logs; returns what Faust takes as its logging configuration. Variables that look like
    settings and are none are told first."""
    configuration = configure_logs(
        level=settings.log_level,
        renderer=settings.log_format,
        service=service,
        worker=settings.worker_id if service == "worker" else "",
        prefix="[DRY-RUN]" if settings.dry_run and service == "worker" else "",
        secrets=settings.secret_values(),
    )
    for sentence in misspelt_variables():
        log.warning("UNKNOWN_SETTING: %s", sentence)
    return configuration
