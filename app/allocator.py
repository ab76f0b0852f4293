"""What glibc's allocator does with memory that is free: it goes back to the system.

Left to itself it learns from each large block that is freed, and takes the next ones of that size from its heap. A
catch-up of tables or an answer of megabytes then raises the heap, small objects settle on top of it, and the process
stays as large as its largest moment for as long as it lives.
"""

from __future__ import annotations

import contextlib
import ctypes

LARGE_BYTES = 256 << 10
"""Larger than anything that is allocated often."""
SPARE_BYTES = 4 << 20
"""What the heap may keep at its end."""

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def give_back_large_blocks() -> bool:
    """Do so from now on in this process; False where the C library has no such setting."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES) and mallopt(_M_TRIM_THRESHOLD, SPARE_BYTES))


def give_back_free_pages() -> None:
    """What is free between small blocks goes back too, now. It takes about 40 ms for 100 MiB, in which nobody
    allocates: for moments in which nothing else is done."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
