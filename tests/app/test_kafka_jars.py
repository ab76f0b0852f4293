"""The broker's jars are those of the lock file, to the last byte, and are fetched once."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from app.kafka import jars
from app.kafka.errors import JarsMissing
from app.kafka.jars import LockedJar, ensure_jars, locked_jars


class Mirror:
    """Stands in for the public repository, which a test must not load: serves these bytes, counts the requests."""

    def __init__(self, *answers: bytes | OSError) -> None:
        self.answers = list(answers)
        self.requests = 0

    def __call__(self, jar: LockedJar, repository: Path) -> None:
        answer = self.answers[min(self.requests, len(self.answers) - 1)]
        self.requests += 1
        if isinstance(answer, OSError):
            raise answer
        path = jar.path_in(repository)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(answer)


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORDERMANAGER_CACHE_DIR", str(tmp_path / "cache"))
    return locking(tmp_path, b"good")


def locking(folder: Path, content: bytes) -> Path:
    file = folder / "jgo.lock.toml"
    digest = hashlib.sha256(content).hexdigest()
    file.write_text(
        f'[[dependencies]]\ngroupId = "org.example"\nartifactId = "thing"\nversion = "1.0"\nsha256 = "{digest}"\n'
    )
    return file


def serving(monkeypatch: pytest.MonkeyPatch, *answers: bytes | OSError) -> Mirror:
    mirror = Mirror(*answers)
    monkeypatch.setattr(jars, "_download", mirror)
    return mirror


def test_a_jar_is_fetched_once(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = serving(monkeypatch, b"good")

    first, second = ensure_jars(lock_file=lock), ensure_jars(lock_file=lock)

    assert first == second
    assert [path.name for path in first.paths] == ["thing-1.0.jar"]
    assert mirror.requests == 1


def test_a_jar_that_came_cut_short_is_fetched_again(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = serving(monkeypatch, b"go", OSError("connection reset"), b"good")

    found = ensure_jars(lock_file=lock)

    assert found.paths[0].read_bytes() == b"good"
    assert mirror.requests == 3


def test_a_jar_with_other_content_is_refused_and_not_kept(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serving(monkeypatch, b"evil")

    with pytest.raises(JarsMissing, match=r"org\.example:thing:1\.0: sha256 is .*, the lock says "):
        ensure_jars(lock_file=lock)

    assert not list(lock.parent.rglob("*.jar"))


def test_an_unreachable_repository_is_told_as_such(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serving(monkeypatch, OSError("name resolution failed"))

    with pytest.raises(JarsMissing, match=r"org\.example:thing:1\.0: name resolution failed$"):
        ensure_jars(lock_file=lock)


@pytest.mark.parametrize("left", [None, b"goo"])
def test_a_jar_that_was_lost_from_the_cache_is_fetched_again(
    lock: Path, monkeypatch: pytest.MonkeyPatch, left: bytes | None
) -> None:
    mirror = serving(monkeypatch, b"good")
    (path,) = ensure_jars(lock_file=lock).paths
    path.unlink() if left is None else path.write_bytes(left)

    assert ensure_jars(lock_file=lock).paths[0].read_bytes() == b"good"
    assert mirror.requests == 2


def test_another_lock_is_another_set(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serving(monkeypatch, b"good", b"better")
    before = ensure_jars(lock_file=lock)

    after = ensure_jars(lock_file=locking(lock.parent, b"better"))

    assert before.fingerprint != after.fingerprint
    assert after.paths[0].read_bytes() == b"better"


def test_an_entry_without_a_hash_is_no_lock(tmp_path: Path) -> None:
    file = tmp_path / "jgo.lock.toml"
    file.write_text('[[dependencies]]\ngroupId = "org.example"\nartifactId = "thing"\nversion = "1.0"\n')

    with pytest.raises(JarsMissing, match=r"no sha256 in jgo\.lock\.toml for org\.example:thing:1\.0"):
        locked_jars(file)


def test_our_lock_has_the_broker_and_every_jar_a_hash() -> None:
    coordinates = {jar.coordinate for jar in locked_jars()}

    assert "org.apache.kafka:kafka_2.13:4.3.1" in coordinates
    assert "org.slf4j:slf4j-simple:1.7.36" in coordinates


def test_finding_the_jars_again_takes_no_time() -> None:
    ensure_jars()
    began = time.perf_counter()

    ensure_jars()

    assert time.perf_counter() - began < 1
