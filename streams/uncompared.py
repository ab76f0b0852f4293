"""What could not be compared with the venue: told of when it lasts, and asked for last.

One symbol that the venue refuses to be asked about, because it was delisted, say, must not keep others from being
compared. Nobody would miss the comparison of such a symbol either, so a person hears of it (requirement Y02).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from domain.errors import NotFoundOrTooLate, Refused, RefusedByAccount, VenueError
from streams.alerting import Alerts
from streams.ports import Clock

_log = logging.getLogger(__name__)

_NS = 1_000_000_000
_CODE = "NOT_COMPARED"
WHOLE = ""
"""In place of a symbol: the venue did not answer for the partition as a whole."""


def is_refused(error: VenueError) -> bool:
    """Whether the venue is there, and says no to this symbol: asking it again is not likely to help."""
    return isinstance(error, Refused | NotFoundOrTooLate) and not isinstance(error, RefusedByAccount)


def is_of_the_symbol(error: VenueError) -> bool:
    """Whether another symbol may well be answered: this one is refused, or what the venue says of it can't be read."""
    return is_refused(error) or error.code == "UNREADABLE_REPLY"


@dataclass(slots=True)
class _Since:
    at_ns: int
    sentence: str = ""
    """What was told of it."""


class Uncompared:
    """Since when which symbol of ours could not be compared. One that lasts `lasting_s` seconds is told of, once,
    and again after somebody has resolved it."""

    def __init__(self, *, alerts: Alerts, clock: Clock, lasting_s: float) -> None:
        self._alerts = alerts
        self._clock = clock
        self._lasting_s = lasting_s
        self._since: dict[tuple[int, str], _Since] = {}

    def knows(self, partition: int, symbol: str) -> bool:
        """Whether it could not be compared the last time."""
        return (partition, symbol) in self._since

    def failed(
        self, partition: int, symbol: str, error: VenueError, *, tell: bool = True, at_once: bool = False
    ) -> bool:
        """It could not be compared, again perhaps. `tell`: tell of it if that lasts, or `at_once`. True when it was
        told of."""
        now_ns = self._clock.now_ns()
        since = self._since.setdefault((partition, symbol), _Since(now_ns))
        lasted_s = (now_ns - since.at_ns) / _NS
        if at_once or (tell and lasted_s >= self._lasting_s):
            if not since.sentence:
                what = symbol or f"partition {partition}"
                lasted = "" if at_once else f" for {lasted_s:.0f} s, in no round"
                since.sentence = f"{what} could not be compared with the venue{lasted}: {error}"
                _log.error("%s", since.sentence, extra={"symbol": symbol, "code": _CODE})
            self._alerts.tell(_CODE, _subject(partition, symbol), since.sentence, symbol)
        return bool(since.sentence)

    def compared(self, partition: int, symbol: str) -> None:
        """It could."""
        told = (since := self._since.pop((partition, symbol), None)) is not None and bool(since.sentence)
        if told:
            _log.warning("%s is compared with the venue again", symbol or f"partition {partition}")
        if told or symbol != WHOLE:  # of a symbol, a former owner may have told
            self._alerts.over(_CODE, _subject(partition, symbol), symbol)

    def keep(self, partition: int, symbols: set[str]) -> None:
        """There is nothing to compare in other symbols of the partition any more."""
        gone = [(where, symbol) for where, symbol in self._since if where == partition and symbol not in symbols]
        for where, symbol in gone:
            if symbol != WHOLE:
                self.compared(where, symbol)

    def revoked(self, partition: int) -> None:
        """The partition is another worker's from now on."""
        for where, symbol in list(self._since):
            if where == partition:
                del self._since[where, symbol]
                self._alerts.forget(_CODE, _subject(where, symbol))


def _subject(partition: int, symbol: str) -> str:
    return symbol or f"partition-{partition}"
