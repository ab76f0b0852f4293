"""The program's own commands, as a person or a script gives them."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import orjson

from app.settings import Settings


async def ordermanager(settings: Settings, *arguments: str) -> tuple[int, Any]:  # Any: JSON
    """Run `ordermanager …`; returns its exit code and what it printed, read as JSON if `--json` is asked for."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli", *arguments),
        env={**os.environ, **settings.environment()},
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, orjson.loads(printed) if "--json" in arguments else printed.decode()
