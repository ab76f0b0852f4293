"""One line a second from each place in a library that repeats itself: a broker that is away for ten seconds must not
fill the disk with twenty thousand lines."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

LIBRARIES = ("aiokafka", "faust", "mode", "websockets", "aiohttp", "httpx")
INTERVAL_S = 1.0


class Throttle(logging.Filter):
    """Lets a line through if none came from the same place within the interval; says how many did not get through."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s = now_s
        self._last: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Places are lines of code, so there are only so many to remember."""
        if record.name.partition(".")[0] not in LIBRARIES:
            return True
        place, now_s = (record.pathname, record.lineno), self._now_s()
        last_s, dropped = self._last.get(place, (float("-inf"), 0))
        if now_s - last_s < INTERVAL_S:
            self._last[place] = (last_s, dropped + 1)
            return False
        self._last[place] = (now_s, 0)
        if dropped:
            record.msg = f"{record.getMessage()} (and {dropped} more like it)"
            record.args = None
        return True
