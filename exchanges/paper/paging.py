"""The parameters that lists have in common: which symbols, how many rows, from where on.

A cursor is an opaque text to the client: the sequence number of the last row shown. Its percent signs are the venue's
habit, and a test for the client, which must encode it once more.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

from exchanges.paper.admission import instrument_of
from exchanges.paper.fields import Fields, text, whole
from exchanges.paper.instruments import LISTED
from exchanges.paper.refusals import bad_parameter
from exchanges.paper.vocabulary import Category

WEEK_MS: Final = 7 * 24 * 3600 * 1000


def symbols_of(fields: Fields, *, required: bool) -> list[str] | None:
    """The symbols of a category that symbol > baseCoin > settleCoin select; None for all."""
    category = any_category(fields, Category.LINEAR)
    listed = LISTED.get(category, {}).values()
    if not listed:
        return []
    if text(fields, "symbol"):
        return [instrument_of(fields).symbol]
    base, settle = text(fields, "baseCoin"), text(fields, "settleCoin")
    if base:
        return [instrument.symbol for instrument in listed if instrument.base == base]
    if settle:
        return [instrument.symbol for instrument in listed if instrument.settle == settle]
    if required:
        raise bad_parameter("Missing some parameters that must be filled in, symbol or settleCoin or baseCoin")
    return None


def any_category(fields: Fields, default: Category | None = None) -> Category:
    """A category of the venue, whether or not anything of it is listed here."""
    if default is not None and not text(fields, "category"):
        return default
    try:
        return Category(text(fields, "category"))
    except ValueError as error:
        raise bad_parameter("Illegal category") from error


def markets_of(category: Category) -> dict[str, str]:
    """The markets of a category: the keys of `venue.markets` by symbol."""
    return {symbol: instrument.key for symbol, instrument in LISTED.get(category, {}).items()}


def page_limit(fields: Fields, *, default: int, maximum: int) -> int:
    """The page size; one that is too large is cut down without a word, as on the venue."""
    limit = whole(fields, "limit", default)
    if limit < 1:
        raise bad_parameter("params error: limit invalid")
    return min(limit, maximum)


def cursor_text(place: int) -> str:
    return f"page_args%3D{place}%26"


def place_in_cursor(fields: Fields) -> int | None:
    """The place in a cursor, whether the client encoded it once more or sent it as it stood."""
    written = text(fields, "cursor")
    if not written:
        return None
    place = unquote(written).removeprefix("page_args=").removesuffix("&")
    if not place.isdigit() or len(place) > 18:
        raise bad_parameter("params error: cursor invalid")
    return int(place)


def offset(fields: Fields) -> int:
    return place_in_cursor(fields) or 0


def time_range(now_ms: int, fields: Fields, default_ms: int = WEEK_MS) -> tuple[int | None, int | None]:
    """Start and end in ms. Without either: no limit when asked by id, else the last `default_ms`, as on the venue."""
    start, end = whole(fields, "startTime", -1), whole(fields, "endTime", -1)
    if start < 0 and end < 0:
        if text(fields, "orderId") or text(fields, "orderLinkId"):
            return None, None
        return now_ms - default_ms, None
    if start < 0:
        return end - default_ms, end
    if end < 0:
        return start, start + default_ms
    if end - start > WEEK_MS:
        raise bad_parameter("The time range between startTime and endTime cannot exceed 7 days")
    return start, end
