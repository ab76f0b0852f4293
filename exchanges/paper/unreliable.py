"""The way of a stream message to its readers, as the fault rules leave it: lost, late, twice, out of order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from exchanges.paper.faults import FaultKind, FaultRule

Message = TypeVar("Message")

LONGEST_HOLD_S: Final = 0.2  # how long a message waits for later ones at least, if none comes


class UnreliableWay(Generic[Message]):
    """Takes messages in order and hands them to `send`, now or later."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self._held: list[tuple[Message, int]] = []
        self._timers: set[asyncio.TimerHandle] = set()

    def pass_on(self, message: Message, rules: Iterable[FaultRule]) -> None:
        """Send `message` as far as the rules that strike it let it."""
        for rule in rules:
            match rule.kind:
                case FaultKind.DROP_STREAM:
                    return
                case FaultKind.DELAY_STREAM:
                    self._later(rule.delay_ms / 1000, lambda: self._tell(message))
                    return
                case FaultKind.REORDER_STREAM:
                    self._held.append((message, rule.times))
                    self._later(max(rule.delay_ms / 1000, LONGEST_HOLD_S), self._release_all)
                    return
                case FaultKind.DUPLICATE_STREAM:
                    for _ in range(rule.times):
                        self._tell(message)
                case _:
                    continue
        self._tell(message)

    def _later(self, delay_s: float, action: Callable[[], None]) -> None:
        def act() -> None:
            self._timers.discard(handle)
            action()

        handle = asyncio.get_running_loop().call_later(delay_s, act)
        self._timers.add(handle)

    def _release_all(self) -> None:
        held, self._held = self._held, []
        for message, _ in held:
            self._send(message)

    def _tell(self, message: Message) -> None:
        """Send a message, then those held back that have now been overtaken often enough."""
        self._send(message)
        if not self._held:
            return
        waiting = [(held, left - 1) for held, left in self._held]
        self._held = [(held, left) for held, left in waiting if left > 0]
        for held, left in waiting:
            if left <= 0:
                self._send(held)

    def close(self) -> None:
        """Forget what is still on its way."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._held.clear()
