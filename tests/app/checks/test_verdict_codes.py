"""Checks that can't begin: nobody can tell is another exit code than a difference."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from app.cli import app


@pytest.mark.parametrize("command", ["verify", "replay", "compare"])
def test_a_check_with_a_wrong_setting_says_that_nobody_can_tell(command: str) -> None:
    result = CliRunner().invoke(app, [command], env={"ORDERMANAGER_PARTITIONS": "many"})

    assert result.exit_code == 2
    assert "ORDERMANAGER_PARTITIONS" in result.output
