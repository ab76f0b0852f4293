"""Conditions: told when they have held for long enough, once, and again over when they are over."""

from __future__ import annotations

from app.conditions import Conditions


class Told:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, code: str, sentence: str) -> None:
        self.lines.append(f"{code}: {sentence}")

    def over(self, code: str, sentence: str) -> None:
        self.lines.append(f"{code} is over")


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def now_ns(self) -> int:
        return int(self.now_s * 1e9)

    def monotonic_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_a_condition_is_told_once_after_its_grace_and_then_that_it_is_over() -> None:
    told, clock, wrong = Told(), Clock(), [""]
    conditions = Conditions(told, clock, {"STREAM_DOWN": (5.0, lambda: wrong[0])})

    wrong[0] = "nobody listens"
    for second in range(10):
        clock.now_s = float(second)
        conditions.look()
        assert told.lines == (["STREAM_DOWN: nobody listens"] if second >= 5 else [])
    wrong[0] = ""
    conditions.look()
    conditions.look()

    assert told.lines == ["STREAM_DOWN: nobody listens", "STREAM_DOWN is over"]


def test_what_passes_within_its_grace_is_not_told() -> None:
    told, clock, wrong = Told(), Clock(), ["for a moment"]
    conditions = Conditions(told, clock, {"STREAM_DOWN": (5.0, lambda: wrong[0])})

    for second, sentence in enumerate(("away", "away", "", "away", "away", "away", "away")):
        clock.now_s, wrong[0] = float(second), sentence
        conditions.look()

    assert told.lines == []


def test_what_a_process_told_before_it_was_killed_is_over_when_its_successor_finds_it_well() -> None:
    told, clock, wrong, open_alerts = Told(), Clock(), [""], {"STREAM_DOWN"}
    conditions = Conditions(told, clock, {"STREAM_DOWN": (5.0, lambda: wrong[0])}, open_alerts.__contains__)

    for _ in range(3):
        conditions.look()

    assert told.lines == ["STREAM_DOWN is over"]
