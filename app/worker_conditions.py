"""What an operator should know of while it holds: the conditions of a worker, and how each is told."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

from app.conditions import Alerts, Conditions
from app.worker_parts import Shared
from exchanges.breaker import Breaker
from streams.alert_board import AlertBoard
from streams.lanes import Lanes

STREAM_GRACE_S = 3.0
BALANCE_GRACE_S = 5.0
"""A start, or a gateway that starts again, is no cause for alarm."""


def worker_conditions(
    shared: Shared, alerts: Alerts, breaker: Breaker, board: AlertBoard, banned_s: Callable[[], float]
) -> Conditions:
    """What an operator should know of while it holds (requirement A01). `banned_s()`: for how long the venue's ban of
    our address keeps us from calling it."""
    settings, market = shared.settings, shared.market

    def breaker_open() -> str:
        return f"no creates are sent to {settings.venue.value}: {breaker.why}" if breaker.unwell else ""

    def address_banned() -> str:
        left_s = banned_s()
        if not left_s:
            return ""
        return f"{settings.venue.value} has banned our address (HTTP 403): no call for {left_s:.0f} s, no cancel either"

    def stream_down() -> str:
        beats = [beat for beat in market.heartbeats(STREAM_GRACE_S) if beat.role == "gateway"]
        if any(beat.ready for beat in beats):
            return ""
        reasons = "; ".join(reason for beat in beats for reason in beat.reasons)
        return f"no gateway listens to {settings.venue.value}: {reasons or 'none was heard of'}"

    def balance_unknown() -> str:
        if market.knows_a_balance(settings.account):
            return ""
        limit_s = settings.balance_max_age_s
        return f"what {settings.account} has available was not heard within {limit_s:g} s: nothing is bought"

    def queue_too_deep() -> str:
        lanes = shared.engine.all_lanes
        topics = {"signals": shared.topics.signals, "commands": shared.topics.order_commands}
        queues = {words: lanes[topic] for words, topic in topics.items() if topic in lanes}
        return too_deep(queues, settings.max_queue_depth, settings.max_queue_wait_s)

    return Conditions(
        alerts,
        shared.clock,
        {
            "BREAKER_OPEN": (0.0, breaker_open),
            "ADDRESS_BANNED": (0.0, address_banned),
            "STREAM_DOWN": (STREAM_GRACE_S, stream_down),
            "BALANCE_UNKNOWN": (BALANCE_GRACE_S, balance_unknown),
            "QUEUE_TOO_DEEP": (0.0, queue_too_deep),
        },
        board.get,
        settings.worker_id,
    )


def too_deep(queues: Mapping[str, Lanes], max_depth: int, max_wait_s: float) -> str:
    """The longest of the queues, each by the name of what waits there, of which more than `max_depth` wait, or one
    longer than `max_wait_s`; empty if there is none. A command that waits is a cancel that is not sent."""
    deep = [
        (depth, waited_s, words, _named(key))
        for words, lanes in queues.items()
        for key, depth, waited_s in lanes.depths()
        if depth > max_depth or waited_s > max_wait_s
    ]
    if not deep:
        return ""
    depth, waited_s, words, symbol = max(deep)
    more = f", {len(deep) - 1} more queues" if len(deep) > 1 else ""
    return f"{depth} {words} of {symbol} wait, the oldest for {waited_s:.1f} s{more}"


def _named(key: Hashable) -> str:
    """A lane in words: its symbol, and what is to be done there where a symbol has several."""
    if isinstance(key, tuple):
        symbol, *rest = key
        return f"{_named(symbol)} ({', '.join(map(_named, rest))})"
    return key.decode(errors="replace") if isinstance(key, bytes) else str(key)
