"""What set-up makes beforehand only ever helps; what it cannot make, it says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.kafka import prepare
from app.kafka.class_data import archive_path, use_flags
from app.kafka.jars import Jars
from app.kafka.java import Java

JARS = Jars((Path("/jars/a.jar"),), fingerprint="f")


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERMANAGER_CACHE_DIR", str(tmp_path))
    (tmp_path / "kafka").mkdir()


def java(version: int) -> Java:
    return Java(Path("/java"), version, fingerprint=str(version))


def test_no_archive_no_flags() -> None:
    assert use_flags(java(17), JARS) == []


@pytest.mark.parametrize(("version", "flag"), [(17, "-XX:SharedArchiveFile="), (25, "-XX:AOTCache=")])
def test_each_java_uses_its_kind_of_archive(version: int, flag: str) -> None:
    archive_path(java(version), JARS).touch()

    assert any(given.startswith(flag) for given in use_flags(java(version), JARS))


def test_another_java_or_other_jars_never_share_an_archive() -> None:
    others = Jars(JARS.paths, fingerprint="g")

    assert len({archive_path(java(17), JARS), archive_path(java(21), JARS), archive_path(java(17), others)}) == 3


def test_an_archive_that_was_not_written_is_not_kept(tmp_path: Path) -> None:
    archive = archive_path(java(17), JARS)

    assert not prepare._keep(tmp_path / "never-written", archive)
    assert not archive.exists()


def test_only_the_newest_archives_stay(tmp_path: Path) -> None:
    for age_s in range(5):
        old = tmp_path / "kafka" / f"{age_s}.jsa"
        old.touch()
        os.utime(old, (1_000_000 - age_s, 1_000_000 - age_s))
    (tmp_path / "kafka" / "list.jars").touch()
    fresh = tmp_path / "fresh.jsa"
    fresh.touch()

    assert prepare._keep(fresh, archive_path(java(17), JARS))

    left = {path.name for path in (tmp_path / "kafka").iterdir()}
    assert left == {archive_path(java(17), JARS).name, "0.jsa", "1.jsa", "list.jars"}


def test_set_up_without_a_java_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ORDERMANAGER_JAVA", "graal")

    assert prepare.main() == 1
    assert "JAVA_CHOICE" in capsys.readouterr().err
