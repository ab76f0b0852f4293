"""Settings of trading: how signals are decided, and how calls, doubts and commands are handled."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field, field_validator

from app.settings_types import Count, OptionalAmount, OptionalCount, OptionalRatio, Ratio, Seconds
from domain.limits import LIMIT_NAMES, RiskAction
from domain.plans import MarketGuard, PositionMode, ScaleInMode, WarmupMode
from domain.protection import TriggerBy
from streams.timers import StaleAction


class DecisionSettings(BaseModel):
    """Signals and decisions."""

    dry_run: bool = Field(False, description="Decide everything and send nothing: orders end as dry_run.")
    live_with_open: bool = Field(False, description="Start live after a dry run although orders or positions are open.")
    signal_max_age_s: Seconds = Field(60.0, description="Older signals are not executed but expire.")
    signal_max_bytes: Annotated[int, Field(ge=256, le=400_000)] = Field(
        262_144, description="Larger records are refused."
    )
    max_future_s: Seconds = Field(5.0, description="A signal's time may be this far ahead of our clock.")
    far_timestamp_s: Seconds = Field(
        10.0, description="Signals whose timestamp is farther from their record's are logged and counted."
    )
    warmup_mode: WarmupMode = Field(WarmupMode.SIMULATE, description="simulate, execute or ignore warm-up signals.")
    min_confidence: Ratio = Field(Decimal(0), description="Signals with less confidence are rejected.")
    market_order_confidence_threshold: Ratio = Field(Decimal("0.9"), description="Above it a market order is sent.")
    market_order_spread_threshold: Ratio = Field(Decimal("0.001"), description="Spread ÷ price below it: market order.")
    limit_order_price_offset_ratio: Ratio = Field(Decimal("0.5"), description="Part of the spread a limit gives way.")
    post_only: bool = Field(True, description="Limit orders may not take liquidity, unless a signal says so.")
    price_drift_warn: Ratio = Field(Decimal("0.05"), description="Price change since the snapshot that is warned of.")
    price_drift_reject: Ratio | None = Field(None, description="Price change that rejects the signal; empty = off.")
    max_slippage: Ratio = Field(Decimal("0.01"), description="Worst price of a market order, from the market's price.")
    market_guard: MarketGuard = Field(
        MarketGuard.LIMIT,
        description="limit: market orders go out as IOC limits at their worst price. depth: as market orders, and only "
        "where the signal's depth covers them.",
    )
    min_profit: Ratio | None = Field(
        None, description="Profit over entry and fees that a closing order must bring; empty = off."
    )
    position_mode: PositionMode = Field(
        PositionMode.ONE_WAY, description="one_way, or hedge: two positions per symbol, and every order names its side."
    )
    protection_trigger: TriggerBy = Field(
        TriggerBy.LAST, description="Which price triggers take-profits and stop-losses: last, mark or index."
    )
    auto_stop_loss: bool = Field(
        False, description="Every position has a stop-loss at the venue that follows it, unless it has one already."
    )
    auto_stop_loss_distance: Annotated[Decimal, Field(gt=0, lt=1)] = Field(
        Decimal("0.05"), description="How far from the average entry that stop-loss stands, as a part of it."
    )
    scale_in_mode: ScaleInMode = Field(
        ScaleInMode.REPLACE,
        description="Resting orders of a signal's own direction: replace them, amend the newest, or add a new one.",
    )
    enable_order_splitting: bool = Field(False, description="Orders that are too large are split.")
    max_single_order_size: OptionalAmount = Field(
        None, description="Largest order of a split, in quote currency; empty = the venue's maximum."
    )
    split_interval_s: Annotated[float, Field(ge=0, le=86_400)] = Field(
        0.0, description="Time between the parts of a split order; 0 = at once."
    )
    max_snapshot_age_s: Seconds = Field(60.0, description="An older snapshot's price gives way to the venue's ticker.")
    allow_short: bool = Field(False, description="Whether a sell may exceed what is held.")
    enable_balance_check: bool = Field(True, description="Orders over the available balance are not sent.")
    cash_reserve: Annotated[Decimal, Field(ge=0)] = Field(Decimal(0), description="Balance that orders leave alone.")
    taker_fee_rate: Ratio = Field(
        Decimal("0.00055"),
        description="A taker's fee on contracts, for the balance check and MIN_PROFIT.",
    )
    spot_taker_fee_rate: Ratio = Field(Decimal("0.001"), description="The same on spot.")
    leverage: Annotated[Decimal, Field(gt=0, le=200)] = Field(Decimal(1), description="Notional per unit of balance.")
    cancel_opposite_orders_only: bool = Field(False, description="A new signal leaves orders of its own side alone.")
    cancel_partially_filled: bool = Field(False, description="A new signal cancels partially filled orders too.")
    max_queue_depth: Count = Field(100, description="More signals, or commands, of a symbol that wait raise an alert.")
    max_queue_wait_s: Seconds = Field(30.0, description="A signal or command that waits longer raises an alert.")
    max_quote_age_s: Seconds = Field(5.0, description="Older prices are asked for again.")
    balance_max_age_s: Seconds = Field(30.0, description="Older balances count as unknown: buying stops.")

    @field_validator("price_drift_reject", "min_profit", "max_single_order_size", mode="before")
    @classmethod
    def _empty_is_off(cls, value: object) -> object:
        return None if value == "" else value


class RiskSettings(BaseModel):
    """Limits (requirement R03): general ones; single symbols, and changes while running, by `POST /limits`."""

    risk_action: RiskAction = Field(
        RiskAction.REJECT, description="What becomes of an order over a limit of size: reject it, or shrink it to fit."
    )
    max_order_size: OptionalAmount = Field(None, description="One signal's order, quote currency; empty = no limit.")
    max_market_order_size: OptionalAmount = Field(None, description="The same for market orders.")
    max_order_size_ratio: OptionalRatio = Field(None, description="One signal's order, of the available balance.")
    max_position_size: OptionalAmount = Field(None, description="Notional of one symbol, open orders included.")
    max_exposure: OptionalAmount = Field(None, description="Notional of all symbols over all workers.")
    max_open_orders_per_symbol: OptionalCount = Field(None, description="Open orders of one symbol.")
    max_open_orders: OptionalCount = Field(None, description="Open orders of all symbols.")
    max_orders_per_minute: OptionalCount = Field(None, description="Orders within any minute.")
    max_notional_per_minute: OptionalAmount = Field(None, description="Notional of orders within any minute.")
    max_daily_volume: OptionalAmount = Field(None, description="Traded since midnight UTC.")
    max_weekly_volume: OptionalAmount = Field(None, description="Traded since Monday, midnight UTC.")
    max_daily_loss: OptionalAmount = Field(None, description="Lost since midnight UTC: reached, trading is halted.")
    max_drawdown: OptionalRatio = Field(None, description="Under the highest worth: reached, trading is halted.")
    cooldown_s: Annotated[float, Field(ge=0, le=86_400)] = Field(
        0.0, description="After an order of a symbol, its next opening one waits so long; 0 = off."
    )
    strategy_cooldown_s: Annotated[float, Field(ge=0, le=86_400)] = Field(
        0.0, description="The same within one strategy's orders of the symbol."
    )

    @field_validator(*LIMIT_NAMES, mode="before")
    @classmethod
    def _empty_is_no_limit(cls, value: object) -> object:
        return None if value == "" else value


class CallSettings(BaseModel):
    """Calls, doubts and commands."""

    api_retry_max_attempts: Annotated[int, Field(ge=1, le=20)] = Field(
        3, description="Attempts at what was surely refused."
    )
    api_retry_base_s: Seconds = Field(1.0, description="First pause between attempts.")
    api_retry_multiplier: Annotated[float, Field(ge=1, le=10)] = Field(2.0, description="Growth of the pause.")
    api_retry_cap_s: Seconds = Field(30.0, description="Longest pause.")
    order_execution_timeout_s: Seconds = Field(
        30.0, description="Longest work on one order, pauses that the venue asks for apart; then it is uncertain."
    )
    clock_error_s: Annotated[float, Field(ge=0, le=60)] = Field(
        1.0, description="How far clocks may be apart: workers', the gateway's, the venue's."
    )
    cancel_timeout_s: Seconds = Field(15.0, description="Longest wait for the evidence of a cancel.")
    create_batch_size: Annotated[int, Field(ge=1, le=20)] = Field(
        10, description="Parts of a split order that are sent in one call, where the venue takes so many; 1 = one each."
    )
    cancel_batch_size: Annotated[int, Field(ge=1, le=20)] = Field(
        10,
        description="Orders of a symbol that are cancelled in one call, where the venue takes so many; 1 = one each.",
    )
    breaker_window_s: Seconds = Field(
        30.0, description="Calls of the last so many seconds tell whether the venue is well."
    )
    breaker_min_calls: Annotated[int, Field(ge=1, le=10_000)] = Field(
        10, description="With fewer calls in the window nothing is concluded."
    )
    breaker_failure_ratio: Annotated[float, Field(gt=0, le=1)] = Field(
        0.5,
        description="From this part of failed creates, or of failed calls of all kinds, on, no creates are sent; "
        "cancels and questions go on.",
    )
    breaker_creates_in_a_row: Annotated[int, Field(ge=1, le=10_000)] = Field(
        5, description="After so many creates that failed one after another, however long they took, none are sent."
    )
    breaker_open_s: Seconds = Field(10.0, description="Then the venue is asked, and one create tried, this often.")
    doubt_s: Seconds = Field(5.0, description="Orders in doubt are asked for again after this long.")
    reconcile_interval_s: Seconds = Field(300.0, description="Open orders are compared with the venue this often.")
    position_validation_interval_s: Seconds = Field(
        3_600.0,
        description="Positions are compared with the sum of their fills and with the venue after so long, "
        "in the next round of RECONCILE_INTERVAL_S.",
    )
    position_snapshot_interval_s: Seconds = Field(
        300.0, description="Positions are published to the topic position-snapshots this often."
    )
    unrealized_loss_warning_threshold: OptionalRatio = Field(
        Decimal("0.1"), description="Part of its cost that a position may lose before it is warned of; empty = off."
    )
    unseen_s: Annotated[float, Field(ge=1, le=86_400)] = Field(
        60.0, description="An accepted order that the venue shows nowhere for so long is closed_unknown."
    )
    cancel_stale_order_timeout_s: Annotated[float, Field(ge=0, le=31_536_000)] = Field(
        3_600.0, description="Orders that have rested for so long are cancelled; 0: never."
    )
    stale_action: StaleAction = Field(
        StaleAction.CANCEL, description="cancel, or replace: cancel and want the rest again as a new signal."
    )
    timer_interval_s: Seconds = Field(2.0, description="How often the open orders are looked at.")

    @field_validator("unrealized_loss_warning_threshold", mode="before")
    @classmethod
    def _empty_warns_of_nothing(cls, value: object) -> object:
        return None if value == "" else value
