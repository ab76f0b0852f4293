"""An order and an execution, as the books of the exchange hold them."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from exchanges.paper.exact import ZERO
from exchanges.paper.vocabulary import (
    CancelType,
    CreateType,
    ExecType,
    OrderType,
    RejectReason,
    Side,
    Status,
    StopOrderType,
    TimeInForce,
    TriggerBy,
)


class Order(msgspec.Struct, kw_only=True):
    """One order. Times are nanoseconds UTC; quantities in the base coin, values, fees and PnL in USDT.

    `price` of a market order is its protective price (0 while it waits for a trigger). `placed_seq` orders arrivals
    and never changes; `seq` is the number of the last event of this order. `reduces` is true for reduce-only orders
    and for the closing side of a hedged position: such an order never makes a position larger. `cum_pnl` is realised
    profit without fees. `take_profit` and `stop_loss` are set up for the position when this order first fills; 0 means
    none, and `protected_seq` is not 0 once that has happened.
    """

    order_id: str
    uid: int
    symbol: str
    order_link_id: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    price: Decimal
    qty: Decimal
    position_idx: int
    reduce_only: bool
    close_on_trigger: bool
    reduces: bool
    placed_seq: int
    seq: int
    created_at_ns: int
    updated_at_ns: int
    last_price_on_created: Decimal
    status: Status = Status.NEW
    cancel_type: CancelType = CancelType.UNKNOWN
    reject_reason: RejectReason = RejectReason.NO_ERROR
    cum_qty: Decimal = ZERO
    cum_value: Decimal = ZERO
    cum_fee: Decimal = ZERO
    cum_pnl: Decimal = ZERO
    create_type: CreateType = CreateType.BY_USER
    stop_order_type: StopOrderType = StopOrderType.NONE
    trigger_price: Decimal = ZERO
    trigger_direction: int = 0
    trigger_by: TriggerBy | None = None
    take_profit: Decimal = ZERO
    stop_loss: Decimal = ZERO
    take_profit_by: TriggerBy = TriggerBy.LAST
    stop_loss_by: TriggerBy = TriggerBy.LAST
    parent_link_id: str = ""
    protected_seq: int = 0

    @property
    def is_waiting(self) -> bool:
        """True for a conditional order whose trigger has not come: it is in no book and holds no margin."""
        return self.status is Status.UNTRIGGERED

    @property
    def leaves_qty(self) -> Decimal:
        """What may still execute: nothing once the order is over."""
        return self.qty - self.cum_qty if self.status.is_open else ZERO


class Execution(msgspec.Struct, kw_only=True, frozen=True):
    """One fill of one order. `closed_size` is the part that closed a position, `pnl` what that realised, without
    the fee; `leaves_qty` is what the order had left after it. Funding is an execution without an order: its fee is what
    is paid (negative: received). `seq` is unique and grows with time."""

    exec_id: str
    order_id: str
    order_link_id: str
    uid: int
    symbol: str
    side: Side
    position_idx: int
    order_type: OrderType
    order_price: Decimal
    order_qty: Decimal
    leaves_qty: Decimal
    price: Decimal
    qty: Decimal
    value: Decimal
    fee: Decimal
    fee_rate: Decimal
    is_maker: bool
    closed_size: Decimal
    pnl: Decimal
    mark_price: Decimal
    executed_at_ns: int
    seq: int
    create_type: CreateType = CreateType.BY_USER
    stop_order_type: StopOrderType = StopOrderType.NONE
    exec_type: ExecType = ExecType.TRADE
