"""Who may ask: keys compared in constant time, wrong ones counted and slowed (requirement Q01)."""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable, Iterable

from app.web.context import ApiKey, Scope

MAX_ADDRESSES = 4_096
"""Addresses whose wrong keys are remembered; the one heard of longest ago is forgotten first."""

_MINUTE_NS = 60_000_000_000


def key_hash(key: str) -> str:
    """How a key is kept: SHA-256, hex. Keys are long and random, so a slow hash would only cost us time."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def same_secret(given: str, expected: str) -> bool:
    """Whether two secrets are equal, in a time that tells nothing of where they differ or how long they are."""
    return hmac.compare_digest(key_hash(given), key_hash(expected))


def find_key(given: str, keys: Iterable[ApiKey]) -> ApiKey | None:
    """The key that `given` is. Every key is compared, so the time doesn't tell which one came close."""
    given_hash, found = key_hash(given), None
    for key in keys:
        if hmac.compare_digest(given_hash, key.sha256.lower()):
            found = key
    return found


def allows(key: ApiKey, needed: Scope) -> bool:
    """Whether the key's scope covers what is needed."""
    return key.scope is Scope.TRADE or needed is Scope.READ


class WrongKeys:
    """Counts wrong keys by address, and says when one has had too many within a minute.

    Only further *wrong* keys are refused for it: a right key always passes, since an operator must reach the kill
    switch from an address where some other program keeps trying an old key.
    """

    def __init__(self, per_minute: int, clock_ns: Callable[[], int]) -> None:
        self._per_minute = per_minute
        self._clock_ns = clock_ns
        self._seen: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def wrong(self, address: str) -> float:
        """Note one. Returns for how many seconds the address must wait: 0 while it is within its limit."""
        now_ns = self._clock_ns()
        since_ns, count = self._seen.get(address, (now_ns, 0))
        if now_ns - since_ns >= _MINUTE_NS:
            since_ns, count = now_ns, 0
        self._seen[address] = (since_ns, count + 1)
        self._seen.move_to_end(address)
        if len(self._seen) > MAX_ADDRESSES:
            self._seen.popitem(last=False)
        if count < self._per_minute:
            return 0.0
        return (since_ns + _MINUTE_NS - now_ns) / 1e9

    def __len__(self) -> int:
        return len(self._seen)
