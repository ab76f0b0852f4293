"""Signals and commands: what was decided about each, stored before anything is done.

s/<symbol>/<signal id>    the signal, its plans and its end
c/<command id>            a command and its result
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from itertools import islice

import msgspec

from domain.commands import Command
from domain.plans import Plan
from tables.keys import join
from tables.receipt import Receipt
from tables.rows import Rows

COMMAND_ID_CONFLICT = "COMMAND_ID_CONFLICT"
"""Code of the refusal of a command whose id is another one's."""


class SignalState(StrEnum):
    """How far a signal's work has come."""

    PLANNED = "planned"
    DONE = "done"


class SignalResult(StrEnum):
    """What became of a signal. `uncertain` is an end of the signal's turn, not of its order."""

    NONE = ""
    EXECUTED = "executed"
    REJECTED = "rejected"
    FAILED = "failed"
    EXPIRED = "expired"
    IGNORED = "ignored"
    UNCERTAIN = "uncertain"
    DRY_RUN = "dry_run"


class Repeat(msgspec.Struct, frozen=True):
    """Another record with the same signal id, and what was decided of it: `duplicate`, `conflict`, or `retry` for one
    that had an attempt of its own before this one."""

    source: str
    verdict: str


class SignalRow(msgspec.Struct, frozen=True, kw_only=True):
    """A signal as we know it. `source` is the topic-partition-offset of the record that started this attempt:
    the same source again is a redelivery, which executes the stored plans. `last_offset` is the newest record with
    this id that was decided on: older ones that come again have had their turn."""

    signal_id: str
    symbol: str
    source: str
    fingerprint: str
    attempt: int
    last_offset: int
    state: SignalState
    result: SignalResult = SignalResult.NONE
    code: str = ""
    reason: str = ""
    plan: Plan
    after_cancels: Plan | None = None
    order_ids: tuple[str, ...] = ()
    earlier_order_ids: tuple[str, ...] = ()
    repeats: tuple[Repeat, ...] = ()
    value: str = ""
    trace_id: str = ""
    strategy_id: str = ""
    is_warmup: bool = False
    signal_ns: int = 0
    planned_ns: int = 0
    done_ns: int = 0
    rehearsed: tuple[Plan, ...] | None = None
    """The plans of the last dry run, once the same id came for real (requirement X10)."""
    next_due_ns: int = 0
    """When the next part of a split order may go out, ns UTC; 0 = none waits."""

    @property
    def plans(self) -> tuple[Plan, ...]:
        """In the order in which they were made."""
        return (self.plan,) if self.after_cancels is None else (self.plan, self.after_cancels)

    @property
    def standing_plan(self) -> Plan:
        """The plan whose intents are executed: the one made after the cancels, where there were any."""
        return self.plan if self.after_cancels is None else self.after_cancels


class CommandRow(msgspec.Struct, frozen=True, kw_only=True):
    """A command and what came of it; the same id again does nothing. `order_id`: of the one order that it names; unset
    in rows of before that was kept."""

    command_id: str
    symbol: str
    action: str
    order_id: str | msgspec.UnsetType = msgspec.UNSET
    source: str
    done: bool
    ok: bool = False
    code: str = ""
    sentence: str = ""
    details: dict[str, str] = msgspec.field(default_factory=dict)
    at_ns: int = 0

    @classmethod
    def of(
        cls,
        command: Command,
        source: str,
        at_ns: int,
        *,
        done: bool = True,
        ok: bool = False,
        code: str = "",
        sentence: str = "",
        details: Mapping[str, str] | None = None,
    ) -> CommandRow:
        """The row of a command that came as the record `source`, as it stands at `at_ns`."""
        return cls(
            command_id=command.command_id,
            symbol=command.symbol,
            action=command.action,
            order_id=command.order_id,
            source=source,
            done=done,
            ok=ok,
            code=code,
            sentence=sentence,
            details=dict(details or {}),
            at_ns=at_ns,
        )

    def conflict_with(self, command: Command) -> str:
        """Why the id can't be the command's too (as of signals, requirement S06); empty where it is this one once more,
        whoever sends it and why."""
        same_order = self.order_id in {msgspec.UNSET, command.order_id}
        if same_order and (self.action, self.symbol) == (command.action, command.symbol):
            return ""
        target = self.symbol if self.order_id is msgspec.UNSET else self.order_id or self.symbol
        return (
            f"{command.command_id} is the id of another command: {self.action} of {target} ({self.source}), "
            f"not {command.action} of {command.order_id or command.symbol}"
        )


class _Amended(msgspec.Struct):
    order_id: str


class _ListedPlan(msgspec.Struct):
    amends: tuple[_Amended, ...] = ()
    dry_run: bool = False


class _Listed(msgspec.Struct):
    """What the indexes, and searches, look at of a signal's row: reading only this takes a fraction of the time."""

    signal_id: str
    symbol: str
    state: SignalState
    plan: _ListedPlan
    after_cancels: _ListedPlan | None = None
    planned_ns: int = 0
    next_due_ns: int = 0


_encoder = msgspec.json.Encoder()
_listed = msgspec.json.Decoder(_Listed)
_signal = msgspec.json.Decoder(SignalRow)
_command = msgspec.json.Decoder(CommandRow)


_ASIDE = "aside "


