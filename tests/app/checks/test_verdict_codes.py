"""Checks that can't begin: nobody can tell is another exit code than a difference, and programs are told so too."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from app.cli import app

NOBODY_LISTENS = "127.0.0.1:1"


@pytest.mark.parametrize("command", ["verify", "replay", "compare"])
def test_a_check_with_a_wrong_setting_says_that_nobody_can_tell(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--json"], env={"ORDERMANAGER_PARTITIONS": "many"})

    assert result.exit_code == 2
    assert "ORDERMANAGER_PARTITIONS" in result.stderr
    told = json.loads(result.stdout)
    assert told["equal"] is None
    assert "ORDERMANAGER_PARTITIONS" in told["error"]["sentence"]


def test_waiting_for_a_broker_is_told_on_standard_error_alone() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "from app.cli import main; main()", "verify", "--json"],
        env=os.environ | {"ORDERMANAGER_KAFKA_BOOTSTRAP": NOBODY_LISTENS},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as verifying:
        assert verifying.stdout is not None
        assert verifying.stderr is not None
        waits = (line for line in verifying.stderr if "waits for the brokers" in line)
        for _ in range(2):  # it has asked, and asked again
            assert next(waits, None)
        verifying.kill()
        assert verifying.stdout.read() == ""
