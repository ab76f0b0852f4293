"""One schema for every line, and no secret in any."""

from __future__ import annotations

import base64
import io
import json
import logging
import logging.config
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import structlog

from app.logs import MASK, configure_logs, traced

SECRET = 'canary/"+ä\\ 7f3a9c'
OTHER = "the-other-canary-secret"


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before = (list(root.handlers), root.level, sys.excepthook, threading.excepthook)
    yield
    root.handlers[:], _, sys.excepthook, threading.excepthook = before
    root.setLevel(before[1])
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


class Lines:
    """What was written, as text and as the JSON objects of its lines."""

    def __init__(self, stream: io.StringIO) -> None:
        self.stream = stream

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


Start = Callable[..., Lines]


@pytest.fixture
def start() -> Start:
    def configure(**options: Any) -> Lines:
        logging.getLogger().handlers.clear()  # pytest's own would raise what ours must survive
        stream = io.StringIO()
        configure_logs(**{"secrets": [SECRET, OTHER], "level": "DEBUG", "stream": stream, **options})
        return Lines(stream)

    return configure


# -- the schema ------------------------------------------------------------------------------------------------------


def test_our_lines_and_the_standard_librarys_have_the_same_schema(start: Start) -> None:
    lines = start(service="worker", worker="w1")
    structlog.get_logger("streams.signal_agent").info("signal planned", signal_id="s1")
    logging.getLogger("faust.app").info("partitions %s", [1, 2])

    ours, theirs = lines.events
    assert list(ours)[:6] == list(theirs)[:6] == ["at", "level", "event", "logger", "service", "worker"]
    assert (ours["event"], ours["signal_id"], ours["logger"]) == ("signal planned", "s1", "streams.signal_agent")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("partitions [1, 2]", "info", "faust.app")
    assert ours["at"].endswith("Z")


def test_fields_given_to_the_standard_library_are_kept(start: Start) -> None:
    lines = start()
    logging.getLogger("x").warning("slow", extra={"took_ns": 5})
    assert lines.events[0]["took_ns"] == 5


def test_the_trace_is_on_every_line_said_inside(start: Start) -> None:
    lines = start()
    with traced("a" * 32, symbol="BTCUSDT"):
        structlog.get_logger("x").info("one")
        logging.getLogger("y").info("two")
    logging.getLogger("y").info("three")

    one, two, three = lines.events
    assert one["trace_id"] == two["trace_id"] == "a" * 32
    assert two["symbol"] == "BTCUSDT"
    assert "trace_id" not in three


def test_an_exception_is_told_with_its_traceback(start: Start) -> None:
    lines = start()
    try:
        fail("this")
    except RuntimeError:
        logging.getLogger("x").exception("failed")
        structlog.get_logger("x").exception("failed too")
    for event in lines.events:
        assert "Traceback" in event["exception"]
        assert "RuntimeError: cannot sign with this" in event["exception"]


@pytest.mark.parametrize("value", [2**80, {1: 2}, {"a", "b"}, object(), b"\xff", float("nan"), "\ud800", "x" * 30_000])
def test_any_value_can_be_logged(start: Start, value: object) -> None:
    lines = start()
    structlog.get_logger("x").info("odd", value=value)
    logging.getLogger("x").info("odd %s", value)
    assert len(lines.events) == 2
    assert all("odd" in event["event"] for event in lines.events)


def test_a_value_that_cannot_be_shown_does_not_lose_the_line(start: Start) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError(OTHER)

    lines = start()
    structlog.get_logger("x").info("broken", value=Broken())
    assert "cannot be shown" in lines.events[0]["value"]
    assert OTHER not in lines.text


def test_a_line_with_wrong_arguments_is_still_a_line(start: Start) -> None:
    lines = start()
    logging.getLogger("x").info("%d orders", OTHER)
    assert "%d orders" in lines.events[0]["event"]
    assert OTHER not in lines.text


def test_a_huge_text_is_cut(start: Start) -> None:
    lines = start()
    structlog.get_logger("x").info("huge", value="x" * 100_000 + "the end")
    assert len(lines.text) < 21_000
    assert lines.events[0]["value"].endswith("the end")


@pytest.mark.parametrize("before", range(9_990, 10_010, 3))
def test_a_secret_where_a_huge_text_is_cut_is_masked_whole(start: Start, before: int) -> None:
    lines = start()
    structlog.get_logger("x").info("huge", value="x" * before + OTHER + "x" * 100_000)
    assert not any(OTHER[:length] in lines.text for length in range(4, len(OTHER)))


def test_a_level_for_the_whole_process_holds_for_libraries_too(start: Start) -> None:
    lines = start(level="ERROR")
    logging.getLogger("faust").info("started")
    logging.getLogger("x").warning("odd")
    assert lines.text == ""


def test_talkative_libraries_are_quiet(start: Start) -> None:
    lines = start()
    for name in ("faust.x", "mode.x", "aiokafka.consumer", "httpx"):
        logging.getLogger(name).debug("noise")
    logging.getLogger("httpx").info("GET https://venue/?signature=…")
    assert lines.text == ""


