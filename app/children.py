"""Parts that run as processes of their own, started, watched and stopped by one that stays."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from app.transport.fail_stop import REFUSED_EXIT_CODE

_log = logging.getLogger(__name__)
_WITH_PARENT = Path(__file__).parent / "kafka" / "with_parent.py"
STOP_LIMIT_S = 30.0
RESTART_PAUSE_S = 1.0
_LOOK_S = 0.1


class Child:
    """One `ordermanager …` process. It ends when its parent ends, however that happens (Linux)."""

    def __init__(self, name: str, arguments: list[str], environment: Mapping[str, str], log_file: Path) -> None:
        self.name = name
        self.log_file = log_file
        self._arguments = arguments
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """How it ended, once it has."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start it, in a session of its own: Ctrl-C in our terminal leaves it to us to stop it in order."""
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        guard = [sys.executable, "-I", "-S", str(_WITH_PARENT), str(os.getpid()), str(int(signal.SIGTERM))]
        program = [sys.executable, "-m", "app.cli", *self._arguments]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*guard, *program],
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    async def stop(self, limit_s: float = STOP_LIMIT_S) -> int | None:
        """Ask it to end, force it after `limit_s`; returns its exit code."""
        if self._process is None:
            return None
        self.signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self._process.wait, limit_s)
        except subprocess.TimeoutExpired:
            _log.warning("%s did not end within %s s and is killed", self.name, limit_s)
            await self.kill()
        return self._process.returncode

    async def kill(self) -> None:
        """End it as a power cut would."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            await asyncio.to_thread(self._process.wait)

    def last_lines(self, count: int = 5) -> str:
        """The end of its log."""
        try:
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-count:])
        except OSError:
            return ""


class Keeper:
    """Starts a child again when it ends by itself: a worker that stops on an error comes back and goes on. One that
    refuses to start would refuse again."""

    def __init__(self, child: Child, pause_s: float = RESTART_PAUSE_S) -> None:
        self.child = child
        self._pause_s = pause_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the child and watch it."""
        self.child.start()
        self._task = asyncio.create_task(self._watch(), name=f"keeper-{self.child.name}")

    async def stop(self) -> int | None:
        """Stop watching, then the child; returns its exit code."""
        await self._look_away()
        return await self.child.stop()

    async def kill(self) -> None:
        """Stop watching, and end the child as a power cut would."""
        await self._look_away()
        await self.child.kill()

    async def _look_away(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            if self.child.exit_code == REFUSED_EXIT_CODE:
                _log.error("%s refuses to start: %s", self.child.name, self.child.last_lines(1))
                return
            if self.child.pid is None:
                _log.warning("%s ended with code %s and is started again", self.child.name, self.child.exit_code)
                await asyncio.sleep(self._pause_s)
                self.child.restarts += 1
                self.child.start()
