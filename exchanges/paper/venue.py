"""The exchange itself, without any network: accounts, markets, and what create, amend and cancel do to them.

Every operation runs to its end without waiting. What it changed is handed to the books (`Store`), and what the streams
must tell is put into `outbox`; the server commits the books first, then answers and sends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from decimal import Decimal
from hashlib import blake2b

from exchanges.paper.accounts import Account, AccountSettings
from exchanges.paper.admission import Amendment, NewOrder, check_notional
from exchanges.paper.exact import ceiled, exactly, floored
from exchanges.paper.instruments import INSTRUMENTS
from exchanges.paper.ledger import Wallet
from exchanges.paper.market import Match, PublicTrade, SymbolMarket
from exchanges.paper.options import PaperOptions
from exchanges.paper.orders import Execution, Order
from exchanges.paper.refusals import (
    bad_parameter,
    duplicate_order_link_id,
    insufficient_balance,
    nothing_to_amend,
    order_not_found,
    reduce_only_without_position,
    too_many_open_orders,
)
from exchanges.paper.rows import stream_messages
from exchanges.paper.store import Store
from exchanges.paper.turn import StreamMessage, Turn
from exchanges.paper.vocabulary import (
    HEDGE_BUY,
    HEDGE_SELL,
    CancelType,
    OrderType,
    RejectReason,
    Side,
    Status,
    TimeInForce,
)

PROTECTION = Decimal("0.05")  # a market order is an IOC limit this far beyond the best opposing price


class PaperVenue:
    """All accounts and markets. `clock` gives nanoseconds UTC."""

    def __init__(self, options: PaperOptions, store: Store, clock: Callable[[], int]) -> None:
        self.options = options
        self.store = store
        self.clock = clock
        self.outbox: list[StreamMessage] = []
        self.markets: dict[str, SymbolMarket] = {}
        self.accounts: dict[int, Account] = {}
        self._seq = 0
        self._salt = ""
        self._load()

    # -- books ---------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        """Take up the books where they stand; open accounts that have none yet."""
        self._salt = self.store.salt(self.options.id_salt)
        self._seq = self.store.last_seq()
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
            self.markets[order.symbol].resting.add(order)

    def mark_price(self, symbol: str) -> Decimal:
        return self.markets[symbol].mark_price

    def next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def new_id(self, kind: str, seq: int) -> str:
        """An id in the shape of a UUID, given by the books' salt and a number: the same run gives the same ids."""
        text = blake2b(f"{self._salt}|{kind}|{seq}".encode(), digest_size=16).hexdigest()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

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
        self.outbox.extend(stream_messages(turn, self.accounts, self.mark_price))

    # -- create --------------------------------------------------------------------------------------------------

    @exactly
    def create(self, uid: int, wish: NewOrder) -> Order:
        """Admit an order and match it at once. Raises `Refusal`; then nothing has changed."""
        account, market = self.accounts[uid], self.markets[wish.instrument.symbol]
        self._check_identity(account, wish)
        price = wish.price if wish.price is not None else self._protective_price(market, wish.side)
        closing_side = {HEDGE_BUY: Side.SELL, HEDGE_SELL: Side.BUY}.get(wish.position_idx)
        reduces = wish.reduce_only or wish.side is closing_side
        qty = self._admitted_qty(account, market, wish, price, reduces=reduces)
        turn = self.turn()
        seq = self.next_seq()
        order = Order(
            order_id=self.new_id("order", seq),
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
        )
        turn.touch(order, account.position(order.symbol, order.position_idx))
        self._match(turn, market, order)
        self.conclude(turn)
        return order

    def _check_identity(self, account: Account, wish: NewOrder) -> None:
        link, symbol = wish.order_link_id, wish.instrument.symbol
        if link and (link in account.open_links or self.store.knows_link(account.uid, link)):
            raise duplicate_order_link_id()
        if wish.position_idx not in account.position_indexes(symbol):
            raise bad_parameter("position idx not match position mode")
        limit = self.options.max_open_orders_per_symbol
        if limit and wish.order_type is OrderType.LIMIT and account.open_count(symbol) >= limit:
            raise too_many_open_orders(limit)

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
        self._require_margin(account, market, wish.side, idx, wish.qty, price)
        return wish.qty

    def _require_margin(
        self, account: Account, market: SymbolMarket, side: Side, idx: int, qty: Decimal, price: Decimal
    ) -> None:
        """Refuse what the account cannot pay: value ÷ leverage + taker fee on what it opens, next to all that rests."""
        symbol = market.instrument.symbol
        best_bid = market.best(Side.BUY)
        worst = max(price, best_bid) if side is Side.SELL and best_bid is not None else price
        before = account.order_margin(symbol, idx)
        need = account.order_margin(symbol, idx, (side, qty, qty * worst)) - before
        if need > 0 and need > account.available(self.mark_price):
            raise insufficient_balance()

    @staticmethod
    def _protective_price(market: SymbolMarket, side: Side) -> Decimal:
        instrument = market.instrument
        best = market.best(side.opposite) or market.mark_price
        if side is Side.BUY:
            return min(floored(best * (1 + PROTECTION), instrument.tick), instrument.max_price)
        return max(ceiled(best * (1 - PROTECTION), instrument.tick), instrument.min_price)

    # -- matching ------------------------------------------------------------------------------------------------

    def _match(self, turn: Turn, market: SymbolMarket, order: Order) -> None:
        """Match an order that is not in the book; what is left rests or is cancelled, as its time in force says."""
        tif, leaves = order.time_in_force, order.leaves_qty
        if tif is TimeInForce.POST_ONLY and market.would_take(order.side, order.price):
            self._end(turn, order, RejectReason.POST_ONLY_WOULD_TAKE)
            return
        if tif is TimeInForce.FOK and not market.available(order.side, order.price, leaves):
            self._end(turn, order, RejectReason.NOT_ENOUGH_QTY)
            return
        for match in market.sweep(order.side, order.price, leaves):
            self._fill(turn, market, order, match, is_maker=False)
            if match.maker is not None:
                self._fill(turn, market, match.maker, match, is_maker=True)
            self._print_trade(turn, market, match, order.side)
        if not order.leaves_qty:
            return
        if tif in {TimeInForce.IOC, TimeInForce.FOK}:
            reason = RejectReason.NO_FULL_FILL if order.cum_qty else RejectReason.NO_IMMEDIATE_QTY
            self._end(turn, order, reason)
            return
        market.resting.add(order)
        market.changed = True
        self.accounts[order.uid].rest(order)

    def _fill(self, turn: Turn, market: SymbolMarket, order: Order, match: Match, *, is_maker: bool) -> None:
        """Book one fill of `order`: its sums, the position, the wallet, the execution."""
        account = self.accounts[order.uid]
        rate = self.options.maker_fee_rate if is_maker else self.options.taker_fee_rate
        value = match.price * match.qty
        fee = value * rate
        position = account.position(order.symbol, order.position_idx)
        closing = position.apply(order.side, match.price, match.qty, fee)
        account.wallet.book(closing.pnl, fee)
        if is_maker:
            account.executed(order, match.qty)
        seq = self.next_seq()
        order.cum_qty += match.qty
        order.cum_value += value
        order.cum_fee += fee
        order.cum_pnl += closing.pnl
        order.seq, order.updated_at_ns = seq, turn.at_ns
        position.seq, position.updated_at_ns = seq, turn.at_ns
        position.created_at_ns = position.created_at_ns or turn.at_ns
        leaves = order.qty - order.cum_qty
        if leaves:
            order.status = Status.PARTIALLY_FILLED
        else:
            self._finish(market, account, order, in_book=is_maker)
        turn.touch(order, position)
        turn.executions.append(
            Execution(
                exec_id=self.new_id("execution", seq),
                order_id=order.order_id,
                order_link_id=order.order_link_id,
                uid=order.uid,
                symbol=order.symbol,
                side=order.side,
                position_idx=order.position_idx,
                order_type=order.order_type,
                order_price=order.price,
                order_qty=order.qty,
                leaves_qty=leaves,
                price=match.price,
                qty=match.qty,
                value=value,
                fee=fee,
                fee_rate=rate,
                is_maker=is_maker,
                closed_size=closing.closed_qty,
                pnl=closing.pnl,
                mark_price=market.mark_price,
                executed_at_ns=turn.at_ns,
                seq=seq,
            )
        )
        self._trim_reducing(turn, account, order.symbol, order.position_idx)

    def _finish(self, market: SymbolMarket, account: Account, order: Order, *, in_book: bool) -> None:
        order.status = Status.FILLED
        if in_book:
            market.resting.remove(order)
            account.unrest(order)
        account.closed(order)

    def _end(
        self, turn: Turn, order: Order, reason: RejectReason, cancel_type: CancelType = CancelType.UNKNOWN
    ) -> None:
        """Cancel an order that is not in the book (any more)."""
        account = self.accounts[order.uid]
        order.status = Status.CANCELLED
        order.reject_reason = reason
        order.cancel_type = cancel_type
        order.seq, order.updated_at_ns = self.next_seq(), turn.at_ns
        account.closed(order)
        turn.touch(order, account.position(order.symbol, order.position_idx))

    def _take_out(self, order: Order) -> None:
        market = self.markets[order.symbol]
        market.resting.remove(order)
        market.changed = True
        self.accounts[order.uid].unrest(order)

    def _trim_reducing(self, turn: Turn, account: Account, symbol: str, idx: int) -> None:
        """Cancel reduce-only orders, the latest first, that together would close more than is held."""
        sums = account.sums(symbol, idx)
        if not sums.reducing:
            return
        position = account.position(symbol, idx)
        for order in reversed(tuple(sums.reducing.values())):
            if sums.reducing_qty(order.side) > position.closable(order.side):
                self._take_out(order)
                self._end(turn, order, RejectReason.OTHERS, CancelType.BY_REDUCE_ONLY)

    def _print_trade(self, turn: Turn, market: SymbolMarket, match: Match, taker_side: Side) -> None:
        seq = self.next_seq()
        market.state.last_price = match.price
        self.store.put_market(market.state)
        trade_id = self.new_id("trade", seq)
        trade = PublicTrade(
            trade_id, market.instrument.symbol, match.price, match.qty, taker_side, turn.at_ns, seq
        )
        market.recent_trades.append(trade)

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
    def cancel_all(self, uid: int, symbols: Collection[str] | None) -> list[Order]:
        """Cancel the open orders of an account in these symbols or (None) in all."""
        turn = self.turn()
        orders = [
            o for o in self.accounts[uid].open_orders.values() if symbols is None or o.symbol in symbols
        ]
        for order in orders:
            self._cancel_for_user(turn, order)
        self.conclude(turn)
        return orders

    def _cancel_for_user(self, turn: Turn, order: Order) -> None:
        self._take_out(order)
        self._end(turn, order, RejectReason.USER_CANCEL, CancelType.BY_USER)

    @exactly
    def amend(self, order: Order, wish: Amendment) -> None:
        """Give an open order another total quantity or price.

        Less quantity at the same price keeps the place in the queue; anything else goes to its end, and may match at
        once. Raises `Refusal`; then the order is as it was.
        """
        account, market = self.accounts[order.uid], self.markets[order.symbol]
        qty, price = wish.qty or order.qty, wish.price or order.price
        if (qty, price) == (order.qty, order.price):
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
        keeps_place = price == order.price and qty <= order.qty
        if keeps_place:
            order.qty = qty
            account.rest(order)
        else:
            market.resting.remove(order)
            order.qty, order.price = qty, price
        market.changed = True
        order.seq, order.updated_at_ns = self.next_seq(), turn.at_ns
        turn.touch(order, account.position(order.symbol, order.position_idx))
        if not keeps_place:
            self._match(turn, market, order)
        self.conclude(turn)

    def _amended_qty(
        self, account: Account, market: SymbolMarket, order: Order, qty: Decimal, price: Decimal
    ) -> Decimal:
        leaves = qty - order.cum_qty
        if order.reduces:
            return order.cum_qty + min(leaves, account.closable(order.symbol, order.position_idx, order.side))
        check_notional(market.instrument, qty, price)
        self._require_margin(account, market, order.side, order.position_idx, leaves, price)
        return qty

    # -- the market ----------------------------------------------------------------------------------------------

    @exactly
    def step(self, symbol: str) -> None:
        """Move one market by a step: new quotes, fills of what they crossed, and now and then a synthetic taker."""
        market = self.markets[symbol]
        market.step()
        self._fill_crossed(market)
        taker = market.process.taker()
        if taker is not None:
            self._let_crowd_take(market, taker.side, taker.qty)
        self.store.put_market(market.state)

    @exactly
    def requoted(self, symbol: str) -> None:
        """After the quotes were set by hand: fill what they crossed."""
        market = self.markets[symbol]
        self._fill_crossed(market)
        self.store.put_market(market.state)

    def _fill_crossed(self, market: SymbolMarket) -> None:
        turn = self.turn()
        for match in market.crossed():
            if match.maker is not None:
                self._fill(turn, market, match.maker, match, is_maker=True)
                self._print_trade(turn, market, match, match.maker.side.opposite)
        self.conclude(turn)

    def _let_crowd_take(self, market: SymbolMarket, side: Side, qty: Decimal) -> None:
        best = market.best(side.opposite)
        if best is None:
            return
        turn = self.turn()
        for match in market.sweep(side, best, qty):
            if match.maker is not None:
                self._fill(turn, market, match.maker, match, is_maker=True)
            self._print_trade(turn, market, match, side)
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
