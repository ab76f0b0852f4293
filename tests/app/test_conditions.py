"""Conditions: told when they have held for long enough, once, and again over when they are over."""

from __future__ import annotations

from collections.abc import Callable

from app.conditions import LOOK_EVERY_S, Conditions
from streams.alert_board import ACTION_KEY, AlertAction, AlertBoard, AlertState, FoldedAlert, encode_action
from streams.broadcast import Entry
from streams.schemas import Alert, encode


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


class Topic:
    """The topic of alerts: what is written stands on the board after `delay_s`."""

    def __init__(self, clock: Clock, delay_s: float = 1.0) -> None:
        self.board, self.lines = AlertBoard("alerts"), list[str]()
        self._clock, self._delay_s = clock, delay_s
        self._on_its_way: list[tuple[float, bytes, bytes]] = []

    def write(self, key: bytes, value: bytes, line: str) -> None:
        self.lines.append(line)
        self._on_its_way.append((self._clock.now_s + self._delay_s, key, value))

    def resolve(self, code: str, by: str) -> None:
        at_ns = self._clock.now_ns()
        action = AlertAction(alert=code, state=AlertState.RESOLVED, by=by, reason="over", at_ns=at_ns)
        self.write(ACTION_KEY + code.encode(), encode_action(action), f"{by} resolves {code}")

    def deliver(self) -> None:
        while self._on_its_way and self._on_its_way[0][0] <= self._clock.now_s:
            _, key, value = self._on_its_way.pop(0)
            self.board.take("alerts", key, Entry(value, self._clock.now_ns(), 0))

    @property
    def standing(self) -> AlertState:
        alert = self.board.get("BREAKER_OPEN")
        assert alert is not None
        return alert.state


class Worker:
    """Tells the topic of its own breaker."""

    def __init__(self, name: str, clock: Clock, topic: Topic) -> None:
        self.name, self.open = name, "calls failed"
        self._clock, self._topic = clock, topic
        conditions: dict[str, tuple[float, Callable[[], str]]] = {"BREAKER_OPEN": (0.0, lambda: self.open)}
        self.conditions = Conditions(self, clock, conditions, topic.board.get, name)

    def __call__(self, code: str, sentence: str) -> None:
        at_ns = self._clock.now_ns()
        alert = Alert(
            alert_id=f"{self.name}-{code}-{at_ns}",
            code=code,
            severity="critical",
            sentence=sentence,
            symbol="",
            at_ns=at_ns,
            source=self.name,
        )
        self._topic.write(alert.alert_id.encode(), encode(alert), f"{self.name} tells of {code}")

    def over(self, code: str, sentence: str) -> None:
        self._topic.resolve(code, self.name)


def pass_by(seconds: float, clock: Clock, topic: Topic, *workers: Worker) -> None:
    """The workers look, and the topic delivers, for so long."""
    for _ in range(int(seconds / LOOK_EVERY_S)):
        clock.now_s += LOOK_EVERY_S
        topic.deliver()
        for worker in workers:
            worker.conditions.look()


def test_what_one_worker_resolves_the_other_tells_again_while_it_holds() -> None:
    clock = Clock()
    topic = Topic(clock)
    one, two = Worker("one", clock, topic), Worker("two", clock, topic)
    pass_by(10, clock, topic, one, two)
    topic.lines.clear()

    one.open = ""
    pass_by(10, clock, topic, one, two)

    assert topic.standing is AlertState.OPEN
    assert topic.lines == ["one resolves BREAKER_OPEN", "two tells of BREAKER_OPEN"]
    two.open = ""
    pass_by(10, clock, topic, one, two)
    assert topic.standing is AlertState.RESOLVED
    assert topic.lines[2:] == ["two resolves BREAKER_OPEN"]


def test_what_a_person_resolves_is_told_again_while_it_holds_and_what_they_acknowledge_is_not() -> None:
    clock = Clock()
    topic = Topic(clock, delay_s=5.0)
    worker = Worker("one", clock, topic)
    pass_by(10, clock, topic, worker)

    topic.resolve("BREAKER_OPEN", "desk")
    pass_by(30, clock, topic, worker)

    assert topic.standing is AlertState.OPEN
    told = "one tells of BREAKER_OPEN"
    assert topic.lines == [told, "desk resolves BREAKER_OPEN", told], "once, although it took long to arrive"
    action = AlertAction(alert="BREAKER_OPEN", state=AlertState.ACKNOWLEDGED, by="desk", reason="on it", at_ns=0)
    topic.write(ACTION_KEY + b"BREAKER_OPEN", encode_action(action), "desk acknowledges")
    pass_by(30, clock, topic, worker)
    assert topic.lines[3:] == ["desk acknowledges"]


def test_an_end_that_two_workers_see_one_after_the_other_is_told_as_an_end() -> None:
    clock = Clock()
    topic = Topic(clock, delay_s=0.0)
    one, two = Worker("one", clock, topic), Worker("two", clock, topic)
    pass_by(10, clock, topic, one, two)
    topic.lines.clear()

    one.open = ""
    pass_by(1.5, clock, topic, one, two)
    two.open = ""
    pass_by(10, clock, topic, one, two)

    assert topic.lines == ["one resolves BREAKER_OPEN", "two resolves BREAKER_OPEN"]


def test_what_a_process_told_before_it_was_killed_is_over_when_its_successor_finds_it_well() -> None:
    told, clock, wrong = Told(), Clock(), [""]
    left = FoldedAlert(
        alert="STREAM_DOWN",
        code="STREAM_DOWN",
        severity="critical",
        symbol="",
        sentence="nobody listens",
        state=AlertState.OPEN,
        count=1,
        first_ns=1,
        last_ns=1,
        source="us",
        trace_id="",
    )
    conditions = Conditions(told, clock, {"STREAM_DOWN": (5.0, lambda: wrong[0])}, {"STREAM_DOWN": left}.get, "us")

    for _ in range(3):
        conditions.look()

    assert told.lines == ["STREAM_DOWN is over"]
