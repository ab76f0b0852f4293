"""The numbers and ids that the exchange gives out."""

from __future__ import annotations

from hashlib import blake2b


class Numbering:
    """A sequence that only grows, and ids made of it and of the books' salt: the same run gives the same ids."""

    def __init__(self, salt: str, last_seq: int) -> None:
        self._salt = salt
        self.last_seq = last_seq

    def next_seq(self) -> int:
        self.last_seq += 1
        return self.last_seq

    def new_id(self, kind: str, seq: int) -> str:
        """An id in the shape of a UUID for the thing of this kind that has number `seq`."""
        text = blake2b(f"{self._salt}|{kind}|{seq}".encode(), digest_size=16).hexdigest()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
