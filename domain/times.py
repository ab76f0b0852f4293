"""Reading moments from outside: everything becomes integer nanoseconds UTC.

A number's unit follows from its size, which is unambiguous for every moment from 1973 to 5138:

    below 10^11     seconds          below 10^17     microseconds
    below 10^14     milliseconds     from 10^17      nanoseconds
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final

NS_PER_S: Final = 1_000_000_000
_MAX_DIGITS: Final = 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_NS: Final = NS_PER_S * 1_000_000_000  # 2001-09-09: what is before is a figure in the wrong unit
_LATEST_NS: Final = NS_PER_S * 7_258_118_400  # 2200-01-01: leaves room in 64 bits for any sum we make
_NUMBER = re.compile(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?")
_SECOND_FRACTION = re.compile(r"(?P<whole>.*[0-9])[.,](?P<fraction>[0-9]{1,30})(?P<zone>Z|[+-][0-9:]+)?", re.IGNORECASE)


def read_time_ns(value: object) -> int:
    """A moment as nanoseconds UTC: a number (or its text) since 1970 in s, ms, µs or ns, or ISO 8601 (without a zone:
    UTC). Digits below a nanosecond are cut off. Raises `ValueError` with the end of a sentence."""
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        moment_ns = _read_iso_ns(value)
    else:
        moment_ns = _read_number_ns(value)
    if not _EARLIEST_NS <= moment_ns < _LATEST_NS:
        raise ValueError(f"{value!s:.60} is not a time between 2001 and 2200")
    return moment_ns


def _read_number_ns(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError(f"a {type(value).__name__} is not a time")  # noqa: TRY004 -- pydantic collects ValueError only
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise ValueError(f"{value!r:.60} is not a time") from None
    if not number.is_finite() or number.adjusted() > _MAX_DIGITS:
        raise ValueError(f"{number!s:.60} is not a time between 2001 and 2200")
    for bound, ns_per_unit in ((11, NS_PER_S), (14, 1_000_000), (17, 1_000)):
        if abs(number) < Decimal(1).scaleb(bound):
            return int(number * ns_per_unit)
    return int(number)


def _read_iso_ns(text: str) -> int:
    found = _SECOND_FRACTION.fullmatch(text) if text.isascii() else None
    fraction_ns = int(found["fraction"][:9].ljust(9, "0")) if found else 0
    try:
        moment = datetime.fromisoformat(found["whole"] + (found["zone"] or "") if found else text)
        since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:60]!r} is not a time: seconds since 1970, or ISO 8601") from None
    return since // timedelta(microseconds=1) * 1_000 + fraction_ns


def seconds(nanoseconds: int) -> Decimal:
    """Exact seconds, for sentences and figures."""
    return Decimal(nanoseconds).scaleb(-9)
