"""Logs: one line of JSON for each thing that happened, in one schema, whoever says it (requirement A02).

    at          ISO 8601, UTC, microseconds        event     what happened, in words
    level       debug … critical                   logger    the module that says it
    service     which of our processes, and `worker` which one of them
    trace_id    the signal's trace, where there is one; other fields as the event has them

Lines of the standard library, Faust, aiokafka and everybody else pass through the same chain as ours. The last link
before the rendering takes every configured secret out, wherever in the event it stands; a second one looks at the
finished line, so that a secret put together while rendering (a traceback, a `repr`) is not written either.
"""

from __future__ import annotations

import base64
import json
import logging
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from functools import lru_cache
from types import TracebackType
from typing import Any, TextIO
from urllib.parse import quote, quote_plus

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from app.log_throttle import Throttle

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
RENDERERS = ("json", "console")

MASK = "***"
MIN_SECRET = 6
"""Shorter texts are not masked: every line would be full of holes, and such a secret is none."""

MAX_DEPTH = 8
MAX_TEXT = 20_000
"""Characters of one text in a line. A traceback of a deep recursion must not fill the disk."""

_HALF_TEXT = MAX_TEXT // 2

QUIET = {
    # Debug calls of these cost a tenth of the processor even when nobody reads them.
    "faust": logging.INFO,
    "mode": logging.INFO,
    "aiokafka": logging.WARNING,
    "asyncio": logging.WARNING,
    "aiohttp": logging.WARNING,
    "httpx": logging.WARNING,  # it would write the address of every call to a venue, signature and all
    "httpcore": logging.WARNING,
    "websockets": logging.WARNING,
    "stamina": logging.ERROR,  # who waits, and what for, is told by ours
}

_SECRET_NAMES = ("secret", "password", "passwd", "api_key", "apikey", "authorization", "x-api-key", "x-bapi-sign")


def configure_logs(
    *,
    level: str = "INFO",
    renderer: str = "json",
    service: str = "",
    worker: str = "",
    prefix: str = "",
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> dict[str, Any]:
    """Send every log line of this process, uncaught errors and warnings included, to `stream` (default: standard
    error) in our schema.

    `renderer`: `json`, or `console` for people. `prefix` stands before every event's words.
    `secrets` never appear in any line. Calling again replaces what was configured before. Returns what Faust takes as
    `logging_config`: its worker clears all handlers when it starts, and so gets ours back.

    Raises `ValueError` for an unknown level or renderer.
    """
    if level.upper() not in LEVELS:
        raise ValueError(f"LOG_LEVEL: {level!r} is not one of {', '.join(LEVELS)}")
    if renderer not in RENDERERS:
        raise ValueError(f"LOG_FORMAT: {renderer!r} is not one of {', '.join(RENDERERS)}")
    target = stream if stream is not None else sys.stderr
    handler = _Handler(target)
    handler.setLevel(level.upper())  # a library's own level must not let through what the whole process leaves out
    fixed = {"service": service, "worker": worker}
    handler.setFormatter(_formatter(renderer, Mask(secrets), fixed, prefix, _is_tty(target)))
    handler.addFilter(Throttle())
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    quiet_libraries()
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # so that a second call is obeyed by loggers that exist
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"ours": {"()": lambda: handler}},
        "root": {"level": level.upper(), "handlers": ["ours"]},
        "loggers": {name: {"level": quiet} for name, quiet in QUIET.items()},
    }


def quiet_libraries() -> None:
    """Raise the level of libraries that talk too much."""
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(level)


@contextmanager
def traced(trace_id: str, **fields: object) -> Iterator[None]:
    """Every line written inside, also by tasks that are started inside, carries the trace id and the fields."""
    with structlog.contextvars.bound_contextvars(trace_id=trace_id, **fields):
        yield


# -- secrets ---------------------------------------------------------------------------------------------------------


