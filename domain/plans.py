"""A plan: everything decided about a signal before anything is done. It is stored whole and executed as stored.

`Facts` is all that planning may look at; with the signal and the settings it determines the plan byte for byte
(requirement D13).
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from domain.instruments import Instrument, InstrumentRules, Quote
from domain.limits import AccountLoad, Limits, RiskAction
from domain.money import ZERO
from domain.orders import OrderType, PositionSide, Side, TimeInForce
from domain.protection import Protection, TriggerBy


class TradingState(StrEnum):
    """What may be traded (requirement R05)."""

    ARMED = "armed"
    REDUCE_ONLY = "reduce_only"
    HALTED = "halted"


class OpenOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What planning needs of an order that has not ended."""

    order_id: str
    side: Side
    order_type: OrderType
    price: Decimal | None
    leaves: Decimal
    executed: Decimal
    in_doubt: bool
    reduce_only: bool
    external: bool
    position_side: PositionSide
    protection: Protection | None = None
    ending: bool = False
    """Whether somebody has asked for its end."""


class WarmupMode(StrEnum):
    """What becomes of signals that a strategy sends while it warms up (requirement S08)."""

    SIMULATE = "simulate"
    EXECUTE = "execute"
    IGNORE = "ignore"


class MarketGuard(StrEnum):
    """How a market order is kept from trading far from the price it was decided at (requirement D07).

    `limit`: it goes out as an IOC limit at the guard's price, which the venue itself keeps. `depth`: it goes out as
    the venue's market order, and only where the book is known to hold its quantity within the guard.
    """

    LIMIT = "limit"
    DEPTH = "depth"


class PositionMode(StrEnum):
    """Whether an instrument has one net position or one for each side (requirement D11)."""

    ONE_WAY = "one_way"
    HEDGE = "hedge"


class ScaleInMode(StrEnum):
    """What becomes of resting orders of the signal's own direction (requirement D10)."""

    REPLACE = "replace"
    AMEND = "amend"
    NEW = "new"


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The state a plan is made on: the symbol's orders and position, the market, the account.

    The position is the one that the signal's order would touch: the net one, or its side in hedge mode.
    """

    now_ns: int
    record_time_ns: int = 0
    """Time of the signal's original record; 0 = only the signal's own time is known."""
    account: str
    attempt: int
    rules: InstrumentRules | None
    quote: Quote | None
    position_size: Decimal = ZERO
    position_entry: Decimal = ZERO
    other_side_size: Decimal = ZERO
    """In hedge mode, what is held on the symbol's other side."""
    open_orders: tuple[OpenOrder, ...] = ()
    waiting: tuple[OpenOrder, ...] = ()
    """Parts of other signals' split orders whose time has not come: no order yet, and they will be."""
    currency: str = ""
    """What the signal's order takes: the settlement currency; of a spot sale, what it sells."""
    available: Decimal | None = None
    """What new orders may use of that currency; None = unknown."""
    reserved: Decimal = ZERO
    """What orders in flight will take and the venue's figure does not show yet: those of this worker and of others."""
    trading: TradingState = TradingState.ARMED
    trading_reason: str = ""
    limits: Limits = Limits()
    """In force for the symbol when the plan was made."""
    load: AccountLoad | None = None
    """None: no limit needs it, or it is not known."""
    last_order_ns: int | None = None
    """When the symbol's newest order of ours was planned, and (below) the one of the signal's strategy."""
    last_strategy_order_ns: int | None = None


class Outcome(StrEnum):
    """What a gate says."""

    PASS = "pass"  # noqa: S105 -- a gate's word, no password
    ADJUST = "adjust"
    REJECT = "reject"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One gate's word with its figures: what was looked at, what the limit was, what follows (requirement R01)."""

    gate: str
    outcome: Outcome
    code: str = ""
    sentence: str = ""
    figures: dict[str, str] = msgspec.field(default_factory=dict)


class Cancel(msgspec.Struct, frozen=True, kw_only=True):
    """An order that must be gone before the plan's creates."""

    order_id: str
    reason: str


