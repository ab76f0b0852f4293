"""Bybit's words and ours. Source: Bybit v5, "Enums definitions"."""

from __future__ import annotations

import re
from typing import Final

from domain.orders import PositionSide, Side, TimeInForce, VenueState
from domain.protection import Role, TriggerBy
from domain.updates import FillKind

SIDE_OF: Final = {"Buy": Side.BUY, "Sell": Side.SELL}
NAME_OF_SIDE: Final = {side: name for name, side in SIDE_OF.items()}

POSITION_SIDE_OF: Final = {0: PositionSide.NET, 1: PositionSide.LONG, 2: PositionSide.SHORT}
POSITION_INDEX_OF: Final = {side: index for index, side in POSITION_SIDE_OF.items()}

STATE_OF: Final = {
    "New": VenueState.LIVE,
    "PartiallyFilled": VenueState.LIVE,
    "Untriggered": VenueState.UNTRIGGERED,
    "Triggered": VenueState.TRIGGERED,
    "Filled": VenueState.FILLED,
    "Cancelled": VenueState.CANCELLED,
    "PartiallyFilledCanceled": VenueState.CANCELLED,
    "Deactivated": VenueState.CANCELLED,
    "Rejected": VenueState.REJECTED,
}
"""`orderStatus`. The spellings with one and with two L are the venue's."""

TIME_IN_FORCE_OF: Final = {
    "GTC": TimeInForce.GTC,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
    "PostOnly": TimeInForce.GTC,
    "RPI": TimeInForce.GTC,
}
POST_ONLY: Final = frozenset({"PostOnly", "RPI"})

NAME_OF_TRIGGER: Final = {
    TriggerBy.LAST: "LastPrice",
    TriggerBy.MARK: "MarkPrice",
    TriggerBy.INDEX: "IndexPrice",
}

ROLE_OF: Final = {
    "TakeProfit": Role.TAKE_PROFIT,
    "PartialTakeProfit": Role.TAKE_PROFIT,
    "StopLoss": Role.STOP_LOSS,
    "PartialStopLoss": Role.STOP_LOSS,
    "TrailingStop": Role.TRAILING_STOP,
    "TrailingProfit": Role.TRAILING_STOP,
}
"""`stopOrderType`, and `createType` without its "CreateBy", of orders that the venue makes for a position. Conditional
orders that somebody placed ("Stop") are none."""

PARTIAL: Final = "Partial"
"""Begins their names where they are for a fixed quantity, and is their `tpslMode` then. A position may have twenty such
beside the ones that cover all of it. Source: Bybit v5, "Set Trading Stop"."""

FILL_KIND_OF: Final = {
    "Funding": FillKind.FUNDING,
    "BustTrade": FillKind.LIQUIDATION,
    "AdlTrade": FillKind.ADL,
    "Settle": FillKind.SETTLEMENT,
    "Delivery": FillKind.SETTLEMENT,
    "CorporateAction": FillKind.SETTLEMENT,
    "ForwardSplitSettle": FillKind.SETTLEMENT,
    "ReverseSplitSettle": FillKind.SETTLEMENT,
    "Dividend": FillKind.FUNDING,
    "MovePosition": FillKind.MOVED,
}
"""`execType`; every other kind changes the position as a trade does. A dividend is a payment on what is held, as
funding is."""

_REASON_OF: Final = {
    "EC_PostOnlyWillTakeLiquidity": "POST_ONLY_WOULD_TAKE",
    "EC_NoImmediateQtyToFill": "NOTHING_TO_FILL_AT_ONCE",
    "EC_NoEnoughQtyToFill": "NOT_ENOUGH_TO_FILL",
    "EC_CancelForNoFullFill": "NO_FULL_FILL",
    "EC_BySelfMatch": "SELF_MATCH",
    "CancelBySmp": "SELF_MATCH",
    "CancelByReduceOnly": "REDUCE_ONLY",
    "CancelByAdmin": "CANCELLED_BY_VENUE",
    "CancelByDCP": "CANCELLED_ON_DISCONNECT",
    "CancelByTpSlTsClear": "PROTECTION_CLEARED",
    "CancelByOCOTpCanceledBySlTriggered": "STOP_LOSS_TRIGGERED",
    "CancelByOCOSlCanceledByTpTriggered": "TAKE_PROFIT_TRIGGERED",
}
_SAYS_NOTHING: Final = frozenset(
    {"", "0", "UNKNOWN", "EC_NoError", "EC_PerCancelRequest", "EC_OrigClOrdIDDoesNotExist", "CancelByUser"}
)
"""A cancel on request is explained by who asked for it, which the venue does not know."""


def end_reason(reject_reason: str, cancel_type: str) -> str:
    """Why an order ended, as a stable upper-case code; empty when the venue says nothing worth knowing."""
    for word in (reject_reason, cancel_type):
        if word not in _SAYS_NOTHING:
            return _REASON_OF.get(word) or _upper_snake(word.removeprefix("EC_"))
    return ""


def _upper_snake(word: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word).upper()[:64]


_QUOTE_COINS: Final = ("USDT", "USDC", "USDE", "USD1", "EUR", "TRY", "BRL", "BTC", "ETH", "USD")


def settle_coin(category: str, symbol: str, *, buys: bool) -> str:
    """The coin of a fee that came without its coin; empty when the symbol does not tell.

    Linear contracts settle in their quote coin (names ending in PERP in USDC), dated ones before the dash; inverse
    ones in their base coin. On spot the fee is taken from what one receives.
    """
    name = symbol.partition("-")[0]
    if name.endswith("PERP"):
        return "USDC"
    quote = next((coin for coin in _QUOTE_COINS if name.endswith(coin) and name != coin), "")
    base = name.removesuffix(quote)
    if category == "inverse" or (category == "spot" and buys):
        return base
    return quote or ("USDC" if "-" in symbol else "")
