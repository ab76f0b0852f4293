"""How row and index keys are made of parts."""

from __future__ import annotations


def join(prefix: bytes, *parts: str) -> bytes:
    """Parts with their separators. A part's own `/` and `%` are escaped, so that no two lists of parts are equal
    and a prefix that ends in `/` never runs into a longer part."""
    return b"/".join([prefix, *map(_escaped, parts)])


def _escaped(part: str) -> bytes:
    if "/" in part or "%" in part:
        part = part.replace("%", "%25").replace("/", "%2f")
    return part.encode()
