"""In which mode, and with which account, a partition was last worked on, and what has to be so before that changes
(requirement X10).

Both stand in the topic `controls` under `run-mode/<partition>`; without a record the mode is live. When a partition
becomes a worker's, before any of its records is taken:

    1. another worker works in the other mode, or with another account        → refused: a signal's partition would
       decide whether it is sent, and where to
    2. the record says the same of both              → nothing to be done. One without an account is of a version that
       did not write it: taken as the same
    3. another account: whatever is open here is a reason to refuse. It would be asked for at an account that never had
       it, and called gone; what was planned for one account would be sent to the other
    4. live after a dry run: whatever is open here or at the venue is a reason to refuse. Orders would be planned next
       to others that nobody has looked after, on a position that the dry run did not move
    5. dry after live: what is open is told. It is tracked as ever, and nothing is sent for it
    6. mode and account are written and read back
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NoReturn, Protocol

import msgspec

from domain.errors import VenueError
from exchanges.venue import Trading
from streams.boards import AccountName, Heartbeat
from streams.broadcast import Entry
from streams.left_open import LeftOpen, in_words
from streams.ports import Clock, Log
from tables.orders import OrderTable
from tables.positions import PositionTable
from tables.signals import SignalTable

KEY_PREFIX = b"run-mode/"


class Mode(StrEnum):
    """Whether orders are sent."""

    LIVE = "live"
    DRY_RUN = "dry_run"


class RunMode(msgspec.Struct, frozen=True, kw_only=True):
    """The mode in which a partition was last worked on, with which account, since when, and by which worker."""

    mode: Mode
    worker: str
    at_ns: int
    venue: str = ""
    account: str = ""

    @property
    def home(self) -> AccountName | None:
        """None in records of versions that did not write it."""
        return AccountName(self.venue, self.account) if self.account else None


class ReadBack(Protocol):
    """Waits until the record at an offset of a broadcast topic has been read here (`Broadcasts.read_back`)."""

    async def __call__(self, topic: str, offset: int) -> None: ...


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(RunMode).decode


class ModeKeeper:
    """Lets a worker take partitions in its own mode, or refuses. `refuse` ends the process with its reason and does not
    return; `alert` tells an operator (code, sentence)."""

    def __init__(
        self,
        *,
        mode: Mode,
        home: AccountName,
        with_open: bool,
        worker: str,
        categories: Sequence[str],
        topic: str,
        log: Log,
        read_back: ReadBack,
        controls: Callable[[], Mapping[bytes, Entry]],
        heartbeats: Callable[[], Iterable[Heartbeat]],
        orders: OrderTable,
        positions: PositionTable,
        signals: SignalTable,
        trading: Trading,
        clock: Clock,
        refuse: Callable[[str], NoReturn],
        alert: Callable[[str, str], None],
    ) -> None:
        self._mode = mode
        self._home = home
        self._with_open = with_open
        self._worker = worker
        self._topic = topic
        self._log = log
        self._read_back = read_back
        self._controls = controls
        self._heartbeats = heartbeats
        self._clock = clock
        self._refuse = refuse
        self._alert = alert
        self._left = LeftOpen(
            log=log,
            orders=orders,
            positions=positions,
            signals=signals,
            trading=trading,
            categories=categories,
            clock=clock,
        )

    async def assigned(self, partitions: frozenset[int]) -> None:
        """The partitions are this worker's, their tables are recovered, and none of their records was taken."""
        self._look_at_others()
        if moved := self._moved(partitions):
            await self._judge_account(moved)
        last = {partition: self._last(partition) for partition in sorted(partitions)}
        if changing := [partition for partition, was in last.items() if was.mode is not self._mode]:
            await self._judge_mode(changing)
        news = [each for each, was in last.items() if (was.mode, was.home) != (self._mode, self._home)]
        await asyncio.gather(*map(self._note, news))

    async def _judge_account(self, moved: Mapping[int, AccountName]) -> None:
        former = " and ".join(sorted({str(home) for home in moved.values()}))
        change = f"ACCOUNT_CHANGED: this worker has account {self._home}, and the last one had {former}"
        if found := await self._left.behind(moved, self._home):
            self._refuse(f"{change}, with {in_words(found)}. Start with {former} until that is closed")
        others = [str(each) for each in self._moved(self._noted()) if each not in moved]
        if others:  # of two workers one would go on and one refuse, and then neither account is right for all
            self._refuse(f"{change}, also in partitions {', '.join(others)}: start one worker alone at first")

    async def _judge_mode(self, changing: Sequence[int]) -> None:
        found = self._left.here(changing)
        try:
            found = await self._left.at_venue(changing) | found
        except VenueError as error:
            if self._mode is Mode.LIVE and not self._with_open:
                self._refuse(f"LIVE_AFTER_DRY_RUN: the venue cannot be asked what is open: {error}")
        if found:
            self._judge(in_words(found))

    def _judge(self, words: str) -> None:
        if self._mode is Mode.DRY_RUN:
            self._alert("DRY_RUN_WITH_OPEN", f"a dry run begins, and nothing is sent for what is open. {words}")
        elif self._with_open:
            self._alert("LIVE_WITH_OPEN", f"live after a dry run, as LIVE_WITH_OPEN wants it. {words}")
        else:
            self._refuse(f"LIVE_AFTER_DRY_RUN: {words}. Close them, or start with LIVE_WITH_OPEN=true")

    # -- what is known -------------------------------------------------------------------------------------------

    def _look_at_others(self) -> None:
        """Workers that were heard of lately and work in the other mode, or with another account, are a reason to
        refuse."""
        dry = self._mode is Mode.DRY_RUN
        others = [
            beat
            for beat in self._heartbeats()
            if beat.role == "worker" and beat.name != self._worker and beat.partitions
        ]
        if differing := sorted(f"worker {beat.name}" for beat in others if beat.dry_run is not dry):
            words = f"this worker is {self._mode}, {', '.join(differing)} not"
            self._refuse(f"MODES_DIFFER: {words}: start all in one mode")
        homes = {beat.name: AccountName(beat.venue, beat.account) for beat in others if beat.account}
        if differing := sorted(f"{name} {home}" for name, home in homes.items() if home != self._home):
            words = f"this worker has account {self._home}, {', '.join(differing)}"
            self._refuse(f"ACCOUNTS_DIFFER: {words}: start all with one account")

    def _last(self, partition: int) -> RunMode:
        entry = self._controls().get(KEY_PREFIX + b"%d" % partition)
        if entry is None:
            return RunMode(mode=Mode.LIVE, worker="", at_ns=0)
        try:
            return _decode(entry.value)
        except msgspec.DecodeError:  # unreadable: look, whichever mode it was
            other = Mode.DRY_RUN if self._mode is Mode.LIVE else Mode.LIVE
            return RunMode(mode=other, worker="", at_ns=0)

    def _noted(self) -> list[int]:
        """The partitions that anybody ever worked on."""
        keys = (key.removeprefix(KEY_PREFIX) for key in self._controls() if key.startswith(KEY_PREFIX))
        return [int(each) for each in keys if each.isdigit()]

    def _moved(self, partitions: Iterable[int]) -> dict[int, AccountName]:
        """Those that were last worked on with another account, and with which."""
        homes = {partition: self._last(partition).home for partition in sorted(partitions)}
        return {partition: home for partition, home in homes.items() if home not in {None, self._home}}

    async def _note(self, partition: int) -> None:
        record = RunMode(
            mode=self._mode,
            worker=self._worker,
            at_ns=self._clock.now_ns(),
            venue=self._home.venue,
            account=self._home.account,
        )
        at = await self._log.publish(self._topic, KEY_PREFIX + b"%d" % partition, _encode(record), partition=0)
        await self._read_back(self._topic, at.offset)
