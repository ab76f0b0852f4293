"""What a worker does about broadcast records: one that came too late counts no more, and a control is written again;
alerts are passed on."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from app.worker import _broadcasts  # private: the wiring is what is tested
from domain.plans import TradingState
from exchanges.clock import SystemClock
from exchanges.venue import Balance
from streams import boards
from streams.topics import Topics

TOPICS = Topics(partitions=1)


@dataclass(frozen=True)
class Produced:
    """A record as the consumer has it."""

    key: bytes
    value: bytes
    offset: int
    timestamp: int = 0


def test_a_late_balance_is_left_out_and_a_late_control_makes_the_one_that_stands_be_written_again() -> None:
    written: list[tuple[str, bytes]] = []
    engine: Any = SimpleNamespace(
        log=SimpleNamespace(append=lambda topic, _partition, key, *_rest: written.append((topic, key)))
    )
    settings: Any = SimpleNamespace(bootstrap="nowhere:9092")
    broadcasts = _broadcasts(settings, TOPICS, engine)
    broadcasts._task = SimpleNamespace()  # type: ignore[assignment]  # it follows
    now_ns = SystemClock().now_ns()
    for number, (available, at_ns) in enumerate((("100", now_ns), ("1000", now_ns - 1))):
        free = Decimal(available)
        balance = Balance(account="main", currency="USDT", total=free, available=free, at_ns=at_ns)
        broadcasts._take(TOPICS.balances, Produced(b"main/USDT", boards.encode(balance), number))
    for number, (state, at_ns) in enumerate(((TradingState.HALTED, 9), (TradingState.ARMED, 8))):
        control = boards.Control(scope="all", state=state, reason="so it is", at_ns=at_ns)
        broadcasts._take(TOPICS.controls, Produced(b"all", boards.encode(control), number))

    standing = boards.decode_balance(broadcasts.table(TOPICS.balances)[b"main/USDT"].value)
    assert standing.available == 100
    assert written == [(TOPICS.controls, b"all")]


def test_an_alert_is_told_to_who_listens_and_not_held_under_its_own_key() -> None:
    settings: Any = SimpleNamespace(bootstrap="nowhere:9092")
    broadcasts, heard = _broadcasts(settings, TOPICS, SimpleNamespace()), list[bytes]()  # type: ignore[arg-type]
    broadcasts.listen(lambda _topic, key, _entry: heard.append(key))

    broadcasts._take(TOPICS.alerts, Produced(b"record-5-CODE", b"{}", 5))

    assert heard == [b"record-5-CODE"]
    assert not broadcasts.table(TOPICS.alerts)
