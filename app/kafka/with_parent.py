"""Becomes another program that the kernel ends when our parent ends, however that happens.

Run by path, not imported: `python -I -S with_parent.py <parent's pid> <signal number> <program> <arguments…>`. A child
that outlives a killed test run would keep its ports and its memory for ever; no code in the parent can prevent that.
Where the kernel has no such service (it is Linux's `PR_SET_PDEATHSIG`), the program just runs.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(parent_pid: int, signal_number: int, command: list[str]) -> None:
    """Ask the kernel, make sure that the parent did not end before we asked, and become `command`."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != parent_pid:
            raise SystemExit(f"parent {parent_pid} ended before {command[0]} began")
    os.execv(command[0], command)  # noqa: S606 -- no shell is wanted


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
