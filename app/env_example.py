"""`env.example`: every setting with its default, what it means and what it may be. Written by `make env`."""

from __future__ import annotations

import textwrap
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from app.settings import PREFIX, Settings

_HEAD = """\
# Every setting of the order manager, with its default. Copy what you change into the environment of the process.
# A wrong value is refused at start, with its name, the value and what it may be. A time in seconds may also be named
# without its unit: SIGNAL_MAX_AGE is SIGNAL_MAX_AGE_S.
"""


def env_example() -> str:
    """The file's text."""
    blocks = [_HEAD]
    for name, field in Settings.model_fields.items():
        bounds = _bounds(name)
        about = f"{field.description}{f' ({bounds})' if bounds else ''}"
        comment = textwrap.fill(about, width=116, initial_indent="# ", subsequent_indent="# ")
        blocks.append(f"{comment}\n{PREFIX}{name.upper()}={_text(field.default)}\n")
    return "\n".join(blocks)


def _bounds(name: str) -> str:
    """The allowed range, from the schema."""
    schema: dict[str, Any] = Settings.model_json_schema()["properties"][name]
    options = schema.get("anyOf", [schema])
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    found = [f"{word} {option[key]:g}" for option in options for key, word in words.items() if key in option]
    return " ".join(dict.fromkeys(found))


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Decimal | Path | int | float | str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return ""


def main() -> None:
    """Write the file into the current directory."""
    Path("env.example").write_text(env_example())


if __name__ == "__main__":
    main()
