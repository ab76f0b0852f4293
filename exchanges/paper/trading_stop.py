"""`position/trading-stop`: take-profit, stop-loss and trailing stop of a position that is held.

In Full mode what stands is moved, zero takes it away, and absence leaves it. In Partial mode each call adds a pair for
a part of the position.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from exchanges.paper.accounts import Account
from exchanges.paper.conditionals import watched_price
from exchanges.paper.contract_admission import check_price, check_protection, check_qty, check_sides
from exchanges.paper.exact import ZERO
from exchanges.paper.fields import Fields, choice, number, whole
from exchanges.paper.instruments import Instrument
from exchanges.paper.ledger import Position
from exchanges.paper.market import SymbolMarket
from exchanges.paper.numbering import Numbering
from exchanges.paper.protection import Protections, Protector, rises
from exchanges.paper.refusals import (
    bad_parameter,
    no_position_to_protect,
    not_modified,
    price_invalid,
    too_little_left_to_protect,
    too_many_partial_protections,
    wrong_side,
)
from exchanges.paper.turn import Turn
from exchanges.paper.vocabulary import ONE_WAY, OrderType, Side, StopOrderType, TpslMode, TriggerBy
from exchanges.paper.wishes import Protection

MAX_PARTIAL = 20  # take-profits and stop-losses of a position in Partial mode, each


@dataclass(frozen=True, slots=True)
class TradingStop:
    """What is wished for a position. Of `protection` and `trailing`, None leaves what there is, and zero takes it
    away. `size` is for Partial mode; None is the whole position."""

    position_idx: int
    protection: Protection
    trailing: Decimal | None
    active_price: Decimal
    size: Decimal | None


def trading_stop_of(fields: Fields, contract: Instrument) -> TradingStop:
    """Read and check the body of the call. Raises `Refusal` as the venue would."""
    mode = choice(TpslMode, fields, "tpslMode", TpslMode.FULL)
    protection = Protection(
        number(fields, "takeProfit"),
        number(fields, "stopLoss"),
        choice(TriggerBy, fields, "tpTriggerBy", TriggerBy.LAST),
        choice(TriggerBy, fields, "slTriggerBy", TriggerBy.LAST),
        mode,
        choice(OrderType, fields, "tpOrderType", OrderType.MARKET),
        choice(OrderType, fields, "slOrderType", OrderType.MARKET),
        number(fields, "tpLimitPrice") or ZERO,
        number(fields, "slLimitPrice") or ZERO,
    )
    check_protection(protection, contract)
    trailing, active_price = number(fields, "trailingStop"), number(fields, "activePrice") or ZERO
    for figure in (trailing, active_price):
        if figure:
            check_price(contract, figure)
    return TradingStop(
        whole(fields, "positionIdx", ONE_WAY), protection, trailing, active_price, _size(fields, contract, protection)
    )


def _size(fields: Fields, contract: Instrument, protection: Protection) -> Decimal | None:
    sizes = {size for name in ("tpSize", "slSize") if (size := number(fields, name))}
    if not sizes or protection.mode is TpslMode.FULL:
        return None
    if len(sizes) > 1 and protection.take_profit and protection.stop_loss:
        raise bad_parameter("tpSize must be equal to slSize")
    size = sizes.pop()
    check_qty(contract, OrderType.LIMIT, size)
    return size


@dataclass(frozen=True, slots=True)
class TradingStops:
    """Does what is wished; what changes is collected in the caller's turn."""

    protections: Protections
    numbering: Numbering

    def apply(self, turn: Turn, market: SymbolMarket, account: Account, wish: TradingStop) -> None:
        """Raises `Refusal`; then nothing has changed."""
        symbol = market.instrument.symbol
        if wish.position_idx not in account.position_indexes(symbol):
            raise bad_parameter("position idx not match position mode")
        position = account.position(symbol, wish.position_idx)
        held = position.side
        if held is None:
            raise no_position_to_protect()
        _check_sides(market, wish, held)
        if wish.protection.mode is TpslMode.PARTIAL and not wish.protection.is_empty:
            self._add_pair(turn, market, account, position, wish)
            self._move(turn, market, account, position, [self._trailing(market, held, wish)])
            return
        wishes = [*_whole_wishes(wish.protection, held), self._trailing(market, held, wish)]
        if not self._move(turn, market, account, position, wishes):
            raise not_modified()

    def _move(
        self,
        turn: Turn,
        market: SymbolMarket,
        account: Account,
        position: Position,
        wishes: list[Protector | None],
    ) -> bool:
        """Set, move or remove what protects the whole position; false if all is as it was."""
        changed = False
        for wish in wishes:
            if wish is None:
                continue
            standing = account.protecting(position.symbol, position.position_idx, wish.kind)
            wanted = wish.trailing if wish.kind is StopOrderType.TRAILING_STOP else wish.price
            if standing is None and wanted:
                self.protections.set_whole(turn, market, account, position, wish)
                changed = True
            elif standing is not None and not wanted:
                self.protections.let_go(turn, standing)
                changed = True
            elif standing is not None and not wish.stands_as(standing):
                standing.trigger_price, standing.trigger_by = wish.price, wish.by
                standing.trailing, standing.active_price = wish.trailing, wish.active_price
                standing.touch(self.numbering.next_seq(), turn.at_ns)
                turn.touch(standing, position)
                changed = True
        return changed

    def _add_pair(
        self, turn: Turn, market: SymbolMarket, account: Account, position: Position, wish: TradingStop
    ) -> None:
        held = abs(position.size)
        size, protection = wish.size or held, wish.protection
        if size > held:
            raise too_little_left_to_protect()
        kinds = [order.stop_order_type for order in account.waiting(position.symbol)]
        pair = [
            Protector(kind, price, by, rises(kind, position.side or Side.BUY), limit)
            for kind, price, by, limit in (
                (
                    StopOrderType.PARTIAL_TAKE_PROFIT,
                    protection.take_profit,
                    protection.take_profit_by,
                    protection.take_profit_limit,
                ),
                (
                    StopOrderType.PARTIAL_STOP_LOSS,
                    protection.stop_loss,
                    protection.stop_loss_by,
                    protection.stop_loss_limit,
                ),
            )
            if price
        ]
        if not pair:
            raise not_modified()
        if any(kinds.count(each.kind) >= MAX_PARTIAL for each in pair):
            raise too_many_partial_protections(MAX_PARTIAL)
        side = Side.SELL if position.size > 0 else Side.BUY
        self.protections.set_pair(turn, market, account, side, size, position.position_idx, pair)

    @staticmethod
    def _trailing(market: SymbolMarket, held: Side, wish: TradingStop) -> Protector | None:
        """A trailing stop starts at the last price, or where it is to become active."""
        if wish.trailing is None:
            return None
        start = wish.active_price or market.last_price
        price = start - wish.trailing if held is Side.BUY else start + wish.trailing
        if wish.trailing and price <= 0:
            raise price_invalid()
        return Protector(
            StopOrderType.TRAILING_STOP,
            price,
            TriggerBy.LAST,
            rises=held is Side.SELL,
            trailing=wish.trailing,
            active_price=wish.active_price,
        )


def _check_sides(market: SymbolMarket, wish: TradingStop, held: Side) -> None:
    """Take-profit and the start of a trailing stop beyond the price, stop-loss before it, as the position sees it."""
    check_sides(wish.protection, held, lambda by: watched_price(market, by))
    if not (wish.trailing and wish.active_price):
        return
    above, base = held is Side.BUY, market.last_price
    if (wish.active_price <= base) if above else (wish.active_price >= base):
        raise wrong_side("TrailingProfit", wish.active_price, held, base, above=above)


def _whole_wishes(protection: Protection, held: Side) -> list[Protector | None]:
    return [
        Protector(kind, price, by, rises(kind, held)) if price is not None else None
        for kind, price, by in (
            (StopOrderType.TAKE_PROFIT, protection.take_profit, protection.take_profit_by),
            (StopOrderType.STOP_LOSS, protection.stop_loss, protection.stop_loss_by),
        )
    ]
