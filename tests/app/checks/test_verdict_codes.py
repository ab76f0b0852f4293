"""Checks that can't begin: nobody can tell is another exit code than a difference, and programs are told so too."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.replay import reading
from app.replay.reading import CannotCompare
from app.settings import Settings
from app.verify.report import VerifyOptions, verify
from streams.topics import Topics

NOBODY_LISTENS = "127.0.0.1:1"


@pytest.mark.parametrize("command", ["verify", "replay", "compare"])
def test_a_check_with_a_wrong_setting_says_that_nobody_can_tell(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--json"], env={"ORDERMANAGER_PARTITIONS": "many"})

    assert result.exit_code == 2
    assert "ORDERMANAGER_PARTITIONS" in result.stderr
    told = json.loads(result.stdout)
    assert told["equal"] is None
    assert "ORDERMANAGER_PARTITIONS" in told["error"]["sentence"]


@pytest.mark.parametrize("command", ["verify", "replay"])
def test_a_check_does_not_wait_long_for_a_broker_that_is_not_there(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BEGIN_LIMIT_S", 0.3)

    result = CliRunner().invoke(app, [command, "--json"], env={"ORDERMANAGER_KAFKA_BOOTSTRAP": NOBODY_LISTENS})

    assert result.exit_code == 2
    told = json.loads(result.stdout.splitlines()[-1])["error"]
    assert told["code"] == "NO_BROKER"
    assert NOBODY_LISTENS in told["sentence"]
    assert "ORDERMANAGER_KAFKA_BOOTSTRAP" in told["sentence"]


async def test_a_broker_that_takes_connections_and_says_nothing_is_not_waited_for_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "BEGIN_LIMIT_S", 0.3)

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    over = asyncio.Event()
    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server, asyncio.timeout(5):
        host, port = server.sockets[0].getsockname()
        with pytest.raises(CannotCompare, match="NO_BROKER"):
            await verify(Settings(kafka_bootstrap=f"{host}:{port}"), VerifyOptions(venue=False))
        over.set()


@pytest.mark.parametrize("command", ["verify", "replay", "compare", "diff"])
def test_an_error_that_nobody_expected_is_no_difference(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_arguments: object, **_named: object) -> int:
        raise KeyError("accounts")

    monkeypatch.setattr(f"app.check_printing.{command}_command", fails)

    result = CliRunner().invoke(app, [command, "--json", *(["a", "b"] if command == "diff" else [])])

    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"] == {"code": "CHECK_FAILED", "sentence": "KeyError: 'accounts'"}
    assert "Traceback" in result.stderr


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
        waits = (line for line in verifying.stderr if "waiting for the brokers" in line)
        for _ in range(2):  # it has asked, and asked again
            assert next(waits, None)
        verifying.kill()
        assert verifying.stdout.read() == ""


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"topic_prefix": "elsewhere-"}, "topic elsewhere-signals is missing"),
        ({"partitions": 5}, "signals has 4 partitions, expected 5"),
    ],
    ids=["prefix", "partitions"],
)
async def test_topics_that_are_not_there_are_told_of_at_once(
    kafka: str, topics: Topics, changed: dict[str, Any], why: str
) -> None:
    settings = Settings(kafka_bootstrap=kafka, **({"partitions": 4, "topic_prefix": topics.prefix} | changed))

    async with asyncio.timeout(5):
        with pytest.raises(CannotCompare, match="NO_TOPICS") as refused:
            await verify(settings, VerifyOptions(venue=False))

    assert why in refused.value.sentence
    assert "ORDERMANAGER_TOPIC_PREFIX" in refused.value.sentence
