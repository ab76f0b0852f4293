"""The broker's process as the machine sees it: starting it, recognising it again, ending it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from app.kafka.errors import AlreadyRunning
from app.kafka.options import KafkaOptions

_POLL_S = 0.02
_LOG_KEPT_BYTES = 8 << 20
"""A log longer than this is put aside at the next start; one older log is kept."""

_PROCESSES = Path("/proc")
_WITH_PARENT = Path(__file__).parent / "with_parent.py"


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """What we noted of a started broker, in `broker.json` of its directory."""

    pid: int
    node_id: int
    bootstrap: str
    settings_file: str

    def alive(self) -> bool:
        """Whether this process lives *and* is this broker: after a reboot the number may be anybody's."""
        return self.settings_file in _command_line(self.pid)


def note_of(directory: Path) -> Path:
    """Where the running broker of a directory is noted."""
    return directory.resolve() / "broker.json"


def running_broker(directory: Path) -> RunningBroker | None:
    """The living broker of a directory. A stale note (the process is gone, or is something else) counts as none."""
    try:
        noted = RunningBroker(**orjson.loads(note_of(directory).read_bytes()))
    except (OSError, orjson.JSONDecodeError, TypeError):
        return None
    return noted if noted.alive() else None


@contextmanager
def claimed(directory: Path) -> Iterator[int]:
    """The right to run a broker on this directory, as an open file that the broker inherits and so holds while it
    lives, whatever becomes of us. Raises `AlreadyRunning` if another has it."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "broker.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            noted = running_broker(directory)
            who = f"pid {noted.pid} serves it at {noted.bootstrap}" if noted else "another process is starting it"
            raise AlreadyRunning("KAFKA_RUNNING", f"{directory}: {who}") from None
        yield file.fileno()


def spawn(
    options: KafkaOptions, command: list[str], environment: dict[str, str], claim: int
) -> subprocess.Popen[bytes]:
    """Start the broker in a session of its own, so that Ctrl-C in our terminal leaves it to us to stop it in order.

    Call it from a thread that lives as long as the broker should: `with_parent` watches that very thread.
    """
    if options.with_parent:
        # A test's data is worth nothing, so end at once; anything else gets to close its files.
        last_signal = signal.SIGKILL if options.quick else signal.SIGTERM
        guard = [sys.executable, "-I", "-S", str(_WITH_PARENT), str(os.getpid()), str(int(last_signal))]
        command = [*guard, *command]
    _put_long_log_aside(options.log_file)
    with options.log_file.open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=options.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(claim,),
        )
    noted = RunningBroker(process.pid, options.node_id, options.bootstrap, str(options.settings_file))
    note_of(options.directory).write_bytes(orjson.dumps(asdict(noted), option=orjson.OPT_INDENT_2))
    return process


async def end(broker: RunningBroker, limit_s: float) -> bool:
    """SIGTERM, and SIGKILL when `limit_s` have passed. True if it went by itself. Needs not be its parent."""
    if not broker.alive():
        return True
    _signal(broker.pid, signal.SIGTERM)
    _signal(broker.pid, signal.SIGCONT)  # a paused one would not hear it
    if await _gone(broker, limit_s):
        return True
    _signal(broker.pid, signal.SIGKILL)
    await _gone(broker, limit_s)
    return False


async def _gone(broker: RunningBroker, limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while broker.alive():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_POLL_S)
    return True


def last_lines(log_file: Path) -> str:
    """The end of the broker's log, for error messages."""
    try:
        with log_file.open("rb") as file:
            file.seek(max(0, log_file.stat().st_size - 16_384))
            return telling_lines(file.read().decode("utf-8", "replace"))
    except OSError:
        return "(no log)"


def telling_lines(output: str, count: int = 4) -> str:
    """The last lines of a Java program's output that are not frames of a stack."""
    told = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith(("\t", "    at "))]
    return " | ".join(told[-count:]) or "(it said nothing)"


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _command_line(pid: int) -> str:
    """A living process's command line; empty if there is none. A zombie has none, and that is what we want."""
    if _PROCESSES.is_dir():
        try:
            return (_PROCESSES / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except (FileNotFoundError, ProcessLookupError):
            return ""
    listed = subprocess.run(["/bin/ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, check=False)
    return listed.stdout.decode("utf-8", "replace")


def _put_long_log_aside(log_file: Path) -> None:
    if log_file.exists() and log_file.stat().st_size > _LOG_KEPT_BYTES:
        log_file.replace(log_file.with_suffix(".log.1"))
