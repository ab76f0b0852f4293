"""The exchange itself, without any network: accounts, markets, and what create, amend and cancel do to them.

Every operation runs to its end without waiting. What it changed is handed to the books (`Store`), and what the streams
must tell is put into `outbox`; the server commits the books first, then answers and sends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from decimal import Decimal
from typing import NamedTuple

from exchanges.paper.accounts import Account, AccountSettings
from exchanges.paper.amending import Amending
from exchanges.paper.booking import Booking
from exchanges.paper.candles import Histories
from exchanges.paper.conditionals import Conditionals
from exchanges.paper.exact import exactly, floored
from exchanges.paper.instruments import MARKETS, Instrument
from exchanges.paper.interventions import Interventions
from exchanges.paper.ledger import Wallet
from exchanges.paper.market import SymbolMarket
from exchanges.paper.matching import MatchingEngine
from exchanges.paper.numbering import Numbering
from exchanges.paper.options import PaperOptions
from exchanges.paper.orders import Order
from exchanges.paper.placing import Placement
from exchanges.paper.protection import Protections
from exchanges.paper.refusals import order_not_found, spot_order_not_found
from exchanges.paper.replay import Moment
from exchanges.paper.rows import stream_messages
from exchanges.paper.store import Store
from exchanges.paper.trading_stop import TradingStop, TradingStops
from exchanges.paper.turn import StreamMessage, Turn
from exchanges.paper.vocabulary import CancelType, Category, CreateType, RejectReason
from exchanges.paper.wishes import Amendment, NewOrder


class Funding(NamedTuple):
    """A funding of one contract that was settled: the rate that who is long pays."""

    symbol: str
    rate: Decimal
    settled_at_ns: int


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
        self.house = store.house()
        booking = Booking(options, self.house)
        self._engine = engine = MatchingEngine(booking, store, self._numbering, self.accounts, self.markets)
        self.protections = Protections(engine)
        self._conditionals = Conditionals(engine, self.protections, self.mark_price)
        self._placement = Placement(engine, self._conditionals, self.mark_price, options.max_open_orders_per_symbol)
        self._amending = Amending(engine, self._conditionals, self.mark_price)
        self._trading_stops = TradingStops(self.protections, self._numbering)
        self._interventions = Interventions(engine)
        self._load()

    # -- books ---------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        """Take up the books where they stand; open accounts that have none yet."""
        states = self.store.market_states()
        for key, instrument in MARKETS.items():
            self.markets[key] = SymbolMarket(instrument, self.options.seed, states.get(key))
        wallets, settings = self.store.wallets(), self.store.settings()
        for uid in {pair.uid: None for pair in self.options.keys} | dict.fromkeys(wallets):
            wallet = wallets.get(uid)
            if wallet is None:
                wallet = Wallet(uid=uid)
                for coin, amount in (("USDT", self.options.deposit), *self.options.coins):
                    wallet.coin(coin).deposit += amount
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
                self.markets[order.market_key].resting.add(order)
        for market in self.markets.values():
            market.uncross()

    def mark_price(self, key: str) -> Decimal:
        """The mark price of a market; of a contract, the key is its symbol."""
        return self.markets[key].mark_price

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
        if turn.executions:
            for coin, held in self.house.coins.items():
                self.store.put_house(coin, held)
        self.store.put_seq(self._numbering.last_seq)
        self.outbox.extend(stream_messages(turn, self.accounts, self.mark_price))

    # -- create --------------------------------------------------------------------------------------------------

    @exactly
    def create(self, uid: int, wish: NewOrder) -> Order:
        """Admit an order and match it at once. Raises `Refusal`; then nothing has changed."""
        turn = self.turn()
        order = self._placement.place(turn, self.accounts[uid], wish)
        self.conclude(turn)
        return order

    # -- cancel and amend ----------------------------------------------------------------------------------------

    def open_order(self, uid: int, order_id: str, order_link_id: str, *, instrument: Instrument, doing: str) -> Order:
        """The open order of that id, or (without an id) of that link id. Raises 110001, on spot 170213, if there is
        none."""
        account = self.accounts[uid]
        found = account.open_orders.get(order_id) if order_id else account.open_links.get(order_link_id)
        if found is None or found.market_key != instrument.key:
            raise spot_order_not_found() if instrument.is_spot else order_not_found(doing)
        return found

    @exactly
    def cancel(self, order: Order) -> None:
        """Cancel an open order for its user."""
        turn = self.turn()
        self._cancel_for_user(turn, order)
        self.conclude(turn)

    @exactly
    def cancel_all(
        self,
        uid: int,
        symbols: Collection[str] | None,
        wanted: Callable[[Order], bool] = lambda _order: True,
        category: Category = Category.LINEAR,
    ) -> list[Order]:
        """Cancel the `wanted` open orders of an account in these symbols of a category or (None) in all of them."""
        turn = self.turn()
        orders = [
            order
            for order in self.accounts[uid].open_orders.values()
            if order.category is category and (symbols is None or order.symbol in symbols) and wanted(order)
        ]
        for order in orders:
            if order.status.is_open:  # one of a pair takes the other with it
                self._cancel_for_user(turn, order)
        self.conclude(turn)
        return orders

    def _cancel_for_user(self, turn: Turn, order: Order) -> None:
        """Cancel an order, and with one half of a pair the other."""
        pair = self.accounts[order.uid].open_orders.get(order.paired_id)
        for each in (order, pair):
            if each is not None:
                self._engine.cancel(turn, each, RejectReason.USER_CANCEL, CancelType.BY_USER)

    @exactly
    def amend(self, order: Order, wish: Amendment) -> None:
        """Give an open order another total quantity, price, trigger or protection. Raises `Refusal`; then the order
        is as it was."""
        turn = self.turn()
        self._amending.amend(turn, self.accounts[order.uid], order, wish)
        self.conclude(turn)

    @exactly
    def set_trading_stop(self, uid: int, contract: Instrument, wish: TradingStop) -> None:
        """Protect a position. Raises `Refusal`; then nothing has changed."""
        turn, market = self.turn(), self.markets[contract.key]
        self._trading_stops.apply(turn, market, self.accounts[uid], wish)
        self._conditionals.settle(turn, market)
        self.conclude(turn)

    # -- the market ----------------------------------------------------------------------------------------------

    @exactly
    def step(self, key: str) -> None:
        """Move one market by a step: new quotes, fills of what they crossed, and now and then a synthetic taker."""
        market = self.markets[key]
        market.step()
        turn = self.turn()
        self._engine.fill_crossed(turn, market)
        self._engine.let_crowd_take(turn, market)
        self._conditionals.settle(turn, market)
        self.store.put_market(market.state)
        self.conclude(turn)

    @exactly
    def replay(self, moment: Moment) -> None:
        """Give a market the quotes and the trade of a moment that was recorded."""
        market = self.markets[moment.key]
        market.pin(list(moment.bids), list(moment.asks))
        turn = self.turn()
        self._engine.fill_crossed(turn, market)
        if moment.last is not None:
            if moment.last_size:
                qty = floored(moment.last_size, market.instrument.lot)
                self._engine.let_take(turn, market, moment.taker, moment.last, qty)
            market.state.last_price = moment.last
        self._conditionals.settle(turn, market)
        market.note_change()
        self.store.put_market(market.state)
        self.conclude(turn)

    @exactly
    def requoted(self, key: str) -> None:
        """After the quotes were set by hand: fill what they crossed."""
        market = self.markets[key]
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
    def liquidate(
        self,
        uid: int,
        symbol: str,
        position_idx: int,
        why: CreateType = CreateType.BY_LIQUIDATION,
        qty: Decimal | None = None,
    ) -> None:
        """Take a position over at the mark price, whole or in part, its open orders cancelled."""
        turn, account = self.turn(), self.accounts[uid]
        position = account.position(symbol, position_idx)
        self._interventions.take_over(turn, self.markets[symbol], account, position, why, qty)
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
