"""Where things live that can be had again: jars, their list, class-data archives."""

from __future__ import annotations

import os
from pathlib import Path


def cache_directory() -> Path:
    """The user's cache directory for this program, made if absent.

    `ORDERMANAGER_CACHE_DIR` wins, then `XDG_CACHE_HOME`, then `~/.cache`.
    """
    if own := os.environ.get("ORDERMANAGER_CACHE_DIR"):
        directory = Path(own)
    else:
        directory = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ordermanager"
    directory.mkdir(parents=True, exist_ok=True)
    return directory
