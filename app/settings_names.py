"""Variables that look like settings and are none: a limit that is misspelt is no limit, so somebody should be told."""

from __future__ import annotations

import difflib
import os

from app.settings import PREFIX, Settings

_ALIKE = 0.8
"""Of two names: one is likely to be meant by the other."""


def misspelt_variables() -> list[str]:
    """A sentence for each variable of the environment with our prefix that names no setting."""
    fields = {name.upper() for name in Settings.model_fields}
    fields |= {name.removesuffix("_S") for name in fields}  # seconds may go without their unit
    told = []
    for name in sorted(os.environ):
        own = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and own not in fields:
            close = difflib.get_close_matches(own, fields, n=1, cutoff=_ALIKE)
            told.append(f"{name} is no setting" + (f"; is {PREFIX}{close[0]} meant?" if close else ""))
    return told
