"""Limits in force: the settings', and what was changed while running (requirement R03).

A change is a record of the topic `controls` under `limits/<scope>`, the scope being `all` or a symbol. It holds the
newest word on each limit and the last changes with who, when and why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

import msgspec

from domain.limits import Limits, merged
from streams.boards import EVERYWHERE
from streams.broadcast import Entry

KEY_PREFIX = b"limits/"
_KEPT_CHANGES = 50
_COUNTED_KEYS = frozenset({"max_open_orders_per_symbol", "max_open_orders", "max_orders_per_minute"})


class LimitChange(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's word on limits: by name, null lifts one."""

    limits: dict[str, str | None]
    reason: str
    set_by: str = ""
    at_ns: int = 0


class ScopeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of one scope, and how they came about, newest last."""

    scope: str
    limits: dict[str, str | None] = msgspec.field(default_factory=dict)
    changes: tuple[LimitChange, ...] = ()


encode_limits = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ScopeLimits).decode


def limits_key(scope: str) -> bytes:
    """Key of a scope's record."""
    return KEY_PREFIX + scope.encode()


class LimitsBoard:
    """Answers which limits are in force. `controls` gives the topic's live records."""

    def __init__(self, general: Limits, controls: Callable[[], Mapping[bytes, Entry]]) -> None:
        self._general = general
        self._controls = controls

    def of(self, symbol: str) -> Limits:
        """The settings', then what was said of all symbols, then of this one."""
        return merged(self._general, *(_figures(self.scope(scope).limits) for scope in (EVERYWHERE, symbol)))

    def everywhere(self) -> Limits:
        """Those of the account, without any symbol's own."""
        return merged(self._general, _figures(self.scope(EVERYWHERE).limits))

    def any_of_the_account(self) -> bool:
        """Whether any scope limits what the whole account carries."""
        limits = [self.everywhere(), *(self.of(each.scope) for each in self.scopes())]
        return any(each.of_the_account for each in limits)

    def scope(self, scope: str) -> ScopeLimits:
        """What was said of one scope. A record that cannot be read says nothing."""
        entry = self._controls().get(limits_key(scope))
        try:
            return ScopeLimits(scope=scope) if entry is None else _decode(entry.value)
        except msgspec.DecodeError:
            return ScopeLimits(scope=scope)

    def scopes(self) -> list[ScopeLimits]:
        """Every scope of which something was said."""
        prefix = len(KEY_PREFIX)
        names = sorted(key[prefix:].decode() for key in self._controls() if key.startswith(KEY_PREFIX))
        return [self.scope(name) for name in names]

    def changed(self, scope: str, change: LimitChange) -> ScopeLimits:
        """The scope's record after a change."""
        before = self.scope(scope)
        changes = (*before.changes, change)[-_KEPT_CHANGES:]
        return ScopeLimits(scope=scope, limits={**before.limits, **change.limits}, changes=changes)


def _figures(limits: Mapping[str, str | None]) -> dict[str, Decimal | int | None]:
    return {
        name: None if text is None else int(text) if name in _COUNTED_KEYS else Decimal(text)
        for name, text in limits.items()
    }
