"""The published schemas are those of the code, what is written fits them, and no change breaks a reader (J06)."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from app.schema_files import DESCRIBED, breaking_changes, schema_files, schema_of
from domain.commands import decode_command
from domain.signals import parse_signal
from domain.updates import decode_update
from streams.boards import decode_control
from streams.topics import DEAD_LETTERS, ROLES

SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas"
NOT_WRITTEN_YET = {"order-exposure"}


def released(role: str) -> dict[str, Any]:
    return json.loads((SCHEMAS / "released" / f"{role}.schema.json").read_text())


def struct_of(schema: dict[str, Any]) -> dict[str, Any]:
    """The fields of a schema that is one type."""
    return schema["$defs"][schema["$ref"].rsplit("/", 1)[-1]]


@pytest.mark.parametrize("name", schema_files())
def test_the_published_schema_is_the_codes(name: str) -> None:
    assert (SCHEMAS / name).read_text() == schema_files()[name], "run: ordermanager schemas"


def test_every_topic_that_is_written_has_one() -> None:
    assert set(ROLES) - set(DEAD_LETTERS) - NOT_WRITTEN_YET - set(DESCRIBED) == set()


@pytest.mark.parametrize("role", DESCRIBED)
def test_nothing_has_changed_that_breaks_a_reader_of_the_last_release(role: str) -> None:
    assert breaking_changes(role, released(role), schema_of(role)) == []


def test_a_field_that_goes_breaks_its_readers() -> None:
    now = copy.deepcopy(schema_of("order-events"))
    event = now["$defs"]["OrderEvent"]
    del event["properties"]["quantity"]
    event["required"].remove("quantity")

    assert breaking_changes("order-events", schema_of("order-events"), now) == [
        "readers: order-events.quantity: may be missing, was expected"
    ]


def test_a_field_of_another_type_breaks_its_readers() -> None:
    now = copy.deepcopy(schema_of("alerts"))
    struct_of(now)["properties"]["at_ns"] = {"type": "string"}

    assert "readers: alerts.at_ns: is string, was expected as integer" in breaking_changes(
        "alerts", schema_of("alerts"), now
    )


def test_a_new_required_field_breaks_the_reading_of_older_records() -> None:
    now = copy.deepcopy(schema_of("order-commands"))
    struct_of(now)["required"].append("urgency")
    struct_of(now)["properties"]["urgency"] = {"type": "string"}

    assert breaking_changes("order-commands", schema_of("order-commands"), now) == [
        "records written before: order-commands.urgency: may be missing, was expected"
    ]


def test_a_new_optional_field_breaks_nobody() -> None:
    now = copy.deepcopy(schema_of("order-commands"))
    struct_of(now)["properties"]["urgency"] = {"type": "string", "default": ""}

    assert breaking_changes("order-commands", schema_of("order-commands"), now) == []


def test_a_kind_of_update_that_goes_breaks_the_reading_of_older_records() -> None:
    now = copy.deepcopy(schema_of("order-updates"))
    gone = now["anyOf"].pop()

    assert f"records written before: order-updates: {gone['$ref']} was not expected" in breaking_changes(
        "order-updates", schema_of("order-updates"), now
    )


# -- records of the last release, as they lie in the topics ------------------------------------------------------------

INSTRUMENT = '{"venue":"paper","category":"linear","symbol":"BTCUSDT"}'
CALL = (
    f'{{"kind":"outcome","instrument":{INSTRUMENT},"account":"main","origin":"outcome","received_ns":17,'
    '"client_order_id":"om1","venue_order_id":"v1","call":"create","result":"accepted","code":"","sentence":"",'
    '"attempts":1,"sent_ns":15,"replied_ns":16,"command_id":""}'
)
REPORT = (
    f'{{"kind":"order","instrument":{INSTRUMENT},"account":"main","origin":"stream","received_ns":18,'
    '"client_order_id":"om1","venue_order_id":"v1","state":"live","raw_status":"New","side":"buy",'
    '"order_type":"limit","quantity":"1.5","price":"100","cumulative":{"quantity":"0","value":"0","fees":{}},'
    '"updated_ns":18,"created_ns":17,"reason":"","time_in_force":"GTC","reduce_only":false,"post_only":true,'
    '"position_side":"net"}'
)
FILL = (
    f'{{"kind":"fill","instrument":{INSTRUMENT},"account":"main","origin":"rest","received_ns":19,'
    '"client_order_id":"om1","venue_order_id":"v1","execution_id":"e1","side":"buy","price":"100","quantity":"1.5",'
    '"fee":"0.08","fee_currency":"USDT","executed_ns":19,"venue_sequence":3,"fill_kind":"trade","maker":true,'
    '"position_side":"net"}'
)
WISH = (
    f'{{"kind":"cancel_requested","instrument":{INSTRUMENT},"account":"main","origin":"command","received_ns":20,'
    '"client_order_id":"om1","venue_order_id":"","command_id":"c1","reason":"because","replace":false}'
)
ABSENCE = (
    f'{{"kind":"absence","instrument":{INSTRUMENT},"account":"main","origin":"reconcile","received_ns":21,'
    '"client_order_id":"om1","venue_order_id":"","conclusion":"not_accepted","closed_unknown":false,"passes":2,'
    '"sentence":"not there"}'
)


@pytest.mark.parametrize("value", [CALL, REPORT, FILL, WISH, ABSENCE], ids=lambda value: json.loads(value)["kind"])
def test_updates_of_the_last_release_can_be_read(value: str) -> None:
    assert decode_update(value.encode()).client_order_id == "om1"


def test_commands_controls_and_signals_of_the_last_release_can_be_read() -> None:
    command = b'{"command_id":"c1","action":"cancel","symbol":"BTCUSDT","order_id":"","reason":"","requested_by":"me"}'
    control = b'{"scope":"all","state":"halted","reason":"looks odd","set_by":"me","at_ns":3}'
    signal = b'{"signal_id":"s1","signal_type":"buy","symbol":"BTCUSDT","amount":"1000","strategy_id":"momentum"}'

    assert decode_command(command).symbol == "BTCUSDT"
    assert decode_control(control).scope == "all"
    assert parse_signal(signal, record_time_ns=1, max_bytes=1_000).symbol == "BTCUSDT"
