"""What `make setup` does for the broker: fetch its jars, find its Java, make the class-data archive.

Run as `python -m app.kafka.prepare`. All of it is kept in the user's cache and done again only if something is missing.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from app.kafka import class_data
from app.kafka.broker import LocalKafka, free_ports
from app.kafka.errors import KafkaError
from app.kafka.jars import Jars, ensure_jars
from app.kafka.java import Java, find_java
from app.kafka.options import KafkaOptions

_ARCHIVE_TIMEOUT_S = 90.0
"""It is written when the broker ends: 2-4 s on a free machine."""

_ARCHIVES_KEPT = 3

_log = logging.getLogger(__name__)


async def make_archive(java: Java, jars: Jars) -> bool:
    """Make the class-data archive by running a broker for a moment. False if this Java makes none; no harm done."""
    archive = class_data.archive_path(java, jars)
    if archive.exists():
        return True
    port, controller_port = free_ports(2)
    with tempfile.TemporaryDirectory(prefix="kafka-archive-") as directory:
        fresh = Path(directory) / archive.name
        options = KafkaOptions(Path(directory), port, controller_port, quick=True, with_parent=True)
        broker = LocalKafka(options, java_flags=class_data.make_flags(java, fresh))
        await broker.start()
        await broker.stop(limit_s=_ARCHIVE_TIMEOUT_S)
        return await asyncio.to_thread(_keep, fresh, archive)


def _keep(fresh: Path, archive: Path) -> bool:
    """Into the cache in one step: a reader sees all of it or nothing."""
    if not fresh.exists():
        return False
    beside = archive.with_suffix(".new")
    beside.write_bytes(fresh.read_bytes())
    beside.replace(archive)
    _forget_old(archive)
    return True


def _forget_old(newest: Path) -> None:
    """Archives of Javas and jars of the past stay behind, 50 MB each: keep the last few."""
    archives = [path for path in newest.parent.iterdir() if path.suffix in class_data.SUFFIXES]
    archives.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for old in archives[_ARCHIVES_KEPT:]:
        old.unlink(missing_ok=True)


def main() -> int:
    """Prepare, and say what was done. Returns the process's exit code."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        java = find_java()
        with console.status("fetching Apache Kafka") as status:
            jars = ensure_jars(lambda here, of: status.update(f"fetching Apache Kafka: {here} of {of} jars"))
    except KafkaError as error:
        console.print(f"[red]{error}[/red]")
        return 1
    console.print(f"Apache Kafka: {len(jars.paths)} jars, Java {java.major_version} ({java.executable})")
    try:
        made = asyncio.run(make_archive(java, jars))
    except KafkaError as error:  # a taken port, a slow machine: the broker starts without it too
        _log.warning("no class-data archive: %s", error)
        made = False
    if not made:
        console.print("no class-data archive: the broker starts a second slower")
    return 0


if __name__ == "__main__":
    sys.exit(main())
