"""What is free goes back to the system, whatever was allocated after it."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from pathlib import Path
from app.allocator import give_back_free_pages, give_back_large_blocks

def resident_mib():
    told = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in told if "VmRSS" in line).split()[1]) >> 10

if sys.argv[1] == "ours":
    assert give_back_large_blocks()
del (teacher := [bytearray(16 << 20)])[0]  # glibc learns that blocks of this size come and go
before, small = resident_mib(), []
large = []
for _ in range(20):
    large.append(b"x" * (3 << 20))
    small.append(b"y" * 2_000)  # on top of it
del large
if sys.argv[1] == "pages":
    many = [b"z" * 1_500 for _ in range(40_000)]
    small += many[::100]
    del many
    give_back_free_pages()
print(resident_mib() - before)
"""


def grown_mib(whose: str) -> int:
    """By how much a process stays larger that held 60 MiB in large blocks for a moment."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, whose], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_a_moments_size_does_not_stay() -> None:
    assert grown_mib("glibc's") > 20
    assert grown_mib("ours") < 10


def test_what_is_free_between_small_blocks_can_be_given_back() -> None:
    still_mib = grown_mib("glibc's")

    assert grown_mib("pages") < still_mib - 10
