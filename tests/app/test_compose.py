"""docker-compose.yml can't be run everywhere: its commands and variables are checked against the program's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from app.cli import app
from app.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PROGRAM = {name: service for name, service in COMPOSE["services"].items() if name != "kafka"}


@pytest.mark.parametrize("name", PROGRAM)
def test_a_service_runs_a_command_that_there_is(name: str) -> None:
    command: Any = typer.main.get_command(app)

    for word in PROGRAM[name]["command"]:
        command = command.commands[word]

    assert command.callback is not None


@pytest.mark.parametrize("name", PROGRAM)
def test_every_variable_of_a_service_is_a_setting(name: str) -> None:
    known = {PREFIX + field.upper() for field in Settings.model_fields}

    assert set(PROGRAM[name]["environment"]) <= known


def test_the_broker_is_of_the_version_that_the_tests_use() -> None:
    lock = (ROOT / "app" / "kafka" / "jgo.toml").read_text()

    assert COMPOSE["services"]["kafka"]["image"].removeprefix("apache/kafka:") in lock


def test_the_image_is_built_from_every_room() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert all(f"COPY {room} {room}" in dockerfile for room in ("app", "streams", "tables", "domain", "exchanges"))
