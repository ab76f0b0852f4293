"""A library that repeats itself gets one line a second."""

from __future__ import annotations

import logging

from app.log_throttle import Throttle


def line(name: str, number: int = 1) -> logging.LogRecord:
    return logging.LogRecord(name, logging.WARNING, "client.py", number, "unable to connect to %s", ("node 1",), None)


def test_repetitions_of_a_place_are_counted_not_written() -> None:
    now_s = [0.0]
    throttle = Throttle(lambda: now_s[0])

    written = [throttle.filter(line("aiokafka.conn")) for _ in range(500)]
    now_s[0] = 1.5
    again = line("aiokafka.conn")

    assert sum(written) == 1
    assert throttle.filter(again)
    assert again.getMessage() == "unable to connect to node 1 (and 499 more like it)"


def test_another_place_and_our_own_lines_are_written() -> None:
    throttle = Throttle(lambda: 0.0)

    assert throttle.filter(line("aiokafka.conn", 1))
    assert throttle.filter(line("aiokafka.conn", 2))
    assert all(throttle.filter(line("streams.submitting")) for _ in range(3))
