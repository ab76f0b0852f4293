"""What every request passes: bounds, the key, errors as JSON, and headers that browsers obey.

Whatever has a route needs a key unless it is named here, so a page that nobody thought of is not open.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from app.web.auth import WrongKeys, allows, find_key, same_secret
from app.web.context import CONTEXT, ApiKey, Scope, WebContext
from app.web.errors import ApiError
from app.web.replies import json_reply

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

OPEN_PATHS = ("/health/live", "/health/ready", "/metrics")
INTERNAL_PREFIX = "/internal/"
MAX_QUERY_BYTES = 4_096
MAX_BODY_BYTES = 65_536

KEY_HEADER = "X-API-Key"
INTERNAL_KEY_HEADER = "X-Internal-Key"

_CALLER: web.RequestKey[ApiKey] = web.RequestKey("caller", ApiKey)
_WRONG_KEYS: web.AppKey[WrongKeys] = web.AppKey("wrong_keys", WrongKeys)

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def guard(application: web.Application, context: WebContext) -> None:
    """Put the guards before every route of `application`. Call before it is started."""
    application[CONTEXT] = context
    application[_WRONG_KEYS] = WrongKeys(context.settings.wrong_keys_per_minute, time.monotonic_ns)
    application.middlewares.extend([_answer_errors, _check_bounds, _check_key])
    application.on_response_prepare.append(_add_headers)


def caller(request: web.Request) -> ApiKey:
    """The key that the request came with."""
    return request[_CALLER]


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return _error_reply(error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        code = error.reason.upper().replace(" ", "_").replace("-", "_")
        headers = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
        return _error_reply(ApiError(error.status, code, f"{request.method}: {error.reason}", headers=headers))
    except Exception:
        log.exception("a view failed: %s %s", request.method, request.path)
        return _error_reply(ApiError(500, "INTERNAL_ERROR", "the view failed; the log says why"))


@web.middleware
async def _check_bounds(request: web.Request, handler: Handler) -> web.StreamResponse:
    query_bytes = len(request.rel_url.raw_query_string)
    if query_bytes > MAX_QUERY_BYTES:
        figures = {"bytes": query_bytes, "limit": MAX_QUERY_BYTES}
        raise ApiError(414, "QUERY_TOO_LONG", f"{query_bytes} bytes of query, the limit is {MAX_QUERY_BYTES}", figures)
    body_bytes = request.content_length or 0
    if body_bytes > MAX_BODY_BYTES:
        raise body_too_large(body_bytes)
    return await handler(request)


def body_too_large(size_bytes: int) -> ApiError:
    """413, and the connection is closed: what is still on the way is not read."""
    figures = {"bytes": size_bytes, "limit": MAX_BODY_BYTES}
    sentence = f"at least {size_bytes} bytes of body, the limit is {MAX_BODY_BYTES}"
    return ApiError(413, "BODY_TOO_LARGE", sentence, figures, {"Connection": "close"})


@web.middleware
async def _check_key(request: web.Request, handler: Handler) -> web.StreamResponse:
    context = request.app[CONTEXT]
    path = request.rel_url.raw_path
    if path.startswith(INTERNAL_PREFIX):
        _check_internal(request, context)
    elif not _is_open(path, context):
        request[_CALLER] = _authorised(request, context)
    return await handler(request)


def _is_open(path: str, context: WebContext) -> bool:
    if path in OPEN_PATHS:
        return True
    return any(path == entry or _lies_in(path, entry) for entry in context.settings.open_paths)


def _lies_in(path: str, folder: str) -> bool:
    """Whether `path` is a plain path below `folder`, which ends in `/*`. Escapes could climb out of it."""
    return folder.endswith("/*") and path.startswith(folder[:-1]) and "%" not in path and ".." not in path


def _authorised(request: web.Request, context: WebContext) -> ApiKey:
    given = request.headers.get(KEY_HEADER, "")
    if not given:
        context.metrics.key_refused("missing")
        raise ApiError(401, "KEY_MISSING", f"the header {KEY_HEADER} is missing", headers=_CHALLENGE)
    key = find_key(given, context.api_keys())
    if key is None:
        raise _wrong_key(request, context)
    asks = request.method in {"GET", "HEAD"} or request.rel_url.raw_path in QUESTIONS_WITH_BODY
    needed = Scope.READ if asks else Scope.TRADE
    if not allows(key, needed):
        context.metrics.key_refused("scope")
        sentence = f"{request.method} needs a key of scope {needed}, this one has {key.scope}"
        raise ApiError(403, "SCOPE_MISSING", sentence, {"needed": needed, "scope": key.scope})
    return key


QUESTIONS_WITH_BODY = frozenset({"/plan"})
"""POST, as they need a body, but they change nothing."""

_CHALLENGE = {"WWW-Authenticate": "ApiKey"}


def _check_internal(request: web.Request, context: WebContext) -> None:
    """Between workers. Without a key of our own nobody is let in."""
    expected = context.settings.internal_key
    given = request.headers.get(INTERNAL_KEY_HEADER, "")
    if not expected or not given or not same_secret(given, expected):
        raise _wrong_key(request, context)


def _wrong_key(request: web.Request, context: WebContext) -> ApiError:
    context.metrics.key_refused("wrong")
    wait_s = request.app[_WRONG_KEYS].wrong(request.remote or "")
    if not wait_s:
        return ApiError(401, "KEY_WRONG", "the key is not known", headers=_CHALLENGE)
    seconds = int(wait_s) + 1
    sentence = f"too many wrong keys from this address, wait {seconds} s"
    return ApiError(429, "TOO_MANY_WRONG_KEYS", sentence, {"retry_after_s": seconds}, {"Retry-After": str(seconds)})


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:  # noqa: ARG001 -- aiohttp's shape
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "ordermanager"


def _error_reply(error: ApiError) -> web.Response:
    body = {"error": {"code": error.code, "message": error.message, "details": error.details}}
    return json_reply(body, status=error.status, headers=error.headers)
