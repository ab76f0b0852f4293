"""What cases worked out by hand start from, and how a plan is written in a line.

Unless a case says otherwise: BTCUSDT at 50000, spread 100 (0.2 %), tick 0.1, lot 0.001, at least 5 USDT, nothing held
or open, 10000 USDT free, every setting at its default. The amount is 1000 USDT.
"""

from __future__ import annotations

from typing import Any

from domain_cases import BTC, dec, facts, plan, settings, signal

from domain.money import plain
from domain.orders import PositionSide
from domain.plans import Decision, Plan, PositionMode

Given = dict[str, Any]  # what a case changes, by name: of many kinds

MARKET: Given = {"order_type": "market"}
SELL: Given = {"signal_type": "sell"}
SHORTS: Given = {"allow_short": True}
HELD: Given = {"position_size": dec("0.05"), "position_entry": dec(49_000)}
SHORT: Given = {"position_size": dec("-0.05"), "position_entry": dec(51_000)}
HEDGE: Given = {"position_mode": PositionMode.HEDGE, "allow_short": True}


def shown(made: Plan) -> str:
    """The plan in a line: its refusal, or its cancels, amendments and orders."""
    if made.decision in {Decision.REJECT, Decision.EXPIRE, Decision.IGNORE}:
        return f"{made.decision} {made.code}"
    words = [str(made.decision)] if made.decision is Decision.SIMULATE else []
    words += [f"cancel {cancel.order_id}" for cancel in made.cancels]
    words += [f"amend {amend.order_id} {plain(amend.quantity)} @ {plain(amend.price)}" for amend in made.amends]
    for intent in made.intents:
        flags = [intent.time_in_force.value]
        flags += ["post-only"] * intent.post_only + ["reduce-only"] * intent.reduce_only
        flags += [str(intent.position_side)] * (intent.position_side is not PositionSide.NET)
        price = f" @ {plain(intent.price)}" if intent.price is not None else ""
        words.append(f"{intent.side} {intent.order_type} {plain(intent.quantity)}{price} {' '.join(flags)}")
    return ", ".join(words)


def check(wish: Given, known: Given, set_to: Given, expected: str, instrument: Any = BTC) -> None:
    made = plan(signal(**wish), facts(**known), settings(**set_to), instrument=instrument)
    assert shown(made) == expected, [(each.gate, each.code, each.sentence) for each in made.verdicts][-2:]


# 1000 / 50000 = 0.02. Limits stand 100 x 0.5 = 50 away; the guard of a market order is 1 % away: 50500 or 49500.
LIMIT_BUY = "buy limit 0.02 @ 49950 GTC post-only"
MARKET_BUY = "buy market 0.02 @ 50500 IOC"
