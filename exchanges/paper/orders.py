"""An order and an execution, as the books of the exchange hold them."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from exchanges.paper.exact import ZERO, average
from exchanges.paper.instruments import contract_value, market_key
from exchanges.paper.vocabulary import (
    CancelType,
    Category,
    CreateType,
    ExecType,
    MarketUnit,
    OrderType,
    RejectReason,
    Side,
    SlippageType,
    SmpType,
    Status,
    StopOrderType,
    TimeInForce,
    TpslMode,
    TriggerBy,
)


class Order(msgspec.Struct, kw_only=True):
    """One order. Times are nanoseconds UTC.

    Linear and spot: quantities in the base coin, values in the quote coin. Inverse: quantities in dollars, values in
    the base coin. PnL is in the coin of the values, fees in `fee_coin`. A spot market order may count its `qty` in the
    quote coin (`market_unit`): then `leaves_value`, not `leaves_qty`, says what is left.

    `price` of a market order is its protective price (0 on spot, and while it waits for a trigger). `placed_seq` orders
    arrivals and never changes; `seq` is the number of the last event of this order. `reduces` is true for reduce-only
    orders and for the closing side of a hedged position: such an order never makes a position larger. `cum_pnl` is
    realised profit without fees, `cum_closing_fees` what closing, and earlier opening, that cost.

    `take_profit` and `stop_loss` are set up when this order fills: once for the whole position, `protected_seq` is not
    0 when that has happened, or, with `tpsl_mode` Partial, for what this order filled, when it is over. 0 means none.
    `protected_qty` is how much of it that is so far, `parent_id` the order that set this one up, and `paired_id` the
    order that goes when this one triggers. A trailing stop keeps `trailing` between its trigger and
    the best price since `active_price` was reached (0: it follows from the start).
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
    cum_closing_fees: Decimal = ZERO
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
    category: Category = Category.LINEAR
    fee_coin: str = "USDT"
    market_unit: MarketUnit | None = None
    smp_type: SmpType = SmpType.NONE
    smp_order_id: str = ""
    slippage_type: SlippageType = SlippageType.NONE
    slippage: Decimal = ZERO
    tpsl_mode: TpslMode = TpslMode.FULL
    take_profit_type: OrderType = OrderType.MARKET
    stop_loss_type: OrderType = OrderType.MARKET
    take_profit_limit: Decimal = ZERO
    stop_loss_limit: Decimal = ZERO
    paired_id: str = ""
    parent_id: str = ""
    protected_qty: Decimal = ZERO
    trailing: Decimal = ZERO
    active_price: Decimal = ZERO

    def touch(self, seq: int, at_ns: int) -> None:
        """Something happened to it. Its own time goes on also when the exchange's clock was put back."""
        self.seq = seq
        self.updated_at_ns = at_ns if at_ns >= self.updated_at_ns else self.updated_at_ns + 1_000_000

    @property
    def market_key(self) -> str:
        """The name of the market that it is for."""
        return market_key(self.category, self.symbol) if self.is_spot else self.symbol

    @property
    def is_spot(self) -> bool:
        return self.category is Category.SPOT

    @property
    def is_by_value(self) -> bool:
        """True if `qty` is an amount of the quote coin."""
        return self.market_unit is MarketUnit.QUOTE

    @property
    def avg_price(self) -> Decimal | None:
        """The average price of its fills, None before the first."""
        if not self.cum_qty:
            return None
        inverse = self.category is Category.INVERSE
        return average(self.cum_qty, self.cum_value) if inverse else average(self.cum_value, self.cum_qty)

    @property
    def leaves_value(self) -> Decimal:
        """What may still execute, in the coin of the values. An order by value keeps what it could not spend."""
        if self.is_by_value:
            return self.qty - self.cum_value
        leaves = self.leaves_qty
        return contract_value(self.category, leaves, self.price) if leaves and self.price else ZERO

    @property
    def is_waiting(self) -> bool:
        """True for a conditional order whose trigger has not come: it is in no book and holds no margin."""
        return self.status is Status.UNTRIGGERED

    @property
    def leaves_qty(self) -> Decimal:
        """What may still execute: nothing once the order is over, or if its quantity is an amount of the quote."""
        if not self.status.is_open or self.is_by_value:
            return ZERO
        return self.qty - self.cum_qty


class Execution(msgspec.Struct, kw_only=True, frozen=True):
    """One fill of one order. `closed_size` is the part that closed a position, `pnl` what that realised, without
    the fee; `open_fee` is what opening that part had cost, `close_fee` the share of `fee` that closed it.
    `leaves_qty` is what the order had left after it. Funding is an execution without an order: its fee is what
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
    open_fee: Decimal = ZERO
    close_fee: Decimal = ZERO
    category: Category = Category.LINEAR
    fee_coin: str = "USDT"
