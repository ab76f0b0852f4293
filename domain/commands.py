"""Commands: what an operator or a timer wants of orders that exist (requirement C03)."""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

from domain.errors import InvalidInput
from domain.ids import fingerprint

EVERY_SYMBOL = "*"


class Action(StrEnum):
    """What is to be done. `cancel` and `sync` name one order, every open order of a symbol, or (`EVERY_SYMBOL`) of all
    symbols of the partition that the record is in."""

    CANCEL = "cancel"
    SYNC = "sync"
    REPLACE = "replace"
    """Cancel one order of ours, and when the venue says that it is gone, want the rest of it again as a new signal."""
    PROTECT = "protect"
    """Set the stop-loss that follows a position (`AUTO_STOP_LOSS`): a timer's wish, with an id that names the price."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A record of `order-commands`, keyed by symbol. The same `command_id` again does nothing."""

    command_id: str
    action: Action
    symbol: str
    order_id: str = ""
    reason: str = ""
    requested_by: str = ""
    at_ns: int = 0
    trace_id: str = ""


_MAX_NAME = 128
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:-]{{0,{_MAX_NAME - 1}}}")
_decoder = msgspec.json.Decoder(Command)
_encoder = msgspec.json.Encoder()


_TIMER = "timer:"


def timer_command_id(*parts: object) -> str:
    """The id of a timer's command."""
    return _TIMER + ":".join(str(part) for part in parts)


def by_timer(command_id: str) -> bool:
    """Whether a command is a timer's: carried out like any other, but nobody asks for its result, so none is kept."""
    return command_id.startswith(_TIMER)


def for_symbol(command: Command, symbol: str) -> Command:
    """What a command for every symbol becomes for one of them: a command of its own, with the same id each time."""
    own_id = f"{command.command_id}:{symbol}"
    if len(own_id) > _MAX_NAME:
        own_id = f"every:{fingerprint((command.command_id, symbol))}"
    return msgspec.structs.replace(command, command_id=own_id, symbol=symbol)


def encode_command(command: Command) -> bytes:
    """The record's value."""
    return _encoder.encode(command)


def decode_command(value: bytes | None) -> Command:
    """Read a record's value. Raises `InvalidInput` with every reason."""
    if value is None:
        raise InvalidInput("BAD_COMMAND", ["the record has no value"])
    try:
        command: Command = _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput("BAD_COMMAND", [str(error)]) from error
    reasons = [
        f"{name}: {text!r:.80} is not a name of 1 to 128 letters, digits and . _ : -"
        for name, text in (("command_id", command.command_id), ("symbol", command.symbol))
        if not _NAME.fullmatch(text) and not (name == "symbol" and text == EVERY_SYMBOL and not command.order_id)
    ]
    if command.order_id and not _NAME.fullmatch(command.order_id):
        reasons.append(f"order_id: {command.order_id!r:.80} is not an order's id")
    if reasons:
        raise InvalidInput("BAD_COMMAND", reasons)
    return command
