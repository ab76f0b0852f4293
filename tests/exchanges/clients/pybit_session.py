"""pybit's HTTP session at the paper exchange, and the rows of its answers."""

from __future__ import annotations

from typing import Any

from pybit.unified_trading import HTTP
from running_exchange import RunningExchange

Row = dict[str, Any]  # Any: pybit is untyped


def connected(exchange: RunningExchange, key: str, secret: str, **rest: Any) -> HTTP:
    """A session of the account whose key it is; `rest` is pybit's own."""
    http = HTTP(api_key=key, api_secret=secret, **rest)
    http.endpoint = exchange.url
    return http


def rows(answer: Row) -> list[Row]:
    """What the answer lists."""
    found = answer["result"]["list"]
    assert isinstance(found, list)
    return found
