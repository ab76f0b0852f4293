"""No fault is without a test."""

from __future__ import annotations

import re
from pathlib import Path

from fault_table import END, FAULTS, START, Outcome, rows_of, write_table


def test_every_fault_has_a_test_that_names_it() -> None:
    sources = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    named = {row for name in re.findall(r"def (test_fault_\w+)", sources) for row in rows_of(name)}
    assert named == set(FAULTS)


def test_the_table_stands_between_its_marks_with_the_worst_that_happened(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    name = "test_fault_30_to_31_rows_are_whole"
    cases = [Outcome(name, "tests/faults/test_x.py", outcome, 1.0, "7") for outcome in ("passed", "failed")]

    others = [Outcome("test_without_number", "tests/faults/test_x.py", "passed", 1.0, "7")]
    write_table(file, [*cases, *others], "7", 130.0)

    text = file.read_text()
    assert text.startswith(f"before\n{START}\nOne run, 2 of 42 faults (not 1, 2, 3,")
    assert "1 failed, 1 passed in 2 minutes; `make faults SEED=7` repeats it.\n\n| # |" in text
    assert text.endswith(f"{END}\nafter\n")
    [line] = [line for line in text.splitlines() if line.startswith("| 30")]
    assert all(part in line for part in ("state corrupted", "rows are whole", "1 failed, 1 passed", "2.0", "| 7 |"))
    assert "old" not in text.split(START)[1].split(END)[0].replace("an old copy", "")
