"""Worker processes of a benchmark: started with one JSON argument, ended by their id."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
END_S = 20.0


class Child:
    """A process, and the file with all it said."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self.output = output

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def check(self) -> None:
        """Raises `RuntimeError` with its last words if it has ended."""
        if self.process.poll() is not None:
            said = "\n".join(self.output.read_text("utf-8", "replace").splitlines()[-15:])
            raise RuntimeError(f"a worker of the benchmark ended with {self.process.returncode}:\n{said}")

    def end(self) -> None:
        """End it, and wait until it is gone."""
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(END_S)


def start(
    module: str, config: dict[str, Any], directory: Path, *, python: str | None = None, script: str = ""
) -> Child:
    """Start `python -m module '<config>'`; or `script`, with a Python that does not know our packages."""
    directory.mkdir(parents=True, exist_ok=True)
    output = directory / "output"
    command = [python or sys.executable, *([script] if script else ["-m", module]), json.dumps(config)]
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=PROJECT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(PROJECT)},
        )
    return Child(process, output)


@contextmanager
def running(*args: Any, **kwargs: Any) -> Iterator[Child]:
    """`start`, and end it with the context."""
    child = start(*args, **kwargs)
    try:
        yield child
    finally:
        child.end()