class Mask:
    """Takes secrets out of texts and of everything that texts are in.

    A secret is known in the forms in which it may get into a line: as it is, as JSON and as an address write it, and
    in base 64.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms: set[str] = set()
        for secret in secrets:
            if len(secret) >= MIN_SECRET:
                forms |= _forms(secret)
        self._forms = sorted(forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text without secrets."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text

    def event(self, _logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        """A structlog processor: the event without secrets."""
        return {self.text(str(key)): self._named(str(key), value, MAX_DEPTH) for key, value in event.items()}

    def _named(self, name: str, value: object, depth: int) -> object:
        """A value under a name that speaks of a secret is masked whatever it is: a key we were not told of."""
        if isinstance(value, str | bytes) and value and _speaks_of_a_secret(name):
            return MASK
        return self._value(value, depth)

    def _value(self, value: object, depth: int) -> object:
        match value:
            case None | bool() | int() | float():
                return value
            case str():
                return _cut(self.text(value))
            case _ if not depth:
                return _cut(self.text(_shown(value)))
            case Mapping():
                return {self.text(str(key)): self._named(str(key), each, depth - 1) for key, each in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self._value(each, depth - 1) for each in value]
        return _cut(self.text(_shown(value)))


@lru_cache(maxsize=1_024)
def _speaks_of_a_secret(name: str) -> bool:
    return any(word in name.lower() for word in _SECRET_NAMES)


def _forms(secret: str) -> set[str]:
    raw = secret.encode("utf-8", "surrogatepass")
    encoded = base64.b64encode(raw).decode().rstrip("=")
    return {
        secret,
        repr(secret)[1:-1],
        repr(raw)[2:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(raw),
        quote(raw, safe=""),
        quote_plus(raw),
        encoded,
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
    }


def _shown(value: object) -> str:
    """Whatever it is, as text; a `repr` that fails must not lose the line."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    try:
        return value if isinstance(value, str) else str(value)
    except Exception as error:  # noqa: BLE001 -- somebody's __str__
        return f"<a {type(value).__name__} that cannot be shown: {type(error).__name__}>"


def _cut(text: str) -> str:
    """Both ends of a long text: a traceback says at its end what happened. Cut only what is masked: half a secret
    would not be recognised."""
    return text if len(text) <= MAX_TEXT else f"{text[:_HALF_TEXT]} … {text[-_HALF_TEXT:]}"


# -- the chain -------------------------------------------------------------------------------------------------------

_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    structlog.processors.StackInfoRenderer(),
]


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines. One that cannot be written is lost: the standard library would show its arguments unmasked."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 -- the standard library's name
        """Nothing to be done: there is nowhere left to say it."""


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """The last look at a line: whatever the rendering put together, no secret is in it."""

    mask: Mask

    def format(self, record: logging.LogRecord) -> str:
        """The finished line."""
        try:
            line = super().format(record)
        except Exception as error:  # noqa: BLE001 -- a line that cannot be rendered is still a line
            line = _unrenderable(record, error)
        return self.mask.text(line)


def _unrenderable(record: logging.LogRecord, error: Exception) -> str:
    return json.dumps(
        {
            "level": record.levelname.lower(),
            "event": _shown(record.msg),
            "logger": record.name,
            "args": _shown(record.args),
            "log_error": f"{type(error).__name__}: {_shown(error)}",
        }
    )


def _formatter(renderer: str, mask: Mask, fixed: Mapping[str, str], prefix: str, colors: bool) -> _Formatter:
    def add_fixed(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        for name, value in fixed.items():
            if value:
                event.setdefault(name, value)
        if prefix:
            event["event"] = f"{prefix} {event.get('event', '')}"
        return event

    last: list[Processor]
    if renderer == "json":
        last = [_ordered, structlog.processors.JSONRenderer(_to_json)]
    else:
        plain = structlog.dev.plain_traceback
        last = [structlog.dev.ConsoleRenderer(colors=colors, timestamp_key="at", exception_formatter=plain)]
    formatter = _Formatter(
        foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            add_fixed,
            structlog.processors.format_exc_info,
            mask.event,
            *last,
        ],
    )
    formatter.mask = mask
    return formatter


_FIRST = ("at", "level", "event", "logger", "service", "worker", "trace_id")


def _ordered(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """The fields that every line has come first."""
    found: MutableMapping[str, object] = {name: event.pop(name) for name in _FIRST if name in event}
    return {**found, **event}


def _to_json(event: object, **_options: object) -> str:
    return orjson.dumps(event, default=_shown, option=orjson.OPT_NON_STR_KEYS).decode()


def _is_tty(stream: TextIO) -> bool:
    return hasattr(stream, "isatty") and stream.isatty()


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("uncaught").critical("the process ends", exc_info=(kind, error, traceback))


def _log_uncaught_in_thread(told: threading.ExceptHookArgs) -> None:
    error = told.exc_value
    if error is not None and not isinstance(error, SystemExit):
        traced_to = (told.exc_type, error, told.exc_traceback)
        logging.getLogger("uncaught").critical("a thread has ended", exc_info=traced_to)
