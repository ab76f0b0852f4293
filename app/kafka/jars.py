"""The broker's jars: exactly those of `jgo.lock.toml`, fetched once by jgo, checked by hash, kept in the cache.

jgo resolves a set of jars anew each time; we want the ones that were tested. So the lock decides, and jgo only knows
how to fetch a given artifact, from the public repository or from the mirrors of its own configuration file.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.kafka.cache import cache_directory
from app.kafka.errors import JarsMissing

LOCK_FILE = Path(__file__).parent / "jgo.lock.toml"

_FETCHES_AT_ONCE = 8
_ATTEMPTS = 3
_REQUEST_TIMEOUT_S = 60
"""For a request to answer at all, not for the whole jar: a slow mirror is better than none."""

_CHUNK_BYTES = 1 << 20

Progress = Callable[[int, int], None]
"""Told after each jar: how many are here, of how many."""


@dataclass(frozen=True, slots=True)
class LockedJar:
    """One jar of the lock file."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def coordinate(self) -> str:
        """Group, artifact and version, as Java people write them."""
        return f"{self.group}:{self.artifact}:{self.version}"

    def path_in(self, repository: Path) -> Path:
        """Where the jar lies in a repository's folders."""
        folder = repository.joinpath(*self.group.split("."), self.artifact, self.version)
        return folder / f"{self.artifact}-{self.version}.jar"


@dataclass(frozen=True, slots=True)
class Jars:
    """The jars on this machine. `fingerprint` names this very set, content and order."""

    paths: tuple[Path, ...]
    fingerprint: str

    @property
    def class_path(self) -> str:
        """For Java's `CLASSPATH`."""
        return os.pathsep.join(map(str, self.paths))


def locked_jars(lock_file: Path = LOCK_FILE) -> tuple[LockedJar, ...]:
    """What the lock file names. Raises `JarsMissing` if an entry has no hash: it would be no lock."""
    entries = tomllib.loads(lock_file.read_text("utf-8"))["dependencies"]
    jars = tuple(
        LockedJar(entry["groupId"], entry["artifactId"], entry["version"], entry.get("sha256", "")) for entry in entries
    )
    if unlocked := [jar.coordinate for jar in jars if len(jar.sha256) != 64]:
        raise JarsMissing("JARS_UNLOCKED", f"no sha256 in {lock_file.name} for {', '.join(unlocked)}")
    return jars


def ensure_jars(progress: Progress | None = None, lock_file: Path = LOCK_FILE) -> Jars:
    """The jars, from the cache if they are there (milliseconds), else fetched and checked (seconds).

    Raises `JarsMissing` when one can't be had or is not what the lock says.
    """
    locked = locked_jars(lock_file)
    fingerprint = hashlib.sha256("".join(jar.sha256 for jar in locked).encode()).hexdigest()[:16]
    directory = cache_directory() / "kafka"
    directory.mkdir(exist_ok=True)
    listing = directory / f"{fingerprint}.jars"
    if known := _listed(listing):
        return Jars(known, fingerprint)
    with _only_one(directory / "fetch.lock"):
        if known := _listed(listing):  # another process was faster
            return Jars(known, fingerprint)
        paths = _fetch_all(locked, directory / "repository", progress)
        fresh = listing.with_suffix(".new")
        fresh.write_text("".join(f"{path.stat().st_size} {path}\n" for path in paths), "utf-8")
        fresh.replace(listing)
    return Jars(paths, fingerprint)


def _listed(listing: Path) -> tuple[Path, ...]:
    """The jars of an earlier, complete fetch; empty if there was none or a file is gone or has another size.

    Hashes were checked when the list was written; reading 45 MB again on each start would find no more.
    """
    paths: list[Path] = []
    try:
        for line in listing.read_text("utf-8").splitlines():
            size, _, name = line.partition(" ")
            path = Path(name)
            if path.stat().st_size != int(size):
                return ()
            paths.append(path)
    except (OSError, ValueError):
        return ()
    return tuple(paths)


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch_all(jars: tuple[LockedJar, ...], repository: Path, progress: Progress | None) -> tuple[Path, ...]:
    paths: list[Path] = []
    with ThreadPoolExecutor(_FETCHES_AT_ONCE) as pool:
        for path in pool.map(lambda jar: _fetch(jar, repository), jars):
            paths.append(path)
            if progress:
                progress(len(paths), len(jars))
    return tuple(paths)


def _fetch(jar: LockedJar, repository: Path) -> Path:
    path = jar.path_in(repository)
    reasons: list[str] = []
    for _ in range(_ATTEMPTS):
        try:
            if not path.exists():
                _download(jar, repository)
            seen = _sha256(path)
        except (OSError, RuntimeError) as error:  # requests' errors are OSErrors, jgo's are RuntimeErrors
            reasons.append(str(error))
        else:
            if seen == jar.sha256:
                return path
            reasons.append(f"sha256 is {seen}, the lock says {jar.sha256}")
        path.unlink(missing_ok=True)  # cut short or changed: not worth keeping
    raise JarsMissing("JARS_MISSING", f"{jar.coordinate}: {'; '.join(dict.fromkeys(reasons))}")


def _download(jar: LockedJar, repository: Path) -> None:
    # Imported here: it takes a third of a second, and only the first run of a machine fetches anything.
    from jgo.config import GlobalSettings  # noqa: PLC0415 -- see above
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415 -- see above
    from jgo.maven import MavenContext  # noqa: PLC0415 -- see above

    places = dict(GlobalSettings.load().repositories)
    places.setdefault("central", MAVEN_CENTRAL_URL)  # after the user's own, which may be all that can be reached
    context = MavenContext(repo_cache=repository, remote_repos=places, timeout=_REQUEST_TIMEOUT_S)
    context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
