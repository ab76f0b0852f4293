"""Reading what a request brings: every parameter by its rule, refused by name, figure and limit."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import re
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import TypeVar

import msgspec
from aiohttp import web

from app.web.errors import ApiError, bad_parameter
from app.web.guard import MAX_BODY_BYTES, body_too_large
from app.web.questions import Ledger, Orders, Positions, Signals, Snapshots
from domain.times import read_time_ns

E = TypeVar("E", bound=StrEnum)
L = TypeVar("L", Orders, Signals, Positions, Ledger, Snapshots)
T = TypeVar("T")

MAX_LIMIT = 500
DEFAULT_LIMIT = 50
MAX_TEXT = 128
MAX_WAIT_S = 10
"""Longest that a reply waits for what was asked for."""
BODY_TIMEOUT_S = 10.0

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,39}")
_PLACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_CURSOR = re.compile(r"[A-Za-z0-9_-]{1,1024}")


class Parameters:
    """The query of a request. Each may stand once; one that the view doesn't know is refused, since a filter that is
    misspelt would otherwise show orders that were not asked for."""

    def __init__(self, request: web.Request, known: Collection[str]) -> None:
        self._values: dict[str, str] = {}
        for name, value in request.query.items():
            if name not in known:
                raise bad_parameter(name[:MAX_TEXT], "not known here", known=sorted(known))
            if name in self._values:
                raise bad_parameter(name, "stands more than once")
            self._values[name] = value

    def text(self, name: str) -> str:
        """Printable text of at most 128 characters; empty if absent."""
        value = self._values.get(name, "")
        if len(value) > MAX_TEXT:
            raise bad_parameter(name, f"{len(value)} characters, the limit is {MAX_TEXT}", limit=MAX_TEXT)
        if not value.isprintable():
            raise bad_parameter(name, "has characters that cannot be printed")
        return value

    def symbol(self, name: str = "symbol") -> str:
        """A canonical symbol, raised to upper case; empty if absent."""
        return check_symbol(name, value) if (value := self.text(name)) else ""

    def place(self, name: str) -> str:
        """A venue's name, brought to lower case; empty if absent."""
        return _checked(name, self.text(name).lower(), _PLACE, "1 to 32 letters, digits, '_', '-'")

    def choice(self, name: str, choices: Collection[str], synonyms: Mapping[str, str] | None = None) -> str:
        """One of `choices`; empty if absent."""
        value = self.text(name).lower()
        value = (synonyms or {}).get(value, value)
        if value and value not in choices:
            raise bad_parameter(name, f"{value!r} is not one of {', '.join(choices)}", choices=list(choices))
        return value

    def enum(self, name: str, kind: type[E]) -> E | None:
        """A member of `kind`; None if absent."""
        value = self.choice(name, [member.value for member in kind])
        return kind(value) if value else None

    def flag(self, name: str) -> bool:
        """`true` or `false`; false if absent."""
        return self.choice(name, ("true", "false")) == "true"

    def time_ns(self, name: str) -> int | None:
        """A moment (number since 1970 or ISO 8601) as ns UTC; None if absent."""
        value = self.text(name)
        if not value:
            return None
        try:
            return read_time_ns(value)
        except ValueError as error:
            raise bad_parameter(name, str(error)) from None

    def whole(self, name: str, *, default: int, low: int, high: int) -> int:
        """A whole number within bounds."""
        value = self.text(name)
        if not value:
            return default
        if not re.fullmatch(r"[0-9]{1,19}", value) or not low <= int(value) <= high:
            raise bad_parameter(name, f"{value[:40]!r} is not a whole number from {low} to {high}", low=low, high=high)
        return int(value)

    def limit(self) -> int:
        """Rows of a page."""
        return self.whole("limit", default=DEFAULT_LIMIT, low=1, high=MAX_LIMIT)

    def going_on(self, listing: L) -> L:
        """`listing` from where `cursor` says, if there is one."""
        value = self._values.get("cursor", "")
        if not value:
            return listing
        if not _CURSOR.fullmatch(value):
            raise bad_parameter("cursor", "not a cursor of ours")
        try:
            mark, _, place = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode().partition("|")
        except (binascii.Error, UnicodeDecodeError):
            raise bad_parameter("cursor", "not a cursor of ours") from None
        if mark != _mark(listing.same_list()):
            raise bad_parameter("cursor", "belongs to another list: other filters or another order")
        return msgspec.structs.replace(listing, after=place)


def cursor_after(same_list: str, place: str) -> str:
    """An opaque cursor for going on after `place` in a list that `same_list` tells from all others."""
    return base64.urlsafe_b64encode(f"{_mark(same_list)}|{place}".encode()).decode().rstrip("=")


def _mark(same_list: str) -> str:
    return hashlib.sha256(same_list.encode()).hexdigest()[:12]


# -- parts of paths and bodies ---------------------------------------------------------------------------------------


def check_id(name: str, value: str) -> str:
    """An id of an order, signal or command as it may stand in a path. Raises `ApiError` (400)."""
    if not _ID.fullmatch(value):
        raise bad_parameter(name, f"{value[:80]!r} is not an id: 1 to 128 letters, digits and . _ : -")
    return value


def check_symbol(name: str, value: str) -> str:
    """A symbol, raised to upper case. Raises `ApiError` (400)."""
    canonical = value.upper() if value.isascii() else value
    if not _SYMBOL.fullmatch(canonical):
        raise bad_parameter(name, f"{value[:80]!r} is not a symbol: 1 to 40 letters, digits, '.', '_', '-'")
    return canonical


def _checked(name: str, value: str, pattern: re.Pattern[str], rule: str) -> str:
    if value and not pattern.fullmatch(value):
        raise bad_parameter(name, f"{value[:80]!r} is not a name: {rule}")
    return value


def can_stand_in_a_path(value: str) -> bool:
    """Whether `check_id` would take it: a signal's id may be any text."""
    return _ID.fullmatch(value) is not None


def trace_of_request(request: web.Request) -> str:
    """The trace that the request belongs to by its W3C `traceparent` header; empty if it has none (requirement S12)."""
    found = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    return found["trace"] if found and int(found["trace"], 16) else ""


async def read_raw_body(request: web.Request) -> bytes:
    """The JSON body's bytes, not read yet. Raises `ApiError` (408, 413, 415)."""
    if request.content_type != "application/json":
        raise ApiError(415, "NOT_JSON", f"content type {request.content_type!r:.80}: application/json is understood")
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await _bounded(request)
    except TimeoutError:
        raise ApiError(408, "BODY_TOO_SLOW", f"the body took longer than {BODY_TIMEOUT_S:g} s") from None


async def read_body(request: web.Request, kind: type[T]) -> T:
    """The JSON body as a `kind`, strictly. Raises `ApiError` (400, 408, 413, 415)."""
    body = await read_raw_body(request)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        sentence, _, path = str(error).partition(" - at `$")
        name = path.strip("`.") or "body"
        raise bad_parameter(name, sentence) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, "BAD_JSON", f"body: {error!s:.200}") from None


async def _bounded(request: web.Request) -> bytes:
    chunks, size = [], 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise body_too_large(size)
        chunks.append(chunk)
    return b"".join(chunks)
