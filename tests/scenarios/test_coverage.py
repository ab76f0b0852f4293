"""Every requirement of the main path has a scenario that carries its id."""

from __future__ import annotations

import re
from pathlib import Path

MAIN_PATH = (
    *("s01", "s02", "s03", "s04", "s05", "s06", "s07", "s09", "s12"),
    *("d01", "d02", "d03", "d04", "d05", "d06", "d13", "r02"),
    *("x01", "x02", "x03", "x04", "x05", "x06", "x09", "x13"),
    *("o01", "o02", "o03", "o04", "o05", "o06", "o07", "o08"),
    *("j01", "j02", "j05", "j07", "p01", "c01", "c03", "c04", "y01", "y02"),
)


def test_every_requirement_of_the_main_path_has_a_scenario() -> None:
    here = Path(__file__).parent
    text = "\n".join(path.read_text() for path in here.glob("test_*.py"))
    tested = set(re.findall(r"^async def test_([a-z]\d\d)_", text, flags=re.MULTILINE))

    assert not set(MAIN_PATH) - tested


def test_the_list_of_requirements_names_the_file_that_shows_each_and_leaves_none_out() -> None:
    here = Path(__file__).parent
    listed = (here.parents[1] / "docs" / "requirements.md").read_text()
    rows = re.findall(r"^\| ([A-Z]\d\d) \|.*\| (test_[a-z_]+\.py) \|$", listed, flags=re.MULTILINE)
    shown = {
        (found.upper(), path.name)
        for path in here.glob("test_*.py")
        for found in re.findall(r"^async def test_([a-z]\d\d)_", path.read_text(), flags=re.MULTILINE)
    }

    assert set(rows) <= shown, "named in a file that does not show it"
    letters = {name[0] for name, _ in rows}
    assert {name for name, _ in shown if name[0] in letters} == {name for name, _ in rows}
