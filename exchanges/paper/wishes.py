"""What a client wishes, read and within the rules: a new order, a change of one, a trigger, a protection."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from exchanges.paper.exact import ZERO
from exchanges.paper.instruments import Instrument
from exchanges.paper.vocabulary import (
    MarketUnit,
    OrderType,
    Side,
    SlippageType,
    SmpType,
    StopOrderType,
    TimeInForce,
    TpslMode,
    TriggerBy,
    TriggerDirection,
)


@dataclass(frozen=True, slots=True)
class Trigger:
    """What a conditional order waits for: the price rising or falling to `price`. A spot order leaves the direction
    open (None): it waits for the price to come from where it is."""

    price: Decimal
    direction: TriggerDirection | None
    by: TriggerBy
    kind: StopOrderType = StopOrderType.STOP


@dataclass(frozen=True, slots=True)
class Protection:
    """Take-profit and stop-loss that an order sets up when it fills; None where there is none.

    For the whole position (Full), or, for what this order filled (Partial), perhaps as limit orders.
    """

    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit_by: TriggerBy = TriggerBy.LAST
    stop_loss_by: TriggerBy = TriggerBy.LAST
    mode: TpslMode = TpslMode.FULL
    take_profit_type: OrderType = OrderType.MARKET
    stop_loss_type: OrderType = OrderType.MARKET
    take_profit_limit: Decimal = ZERO
    stop_loss_limit: Decimal = ZERO

    @property
    def is_empty(self) -> bool:
        return self.take_profit is None and self.stop_loss is None


@dataclass(frozen=True, slots=True)
class Slippage:
    """How far beyond the best opposing price a market order may trade."""

    kind: SlippageType = SlippageType.NONE
    tolerance: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order that is well formed and within its instrument's rules. `price` None: a market order. `qty` 0 closes
    the whole position (only with reduce-only and close-on-trigger). `market_unit` is for spot market orders only."""

    instrument: Instrument
    side: Side
    order_type: OrderType
    qty: Decimal
    price: Decimal | None
    time_in_force: TimeInForce
    order_link_id: str
    position_idx: int
    reduce_only: bool
    close_on_trigger: bool
    trigger: Trigger | None = None
    protection: Protection = Protection()
    market_unit: MarketUnit | None = None
    smp_type: SmpType = SmpType.NONE
    slippage: Slippage = Slippage()


@dataclass(frozen=True, slots=True)
class Amendment:
    """New total quantity, price, trigger price, take-profit, stop-loss, and which price triggers; None leaves it as it
    is, and for take-profit and stop-loss zero takes it away."""

    qty: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit_limit: Decimal | None = None
    stop_loss_limit: Decimal | None = None
    trigger_by: TriggerBy | None = None
    take_profit_by: TriggerBy | None = None
    stop_loss_by: TriggerBy | None = None

    @property
    def is_empty(self) -> bool:
        return self == Amendment()
