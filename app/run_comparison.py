"""A dry run beside a real one, signal by signal: would the same orders have been sent? (requirement X10)

What was decided is compared, not what came of it: decision and code, each gate's word, what is cancelled and amended
first, and each order's terms. Order ids differ by nature, as do the figures that gates looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from app.asking import Asker
from app.settings import Settings
from domain.errors import InvalidInput

THIS = "this"
"""The set of the settings, as a source."""

Json = dict[str, Any]  # Any: JSON
Key = tuple[str, str]
"""(symbol, signal id)"""

_TERMS = ("side", "order_type", "time_in_force", "reduce_only", "post_only", "position_side")
_FIGURES = ("quantity", "price")
_EVERYTHING = 1_000_000


@dataclass(slots=True)
class Runs:
    """What was decided about each signal in a dry run, and for real."""

    dry: dict[Key, Json] = field(default_factory=dict)
    live: dict[Key, Json] = field(default_factory=dict)

    def add(self, signal: Json) -> None:
        """A signal as `GET /signals/{id}` shows it: with its plans, and the rehearsed one where there is one."""
        key = (signal["symbol"], signal["signal_id"])
        side = self.dry if signal["dry_run"] else self.live
        side[key] = decided(signal["plans"])
        if signal["rehearsed"] is not None:
            self.dry[key] = decided(signal["rehearsed"])

    def as_json(self) -> Json:
        """For a file."""
        return {name: [[*key, was] for key, was in sorted(side.items())] for name, side in self._sides()}

    def add_file(self, path: Path) -> None:
        """What `as_json` gave. Raises `InvalidInput` for anything else."""
        try:
            content = json.loads(path.read_text())
            for name, side in self._sides():
                side |= {(symbol, signal_id): was for symbol, signal_id, was in content[name]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidInput("BAD_FILE", [f"{path}: {error}: not a file that --save wrote"]) from None

    def _sides(self) -> tuple[tuple[str, dict[Key, Json]], tuple[str, dict[Key, Json]]]:
        return ("dry", self.dry), ("live", self.live)


def runs_of(settings: Settings, sources: Sequence[str]) -> Runs:
    """Both runs, from all sources: `this`, a worker's address, or a file. Raises `NoAnswer`, `InvalidInput`."""
    runs = Runs()
    for source in sources:
        if source == THIS or source.startswith(("http://", "https://")):
            own = settings if source == THIS else settings.model_copy(update={"web_url": source.rstrip("/")})
            for signal in _signals(Asker(own)):
                runs.add(signal)
        else:
            runs.add_file(Path(source))
    return runs


def _signals(asker: Asker) -> Iterator[Json]:
    for row in asker.items("/signals", {}, _EVERYTHING):
        if row["state"] != "done":
            continue
        found = asker.get("/signals", {"signal_id": row["signal_id"]})
        asker.check_whole(found)
        yield from (signal for signal in found["items"] if signal["symbol"] == row["symbol"])
    asker.check_whole()


def decided(plans: Sequence[Json]) -> Json:
    """What matters of a signal's plans: the first may cancel, the last has the orders."""
    first, last = plans[0], plans[-1]
    return {
        "decision": last["decision"],
        "code": last["code"],
        "gates": [[verdict["gate"], verdict["outcome"], verdict["code"]] for verdict in last["verdicts"]],
        "cancels": len(first["cancels"]),
        "amends": [{name: amend[name] for name in _FIGURES} for amend in last["amends"]],
        "orders": [_terms(intent, last["planned_at_ns"]) for intent in last["intents"]],
    }


def _terms(intent: Json, planned_ns: int) -> Json:
    due_ms = (intent["due_ns"] - planned_ns) // 1_000_000 if intent["due_ns"] else 0
    return {name: intent[name] for name in (*_FIGURES, *_TERMS)} | {"due_ms": due_ms}


def compared(runs: Runs, tolerance: Decimal, *, whole: bool) -> Json:
    """What differs, signal by signal. `tolerance`: by which part prices and quantities may differ. `whole`: a signal
    that only one of the runs has is a difference, too. `equal` is None when there is nothing to compare."""
    both = sorted(runs.dry.keys() & runs.live.keys())
    different = []
    for symbol, signal_id in both:
        key = (symbol, signal_id)
        found = list(differences(runs.dry[key], runs.live[key], tolerance))
        if found:
            different.append({"signal_id": signal_id, "symbol": symbol, "differences": found})
    only_dry, only_live = sorted(runs.dry.keys() - runs.live.keys()), sorted(runs.live.keys() - runs.dry.keys())
    missing = whole and bool(only_dry or only_live)
    return {
        "equal": not different and not missing if both else None,
        "compared": len(both),
        "same": len(both) - len(different),
        "different": different,
        "only_dry": [signal_id for _, signal_id in only_dry],
        "only_live": [signal_id for _, signal_id in only_live],
    }


def differences(dry: Json, live: Json, tolerance: Decimal) -> Iterator[Json]:
    """Each figure or word that the two runs don't share."""
    for name in ("decision", "code", "cancels"):
        if dry[name] != live[name]:
            yield _difference(name, dry[name], live[name])
    yield from _gates(dry["gates"], live["gates"])
    for kind, names in (("amends", _FIGURES), ("orders", (*_FIGURES, *_TERMS, "due_ms"))):
        if len(dry[kind]) != len(live[kind]):
            yield _difference(kind, len(dry[kind]), len(live[kind]))
            continue
        for number, (one, other) in enumerate(zip(dry[kind], live[kind], strict=True)):
            for name in names:
                near = name in _FIGURES and _near(one[name], other[name], tolerance)
                if one[name] != other[name] and not near:
                    yield _difference(f"{kind}[{number}].{name}", one[name], other[name])


def _gates(dry: Iterable[Sequence[str]], live: Iterable[Sequence[str]]) -> Iterator[Json]:
    said: tuple[Mapping[str, str], ...] = tuple(
        {gate: f"{outcome} {code}".strip() for gate, outcome, code in verdicts} for verdicts in (dry, live)
    )
    for gate in dict.fromkeys((*said[0], *said[1])):
        words = [each.get(gate, "not reached") for each in said]
        if words[0] != words[1]:
            yield _difference(f"gate {gate}", *words)


def _near(one: str | None, other: str | None, tolerance: Decimal) -> bool:
    if one is None or other is None:
        return one == other
    left, right = Decimal(one), Decimal(other)
    return abs(left - right) <= tolerance * max(abs(left), abs(right))


def _difference(name: str, dry: object, live: object) -> Json:
    return {"field": name, "dry": dry, "live": live}