def test_console_lines_are_for_people(start: Start) -> None:
    lines = start(renderer="console")
    logging.getLogger("x").info("key is %s", OTHER)
    assert "[info" in lines.text
    assert f"key is {MASK}" in lines.text


@pytest.mark.parametrize(("field", "value"), [("level", "LOUD"), ("renderer", "xml")])
def test_an_unknown_level_or_renderer_is_refused(field: str, value: str) -> None:
    with pytest.raises(ValueError, match=value):
        configure_logs(**{field: value})


def test_configuring_again_does_not_write_lines_twice(start: Start) -> None:
    first, second = start(), start()
    logging.getLogger("x").info("once")
    assert (first.text, len(second.events)) == ("", 1)


def test_faust_gets_our_handler_back_after_it_has_cleared_all() -> None:
    stream = io.StringIO()
    config = configure_logs(stream=stream, secrets=[OTHER])
    logging.getLogger().handlers.clear()
    logging.config.dictConfig(config)
    logging.getLogger("faust").info("started with %s", OTHER)
    assert json.loads(stream.getvalue())["event"] == f"started with {MASK}"


# -- the canary ------------------------------------------------------------------------------------------------------


class Secretive:
    def __repr__(self) -> str:
        return f"<client key={SECRET}>"


def deep_in(value: object) -> object:
    for _ in range(20):
        value = [value]
    return value


def fail(secret: str) -> None:
    raise RuntimeError(f"cannot sign with {secret}")


WAYS: dict[str, Callable[[Any], None]] = {
    "argument": lambda log: log.info("key %s", SECRET),
    "event": lambda log: log.info(f"key {SECRET}"),  # noqa: G004 -- the bad habit is what is tested
    "bytes": lambda log: log.info("key %s", SECRET.encode()),
    "repr": lambda log: log.info("client %r of %r", Secretive(), SECRET),
    "address": lambda log: log.info("GET https://venue/order?key=%s&x=1", quote(SECRET, safe="")),
    "json": lambda log: log.info("body %s", json.dumps({"key": SECRET})),
    "json-utf8": lambda log: log.info("body %s", json.dumps({"key": SECRET}, ensure_ascii=False)),
    "base64": lambda log: log.info("header Basic %s", base64.b64encode(SECRET.encode()).decode()),
}


@pytest.mark.parametrize("renderer", ["json", "console"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("library", ["structlog", "logging"])
def test_a_secret_is_in_no_line(start: Start, way: str, library: str, renderer: str) -> None:
    lines = start(renderer=renderer)
    WAYS[way]((structlog.get_logger if library == "structlog" else logging.getLogger)("x"))
    assert lines.text
    assert_no_canary(lines)


@pytest.mark.parametrize("renderer", ["json", "console"])
def test_a_secret_is_in_no_field_traceback_or_warning(start: Start, renderer: str) -> None:
    lines = start(renderer=renderer)
    log, standard = structlog.get_logger("x"), logging.getLogger("x")
    nested = {"a": [{"b": {SECRET: (SECRET, {SECRET})}}], "deep": deep_in(SECRET)}

    log.info("nested", settings=nested, error=ValueError(SECRET), client=Secretive(), raw=SECRET.encode())
    standard.info("extra", extra={"settings": nested})
    standard.info("%(key)s", {"key": SECRET})
    with structlog.contextvars.bound_contextvars(caller=SECRET):
        log.info("bound")
    try:
        fail(SECRET)
    except RuntimeError as error:
        standard.exception("failed")
        log.exception("failed")
        standard.info("why", exc_info=error)
        log.info("why", exc_info=error)
        sys.excepthook(type(error), error, error.__traceback__)
    warnings.showwarning(SECRET, UserWarning, "file.py", 1)
    thread = threading.Thread(target=fail, args=(SECRET,))
    thread.start()
    thread.join()

    assert lines.text.count(MASK) > 10
    assert_no_canary(lines)


def test_what_is_named_like_a_secret_is_masked_unseen(start: Start) -> None:
    lines = start(secrets=[])
    headers = {"X-API-Key": "unknown-1", "X-BAPI-SIGN": "unknown-2"}
    structlog.get_logger("x").info("call", headers=headers, password="unknown-3")
    assert "unknown" not in lines.text


def test_an_empty_or_short_secret_masks_nothing(start: Start) -> None:
    lines = start(secrets=["", "a", "ab"])
    logging.getLogger("x").info("a table about abacuses")
    assert lines.events[0]["event"] == "a table about abacuses"


def test_a_stream_that_is_gone_tells_no_secret_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    configure_logs(stream=Gone(), secrets=[SECRET])
    logging.getLogger("x").error("key %s", SECRET)
    captured = capsys.readouterr()
    assert "canary" not in captured.err + captured.out


def assert_no_canary(lines: Lines) -> None:
    text = lines.text
    for form in ("canary", "7f3a9c", OTHER, base64.b64encode(SECRET.encode()).decode()[:12]):
        assert form not in text
