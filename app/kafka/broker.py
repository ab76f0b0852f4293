"""One local Kafka node: formatted once, started, stopped, killed; attached to this process or left running."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.kafka import class_data, process
from app.kafka.errors import BrokerFailed, PortTaken
from app.kafka.jars import Jars, ensure_jars
from app.kafka.java import Java, find_java
from app.kafka.options import KafkaOptions, broker_settings, settings_text
from app.kafka.readiness import nodes_registered, wait_until_ready

START_TIMEOUT_S = 60.0
"""2-4 s are usual. A broker that was killed waits 12 s for its own old session, and the machine may be busy."""

STOP_TIMEOUT_S = 20.0
"""An orderly stop takes 1-2 s: leaders are given up and files closed."""

_PORTS = range(15_000, 29_000)

_MAIN = "kafka.Kafka"
_STORAGE_TOOL = "kafka.tools.StorageTool"
_FORMAT_TIMEOUT_S = 60.0

_SMALL_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
"""One collector thread and the quick compiler only: what makes the broker start in seconds beside everything else."""

_QUIET_SINCE_23 = ("--sun-misc-unsafe-memory-access=allow", "--enable-native-access=ALL-UNNAMED")
"""Newer Javas warn, four lines a start, of what Kafka's own classes do; it is not ours to mend."""

_LOGGING = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    # On one machine, each stop and start brings dozens of these; they say nothing that the end result doesn't.
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.clients.NetworkClient=error",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config.AbstractConfig=error",
)


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """What a directory's broker does. `nodes` is how many brokers its cluster names, 0 if it doesn't answer."""

    running: bool
    pid: int | None = None
    bootstrap: str | None = None
    nodes: int = 0

    @property
    def ready(self) -> bool:
        """It runs and answers."""
        return self.running and self.nodes > 0


class LocalKafka:
    """A node attached to this process: whoever starts it stops it. Can be started again after `stop` or `kill`.

    `java_flags` go to the broker's Java beside ours.
    """

    def __init__(self, options: KafkaOptions, java_flags: Sequence[str] = ()) -> None:
        self.options = replace(options, directory=options.directory.resolve())
        self._java_flags = tuple(java_flags)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """Where clients connect."""
        return self.options.bootstrap

    @property
    def pid(self) -> int | None:
        """The broker's process, if it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """How the process that we started ended; None while it runs, and if there was none."""
        return None if self._process is None else self._process.poll()

    async def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start and wait until it is ready.

        Raises `AlreadyRunning`, `PortTaken`, `JavaMissing`, `JarsMissing`, or `BrokerFailed` when it ended or was not
        ready after `timeout_s`; it does not run then.
        """
        await self.launch()
        try:
            await self.wait_ready(timeout_s)
        except asyncio.CancelledError:
            await self.kill()  # nobody is left who would stop it
            raise

    async def launch(self) -> None:
        """Start without waiting: a cluster's nodes are ready only together."""
        options = self.options
        with process.claimed(options.directory) as claim:
            _require_free(options)
            java = await asyncio.to_thread(find_java)
            jars = await asyncio.to_thread(ensure_jars)
            await asyncio.to_thread(_prepare_directory, options, java, jars)
            # Not in a thread of the pool: `with_parent` would end the broker with that thread.
            self._process = process.spawn(
                options,
                [*_java(options, java, jars), *self._java_flags, _MAIN, str(options.settings_file)],
                _environment(jars),
                claim,
            )

    async def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until Metadata names every node. Raises `BrokerFailed`, after stopping what runs."""
        nodes = max(1, len(self.options.voters))
        if await wait_until_ready(self.bootstrap, nodes, timeout_s, lambda: self.pid is not None):
            return
        ended = None if self._process is None else self._process.poll()
        await self.stop()
        what = f"not ready after {timeout_s:g} s" if ended is None else f"ended with code {ended}"
        raise BrokerFailed(
            "KAFKA_FAILED",
            f"the broker at {self.bootstrap} {what}: {process.last_lines(self.options.log_file)} "
            f"(all of it in {self.options.log_file})",
        )

    async def stop(self, limit_s: float = STOP_TIMEOUT_S) -> bool:
        """Ask it to end, force it after `limit_s`. True if force was not needed. Nothing happens if it doesn't run."""
        if self._process is None:
            return True
        orderly = await process.end(self._noted(self._process.pid), limit_s)
        await asyncio.to_thread(self._process.wait)
        self._forget()
        return orderly

    async def kill(self) -> None:
        """End it as a power cut would: SIGKILL, nothing closed. Data stays."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(self._process.wait)
        self._forget()

    def pause(self) -> None:
        """Stop its clock (SIGSTOP): it keeps its connections and answers nobody, until `resume`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    async def status(self) -> BrokerStatus:
        """Whether it runs and answers."""
        return await kafka_status(self.options.directory)

    def release(self) -> int:
        """Let it run on without us. Returns its process id."""
        if self._process is None:
            raise BrokerFailed("KAFKA_FAILED", "nothing was started that could run on")
        pid = self._process.pid
        self._process.returncode = 0  # else Popen warns, when it is collected, that the child still runs
        self._process = None
        return pid

    def _noted(self, pid: int) -> process.RunningBroker:
        return process.RunningBroker(pid, self.options.node_id, self.bootstrap, str(self.options.settings_file))

    def _forget(self) -> None:
        self._process = None
        process.note_of(self.options.directory).unlink(missing_ok=True)


