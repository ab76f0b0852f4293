"""How a run goes, drawn from its seed: how hostile the world is, and how the order manager is set up."""

from __future__ import annotations

import random
from dataclasses import dataclass

from domain.instruments import LINEAR
from domain.plans import ScaleInMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """Chances are per occasion, times in seconds. `Weather()` is a fine day: nothing goes wrong."""

    # the size of the run
    partitions: int = 2
    symbols: int = 3
    signals: int = 12
    commands: int = 0
    by_hand: int = 0
    busy_s: float = 60.0
    """For how long people send, and faults happen; then everything has to come to rest."""

    # the process
    crashes: int = 0
    effects_between_crashes: int = 150
    handovers: int = 0
    lease_doubts: int = 0
    down_s: float = 5.0
    slow_broker: float = 0.0
    slow_delivery: float = 0.0

    # calls to the venue
    lost_request: float = 0.0
    lost_reply: float = 0.0
    late_request: float = 0.0
    no_connection: float = 0.0
    rate_limited: float = 0.0
    refused: float = 0.0
    server_error: float = 0.0
    failed_read: float = 0.0
    maintenance: int = 0

    # the venue
    unique_client_ids: bool = True
    history_lag_s: float = 1.0
    stale_read: float = 0.0
    receive_window_s: float = 5.0
    skew_s: float = 0.0
    late_reject: float = 0.0
    taker_cancel: float = 0.0

    categories: tuple[str, ...] = (LINEAR,)
    """What is traded; a symbol may be several instruments."""
    deposit: int = 0
    """Of each coin, before anything is traded."""
    transfers: int = 0
    """Coins that come from outside, or go there."""
    hedge: bool = False
    """Symbols have a long and a short side; what closes never does more."""

    # its stream
    dropped: float = 0.0
    repeated: float = 0.0
    delayed: float = 0.0
    nameless: float = 0.0
    """Messages that carry the venue's id only."""
    sideless: float = 0.0
    """Executions of our orders that don't say which side they belong to (hedge mode)."""

    # what people send
    repeats: float = 0.0
    conflicts: float = 0.0
    misplaced: float = 0.0
    garbage: float = 0.0
    stale: float = 0.0
    halts: int = 0

    # settings of the order manager
    allow_short: bool = True
    opposite_only: bool = False
    cancel_partially_filled: bool = False
    signal_max_age_s: float = 30.0
    round_s: float = 20.0
    stale_order_s: float = 0.0
    replace_stale: bool = False
    split_over: int = 0
    """Orders over this amount are split; 0 = none is."""
    part_s: float = 0.0
    """Between two parts; 0 = all at once."""
    scale_in: ScaleInMode = ScaleInMode.REPLACE
    auto_stop: bool = False
    """Every position gets a stop-loss that follows it."""
    dry_run: float = 0.0
    """How often a process is started in a dry run."""

    # what protects positions
    protected: float = 0.0
    """Signals that bring a take-profit, a stop-loss, or both."""
    triggered: float = 0.0
    """When something happens at the market: that it triggers what waits for its price."""

    # the account
    workers: int = 1
    account: bool = False
    """Whether the account's load is kept together, and leave is asked for."""
    clocks_apart_s: float = 0.0
    """How far any two clocks of processes, gateway and venue are apart at most, as the order manager is told."""
    told_balances: bool = False
    """Whether the stream tells of balances too."""
    stamped_on_arrival: bool = False
    """Whether these bear the time at which they came, as if they had been told then: a mistake."""
    slow_broadcasts: float = 0.0
    flat_prices: bool = False
    """All is worth 100, and people send orders that open only by buying: what is carried can be told exactly."""
    max_exposure: int = 0
    max_open_orders: int = 0
    max_orders_per_minute: int = 0
    max_daily_loss: int = 0
    max_drawdown: str = ""
    balance: int = 0
    """What the account has to spend; 0 = more than anybody wants."""

    @property
    def heard(self) -> bool:
        """Whether processes follow the broadcasts."""
        return self.account or self.dry_run > 0 or self.coins

    @property
    def coins(self) -> bool:
        """Whether more than linear contracts is traded, so that each coin has a balance."""
        return self.categories != (LINEAR,)


def fine_day() -> Weather:
    """Everything works, all the time."""
    return Weather()


def drawn(seed: int) -> Weather:
    """The weather of a seed. Every fault is absent in some runs, so that others are seen alone too."""
    chance = random.Random(f"weather {seed}")  # noqa: S311 -- a simulation, not a secret

    def maybe(most: float, odds: float = 0.6) -> float:
        return round(chance.uniform(0, most), 3) if chance.random() < odds else 0.0

    def count(most: int, odds: float = 0.6) -> int:
        return chance.randint(1, most) if chance.random() < odds else 0

    return Weather(
        partitions=chance.randint(1, 3),
        symbols=chance.randint(1, 4),
        signals=chance.randint(5, 25),
        commands=count(8),
        by_hand=count(5, 0.4),
        busy_s=chance.choice((10.0, 30.0, 60.0, 120.0)),
        crashes=count(5, 0.75),
        effects_between_crashes=chance.choice((15, 60, 200, 500)),
        handovers=count(3, 0.4),
        lease_doubts=count(3, 0.3),
        down_s=chance.choice((0.2, 3.0, 15.0)),
        slow_broker=maybe(0.2),
        slow_delivery=maybe(0.3),
        lost_request=maybe(0.2),
        lost_reply=maybe(0.3),
        late_request=maybe(0.2),
        no_connection=maybe(0.3),
        rate_limited=maybe(0.2),
        refused=maybe(0.1),
        server_error=maybe(0.2),
        failed_read=maybe(0.4),
        maintenance=count(2, 0.3),
        unique_client_ids=chance.random() < 0.8,
        history_lag_s=chance.choice((0.0, 0.5, 2.0, 5.0)),
        stale_read=maybe(0.8, 0.7),
        receive_window_s=chance.choice((1.0, 5.0)),
        skew_s=round(chance.uniform(-0.9, 0.9), 3) if chance.random() < 0.5 else 0.0,
        late_reject=maybe(0.1),
        taker_cancel=maybe(0.2),
        dropped=maybe(0.5),
        repeated=maybe(0.5),
        delayed=maybe(0.5),
        nameless=maybe(0.5, 0.4),
        repeats=maybe(0.4),
        conflicts=maybe(0.1),
        misplaced=maybe(0.2),
        garbage=maybe(0.1),
        stale=maybe(0.1),
        halts=count(2, 0.3),
        allow_short=chance.random() < 0.7,
        opposite_only=chance.random() < 0.3,
        cancel_partially_filled=chance.random() < 0.5,
        signal_max_age_s=chance.choice((10.0, 30.0, 60.0)),
        round_s=chance.choice((4.0, 10.0, 25.0, 300.0)),
        stale_order_s=chance.choice((0.0, 0.0, 8.0, 20.0)),
        replace_stale=chance.random() < 0.5,
        split_over=chance.choice((0, 0, 0, 60, 120)),
        part_s=chance.choice((0.0, 1.0, 6.0)),
    )
