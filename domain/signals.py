"""A trading signal: what a producer wishes, read and checked (requirements S01, S02).

Here trust ends: a record's value is anybody's bytes. `parse_signal` gives a signal in which every field is in range,
or says everything that is wrong with it. Numbers never pass through a binary float: JSON numbers are read as text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from domain.errors import InvalidInput
from domain.ids import fingerprint as fingerprint_of
from domain.money import parse_amount, plain, plain_or_empty
from domain.orders import OrderType, PositionSide, Side, TimeInForce
from domain.times import read_time_ns

MAX_DEPTH: Final = 32
"""Levels of nesting in a record: what is deeper could not be written again from a deeper call stack."""
_MAX_TEXT: Final = 128
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,39}")
_PLACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_URGENT_FROM = Decimal("0.8")


class Urgency(StrEnum):
    """How soon the producer needs the trade: an urgent signal becomes a market order (requirement D01)."""

    NORMAL = "normal"
    URGENT = "urgent"


_URGENCIES = {
    **dict.fromkeys(("normal", "low", "medium", "none"), Urgency.NORMAL),
    **dict.fromkeys(("urgent", "high", "critical", "immediate"), Urgency.URGENT),
}


# -- reading one field: each raises ValueError with the end of a sentence that begins with the field's name ---------


def _number(value: object) -> Decimal:
    try:
        return parse_amount("figure", value)
    except InvalidInput as error:
        raise ValueError(error.reasons[0].partition(": ")[2]) from None


def _above_zero(value: object) -> Decimal:
    number = _number(value)
    if number <= 0:
        raise ValueError(f"{plain(number)} is not above 0")
    return number


def _not_negative(value: object) -> Decimal:
    number = _number(value)
    if number < 0:
        raise ValueError(f"{plain(number)} is below 0")
    return abs(number)  # a negative zero is zero


def _fraction(value: object) -> Decimal:
    number = _number(value)
    if not 0 <= number <= 1:
        raise ValueError(f"{plain(number)} is not between 0 and 1")
    return abs(number)


def _text(value: object) -> str:
    """Printable text within the limit: no control characters, no half of a surrogate pair."""
    if not isinstance(value, str):
        raise ValueError(f"{_shown(value)} is not text")  # noqa: TRY004 -- pydantic collects ValueError only
    if len(value) > _MAX_TEXT:
        raise ValueError(f"{len(value)} characters, the limit is {_MAX_TEXT}")
    if not value.isprintable():
        raise ValueError(f"{_shown(value)} has characters that cannot be printed")
    return value


def _name(value: object) -> str:
    text = _text(value)
    if not text.strip():
        raise ValueError("empty")
    return text


def _symbol(value: object) -> str:
    """Canonical: upper case. Only ASCII is raised, for other letters may change their number when they are."""
    text = _text(value)
    canonical = text.upper() if text.isascii() else text
    if not _SYMBOL.fullmatch(canonical):
        raise ValueError(f"{_shown(text)} is not a symbol: 1 to 40 letters, digits, '.', '_', '-'")
    return canonical


def _place(value: object) -> str:
    text = _text(value)
    canonical = text.lower() if text.isascii() else text
    if not _PLACE.fullmatch(canonical):
        raise ValueError(f"{_shown(text)} is not a name: 1 to 32 letters, digits, '_', '-'")
    return canonical


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{_shown(value)} is not true or false")  # noqa: TRY004 -- as above
    return value


def _urgency(value: object) -> Urgency:
    """True, a word for haste, or a number from 0 to 1 of at least 0.8 are urgent."""
    if isinstance(value, bool):
        return Urgency.URGENT if value else Urgency.NORMAL
    if isinstance(value, str) and value.lower() in _URGENCIES:
        return _URGENCIES[value.lower()]
    try:
        number = _fraction(value)
    except ValueError:
        words = ", ".join(_URGENCIES)
        raise ValueError(f"{_shown(value)} is not one of {words}, true, false, or from 0 to 1") from None
    return Urgency.URGENT if number >= _URGENT_FROM else Urgency.NORMAL


def _side(value: object) -> Side:
    return Side(_choice(value, [side.value for side in Side], str.lower))


def _order_type(value: object) -> OrderType:
    return OrderType(_choice(value, [kind.value for kind in OrderType], str.lower))


def _time_in_force(value: object) -> TimeInForce:
    return TimeInForce(_choice(value, [force.value for force in TimeInForce], str.upper))


def _position_side(value: object) -> PositionSide:
    return PositionSide(_choice(value, [side.value for side in PositionSide], str.lower))


def _choice(value: object, choices: list[str], canonical: Callable[[str], str]) -> str:
    text = canonical(value) if isinstance(value, str) else ""
    if text not in choices:
        raise ValueError(f"{_shown(value)} is not one of {', '.join(choices)}")
    return text


def _shown(value: object) -> str:
    """The value as a reason shows it: short, whatever it was."""
    text = repr(value) if isinstance(value, str | int | Decimal | bool | None) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:60]}…"


_Amount = Annotated[Decimal, BeforeValidator(_above_zero)]
_Figure = Annotated[Decimal, BeforeValidator(_not_negative)]
_Fraction = Annotated[Decimal, BeforeValidator(_fraction)]
_Text = Annotated[str, BeforeValidator(_text)]
_Flag = Annotated[bool, BeforeValidator(_flag)]
_Time = Annotated[int, BeforeValidator(read_time_ns)]
_Place = Annotated[str, BeforeValidator(_place)]


# -- the models ----------------------------------------------------------------------------------------------------


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

    price: _Amount | None = None
    spread: _Figure | None = None
    volume: _Figure | None = None
    depth: _Figure | None = None

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_absent(cls, value: object) -> object:
        return _without_nulls(cls, value)


class Signal(BaseModel):
    """A producer's wish, every field checked. Amounts and prices in quote currency, times in nanoseconds UTC.

    `timestamp_ns` is the record's time where the producer gave none. Fields nobody here knows are in `model_extra`.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    signal_id: Annotated[str, BeforeValidator(_name)]
    signal_type: Annotated[Side, BeforeValidator(_side)]
    symbol: Annotated[str, BeforeValidator(_symbol)]
    amount: _Amount
    confidence: _Fraction | None = None
    timestamp_ns: _Time = Field(default=0, alias="timestamp")
    expires_at_ns: _Time | None = Field(default=None, alias="expires_at")
    strategy_id: _Text = ""
    model_version: _Text = ""
    is_warmup: _Flag = False
    market_data_snapshot: MarketSnapshot | None = None
    metadata: dict[str, object] = Field(default_factory=dict)
    trace_id: _Text = ""
    venue: _Place | None = None
    category: _Place | None = None
    urgency: Annotated[Urgency, BeforeValidator(_urgency)] = Urgency.NORMAL
    order_type: Annotated[OrderType, BeforeValidator(_order_type)] | None = None
    limit_price: _Amount | None = None
    time_in_force: Annotated[TimeInForce, BeforeValidator(_time_in_force)] | None = None
    reduce_only: _Flag | None = None
    post_only: _Flag | None = None
    take_profit: _Amount | None = None
    stop_loss: _Amount | None = None
    position_side: Annotated[PositionSide, BeforeValidator(_position_side)] | None = None

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
    return _readable(_name, fields.get("signal_id")), _readable(_symbol, symbol)


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
        raise InvalidInput("BAD_SIGNAL", [f"value: {_shown(fields)} is not a JSON object"])
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
    same = _readable(_symbol, asset) == _readable(_symbol, symbol)
    return [] if same else [f"asset: {_shown(asset)} is not the symbol {_shown(symbol)}"]


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
