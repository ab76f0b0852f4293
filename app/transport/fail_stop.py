"""The one way this process gives up: at once, saying why, without committing or leaving anything behind."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

EXIT_CODE = 70
"""`EX_SOFTWARE`: the supervisor starts the process again; what was not committed comes again."""

REFUSED_EXIT_CODE = 78
"""`EX_CONFIG`: a person has to decide first. Starting the process again as it is would end the same way."""

FailStop = Callable[[str], NoReturn]
"""How a part of the engine ends the process. Tests pass one that raises."""


def fail_stop(reason: str) -> NoReturn:
    """Write `reason` as the last line and end the process with `EXIT_CODE`.

    Nothing is flushed, committed or closed: after an error that nobody foresaw, every further write could be the one
    that makes a wrong state durable. All that matters is in the log already or will be delivered again.
    """
    _end(reason, EXIT_CODE)


def refuse_to_start(reason: str) -> NoReturn:
    """The same with `REFUSED_EXIT_CODE`."""
    _end(reason, REFUSED_EXIT_CODE)


def leave(reason: str) -> NoReturn:
    """End the process as it was told to, although the broker was not there to take what it would have said last.

    Nothing is lost by that: what is not in the log comes again, as after a power cut.
    """
    _end(reason, 0, "ENDED")


def _end(reason: str, code: int, word: str = "FATAL") -> NoReturn:
    one_line = " ".join(reason.split())
    sys.stderr.write(f"{word} {one_line}\n")
    sys.stderr.flush()
    os._exit(code)
