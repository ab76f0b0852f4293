"""What is committed beside an offset: which records behind it are finished already.

Records of a partition finish in any order, and the offset is the lowest that is not finished. Without more, a slow
symbol would let everything behind it be handled again by the next owner. Kafka keeps a short text with each committed
offset; ours is a bitmap of the offsets that follow.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable

PREFIX = "done/1:"

MAX_BITMAP_BYTES = 3_000
"""Brokers take 4,096 bytes of text (`offset.metadata.max.bytes`); base64 makes 4,000 of these."""

SPAN = MAX_BITMAP_BYTES * 8
"""How far behind the committed offset finished records are told of. Those beyond come again, which is harmless."""


def finished_text(offset: int, finished: Iterable[int]) -> str:
    """The text to commit with `offset`; empty if none behind it is finished."""
    bits = 0
    for each in finished:
        if offset < each <= offset + SPAN:
            bits |= 1 << (each - offset - 1)
    if not bits:
        return ""
    return PREFIX + b64encode(bits.to_bytes((bits.bit_length() + 7) // 8, "little")).decode()


def finished_offsets(offset: int, text: str) -> frozenset[int]:
    """The finished offsets behind `offset`. A text that is not ours says nothing: all of them come again."""
    if not text.startswith(PREFIX):
        return frozenset()
    try:
        bitmap = b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        return frozenset()
    return frozenset(
        offset + 1 + index * 8 + bit for index, byte in enumerate(bitmap) for bit in range(8) if byte >> bit & 1
    )
