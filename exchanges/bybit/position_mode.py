"""Which positions and open orders are in the other position mode (requirement D11).

Source: Bybit v5, "Switch Position Mode": switched by coin, contracts with a position or an open order stay as they are,
and the reply does not say so. Hedge mode is for perpetual contracts in USDT; all others have one position.
"""

from __future__ import annotations

from collections.abc import Iterable

from domain.errors import Refused
from domain.orders import PositionSide
from domain.updates import OrderReport
from exchanges.venue import VenuePosition

HEDGED_COIN = "USDT"
_NAMED = 5


def require_mode(positions: Iterable[VenuePosition], orders: Iterable[OrderReport], *, hedge: bool) -> None:
    """Nothing, if all that is open is in this mode. Raises `Refused`, with the first few that are not."""
    opened = [("a position", each.instrument.symbol, each.side is PositionSide.NET) for each in positions]
    opened += [("an open order", each.instrument.symbol, each.position_side is PositionSide.NET) for each in orders]
    other = sorted({(what, symbol) for what, symbol, net in opened if symbol.endswith(HEDGED_COIN) and net is hedge})
    if other:
        named = ", ".join(f"{symbol} has {what}" for what, symbol in other[:_NAMED])
        more = f" and {len(other) - _NAMED} more" if len(other) > _NAMED else ""
        raise Refused("POSITION_MODE", f"{named}{more} in {'one-way' if hedge else 'hedge'} mode")
