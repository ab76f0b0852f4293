"""The machine and the versions that figures belong to; nothing that names the machine itself."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("faust-streaming", "aiokafka", "rocksdict", "uvloop", "msgspec", "httpx", "aiohttp")


def machine() -> dict[str, Any]:
    """Cores, memory, processor, system, Python and the libraries that the figures depend on."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release().split('-', maxsplit=1)[0]}",
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def load_average() -> float:
    """How many processes wanted to run in the last minute: figures taken beside other work say so."""
    return os.getloadavg()[0]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    mhz = [float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")]
    return f"{names[0] if names else platform.machine()}{f', {mhz[0] / 1000:.1f} GHz' if mhz else ''}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
