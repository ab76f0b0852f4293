"""A bounded slice of `make chaos`, where the long tests are asked for."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from chaos_run import run_chaos

SEED = int(os.environ.get("ORDERMANAGER_FAULTS_SEED", "7"))
LONG = os.environ.get("ORDERMANAGER_FAULTS") == "all"

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.slow,
    pytest.mark.skipif(not LONG, reason="takes minutes: ORDERMANAGER_FAULTS=all runs it"),
]


async def test_a_set_that_everything_happens_to_is_right_in_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "aiokafka")  # it says thousands of times what is known
    caplog.set_level(logging.INFO, "chaos_run")

    found = await run_chaos(SEED, 20.0, tmp_path / "chaos", workers=2)

    assert found == []


@pytest.mark.parametrize("further", range(1, 4))
async def test_so_it_is_with_other_settings_for_longer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, further: int
) -> None:
    caplog.set_level(logging.CRITICAL, "aiokafka")  # as above
    caplog.set_level(logging.INFO, "chaos_run")

    found = await run_chaos(SEED + further, 90.0, tmp_path / "chaos")

    assert found == []
