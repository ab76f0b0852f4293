"""The worker of a benchmark: the real one, `python -m bench.trading.worker_process '<json>'`.

{"settings": …, "unsafe": false, "profile": "file or empty"}
"""

from __future__ import annotations

import atexit
import cProfile
import json
import sys
from typing import Any

from app.settings import Settings
from app.worker_process import run_worker


def main(config: dict[str, Any]) -> int:
    """Run it as the configuration says."""
    if config.get("unsafe"):
        from bench.trading.unsafe import take_safety_off  # noqa: PLC0415 -- only where it is asked for

        take_safety_off()
    if config.get("profile"):
        profile = cProfile.Profile()

        def dump() -> None:
            profile.disable()
            profile.dump_stats(config["profile"])

        atexit.register(dump)
        profile.enable()
    return run_worker(Settings(**config["settings"]))


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
