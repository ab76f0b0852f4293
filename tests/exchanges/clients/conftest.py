"""Third-party clients, unmodified, against one paper exchange over real sockets.

Each test has an account of its own. Markets are shared and stand still: a test that pins quotes uses a symbol that no
other test pins.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from pybit.unified_trading import HTTP
from pybit_session import connected
from running_exchange import RunningExchange

from exchanges.paper.options import ApiKey, PaperOptions

ACCOUNTS = 300


@pytest.fixture(scope="session")
def exchange() -> Iterator[RunningExchange]:
    keys = tuple(ApiKey(f"key-{n}", f"secret-{n}", 200_000 + n) for n in range(ACCOUNTS))
    running = RunningExchange(PaperOptions(port=0, market_interval_s=0, keys=keys, public_interval_s=0.02))
    running.start()
    yield running
    running.stop()


_numbers = itertools.count()


@pytest.fixture
def key() -> ApiKey:
    """An account that nobody has used."""
    number = next(_numbers)
    return ApiKey(f"key-{number}", f"secret-{number}", 200_000 + number)


@pytest.fixture
def session(exchange: RunningExchange, key: ApiKey) -> HTTP:
    """pybit's, of that account."""
    return connected(exchange, key.key, key.secret)
