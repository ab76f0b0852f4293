"""A trading signal: what a producer wishes, read and checked (requirements S01, S02).

Here trust ends: a record's value is anybody's bytes. `parse_signal` gives a signal in which every field is in range,
or says everything that is wrong with it. Numbers never pass through a binary float: JSON numbers are read as text.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.config import JsonDict

from domain.errors import InvalidInput
from domain.ids import fingerprint as fingerprint_of
from domain.money import plain, plain_or_empty
from domain.orders import Side
from domain.signal_fields import (
    Amount,
    Figure,
    Flag,
    Fraction,
    Haste,
    Name,
    OrderTypeField,
    Place,
    PositionSideField,
    SideField,
    Symbol,
    Text,
    Time,
    TimeInForceField,
    Urgency,
    read_name,
    read_symbol,
    shown,
)

__all__ = [
    "MAX_DEPTH",
    "MarketSnapshot",
    "Signal",
    "Urgency",
    "fingerprint",
    "identify",
    "parse_signal",
    "signal_time_ns",
]

MAX_DEPTH: Final = 32
"""Levels of nesting in a record: what is deeper could not be written again from a deeper call stack."""


def _asset_or_symbol(schema: JsonDict) -> None:
    """The published schema: an instrument goes by either name."""
    properties, required = schema["properties"], schema["required"]
    if isinstance(properties, dict) and isinstance(required, list):
        properties["asset"] = {"type": "string", "description": "Another name for `symbol`."}
        required.remove("symbol")
        schema["anyOf"] = [{"required": ["symbol"]}, {"required": ["asset"]}]


def _without_nulls(model: type[BaseModel], value: object) -> object:
    """A field that is null counts as absent; unknown extras stay as they are."""
    if not isinstance(value, dict):
        return value
    ours = {field.alias or name for name, field in model.model_fields.items()}
    return {key: part for key, part in value.items() if part is not None or key not in ours}


class MarketSnapshot(BaseModel):
    """The market as the producer saw it. Prices in quote currency; `spread` is absolute; `depth` is the base
    quantity that the book holds within the slippage guard, absent when unknown."""

    model_config = ConfigDict(frozen=True, extra="allow")

    price: Amount | None = None
    spread: Figure | None = None
    volume: Figure | None = None
    depth: Figure | None = None

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_absent(cls, value: object) -> object:
        return _without_nulls(cls, value)


class Signal(BaseModel):
    """A producer's wish, every field checked. Amounts and prices in quote currency, times in nanoseconds UTC.

    `timestamp_ns` is the record's time where the producer gave none. Fields nobody here knows are in `model_extra`.
    """

    model_config = ConfigDict(frozen=True, extra="allow", json_schema_extra=_asset_or_symbol)

    signal_id: Name
    signal_type: SideField
    symbol: Symbol
    amount: Amount
    confidence: Fraction | None = None
    timestamp_ns: Time = Field(default=0, alias="timestamp")
    expires_at_ns: Time | None = Field(default=None, alias="expires_at")
    strategy_id: Text = ""
    model_version: Text = ""
    is_warmup: Flag = False
    market_data_snapshot: MarketSnapshot | None = None
    metadata: dict[str, object] = Field(default_factory=dict)
    trace_id: Text = ""
    venue: Place | None = None
    category: Place | None = None
    urgency: Haste = Urgency.NORMAL
    order_type: OrderTypeField | None = None
    limit_price: Amount | None = None
    time_in_force: TimeInForceField | None = None
    reduce_only: Flag | None = None
    post_only: Flag | None = None
    take_profit: Amount | None = None
    stop_loss: Amount | None = None
    position_side: PositionSideField | None = None

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_absent(cls, value: object) -> object:
        return _without_nulls(cls, value)

    @property
    def side(self) -> Side:
        """Which way the signal trades."""
        return self.signal_type


# -- reading a record ----------------------------------------------------------------------------------------------


def _json_number(text: str) -> Decimal | str:
    """A number with a point or an exponent. What no decimal can hold stays text, and its field will say so."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


_decoder = msgspec.json.Decoder(float_hook=_json_number)


