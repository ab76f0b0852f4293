"""A class-data archive: the classes a broker loads, parsed beforehand, so that it starts in half the time.

Made once per Java and set of jars (`prepare`), by running a broker for a moment. It is only ever a help: without one,
or with one that does not fit, Java loads its classes as always and says nothing.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from app.kafka.cache import cache_directory
from app.kafka.jars import Jars
from app.kafka.java import Java

AOT_CACHE_SINCE = 25
"""First Java that makes an ahead-of-time cache in one step (JEP 514); it holds linked classes, not just parsed ones."""


SUFFIXES = (".jsa", ".aot")
"""Before and since that Java."""


def archive_path(java: Java, jars: Jars) -> Path:
    """Where the archive for this Java and these jars is, or would be."""
    name = hashlib.sha256(f"{java.fingerprint}\n{jars.fingerprint}\n{jars.class_path}".encode()).hexdigest()[:16]
    return cache_directory() / "kafka" / (name + SUFFIXES[java.major_version >= AOT_CACHE_SINCE])


def use_flags(java: Java, jars: Jars) -> list[str]:
    """Java's flags to start with the archive; empty if there is none."""
    archive = archive_path(java, jars)
    if not archive.exists():
        return []
    if java.major_version >= AOT_CACHE_SINCE:
        return [f"-XX:AOTCache={archive}", "-XX:AOTMode=auto", "-Xlog:aot*=off", "-Xlog:cds*=off"]
    return [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto", "-Xlog:cds*=off"]


def make_flags(java: Java, archive: Path) -> list[str]:
    """Java's flags to write an archive when it ends."""
    if java.major_version >= AOT_CACHE_SINCE:
        return [f"-XX:AOTCacheOutput={archive}", "-Xlog:aot*=off", "-Xlog:cds*=off"]
    return [f"-XX:ArchiveClassesAtExit={archive}", "-Xlog:cds*=off"]
