"""The exchange itself, without any network: accounts, markets, and what create, amend and cancel do to them.

Every operation runs to its end without waiting. What it changed is handed to the books (`Store`), and what the streams
must tell is put into `outbox`; the server commits the books first, then answers and sends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from decimal import Decimal
from typing import NamedTuple

from exchanges.paper.accounts import PROTECTING, Account, AccountSettings
from exchanges.paper.admission import Amendment, NewOrder, Trigger, check_notional
from exchanges.paper.admittance import protective_price, require_margin
from exchanges.paper.candles import Histories
from exchanges.paper.conditionals import Conditionals, check_trigger
from exchanges.paper.exact import ZERO, exactly
from exchanges.paper.instruments import INSTRUMENTS
from exchanges.paper.interventions import Interventions
from exchanges.paper.ledger import Wallet
from exchanges.paper.market import SymbolMarket
from exchanges.paper.matching import MatchingEngine
from exchanges.paper.numbering import Numbering
from exchanges.paper.options import PaperOptions
from exchanges.paper.orders import Order
from exchanges.paper.refusals import (
    bad_parameter,
    duplicate_order_link_id,
    nothing_to_amend,
    order_not_found,
    reduce_only_without_position,
    too_many_conditional_orders,
    too_many_open_orders,
)
from exchanges.paper.rows import stream_messages
from exchanges.paper.store import Store
from exchanges.paper.turn import StreamMessage, Turn
from exchanges.paper.vocabulary import (
    HEDGE_BUY,
    HEDGE_SELL,
    CancelType,
    CreateType,
    OrderType,
    RejectReason,
    Side,
    Status,
    StopOrderType,
    TriggerDirection,
)


class Funding(NamedTuple):
    """A funding of one contract that was settled: the rate that who is long pays."""

    symbol: str
    rate: Decimal
    settled_at_ns: int


MAX_WAITING_PER_SYMBOL = 10  # conditional orders of an account; take-profits and stop-losses do not count


class PaperVenue:
    """All accounts and markets. `clock` gives nanoseconds UTC."""

    def __init__(self, options: PaperOptions, store: Store, clock: Callable[[], int]) -> None:
        self.options = options
        self.store = store
        self.clock = clock
        self.outbox: list[StreamMessage] = []
        self.markets: dict[str, SymbolMarket] = {}
        self.accounts: dict[int, Account] = {}
        self.histories = Histories()
        self.fundings: list[Funding] = []
        self._numbering = Numbering(store.salt(options.id_salt), store.last_seq())
        self._engine = MatchingEngine(options, store, self._numbering, self.accounts, self.markets)
        self._conditionals = Conditionals(self._engine, self.mark_price)
        self._interventions = Interventions(self._engine)
        self._load()

    # -- books ---------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        """Take up the books where they stand; open accounts that have none yet."""
        states = self.store.market_states()
        for symbol, instrument in INSTRUMENTS.items():
            self.markets[symbol] = SymbolMarket(instrument, self.options.seed, states.get(symbol))
        wallets, settings = self.store.wallets(), self.store.settings()
        for uid in {pair.uid: None for pair in self.options.keys} | dict.fromkeys(wallets):
            wallet = wallets.get(uid)
            if wallet is None:
                wallet = Wallet(uid=uid, deposit=self.options.deposit)
                self.store.put_wallet(wallet)
            self.accounts[uid] = Account(
                wallet,
                settings.get(uid) or AccountSettings(uid=uid),
                self.options.leverage,
                self.options.taker_fee_rate,
            )
        for position in self.store.positions():
            self.accounts[position.uid].positions[position.symbol, position.position_idx] = position
        for order in self.store.open_orders():
            self.accounts[order.uid].rest(order)
            if not order.is_waiting:
                self.markets[order.symbol].resting.add(order)
        for market in self.markets.values():
            market.uncross()

    def mark_price(self, symbol: str) -> Decimal:
        return self.markets[symbol].mark_price

    def turn(self) -> Turn:
        return Turn(self.clock())

    def conclude(self, turn: Turn) -> None:
        """Hand what `turn` changed to the books and to the streams."""
        for order in turn.orders.values():
            self.store.put_order(order)
        for execution in turn.executions:
            self.store.add_execution(execution)
        for position in turn.positions.values():
            self.store.put_position(position)
        for uid in turn.uids:
            self.store.put_wallet(self.accounts[uid].wallet)
        self.store.put_seq(self._numbering.last_seq)
        self.outbox.extend(stream_messages(turn, self.accounts, self.mark_price))

    # -- create --------------------------------------------------------------------------------------------------

    @exactly
    def create(self, uid: int, wish: NewOrder) -> Order:
        """Admit an order and match it at once. Raises `Refusal`; then nothing has changed."""
        account, market = self.accounts[uid], self.markets[wish.instrument.symbol]
        self._check_identity(account, wish)
        closing_side = {HEDGE_BUY: Side.SELL, HEDGE_SELL: Side.BUY}.get(wish.position_idx)
        reduces = wish.reduce_only or wish.side is closing_side
        price, qty = wish.price or ZERO, wish.qty
        if wish.trigger is None:
            price = wish.price if wish.price is not None else protective_price(market, wish.side)
            qty = self._admitted_qty(account, market, wish, price, reduces=reduces)
        else:
            check_trigger(market, wish.trigger)
        turn = self.turn()
        seq = self._numbering.next_seq()
        order = Order(
            order_id=self._numbering.new_id("order", seq),
            uid=uid,
            symbol=market.instrument.symbol,
            order_link_id=wish.order_link_id,
            side=wish.side,
            order_type=wish.order_type,
            time_in_force=wish.time_in_force,
            price=price,
            qty=qty,
            position_idx=wish.position_idx,
            reduce_only=wish.reduce_only,
            close_on_trigger=wish.close_on_trigger,
            reduces=reduces,
            placed_seq=seq,
            seq=seq,
            created_at_ns=turn.at_ns,
            updated_at_ns=turn.at_ns,
            last_price_on_created=market.last_price,
            take_profit=wish.protection.take_profit or ZERO,
            stop_loss=wish.protection.stop_loss or ZERO,
            take_profit_by=wish.protection.take_profit_by,
            stop_loss_by=wish.protection.stop_loss_by,
        )
        turn.touch(order, account.position(order.symbol, order.position_idx))
        if wish.trigger is None:
            self._engine.match(turn, market, order)
        else:
            self._park(account, order, wish.trigger)
        self._conditionals.settle(turn, market)
        self.conclude(turn)
        return order

    @staticmethod
    def _park(account: Account, order: Order, trigger: Trigger) -> None:
        order.status = Status.UNTRIGGERED
        order.create_type = CreateType.BY_STOP_ORDER
        order.stop_order_type = StopOrderType.STOP
        order.trigger_price, order.trigger_by = trigger.price, trigger.by
        order.trigger_direction = trigger.direction
        account.rest(order)

    def _check_identity(self, account: Account, wish: NewOrder) -> None:
        link, symbol = wish.order_link_id, wish.instrument.symbol
        if link and (link in account.open_links or self.store.knows_link(account.uid, link)):
            raise duplicate_order_link_id()
        if wish.position_idx not in account.position_indexes(symbol):
            raise bad_parameter("position idx not match position mode")
        limit = self.options.max_open_orders_per_symbol
        rests = wish.order_type is OrderType.LIMIT and wish.trigger is None
        if limit and rests and account.open_count(symbol) >= limit:
            raise too_many_open_orders(limit)
        waiting = [order for order in account.waiting(symbol) if order.stop_order_type is StopOrderType.STOP]
        if wish.trigger is not None and len(waiting) >= MAX_WAITING_PER_SYMBOL:
            raise too_many_conditional_orders(MAX_WAITING_PER_SYMBOL)

    def _admitted_qty(
        self, account: Account, market: SymbolMarket, wish: NewOrder, price: Decimal, *, reduces: bool
    ) -> Decimal:
        """The quantity to work with: a reducing order is cut to what it can close, any other needs its margin."""
        symbol, idx = wish.instrument.symbol, wish.position_idx
        if reduces:
            closable = account.closable(symbol, idx, wish.side)
            if not closable:
                raise reduce_only_without_position()
            return min(wish.qty, closable) if wish.qty else closable
        check_notional(wish.instrument, wish.qty, price if wish.price is not None else market.mark_price)
        require_margin(account, market, wish.side, idx, wish.qty, price, self.mark_price)
        return wish.qty

    # -- cancel and amend ----------------------------------------------------------------------------------------

    def open_order(self, uid: int, order_id: str, order_link_id: str, *, symbol: str, doing: str) -> Order:
        """The open order of that id, or (without an id) of that link id. Raises 110001 if there is none."""
        account = self.accounts[uid]
        found = account.open_orders.get(order_id) if order_id else account.open_links.get(order_link_id)
        if found is None or found.symbol != symbol:
            raise order_not_found(doing)
        return found

    @exactly
    def cancel(self, order: Order) -> None:
        """Cancel an open order for its user."""
        turn = self.turn()
        self._cancel_for_user(turn, order)
        self.conclude(turn)

    @exactly
    def cancel_all(
        self, uid: int, symbols: Collection[str] | None, wanted: Callable[[Order], bool] = lambda _order: True
    ) -> list[Order]:
        """Cancel the `wanted` open orders of an account in these symbols or (None) in all."""
        turn = self.turn()
        mine = self.accounts[uid].open_orders.values()
        orders = [order for order in mine if (symbols is None or order.symbol in symbols) and wanted(order)]
        for order in orders:
            self._cancel_for_user(turn, order)
        self.conclude(turn)
        return orders

    def _cancel_for_user(self, turn: Turn, order: Order) -> None:
        self._engine.cancel(turn, order, RejectReason.USER_CANCEL, CancelType.BY_USER)

    @exactly
    def amend(self, order: Order, wish: Amendment) -> None:
        """Give an open order another total quantity or price.

        Less quantity at the same price keeps the place in the queue; anything else goes to its end, and may match at
        once. Raises `Refusal`; then the order is as it was.
        """
        if wish.is_empty:
            raise nothing_to_amend()
        account, market = self.accounts[order.uid], self.markets[order.symbol]
        if order.is_waiting:
            self._amend_waiting(account, market, order, wish)
            return
        qty, price = wish.qty or order.qty, wish.price or order.price
        take_profit = order.take_profit if wish.take_profit is None else wish.take_profit
        stop_loss = order.stop_loss if wish.stop_loss is None else wish.stop_loss
        before = (order.qty, order.price, order.take_profit, order.stop_loss)
        if (qty, price, take_profit, stop_loss) == before:
            raise nothing_to_amend()
        if qty <= order.cum_qty:
            raise bad_parameter("Qty invalid")
        account.unrest(order)
        try:
            qty = self._amended_qty(account, market, order, qty, price)
        except Exception:
            account.rest(order)
            raise
        turn = self.turn()
        order.take_profit, order.stop_loss = take_profit, stop_loss
        keeps_place = price == order.price and qty <= order.qty
        if keeps_place:
            order.qty = qty
            account.rest(order)
        else:
            market.resting.remove(order)
            order.qty, order.price = qty, price
        market.changed = True
        order.seq, order.updated_at_ns = self._numbering.next_seq(), turn.at_ns
        turn.touch(order, account.position(order.symbol, order.position_idx))
        if not keeps_place:
            self._engine.match(turn, market, order)
        self._conditionals.settle(turn, market)
        self.conclude(turn)

    def _amend_waiting(self, account: Account, market: SymbolMarket, order: Order, wish: Amendment) -> None:
        """A conditional order: nothing is reserved for it, so only its trigger is checked.

        Take-profit and stop-loss are as large as their position: their quantity is not for the user to change.
        """
        if wish.qty is not None and order.stop_order_type in PROTECTING:
            raise bad_parameter("Qty invalid")
        if wish.trigger_price is not None and order.trigger_by is not None:
            direction = TriggerDirection(order.trigger_direction)
            check_trigger(market, Trigger(wish.trigger_price, direction, order.trigger_by))
            order.trigger_price = wish.trigger_price
        if wish.qty is not None:
            order.qty = wish.qty
        if wish.price is not None and order.order_type is OrderType.LIMIT:
            order.price = wish.price
        order.take_profit = order.take_profit if wish.take_profit is None else wish.take_profit
        order.stop_loss = order.stop_loss if wish.stop_loss is None else wish.stop_loss
        turn = self.turn()
        order.seq, order.updated_at_ns = self._numbering.next_seq(), turn.at_ns
        turn.touch(order, account.position(order.symbol, order.position_idx))
        self.conclude(turn)

    def _amended_qty(
        self, account: Account, market: SymbolMarket, order: Order, qty: Decimal, price: Decimal
    ) -> Decimal:
        leaves = qty - order.cum_qty
        if order.reduces:
            return order.cum_qty + min(leaves, account.closable(order.symbol, order.position_idx, order.side))
        check_notional(market.instrument, qty, price)
        require_margin(account, market, order.side, order.position_idx, leaves, price, self.mark_price)
        return qty

    # -- the market ----------------------------------------------------------------------------------------------

    @exactly
    def step(self, symbol: str) -> None:
        """Move one market by a step: new quotes, fills of what they crossed, and now and then a synthetic taker."""
        market = self.markets[symbol]
        market.step()
        turn = self.turn()
        self._engine.fill_crossed(turn, market)
        self._engine.let_crowd_take(turn, market)
        self._conditionals.settle(turn, market)
        self.store.put_market(market.state)
        self.conclude(turn)

    @exactly
    def requoted(self, symbol: str) -> None:
        """After the quotes were set by hand: fill what they crossed."""
        market = self.markets[symbol]
        turn = self.turn()
        self._engine.fill_crossed(turn, market)
        self._conditionals.settle(turn, market)
        self.store.put_market(market.state)
        self.conclude(turn)

    @exactly
    def fund(self, symbol: str, rate: Decimal, uids: Collection[int]) -> None:
        """Settle funding of one contract for these accounts, at a rate per the position's value."""
        turn, market = self.turn(), self.markets[symbol]
        self.fundings.append(Funding(symbol, rate, turn.at_ns))
        for uid in uids:
            self._interventions.fund(turn, market, self.accounts[uid], rate)
        self.conclude(turn)

    @exactly
    def liquidate(self, uid: int, symbol: str, position_idx: int) -> None:
        """Take a position over at the mark price, its open orders cancelled."""
        turn, account = self.turn(), self.accounts[uid]
        position = account.position(symbol, position_idx)
        self._interventions.liquidate(turn, self.markets[symbol], account, position)
        self.conclude(turn)

    def known_order(self, uid: int, order_id: str, order_link_id: str) -> Order | None:
        """An order that is open or was closed lately; the rest is in the books' history."""
        account = self.accounts[uid]
        if order_id:
            return account.open_orders.get(order_id) or account.recent_closed.get(order_id)
        if (order := account.open_links.get(order_link_id)) is not None:
            return order
        recent = reversed(account.recent_closed.values())
        return next((order for order in recent if order.order_link_id == order_link_id), None)
