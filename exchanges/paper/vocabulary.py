"""The words of the protocol: the enumerations of Bybit v5 that the paper exchange speaks."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Side(StrEnum):
    BUY = "Buy"
    SELL = "Sell"

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY

    @property
    def sign(self) -> int:
        """What one unit bought or sold adds to a signed position."""
        return 1 if self is Side.BUY else -1


class TickDirection(StrEnum):
    """`tickDirection`: whether a trade's price is above or below that of the trade before it, or the same as it, and
    where that one had come from."""

    PLUS = "PlusTick"
    ZERO_PLUS = "ZeroPlusTick"
    MINUS = "MinusTick"
    ZERO_MINUS = "ZeroMinusTick"

    @property
    def at_the_same_price(self) -> TickDirection:
        """The direction of a trade at the price of one with this direction."""
        rose = self in {TickDirection.PLUS, TickDirection.ZERO_PLUS}
        return TickDirection.ZERO_PLUS if rose else TickDirection.ZERO_MINUS


class OrderType(StrEnum):
    MARKET = "Market"
    LIMIT = "Limit"


class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    POST_ONLY = "PostOnly"


class Status(StrEnum):
    """`orderStatus`. On derivatives a cancelled order may have executed in part; only spot has a state of its own.

    A conditional order is untriggered, for an instant triggered, and then like any other; cancelled before that it is
    deactivated.
    """

    UNTRIGGERED = "Untriggered"
    TRIGGERED = "Triggered"
    NEW = "New"
    PARTIALLY_FILLED = "PartiallyFilled"
    FILLED = "Filled"
    CANCELLED = "Cancelled"
    PARTIALLY_FILLED_CANCELED = "PartiallyFilledCanceled"
    DEACTIVATED = "Deactivated"

    @property
    def is_open(self) -> bool:
        return self in {Status.NEW, Status.PARTIALLY_FILLED, Status.UNTRIGGERED, Status.TRIGGERED}


class CancelType(StrEnum):
    UNKNOWN = "UNKNOWN"
    BY_USER = "CancelByUser"
    BY_REDUCE_ONLY = "CancelByReduceOnly"
    BY_TPSL_CLEAR = "CancelByTpSlTsClear"
    BEFORE_LIQUIDATION = "CancelAllBeforeLiq"
    BEFORE_DELEVERAGING = "CancelAllBeforeAdl"
    BY_SETTLEMENT = "CancelBySettle"
    BY_SMP = "CancelBySmp"
    LOSS_BY_PROFIT = "CancelByOCOSlCanceledByTpTriggered"
    PROFIT_BY_LOSS = "CancelByOCOTpCanceledBySlTriggered"


class RejectReason(StrEnum):
    """`rejectReason`. Anything but `EC_NoError` does not mean that the order was rejected."""

    NO_ERROR = "EC_NoError"
    USER_CANCEL = "EC_PerCancelRequest"
    POST_ONLY_WOULD_TAKE = "EC_PostOnlyWillTakeLiquidity"
    NO_IMMEDIATE_QTY = "EC_NoImmediateQtyToFill"
    NOT_ENOUGH_QTY = "EC_NoEnoughQtyToFill"
    NO_FULL_FILL = "EC_CancelForNoFullFill"
    SELF_MATCH = "EC_BySelfMatch"
    RISK_PRICE_LIMIT = "EC_ReachRiskPriceLimit"
    OTHERS = "EC_Others"


class TriggerBy(StrEnum):
    LAST = "LastPrice"
    INDEX = "IndexPrice"
    MARK = "MarkPrice"


class TriggerDirection(IntEnum):
    """`triggerDirection`: whether the price has to rise or to fall to the trigger price."""

    RISE = 1
    FALL = 2


class StopOrderType(StrEnum):
    """`stopOrderType`; NONE is written "" on the stream and UNKNOWN over REST."""

    NONE = ""
    STOP = "Stop"
    TAKE_PROFIT = "TakeProfit"
    STOP_LOSS = "StopLoss"
    TRAILING_STOP = "TrailingStop"
    PARTIAL_TAKE_PROFIT = "PartialTakeProfit"
    PARTIAL_STOP_LOSS = "PartialStopLoss"
    SPOT_TPSL = "tpslOrder"
    SPOT_STOP_LOSS = "BidirectionalTpslOrder"  # of what a spot order set up; its take-profit holds the coin

    @property
    def is_profit(self) -> bool:
        return self in {StopOrderType.TAKE_PROFIT, StopOrderType.PARTIAL_TAKE_PROFIT, StopOrderType.SPOT_TPSL}

    @property
    def is_partial(self) -> bool:
        return self in {StopOrderType.PARTIAL_TAKE_PROFIT, StopOrderType.PARTIAL_STOP_LOSS}


class CreateType(StrEnum):
    BY_USER = "CreateByUser"
    BY_STOP_ORDER = "CreateByStopOrder"
    BY_TAKE_PROFIT = "CreateByTakeProfit"
    BY_STOP_LOSS = "CreateByStopLoss"
    BY_PARTIAL_TAKE_PROFIT = "CreateByPartialTakeProfit"
    BY_PARTIAL_STOP_LOSS = "CreateByPartialStopLoss"
    BY_TRAILING_STOP = "CreateByTrailingStop"
    BY_TRAILING_PROFIT = "CreateByTrailingProfit"
    BY_LIQUIDATION = "CreateByLiq"
    BY_DELEVERAGING = "CreateByAdl_PassThrough"
    BY_SETTLEMENT = "CreateBySettle"


class ExecType(StrEnum):
    """`execType`: what kind of event an execution is."""

    TRADE = "Trade"
    FUNDING = "Funding"
    BUST_TRADE = "BustTrade"
    ADL_TRADE = "AdlTrade"
    SETTLE = "Settle"


class Category(StrEnum):
    LINEAR = "linear"
    SPOT = "spot"
    INVERSE = "inverse"
    OPTION = "option"


class TpslMode(StrEnum):
    """`tpslMode`: take-profit and stop-loss for the whole position, or for the quantity that an order filled."""

    FULL = "Full"
    PARTIAL = "Partial"


class MarketUnit(StrEnum):
    """`marketUnit`: what the quantity of a spot market order counts."""

    BASE = "baseCoin"
    QUOTE = "quoteCoin"


class SmpType(StrEnum):
    """`smpType`: what goes when an order would meet another of the same account."""

    NONE = "None"
    CANCEL_MAKER = "CancelMaker"
    CANCEL_TAKER = "CancelTaker"
    CANCEL_BOTH = "CancelBoth"


class SlippageType(StrEnum):
    """`slippageToleranceType`: how far from the best price a market order may go."""

    NONE = "UNKNOWN"
    TICKS = "TickSize"
    PERCENT = "Percent"


# Position index of the one-way mode and of the two sides of the hedge mode.
ONE_WAY, HEDGE_BUY, HEDGE_SELL = 0, 1, 2
