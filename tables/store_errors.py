"""What RocksDB's errors are: they have no classes of their own, so their words tell."""

from __future__ import annotations

_DAMAGE = ("corruption", "checksum mismatch", "bad block", "no such file")
_LOCKED = ("while lock file", "lock hold by")
_FULL = ("no space left", "quota exceeded")


def is_damage(error: Exception) -> bool:
    """Whether the files are damaged or incomplete."""
    return _says(error, _DAMAGE)


def is_locked(error: Exception) -> bool:
    """Whether somebody else has the files open."""
    return _says(error, _LOCKED)


def is_full(error: Exception) -> bool:
    """Whether there is no room on the disk."""
    return _says(error, _FULL)


def _says(error: Exception, words: tuple[str, ...]) -> bool:
    text = str(error).lower()
    return any(word in text for word in words)
