"""How old a venue's row of a position is: whether it can contain what we know of the position.

A venue's list of positions may lag for longer than any pause between two looks, in volatile times above all, while the
stream and the executions are up to date. Then both looks agree with each other, and are wrong together. A row tells how
old it is: by the sequence of the last execution that it contains (Bybit v5, "Get Position Info", `seq`: "to associate
each fill and each position update"), and by the time of its last change.
"""

from __future__ import annotations

from domain.positions import has_sequence
from domain.updates import FillReport
from exchanges.venue import VenuePosition


def is_older(row: VenuePosition | None, last: FillReport | None) -> bool:
    """Whether the row may be from before `last`, the last fill of its position that we have.

    Sequences decide where both have one. Another leverage or stop makes the time of a row younger, not its sequence, so
    a time only counts where there is none. Both times are the venue's: the error of our clock plays no part, and a row
    without a time is of no known age. So is no row at all (None): a venue that is asked for a symbol shows what is flat
    too.
    """
    if last is None:
        return False
    if row is None:
        return True
    if has_sequence(last) and row.venue_sequence > 0:
        return row.venue_sequence < last.venue_sequence
    return row.updated_ns < last.executed_ns
