"""What moves is looked at again: what differs at every look is a difference, what agrees once was movement.

A ledger that can't be read at a look says nothing then, neither for nor against: what it differed in stays suspected,
and what it shows when it is read for the first time is suspected then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from app.verify.ledger import Difference

_MOST_LOOKS = 3
"""Two, and one more for a ledger that was read at the second one only."""


class Suspects:
    """The differences that no look has refuted."""

    def __init__(self) -> None:
        self._seen: dict[object, list[Difference]] = {}
        self._read: set[str] = set()
        self._looks = 0

    def look(self, differences: Iterable[Difference], read: Collection[str]) -> None:
        """One look, at which the ledgers `read` were there."""
        found = {each.place: each for each in differences}
        suspected: dict[object, list[Difference]] = {}
        for place, seen in self._seen.items():
            if place in found:
                suspected[place] = [*seen, found[place]]
            elif not set(seen[-1].between) <= set(read):
                suspected[place] = seen
        for place, each in found.items():
            if not set(each.between) <= self._read:
                suspected.setdefault(place, [each])
        self._seen = suspected
        self._read |= set(read)
        self._looks += 1

    @property
    def are_settled(self) -> bool:
        """Whether another look would not tell more: each was seen twice, or can't be."""
        return self._looks >= _MOST_LOOKS or all(len(seen) > 1 for seen in self._seen.values())

    @property
    def are_none(self) -> bool:
        """Whether all agree."""
        return not self._seen

    def last(self) -> Iterator[tuple[Difference, bool]]:
        """Each as it was seen last, and whether it was the same at the look before."""
        for seen in self._seen.values():
            yield seen[-1], len(seen) > 1 and seen[-1].values == seen[-2].values