class Amend(msgspec.Struct, frozen=True, kw_only=True):
    """A resting order that takes up a signal (requirement D10): its total quantity and price from now on, and what the
    signal adds. `amount` is the signal's share."""

    order_id: str
    quantity: Decimal
    price: Decimal
    added: Decimal
    amount: Decimal
    need: Decimal = ZERO


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """One order to be created, complete. `amount` is its share of the signal's amount; `due_ns` is when it may go out,
    ns UTC, 0 = at once."""

    order_id: str
    part: int
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None
    time_in_force: TimeInForce
    reduce_only: bool
    post_only: bool
    position_side: PositionSide
    amount: Decimal
    rule: str
    due_ns: int = 0
    need: Decimal = ZERO
    """What it takes from the available balance at worst; 0 for what only closes, or when the balance is not checked."""
    protection: Protection | None = None


class Decision(StrEnum):
    """What becomes of a signal."""

    EXECUTE = "execute"
    REJECT = "reject"
    EXPIRE = "expire"
    IGNORE = "ignore"
    SIMULATE = "simulate"
    """It passed every gate, and its orders stand in the plan; none is written or sent (a warm-up signal, S08)."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a signal's turn will do. A plan with cancels has no intents: they are planned on the state after it."""

    signal_id: str
    source: str = ""
    """The signal's original record, `topic-partition-offset`."""
    attempt: int
    phase: int
    instrument: Instrument
    account: str
    decision: Decision
    code: str = ""
    reason: str = ""
    verdicts: tuple[Verdict, ...] = ()
    warnings: tuple[str, ...] = ()
    cancels: tuple[Cancel, ...] = ()
    amends: tuple[Amend, ...] = ()
    intents: tuple[Intent, ...] = ()
    reference_price: Decimal | None = None
    price_drift: Decimal | None = None
    """How far the market went since the signal's snapshot, as a fraction of its price (requirement D06)."""
    facts: Facts
    planned_at_ns: int
    dry_run: bool = False
    """Decided in a dry run: whoever executes it, nothing of it is sent (requirement X10)."""


class PlanSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that planning depends on. Amounts in quote currency, ratios as fractions, ages in nanoseconds."""

    instance: str = "om"
    dry_run: bool = False
    warmup_mode: WarmupMode = WarmupMode.SIMULATE
    market_order_confidence_threshold: Decimal = Decimal("0.9")
    market_order_spread_threshold: Decimal = Decimal("0.001")
    limit_order_price_offset_ratio: Decimal = Decimal("0.5")
    min_confidence: Decimal = ZERO
    post_only: bool = True
    price_drift_warn: Decimal = Decimal("0.05")
    price_drift_reject: Decimal | None = None
    max_slippage: Decimal = Decimal("0.01")
    market_guard: MarketGuard = MarketGuard.LIMIT
    min_profit: Decimal | None = None
    """Profit over entry and fees, as a fraction of the entry, that a closing order must bring; None = not asked for."""
    position_mode: PositionMode = PositionMode.ONE_WAY
    venue_protects: bool = True
    """Whether the venue takes a take-profit and a stop-loss with an order (a trait of the venue, not a wish)."""
    protection_trigger: TriggerBy = TriggerBy.LAST
    scale_in_mode: ScaleInMode = ScaleInMode.REPLACE
    max_snapshot_age_ns: int = 60_000_000_000
    signal_max_age_ns: int = 60_000_000_000
    max_future_ns: int = 5_000_000_000
    cancel_opposite_orders_only: bool = False
    cancel_partially_filled: bool = False
    allow_short: bool = False
    enable_balance_check: bool = True
    cash_reserve: Decimal = ZERO
    taker_fee_rate: Decimal = Decimal("0.00055")
    spot_taker_fee_rate: Decimal = Decimal("0.001")
    leverage: Decimal = Decimal(1)
    """How much notional one unit of available balance carries: 1 = fully funded."""
    risk_action: RiskAction = RiskAction.REJECT
    enable_order_splitting: bool = False
    max_single_order_size: Decimal | None = None
    """A larger order is split into near-equal ones, each within it; None: only what the venue's maximum demands."""
    split_interval_ns: int = 0
    """Time between two parts; 0 = all at once."""
    cooldown_ns: int = 0
    """After an order of the symbol, its next opening one waits so long; 0 = not at all."""
    strategy_cooldown_ns: int = 0
    """The same within the symbol's orders of one strategy."""
