"""Kinds of values that settings have in common."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Ratio = Annotated[Decimal, Field(ge=0, le=1)]
OptionalAmount = Annotated[Decimal, Field(ge=0)] | None
OptionalRatio = Annotated[Decimal, Field(ge=0, le=1)] | None
OptionalCount = Annotated[int, Field(ge=0, le=1_000_000)] | None
Count = Annotated[int, Field(ge=1, le=1_000_000)]
