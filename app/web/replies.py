"""JSON that is exact: amounts as canonical text, times as integer nanoseconds, rows as they are."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec
import orjson
from aiohttp import web

from domain.money import plain


def to_json(value: object) -> bytes:
    """Encode dicts, lists, texts, integers, rows (msgspec Structs) and Decimals. Raises `TypeError` for the rest."""
    return orjson.dumps(value, default=_builtins)


def _builtins(value: object) -> object:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, msgspec.Raw):
        return orjson.Fragment(bytes(value))
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value, builtin_types=(Decimal,))
    raise TypeError(f"a {type(value).__name__} has no JSON form here")


def json_reply(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A reply with `value` as its body."""
    return web.Response(
        body=to_json(value), status=status, headers=headers, content_type="application/json", charset="utf-8"
    )
