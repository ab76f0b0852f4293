"""What must hold in the end of signals that resting orders took up, and of those that were only rehearsed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from domain.plans import Decision
from simulation.group import Owners
from tables.signals import SignalRow, decode_signal


def of_attempts(owners: Owners) -> Iterator[str]:
    """Every disagreement, as sentences."""
    yield from _brought_once(owners)
    yield from _rehearsed_only(owners)


def plans_ever(owners: Owners) -> Iterator[tuple[int, SignalRow]]:
    """(partition, row) of every signal's row that was ever durable."""
    broker = owners.around.broker
    for source, stored in broker.all("signals-changelog"):
        if stored.value is not None and (stored.key or b"").startswith(b"s/"):
            yield source.partition, decode_signal(stored.value)


def _brought_once(owners: Owners) -> Iterator[str]:
    """A signal's quantity comes to the venue once: by an order of its own, or by one amendment of a resting one. Terms
    are totals: a later attempt at the very same ones adds nothing, whichever of the two was taken."""
    books, effects = owners.around.books, defaultdict[tuple[str, str], set[str]](set)
    amended = {(each.client_id, each.quantity, each.price) for each in books.amendments}
    for _, row in plans_ever(owners):
        key = (row.symbol, row.signal_id)
        for plan in row.plans:
            if plan.dry_run or plan.decision is not Decision.EXECUTE:
                continue
            for amend in plan.amends:
                if (amend.order_id, amend.quantity, amend.price) in amended:
                    effects[key].add(f"amendment of {amend.order_id} to {amend.quantity} at {amend.price}")
            for intent in plan.intents:
                taken = books.by_client_id.get(intent.order_id)
                if taken is not None and taken.accepted:
                    effects[key].add(f"orders of its own, attempt {row.attempt}")
    for (symbol, signal_id), found in effects.items():
        if len(found) > 1:
            yield f"signal {signal_id} of {symbol} came to the venue more than once: {sorted(found)}"


def _rehearsed_only(owners: Owners) -> Iterator[str]:
    """What was decided in a dry run never came to the venue."""
    books = owners.around.books
    for _, row in plans_ever(owners):
        for plan in (*row.plans, *((row.rehearsed or ()) if row.rehearsed else ())):
            if not plan.dry_run:
                continue
            for intent in plan.intents:
                if intent.order_id in books.by_client_id:
                    yield f"order {intent.order_id} of signal {row.signal_id} was rehearsed, and the venue has it"
