"""The topics of the settings."""

from __future__ import annotations

from app.settings import Settings
from streams.topics import Topics


def topics_of(settings: Settings) -> Topics:
    """Names, partitions and copies as the settings have them."""
    return Topics(
        prefix=settings.topic_prefix, partitions=settings.partitions, replication_factor=settings.replication_factor
    )