class SignalTable:
    """Typed access to the rows. Every method names the partition, which is the symbol's."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def get(self, partition: int, symbol: str, signal_id: str) -> SignalRow | None:
        """The signal of that id, if it was ever planned."""
        value = self.rows.get(partition, join(b"s", symbol, signal_id))
        return None if value is None else _signal.decode(value)

    def begun_by(self, partition: int, symbol: str, source: str) -> SignalRow | None:
        """The symbol's signal whose present attempt the record at `source` began. Reads the symbol's signals."""
        wanted = source.encode()
        for _, value in self.rows.scan(partition, join(b"s", symbol) + b"/"):
            if wanted in value and (row := _signal.decode(value)).source == source:
                return row
        return None

    def put(self, partition: int, row: SignalRow, receipt: Receipt) -> None:
        """Write the signal."""
        self.rows.put(partition, join(b"s", row.symbol, row.signal_id), _encoder.encode(row), receipt)

    def waiting(self, partition: int, symbol: str = "") -> Iterator[SignalRow]:
        """Signals (of a symbol, or of all) with parts that wait for their time, the earliest first."""
        of_symbol = join(b"s", symbol) + b"/"
        for _, key in self.rows.scan_index(partition, b"w/"):
            if symbol and not key.startswith(of_symbol):
                continue
            value = self.rows.get(partition, key)
            if value is not None:
                yield _signal.decode(value)

    def unfinished(
        self, partition: int, after: bytes | None = None, at_most: int = 500
    ) -> tuple[list[SignalRow], bytes | None]:
        """Of so many signals beyond `after`, those whose turn has not come to its end; and where to go on, None at the
        end. Reads every row there ever was: for what is rare, a part at a time."""
        found, last, looked_at = list[SignalRow](), None, 0
        for key, value in islice(self.rows.scan(partition, b"s/", after=after), at_most):
            last, looked_at = key, looked_at + 1
            if _listed.decode(value).state is not SignalState.DONE:
                found.append(_signal.decode(value))
        return found, last if looked_at == at_most else None

    def planned_since(self, partition: int, since_ns: int) -> Iterator[SignalRow]:
        """Signals that were planned at this time (ns UTC) or later, the newest first."""
        for entry, key in self.rows.scan_index(partition, b"r/", reverse=True):
            if int(entry.split(b"/")[1]) < since_ns:
                return
            value = self.rows.get(partition, key)
            if value is not None:
                yield _signal.decode(value)

    def of_order(self, partition: int, order_id: str) -> Iterator[SignalRow]:
        """The signals that a resting order took up after its own, the oldest first (requirement D09)."""
        for _, key in self.rows.scan_index(partition, join(b"n", order_id) + b"/"):
            value = self.rows.get(partition, key)
            if value is not None:
                yield _signal.decode(value)

    def command(self, partition: int, command_id: str) -> CommandRow | None:
        """The command of that id, if it was taken up."""
        value = self.rows.get(partition, join(b"c", command_id))
        return None if value is None else _command.decode(value)

    def put_command(self, partition: int, row: CommandRow, receipt: Receipt) -> None:
        """Write the command."""
        self.rows.put(partition, join(b"c", row.command_id), _encoder.encode(row), receipt)

    def failures(self, partition: int, source: str) -> int:
        """How often the record at `source` failed unexpectedly."""
        value = self.rows.get(partition, join(b"x", source))
        return 0 if value is None else int(value)

    def put_failures(self, partition: int, source: str, failures: int, receipt: Receipt) -> None:
        """Write the count."""
        self.rows.put(partition, join(b"x", source), b"%d" % failures, receipt)

    def is_put_aside(self, partition: int, origin: str) -> bool:
        """Whether the record whose first place was `origin` was put aside: nobody will work on it again."""
        return self.failures(partition, _ASIDE + origin) > 0

    def all_put_aside(self, partition: int) -> frozenset[str]:
        """The first places of all records that were."""
        prefix = join(b"x", _ASIDE)
        return frozenset(key[len(prefix) :].decode() for key, _ in self.rows.scan(partition, prefix))

    def put_aside(self, partition: int, origin: str, receipt: Receipt) -> None:
        """Note that it was."""
        self.put_failures(partition, _ASIDE + origin, 1, receipt)


def decode_signal(value: bytes) -> SignalRow:
    """A signal's row."""
    row: SignalRow = _signal.decode(value)
    return row


def decode_command(value: bytes) -> CommandRow:
    """A command's row."""
    row: CommandRow = _command.decode(value)
    return row


LIVE_SIGNALS = (b"w/",)
"""The index of what is under way: every signal's turn asks for it, so its entries are held in memory."""


def signal_index(key: bytes, value: bytes) -> list[bytes]:
    """g/<signal id>/…  by id, whatever the symbol        r/<planned at>/…  by time
    w/<due at>/…     with parts that wait              n/<order id>/…    taken up by an order that was resting
    """
    if not key.startswith(b"s/"):
        return []
    row = _listed.decode(value)
    standing = row.plan if row.after_cancels is None else row.after_cancels
    moment = b"%020d/" % row.planned_ns
    entries = [join(b"g", row.signal_id) + b"/" + moment, b"r/" + moment + join(b"", row.signal_id)]
    if row.next_due_ns:
        entries.append(b"w/%020d/" % row.next_due_ns + join(b"", row.symbol, row.signal_id))
    if not standing.dry_run:  # an order that was not amended took nothing up
        entries += [join(b"n", amend.order_id) + b"/" + moment for amend in standing.amends]
    return entries
