"""Identities that follow from what a thing is, so that doing something twice gives the same id twice."""

from __future__ import annotations

import base64
import hashlib
import re

_HASH_CHARS = 26
"""26 characters of base 32 carry 130 bits: two different orders never share one."""

_HASH_BYTES = 20
"""As many as fill whole characters and are enough: Python encodes them one by one."""

PREFIX_PATTERN = re.compile(r"[a-z][a-z0-9]{0,5}")
"""What an instance's prefix may look like: with the hash it stays within 32 characters, which every venue accepts
(OKX: 1-32 letters and digits; Bybit: up to 36)."""


def _hash(parts: tuple[str, ...]) -> str:
    """130 bits over the parts; each is preceded by its length, so no two lists of parts read the same."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode()
        digest.update(len(raw).to_bytes(4, "big"))
        digest.update(raw)
    return base64.b32encode(digest.digest()[:_HASH_BYTES]).decode().lower()[:_HASH_CHARS]


def client_order_id(
    prefix: str, venue: str, category: str, account: str, symbol: str, signal_id: str, attempt: int, part: int
) -> str:
    """The id under which a venue knows an order of ours (requirement X02)."""
    return prefix + _hash(("signal", venue, category, account, symbol, signal_id, str(attempt), str(part)))


def is_ours(prefix: str, order_id: str) -> bool:
    """Whether a client order id has the form that this instance gives."""
    return re.fullmatch(re.escape(prefix) + rf"[a-z2-7]{{{_HASH_CHARS}}}", order_id) is not None


def external_order_id(venue: str, category: str, account: str, venue_order_id: str) -> str:
    """Our row's id for an order that somebody else placed: by the venue's id, as a client id may be empty."""
    return "ext" + _hash(("external", venue, category, account, venue_order_id))


def event_id(order_id: str, sequence: int) -> str:
    """An order's event: the order and the number of its transition (requirement J02)."""
    return f"{order_id}-{sequence}"


def signal_event_id(source: str, kind: str) -> str:
    """A signal-level event: the record it speaks of and what it says."""
    return f"{source}-{kind}"


def fingerprint(fields: tuple[str, ...]) -> str:
    """What makes a repeated signal the same or a conflict (requirement S06)."""
    return _hash(("fingerprint", *fields))


def trace_id(source: str) -> str:
    """A W3C trace id (32 hex digits) for a signal that brought none: the same on every redelivery."""
    return hashlib.sha256(f"trace {source}".encode()).hexdigest()[:32]
