"""What cannot be judged while an order is in doubt: whether the venue has it is just what nobody knows yet.

Such an order may be at the venue, with its fills and in its position, without our tables being wrong; the same holds
for the fills and the position of an order that the venue has told more of than its single fills. What is all else at
odds stays a difference, also an order that the venue has twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from app.verify.ledger import FILL, IN_DOUBT, ORDER, POSITION, Difference, Ledger


def with_doubts(differences: Iterable[Difference], ours: Ledger, venue: Ledger) -> Iterator[Difference]:
    """The differences between our tables and one of the venue's ledgers, those marked that an order in doubt may be
    the reason of."""
    doubted = {
        str(entry["order_id"]): str(entry["instrument"])
        for entry in ours.orders.values()
        if entry["standing"] == IN_DOUBT or entry["missing_fills"] is True
    }
    keys = {key for key, entry in ours.orders.items() if str(entry["order_id"]) in doubted}
    keys |= {key for key, entry in venue.orders.items() if str(entry["client_order_id"]) in doubted}
    fills = {
        key
        for ledger in (ours, venue)
        for key, entry in ledger.fills.items()
        if str(entry.get("order_id")) in doubted or str(entry.get("venue_order_id")) in keys
    }
    instruments = set(doubted.values())
    for each in differences:
        yield replace(each, unsure=_between_two(each) and _concerns(each, keys, fills, instruments))


def _between_two(difference: Difference) -> bool:
    """Not what one ledger has twice."""
    return difference.between[0] != difference.between[1]


def _concerns(difference: Difference, orders: set[str], fills: set[str], instruments: set[str]) -> bool:
    kind, key = difference.kind, difference.key
    if kind == POSITION:
        return key.rpartition("/")[0] in instruments
    return key in {ORDER: orders, FILL: fills}[kind]
