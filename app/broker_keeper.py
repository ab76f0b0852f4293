"""Keeps the local broker of `run` alive: started again when it died, left alone when somebody stopped it."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable

from app.kafka.broker import LocalKafka, stop_detached
from app.kafka.errors import KafkaError

_log = logging.getLogger(__name__)

_LOOK_S = 0.5
_PAUSE_S = 2.0
_STOPPED_IN_ORDER = {0, 128 + signal.SIGTERM, 128 + signal.SIGINT, -signal.SIGTERM, -signal.SIGINT}


class BrokerKeeper:
    """The broker and the watch over it. One that was running before is used, and left running."""

    def __init__(self, kafka: LocalKafka) -> None:
        self.kafka = kafka
        self._ours = False
        self._task: asyncio.Task[None] | None = None

    async def start(self, say: Callable[[str], None]) -> None:
        """Start the broker, unless `ordermanager kafka start` has done so. Raises `KafkaError`."""
        if (await self.kafka.status()).ready:
            say(f"using the broker that runs at {self.kafka.bootstrap}")
            return
        say("starting Kafka")
        await self.kafka.start()
        self._ours = True
        self._task = asyncio.create_task(self._watch(), name="keeper-kafka")

    async def stop(self) -> None:
        """Stop watching, then whatever broker serves the directory, if it was ours to begin with."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.kafka.stop()
        if self._ours:
            await stop_detached(self.kafka.options.directory)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            if self.kafka.pid is not None:
                continue
            if self.kafka.exit_code in _STOPPED_IN_ORDER:
                _log.warning("the broker was stopped: it is left so; `ordermanager kafka start` starts it again")
                return
            _log.warning("the broker died (code %s) and is started again", self.kafka.exit_code)
            try:
                await self.kafka.start()
            except KafkaError as error:
                _log.warning("the broker could not be started again: %s", error)
                await asyncio.sleep(_PAUSE_S)