def parse_signal(value: bytes | None, *, record_time_ns: int, max_bytes: int) -> Signal:
    """Read a record's value. Raises `InvalidInput` with code `BAD_SIGNAL` and every reason, in the order of fields."""
    fields = _object(value, max_bytes)
    reasons = _settle_symbol(fields)
    try:
        signal = Signal.model_validate(fields)
    except ValidationError as error:
        raise InvalidInput("BAD_SIGNAL", reasons + _reasons(error)) from None
    if reasons:
        raise InvalidInput("BAD_SIGNAL", reasons)
    return signal if signal.timestamp_ns else signal.model_copy(update={"timestamp_ns": record_time_ns})


def identify(value: bytes | None) -> tuple[str | None, str | None]:
    """(signal id, symbol) as far as they can be read of a record that is no signal (requirement S02)."""
    try:
        fields = _object(value, None)
    except InvalidInput:
        return None, None
    symbol = fields["asset"] if fields.get("symbol") is None and "asset" in fields else fields.get("symbol")
    return _readable(read_name, fields.get("signal_id")), _readable(read_symbol, symbol)


def _readable(read: Callable[[object], str], value: object) -> str | None:
    try:
        return read(value)
    except ValueError:
        return None


def _object(value: bytes | None, max_bytes: int | None) -> dict[str, object]:
    if value is None:
        raise InvalidInput("BAD_SIGNAL", ["value: the record has none"])
    if max_bytes is not None and len(value) > max_bytes:
        raise InvalidInput("BAD_SIGNAL", [f"value: {len(value)} bytes, the limit is {max_bytes}"])
    try:
        fields = _decoder.decode(value)
    except RecursionError:
        raise InvalidInput("BAD_SIGNAL", [f"value: nested deeper than {MAX_DEPTH} levels"]) from None
    except ValueError as error:  # msgspec's errors and UnicodeDecodeError are such
        raise InvalidInput("BAD_SIGNAL", [f"value: not JSON: {error!s:.200}"]) from None
    if not isinstance(fields, dict):
        raise InvalidInput("BAD_SIGNAL", [f"value: {shown(fields)} is not a JSON object"])
    if _deeper_than(fields, MAX_DEPTH):
        raise InvalidInput("BAD_SIGNAL", [f"value: nested deeper than {MAX_DEPTH} levels"])
    return fields


def _deeper_than(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    if not levels:
        return True
    parts = value.values() if isinstance(value, dict) else value
    return any(_deeper_than(part, levels - 1) for part in parts)


def _settle_symbol(fields: dict[str, object]) -> list[str]:
    """Take `asset` for `symbol`. Gives a reason when both are there and name different instruments."""
    asset = fields.pop("asset", None)
    symbol = fields.get("symbol")
    if asset is None:
        return []
    if symbol is None:
        fields["symbol"] = asset
        return []
    same = _readable(read_symbol, asset) == _readable(read_symbol, symbol)
    return [] if same else [f"asset: {shown(asset)} is not the symbol {shown(symbol)}"]


def _reasons(error: ValidationError) -> list[str]:
    """Every reason as `field: sentence`. Pydantic reports in the order in which the fields are defined."""
    reasons = []
    for found in error.errors(include_url=False, include_input=False):
        field = ".".join(str(part) for part in found["loc"]) or "value"
        told = found.get("ctx", {}).get("error") if found["type"] == "value_error" else None
        sentence = "missing" if found["type"] == "missing" else str(told or found["msg"])
        reasons.append(f"{field:.80}: {sentence}")
    return reasons


# -- what a signal means -------------------------------------------------------------------------------------------


def fingerprint(signal: Signal) -> str:
    """What makes a repeated signal id the same wish or a conflict (requirement S06): the fields that decide what is
    traded and how, as canonical text. Not its times, snapshot, trace, strategy, model and metadata."""
    return fingerprint_of(
        (
            signal.signal_type,
            signal.symbol,
            plain(signal.amount),
            plain_or_empty(signal.confidence),
            str(signal.is_warmup),
            signal.venue or "",
            signal.category or "",
            signal.urgency,
            signal.order_type or "",
            plain_or_empty(signal.limit_price),
            signal.time_in_force or "",
            "" if signal.reduce_only is None else str(signal.reduce_only),
            "" if signal.post_only is None else str(signal.post_only),
            plain_or_empty(signal.take_profit),
            plain_or_empty(signal.stop_loss),
            signal.position_side or "",
        )
    )


def signal_time_ns(signal: Signal, record_time_ns: int) -> int:
    """When the signal's age begins (requirement S09): the earlier of its own time and its original record's."""
    return min(signal.timestamp_ns or record_time_ns, record_time_ns)
