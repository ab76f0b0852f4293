"""Records belong where their symbol's rows are."""

from __future__ import annotations

from domain.errors import InvalidInput
from streams.ports import Log
from streams.record import Record


def check_place(log: Log, record: Record, symbol: str) -> None:
    """Raise `InvalidInput` for a record in another symbol's partition: the rows it needs are not there."""
    belongs = log.partition_of(symbol.encode())
    if record.partition != belongs:
        sentence = f"symbol {symbol} belongs to partition {belongs}, the record is in {record.partition}"
        raise InvalidInput("WRONG_PARTITION", [sentence])
