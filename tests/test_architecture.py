"""The arrows between the rooms point one way, and `domain` is pure."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("app", "streams", "tables", "exchanges", "domain")
MAY_IMPORT = {
    "app": {"streams", "tables", "exchanges", "domain"},
    "streams": {"tables", "exchanges", "domain"},
    "tables": {"domain"},
    "exchanges": {"domain"},
    "domain": set(),
}
IMPURE = {
    *("asyncio", "socket", "ssl", "subprocess", "threading", "multiprocessing", "time", "random", "secrets", "uuid"),
    *("os", "pathlib", "io", "sqlite3", "logging", "httpx", "aiohttp", "aiokafka", "faust", "rocksdict", "structlog"),
}
FAUST = {"faust", "mode", "rocksdict"}


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """The top-level names that a module imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_rooms_below_it(room: str) -> None:
    wrong = {
        str(path.relative_to(ROOT)): sorted(imported(path) & set(ROOMS) - MAY_IMPORT[room] - {room})
        for path in modules(room)
        if imported(path) & set(ROOMS) - MAY_IMPORT[room] - {room}
    }

    assert modules(room)
    assert not wrong


def test_the_domain_does_no_input_or_output_and_has_no_clock() -> None:
    wrong = {str(path): sorted(imported(path) & IMPURE) for path in modules("domain") if imported(path) & IMPURE}

    assert not wrong


def test_faust_is_known_only_to_the_process_and_the_store() -> None:
    wrong = {
        str(path.relative_to(ROOT)): sorted(imported(path) & FAUST)
        for room in ("streams", "exchanges", "domain")
        for path in modules(room)
        if imported(path) & FAUST
    }

    assert not wrong


@pytest.mark.parametrize("room", ROOMS)
def test_a_file_has_one_subject(room: str) -> None:
    """Under 400 lines: what grows beyond has become two."""
    long = {str(path.relative_to(ROOT)): n for path in modules(room) if (n := len(path.read_text().splitlines())) > 400}

    assert not long
