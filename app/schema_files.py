"""JSON Schema of every topic's records and an AsyncAPI document of them all, generated from the code (requirement J06).

`ordermanager schemas` writes them. `docs/schemas` is what the code says now; `docs/schemas/released` is what readers
and writers of the last release rely upon: `breaking_changes` says where the two don't fit together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from domain.commands import Command
from domain.instruments import InstrumentRules, Quote
from domain.signals import Signal
from domain.updates import Update
from exchanges.venue import Balance
from streams.boards import Control, Heartbeat
from streams.schemas import Alert, LossEvent, OrderEvent, PositionEvent, PositionSnapshot, SignalEvent

Schema = dict[str, Any]  # Any: JSON

READS, WRITES, BOTH = "reads", "writes", "reads and writes"
_DRAFT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class Described:
    """A topic: what it is for, its key, the type of its records, and who we are to it."""

    title: str
    key: str
    kind: Any  # Any: a type, or a union of types
    we: str


DESCRIBED: Mapping[str, Described] = {
    "signals": Described("A trading wish of a producer.", "symbol", Signal, READS),
    "order-updates": Described("Something said of an order or a position.", "symbol", Update, BOTH),
    "order-commands": Described("Cancel or ask for orders that exist.", "symbol", Command, BOTH),
    "order-events": Described(
        "A step of an order, or the end of a signal.", "symbol", OrderEvent | SignalEvent, WRITES
    ),
    "position-events": Described(
        "A fill and the position after it, or a loss that is warned of.", "symbol", PositionEvent | LossEvent, WRITES
    ),
    "position-snapshots": Described("A position at a regular moment.", "symbol", PositionSnapshot, WRITES),
    "alerts": Described("Something a person should know.", "alert id", Alert, BOTH),
    "controls": Described("What may be traded: of all, a venue, a symbol.", "scope", Control, BOTH),
    "balances": Described("One currency of the account.", "account/currency", Balance, BOTH),
    "marks": Described("Best prices of an instrument.", "category/symbol", Quote, BOTH),
    "instruments": Described("The rules of an instrument.", "category/symbol", InstrumentRules, BOTH),
    "heartbeats": Described("A process says that it lives.", "role/name", Heartbeat, BOTH),
}
"""By the topic's role. Dead letters carry the original bytes, whatever they are; changelogs are our own business."""

_TWO_KINDS: Mapping[str, tuple[type, type]] = {
    "order-events": (OrderEvent, SignalEvent),
    "position-events": (PositionEvent, LossEvent),
}
"""Readers tell them apart by the header `schema`; positions' also by their `type`."""


def schema_of(role: str) -> Schema:
    """The JSON Schema of a topic's records."""
    described = DESCRIBED[role]
    if described.kind is Signal:
        schema = Signal.model_json_schema()
    elif role in _TWO_KINDS:
        kinds, components = msgspec.json.schema_components(_TWO_KINDS[role], schema_hook=_anything)
        schema = {"anyOf": list(kinds), "$defs": components}
    else:
        schema = msgspec.json.schema(described.kind, schema_hook=_anything)
    return {"$schema": _DRAFT, "title": role, "description": described.title} | {
        name: value for name, value in schema.items() if name not in {"title", "description"}
    }


def _anything(kind: type) -> Schema:
    """A producer's own metadata is passed on as it came."""
    if kind is object:
        return {"description": "any JSON"}
    raise NotImplementedError(kind)


def asyncapi() -> Schema:
    """The AsyncAPI 3 document: a channel per topic, and what the order manager does with it."""
    channels, operations = {}, {}
    for role, described in DESCRIBED.items():
        channels[role] = {
            "address": role,
            "description": f"{described.title} Key: {described.key}.",
            "messages": {
                role: {
                    "name": role,
                    "contentType": "application/json",
                    "payload": {
                        "schemaFormat": "application/schema+json;version=draft-2020-12",
                        "schema": {"$ref": f"./{role}.schema.json"},
                    },
                }
            },
        }
        for action, words in (("receive", (READS, BOTH)), ("send", (WRITES, BOTH))):
            if described.we in words:
                operations[f"{action}-{role}"] = {"action": action, "channel": {"$ref": f"#/channels/{role}"}}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "ordermanager",
            "version": "0.1.0",
            "description": "Trading signals in, exchange orders out. Names without the installation's prefix.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
    }


def schema_files() -> dict[str, str]:
    """File name → text, for all of them."""
    files = {f"{role}.schema.json": schema_of(role) for role in DESCRIBED} | {"asyncapi.json": asyncapi()}
    return {name: json.dumps(content, indent=2, sort_keys=True) + "\n" for name, content in files.items()}


def write_schemas(directory: Path) -> list[Path]:
    """Write them all; returns the files."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in schema_files().items():
        path = directory / name
        path.write_text(text)
        written.append(path)
    return written


# -- compatibility -----------------------------------------------------------------------------------------------------


def breaking_changes(role: str, before: Schema, now: Schema) -> list[str]:
    """What would break: a reader of the records that we write now who knows the schema `before`, or we ourselves, when
    we read records that were written under it."""
    we = DESCRIBED[role].we
    found = []
    if we in {WRITES, BOTH}:
        found += [f"readers: {text}" for text in _narrower(now, before, now, before, role)]
    if we in {READS, BOTH}:
        found += [f"records written before: {text}" for text in _narrower(before, now, before, now, role)]
    return found


def _narrower(written: Schema, read: Schema, writers: Schema, readers: Schema, path: str) -> Iterator[str]:
    """Why a reader of `read` may fail on what is written under `written`. Fields that it does not know it leaves
    alone, and a new word of a list of words is its own to judge."""
    written, read = _resolved(written, writers), _resolved(read, readers)
    options = {_name(option): option for option in read.get("anyOf", [])}
    if options:
        for option in written.get("anyOf", [written]):
            known = options.get(_name(option))
            if known is None:
                yield f"{path}: {_name(option)} was not expected"
            else:
                yield from _narrower(option, known, writers, readers, path)
        return
    if "anyOf" in written:
        for option in written["anyOf"]:
            yield from _narrower(option, read, writers, readers, path)
        return
    if "type" in read and written.get("type") != read["type"]:
        integer = (written.get("type"), read["type"]) == ("integer", "number")
        if not integer:
            yield f"{path}: is {written.get('type')}, was expected as {read['type']}"
            return
    fields = written.get("properties", {})
    for name in sorted(set(read.get("required", [])) - set(written.get("required", []))):
        yield f"{path}.{name}: may be missing, was expected"
    for name, expected in read.get("properties", {}).items():
        if name in fields:
            yield from _narrower(fields[name], expected, writers, readers, f"{path}.{name}")
    if "items" in read and "items" in written and isinstance(read["items"], dict):
        yield from _narrower(written["items"], read["items"], writers, readers, f"{path}[]")


def _resolved(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
    return schema


def _name(option: Schema) -> str:
    """What tells the options of a choice apart: the type's name, or the plain type."""
    return str(option.get("$ref") or option.get("title") or option.get("type") or option)
