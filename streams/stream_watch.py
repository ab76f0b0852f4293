"""Whether the account's stream can be relied on: after a gap no symbol trades before what filled it is applied (Y01).

Gateways say in their heartbeats whether their stream is up with its gap filled, and how many connections it has had.
The account is covered while one of them goes on with the connection it was seen with. When none does:

    1. every symbol is shut; what can only reduce a position may go on
    2. a gateway is ready again: what it missed is in `order-updates`
    3. each partition of ours is caught up with the log; the symbols are open again
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from streams.applied import Applied
from streams.boards import Heartbeat
from streams.ports import Clock
from streams.reconciling import Reconciler
from streams.symbol_gates import SymbolGates

_log = logging.getLogger(__name__)

_GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class StreamWatchSettings:
    """`silence_s`: a gateway that was not heard of for so long counts as gone. `look_s`: between looks."""

    silence_s: float = 5.0
    look_s: float = 0.2
    catch_up_s: float = 10.0


class StreamWatch:
    """Shuts and opens all symbols of this worker as gateways lose and regain the stream. A set without a gateway has
    never had a stream to rely on: that is told by the readiness check, not here."""

    def __init__(
        self,
        *,
        heartbeats: Callable[[float], Iterable[Heartbeat]],
        partitions: Callable[[], Iterable[int]],
        reconciler: Reconciler,
        gates: SymbolGates,
        applied: Applied,
        clock: Clock,
        settings: StreamWatchSettings,
    ) -> None:
        """`heartbeats` gives those younger than so many seconds, `partitions` those that are ours now."""
        self._heartbeats = heartbeats
        self._partitions = partitions
        self._reconciler = reconciler
        self._gates = gates
        self._applied = applied
        self._clock = clock
        self._settings = settings
        self._covering: set[tuple[str, int]] = set()
        self._heard = False

    async def run(self) -> None:
        """Look, again and again, until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(self._settings.look_s)

    async def look(self) -> None:
        """One look at the gateways."""
        gateways = [beat for beat in self._heartbeats(self._settings.silence_s) if beat.role == _GATEWAY]
        ready = {(beat.session, beat.connections) for beat in gateways if beat.ready}
        first, self._heard = not self._heard, self._heard or bool(gateways)
        if not self._heard:
            return
        if (first and ready) or ready & self._covering:
            self._covering = ready
        else:
            self._shut(gateways)
            self._covering = set()
        if ready and self._gates.blind_because and await self._caught_up():
            _log.warning("the stream's gap is filled and applied: symbols are open again")
            self._covering = ready
            self._gates.sighted()
            self._applied.touch_all()

    def _shut(self, gateways: list[Heartbeat]) -> None:
        reasons = [reason for beat in gateways for reason in beat.reasons] or ["no gateway is heard of"]
        why = f"STREAM_GAP: {reasons[0]}"
        if not self._gates.blind_because:
            _log.warning("%s: no symbol is open until it is filled", why)
            self._gates.blind(why)
            self._applied.touch_all()  # what only reduces goes on
        self._gates.blind(why)

    async def _caught_up(self) -> bool:
        """Whether all that is in the log by now is applied; a partition that goes meanwhile is caught up by the next
        owner, so it must not be waited for without end."""
        try:
            async with asyncio.timeout(self._settings.catch_up_s):
                await asyncio.gather(*(self._reconciler.catch_up(partition) for partition in self._partitions()))
        except TimeoutError:
            return False
        return True