async def start_detached(options: KafkaOptions, timeout_s: float = START_TIMEOUT_S) -> BrokerStatus:
    """Start a broker that outlives this process. Raises what `LocalKafka.start` raises; `AlreadyRunning` says where."""
    broker = LocalKafka(replace(options, with_parent=False))
    await broker.start(timeout_s)
    broker.release()
    return await kafka_status(options.directory)


async def stop_detached(directory: Path, limit_s: float = STOP_TIMEOUT_S) -> bool:
    """Stop the directory's broker, whoever started it. False if none was running."""
    noted = await asyncio.to_thread(process.running_broker, directory)
    if noted is None:
        return False
    await process.end(noted, limit_s)
    process.note_of(directory).unlink(missing_ok=True)
    return True


async def kafka_status(directory: Path) -> BrokerStatus:
    """What the directory's broker does, whoever started it."""
    noted = await asyncio.to_thread(process.running_broker, directory)
    if noted is None:
        return BrokerStatus(running=False)
    nodes = await nodes_registered(noted.bootstrap)
    return BrokerStatus(running=True, pid=noted.pid, bootstrap=noted.bootstrap, nodes=nodes)


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Ports nobody listens on now, all different, below those the kernel gives to outgoing connections: a client
    would else take the broker's port while it restarts. Somebody may still come first; starting says so then."""
    found: list[int] = []
    while len(found) < count:
        port = _PORTS.start + secrets.randbelow(len(_PORTS))
        if port not in found and _port_problem(host, port) is None:
            found.append(port)
    return found


def _require_free(options: KafkaOptions) -> None:
    for what, port in (("broker", options.port), ("controller", options.controller_port)):
        if problem := _port_problem(options.host, port):
            raise PortTaken("KAFKA_PORT", f"cannot listen on {options.host}:{port} for the {what}: {problem}")


def _port_problem(host: str, port: int) -> str | None:
    """Why nobody can listen there; None if one can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Java does: old connections don't count
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return None


def _prepare_directory(options: KafkaOptions, java: Java, jars: Jars) -> None:
    """Write the settings; format the data directory if this is its first start."""
    options.settings_file.write_text(settings_text(broker_settings(options)), "utf-8")
    if (options.data_directory / "meta.properties").exists():
        return
    formatted = subprocess.run(
        [
            *_java(options, java, jars),
            _STORAGE_TOOL,
            "format",
            "--cluster-id",
            cluster_id(options.directory),
            "--config",
            str(options.settings_file),
        ],
        env=_environment(jars),
        cwd=options.directory,
        capture_output=True,
        text=True,
        timeout=_FORMAT_TIMEOUT_S,
        check=False,
    )
    if formatted.returncode:
        said = process.telling_lines(f"{formatted.stdout}\n{formatted.stderr}")
        raise BrokerFailed("KAFKA_FORMAT", f"{options.data_directory} could not be formatted: {said}")


def cluster_id(directory: Path) -> str:
    """The cluster's id, made once: the nodes of a cluster must share it, so a cluster writes it before they start."""
    file = directory / "cluster-id"
    if not file.exists():
        file.write_text(_new_cluster_id(), "utf-8")
    return file.read_text("utf-8")


def _new_cluster_id() -> str:
    """A random id as Kafka writes them. Never with a leading dash, which Kafka's tools would take for an option."""
    while True:
        fresh = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not fresh.startswith("-"):
            return fresh


def _java(options: KafkaOptions, java: Java, jars: Jars) -> list[str]:
    heap = (f"-Xms{min(64, options.max_heap_mib)}m", f"-Xmx{options.max_heap_mib}m")
    quiet = _QUIET_SINCE_23 if java.major_version >= 23 else ()
    return [str(java.executable), *heap, *_SMALL_JVM, *quiet, *_LOGGING, *class_data.use_flags(java, jars)]


def _environment(jars: Jars) -> dict[str, str]:
    """Ours, with the class path; without what would change or fill the output of any Java of this user, and with a
    locale in which Java can read every path."""
    inherited = {
        name: value for name, value in os.environ.items() if name not in {"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS"}
    }
    return inherited | {"CLASSPATH": jars.class_path, "LC_ALL": "C.UTF-8"}
