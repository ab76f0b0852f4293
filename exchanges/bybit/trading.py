"""Orders and questions at Bybit v5 (the `Trading` protocol)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from decimal import Decimal
from typing import TypeVar

from domain.errors import InvalidInput, NotAccepted, NotFoundOrTooLate, Uncertain, VenueError
from domain.instruments import Instrument, InstrumentRules, Quote
from domain.orders import PositionSide
from domain.protection import TriggerBy
from domain.updates import Call, FillReport, OrderReport, Origin
from exchanges.bybit import account, batches, translate
from exchanges.bybit.errors import CallKind
from exchanges.bybit.options import BybitOptions, RateLimits
from exchanges.bybit.position_mode import require_mode
from exchanges.bybit.rest import ADDRESS, Answered, BybitRest
from exchanges.bybit.rows import Row
from exchanges.bybit.server_time import ServerTime
from exchanges.bybit.signing import Credentials
from exchanges.bybit.windows import windows
from exchanges.clock import Clock, SystemClock
from exchanges.rate_limit import Priority, Rate, RateLimiter
from exchanges.venue import Balance, CallHooks, NewOrder, OrderRef, VenuePosition, VenueTraits

T = TypeVar("T")

_PRIORITY = {Call.CREATE: Priority.CREATE, Call.AMEND: Priority.AMEND, Call.CANCEL: Priority.CANCEL}
_QUERY = "query"
_IDS = frozenset({"orderId", "orderLinkId"})
UNFILLED_HISTORY_S = 24 * 3600.0
"""Orders that ended without a fill are kept for a day."""


class BybitTrading:
    """One account at Bybit. Every call is one attempt and raises the errors of `domain.errors`."""

    def __init__(
        self,
        options: BybitOptions,
        *,
        clock: Clock | None = None,
        hooks: CallHooks | None = None,
        server_time: ServerTime | None = None,
    ) -> None:
        self._options = options
        self._clock = clock or SystemClock()
        self._server_time = server_time or ServerTime(self._clock)
        hooks = hooks or CallHooks()
        self._limiter = RateLimiter(
            _rates(options.rate_limits),
            self._clock,
            shares={_QUERY: options.query_share},
            on_wait=hooks.on_rate_limit,
        )
        self._rest = BybitRest(
            options, Credentials(options.key, options.secret), self._limiter, self._server_time, self._clock, hooks
        )

    def __repr__(self) -> str:
        return f"BybitTrading(venue={self._options.venue}, account={self._options.account})"

    @property
    def traits(self) -> VenueTraits:
        """Bybit refuses a client order id that it has seen."""
        return VenueTraits(
            name=self._options.venue,
            unique_client_ids=True,
            receive_window_s=self._options.receive_window_ms / 1000,
            history_lag_s=self._options.history_lag_s,
            unfilled_history_s=UNFILLED_HISTORY_S,
            protects=True,
            batch_sizes=batches.BATCH_SIZES,
        )

    @property
    def server_time(self) -> ServerTime:
        """The venue's clock as we know it, to be shared with the stream."""
        return self._server_time

    def set_workers(self, workers: int) -> None:
        """Share the account's rate limits evenly between so many workers (requirement X07)."""
        self._limiter.set_workers(workers)

    @property
    def banned_s(self) -> float:
        """For how long no call is made, cancels included, since the venue has banned our address; 0 without a ban."""
        return self._limiter.all_paused_s

    async def sync_time(self) -> None:
        """Correct our idea of the venue's clock. It also happens by itself when the venue complains."""
        await self._rest.sync_time()

    async def close(self) -> None:
        """Let go of connections."""
        await self._rest.close()

    # -- changes -----------------------------------------------------------------------------------------------------

    async def admit(self, call: Call, wanted: int = 1) -> int:
        """Wait for the tokens of one create, amend or cancel, and take what more there is for others of the same call;
        those who cancel are served first. Limits count orders, whether they go alone or in a batch."""
        await self._limiter.acquire((call.value, ADDRESS), _PRIORITY[call])
        return 1 + self._limiter.bucket(call.value).take_more(wanted - 1)

    async def create(self, order: NewOrder) -> str:
        """Ask for a new order, admitted before; returns the venue's order id.

        Raises `Duplicate` when the venue has seen the client order id, `Uncertain` when the order may be there.
        """
        answered = await self._rest.post(
            "/v5/order/create",
            translate.create_body(order),
            call=CallKind.CREATE,
            bucket=Call.CREATE.value,
        )
        order_id, link_id = answered.result.get("orderId"), answered.result.get("orderLinkId")
        if not isinstance(order_id, str) or not order_id or link_id not in {order.client_order_id, None, ""}:
            raise Uncertain("UNREADABLE_REPLY", "the venue accepted an order without saying that it is this one")
        return order_id

    async def amend(self, ref: OrderRef, *, quantity: Decimal | None = None, price: Decimal | None = None) -> None:
        """Ask, admitted before, for another total quantity or limit price. Raises `NotFoundOrTooLate` when there is
        no open order, `InvalidInput` when nothing is asked for."""
        await self._rest.post(
            "/v5/order/amend",
            translate.amend_body(ref, quantity=quantity, price=price),
            call=CallKind.AMEND,
            bucket=Call.AMEND.value,
        )

    async def cancel(self, ref: OrderRef) -> None:
        """Ask, admitted before, for the order to be cancelled. Raises `NotFoundOrTooLate`, which concludes nothing."""
        await self._rest.post(
            "/v5/order/cancel",
            translate.reference(ref),
            call=CallKind.CANCEL,
            bucket=Call.CANCEL.value,
        )

    async def create_batch(self, orders: Sequence[NewOrder]) -> Sequence[str | VenueError]:
        """Ask, admitted before, for several orders of one category; an outcome for each, as `create` has it."""
        items = [batches.Item(translate.create_body(order), frozenset({order.client_order_id})) for order in orders]
        return await batches.ask(self._rest, Call.CREATE, orders[0].instrument.category, items)

    async def cancel_batch(self, refs: Sequence[OrderRef]) -> Sequence[VenueError | None]:
        """Ask, admitted before, for several orders of one category to be cancelled; an outcome for each, as above."""
        items = [
            batches.Item(translate.reference(ref), frozenset({ref.client_order_id, ref.venue_order_id} - {""}))
            for ref in refs
        ]
        outcomes = await batches.ask(self._rest, Call.CANCEL, refs[0].instrument.category, items)
        return [outcome if isinstance(outcome, VenueError) else None for outcome in outcomes]

    async def set_stop_loss(self, instrument: Instrument, side: PositionSide, price: Decimal, by: TriggerBy) -> None:
        """Ask, admitted before, for the stop-loss of a whole position. One that stands so already is a success. Source:
        Bybit v5, "Set Trading Stop"."""
        await self._rest.post(
            "/v5/position/trading-stop",
            translate.stop_loss_body(instrument, side, price, by),
            call=CallKind.AMEND,
            bucket=Call.AMEND.value,
        )

    async def set_position_mode(self, *, hedge: bool) -> None:
        """Ask for one position per linear contract, or two. Raises `Refused` while a position or an open order has the
        other mode: nothing is changed then, unless it came while we asked."""
        await self._require_mode(hedge=hedge)
        await self._rest.post(
            "/v5/position/switch-mode",
            {"category": "linear", "coin": "USDT", "mode": 3 if hedge else 0},
            call=CallKind.AMEND,
            bucket=_QUERY,
        )
        await self._require_mode(hedge=hedge)

    async def _require_mode(self, *, hedge: bool) -> None:
        require_mode(await self.positions("linear"), await self.open_orders("linear"), hedge=hedge)

    # -- orders and executions ---------------------------------------------------------------------------------------

    async def order(self, ref: OrderRef, *, origin: Origin = Origin.REST) -> OrderReport | None:
        """The order's row: among the open and recently closed ones, else in the history. None proves no absence:
        creation and history are asynchronous at this venue."""
        for path in ("/v5/order/realtime", "/v5/order/history"):
            try:
                answered = await self._rest.get(path, translate.reference(ref), bucket=_QUERY)
            except NotFoundOrTooLate:
                continue
            for report in self._orders(answered, ref.instrument.category, origin):
                if _is(ref, report):
                    return report
        return None

    async def open_orders(
        self, category: str, symbol: str | None = None, *, origin: Origin = Origin.REST
    ) -> Sequence[OrderReport]:
        """All open orders, every page, each once."""
        found: dict[str, OrderReport] = {}
        for scope in self._scopes(category, symbol):
            async for answered in self._pages("/v5/order/realtime", {**scope, "openOnly": "0", "limit": "50"}):
                _collect(found, self._orders(answered, category, origin))
        return list(found.values())

    async def closed_orders(
        self, category: str, *, since_ns: int, symbol: str | None = None, origin: Origin = Origin.REST
    ) -> Sequence[OrderReport]:
        """Orders that ended since `since_ns` of the venue's clock, oldest end first.

        Two sources: the 500 that closed last, which includes orders placed long before; and the history, which is
        asked by time of placement.
        """
        found: dict[str, OrderReport] = {}
        for scope in self._scopes(category, symbol):
            async for answered in self._pages("/v5/order/realtime", {**scope, "openOnly": "1", "limit": "50"}):
                _collect(found, self._orders(answered, category, origin))
        for window in windows(since_ns, self._server_time.now_ms()):
            params = {**_of_category(category, symbol), **window.fields, "limit": "50"}
            async for answered in self._pages("/v5/order/history", params):
                _collect(found, self._orders(answered, category, origin))
        ended = [report for report in found.values() if report.state.terminal and report.updated_ns >= since_ns]
        return sorted(ended, key=lambda report: (report.updated_ns, report.venue_order_id))

    async def executions(
        self,
        category: str,
        *,
        since_ns: int,
        symbol: str | None = None,
        ref: OrderRef | None = None,
        origin: Origin = Origin.REST,
    ) -> Sequence[FillReport]:
        """Executions since `since_ns` of the venue's clock, oldest first, each once. Asked by an order's id, the
        venue may take no notice of the times; once it shows that, it has shown all."""
        scope = _of_category(category, symbol) if ref is None else translate.reference(ref)
        return await self._executions(category, scope, since_ns, origin)

    async def payments(self, category: str, *, since_ns: int, origin: Origin = Origin.REST) -> Sequence[FillReport]:
        """Funding since `since_ns` of the venue's clock, oldest first, each once."""
        return await self._executions(category, {"category": category, "execType": "Funding"}, since_ns, origin)

    async def _executions(
        self, category: str, scope: dict[str, str], since_ns: int, origin: Origin
    ) -> Sequence[FillReport]:
        found: dict[str, FillReport] = {}
        for window in windows(since_ns, self._server_time.now_ms()):
            shown: list[FillReport] = []
            async for answered in self._pages("/v5/execution/list", {**scope, **window.fields, "limit": "100"}):
                shown += self._fills(answered, category, origin)
            found |= {fill.execution_id: fill for fill in shown}
            if not _IDS.isdisjoint(scope) and window.was_ignored(shown):
                break
        wanted = [fill for fill in found.values() if fill.executed_ns >= since_ns]
        return sorted(wanted, key=lambda fill: (fill.executed_ns, fill.venue_sequence, fill.execution_id))

    # -- the account -------------------------------------------------------------------------------------------------

    async def positions(self, category: str, symbol: str | None = None) -> Sequence[VenuePosition]:
        """Open positions; with a symbol: that one's, open or not. Spot has balances instead."""
        found: list[VenuePosition] = []
        if category == "spot":
            return found
        for scope in self._scopes(category, symbol):
            async for answered in self._pages("/v5/position/list", {**scope, "limit": "200"}):
                found += _read(
                    answered, lambda row: account.position(row, venue=self._options.venue, category=category)
                )
        return [position for position in found if position.size or symbol is not None]

    async def balances(self) -> Sequence[Balance]:
        """The coins of the unified account. Their time is ours, when the question left."""
        answered = await self._rest.get("/v5/account/wallet-balance", {"accountType": "UNIFIED"}, bucket=_QUERY)
        wallets = _read(
            answered, lambda row: account.balances(row, account=self._options.account, at_ns=answered.asked_ns)
        )
        return [balance for wallet in wallets for balance in wallet]

    # -- the market --------------------------------------------------------------------------------------------------

    async def instruments(self, category: str) -> Sequence[InstrumentRules]:
        """The rules of every instrument of a category."""
        params = {"category": category} if category == "spot" else {"category": category, "limit": "1000"}
        found: list[InstrumentRules] = []
        async for answered in self._pages("/v5/market/instruments-info", params, signed=False):
            found += _read(
                answered,
                lambda row: account.instrument_rules(
                    row, venue=self._options.venue, category=category, fetched_at_ns=self._clock.now_ns()
                ),
            )
        return found

    async def quote(self, instrument: Instrument) -> Quote:
        """Best prices now. Raises `NotAccepted` while a side of the book is empty."""
        quotes = await self._tickers({"category": instrument.category, "symbol": instrument.symbol})
        if instrument.symbol not in quotes:
            raise NotAccepted("NO_QUOTE", f"{instrument} has no best bid and ask at the moment")
        return quotes[instrument.symbol]

    async def quotes(self, category: str) -> dict[str, Quote]:
        """Best prices by symbol; an instrument with an empty side of the book is missing."""
        return await self._tickers({"category": category})

    async def _tickers(self, params: Mapping[str, str]) -> dict[str, Quote]:
        answered = await self._rest.get("/v5/market/tickers", params, signed=False)
        rows = _read(answered, lambda row: (row.need("symbol").upper(), account.quote(row, at_ns=answered.asked_ns)))
        return {symbol: quote for symbol, quote in rows if quote is not None}

    # -- paging ------------------------------------------------------------------------------------------------------

    async def _pages(self, path: str, params: Mapping[str, str], *, signed: bool = True) -> AsyncIterator[Answered]:
        """Every page of a list. A cursor that comes again would go round for ever: it is an unreadable reply."""
        seen: set[str] = set()
        cursor = ""
        while True:
            asked = {**params, "cursor": cursor} if cursor else params
            answered = await self._rest.get(path, asked, bucket=_QUERY if signed else None, signed=signed)
            yield answered
            cursor = str(answered.result.get("nextPageCursor") or "")
            if not cursor or not answered.result.get("list"):
                return
            if cursor in seen:
                raise NotAccepted("UNREADABLE_REPLY", f"{path} gave the same page cursor twice")
            seen.add(cursor)

    def _scopes(self, category: str, symbol: str | None) -> list[dict[str, str]]:
        """The questions that together cover a category: linear contracts are asked for by settle coin."""
        if symbol is None and category == "linear":
            return [{"category": category, "settleCoin": coin} for coin in self._options.settle_coins]
        return [_of_category(category, symbol)]

    def _context(self, category: str, origin: Origin) -> translate.Context:
        return translate.Context(
            venue=self._options.venue,
            account=self._options.account,
            origin=origin,
            received_ns=self._clock.now_ns(),
            category=category,
            hedge=self._options.hedge,
        )

    def _orders(self, answered: Answered, category: str, origin: Origin) -> list[OrderReport]:
        context = self._context(category, origin)
        return _read(answered, lambda row: translate.order_report(row, context))

    def _fills(self, answered: Answered, category: str, origin: Origin) -> list[FillReport]:
        context = self._context(category, origin)
        return _read(answered, lambda row: translate.fill_report(row, context))


def _read(answered: Answered, translation: Callable[[Row], T]) -> list[T]:
    """Every row of a reply. One that cannot be read spoils the whole: half a page would look like all of it."""
    if not isinstance(answered.result.get("list"), list):
        raise NotAccepted("UNREADABLE_REPLY", "the reply has no list")
    try:
        return [translation(row) for row in Row(answered.result).rows("list")]
    except InvalidInput as error:
        raise NotAccepted("UNREADABLE_REPLY", error.sentence) from error


def _collect(found: dict[str, OrderReport], reports: Sequence[OrderReport]) -> None:
    """Keep the newest report of each order: rows move between pages while they are read."""
    for report in reports:
        known = found.get(report.venue_order_id)
        if known is None or report.updated_ns >= known.updated_ns:
            found[report.venue_order_id] = report


def _is(ref: OrderRef, report: OrderReport) -> bool:
    if ref.venue_order_id:
        return report.venue_order_id == ref.venue_order_id
    return report.client_order_id == ref.client_order_id


def _of_category(category: str, symbol: str | None) -> dict[str, str]:
    return {"category": category} if symbol is None else {"category": category, "symbol": symbol}


def _rates(limits: RateLimits) -> dict[str, Rate]:
    return {
        ADDRESS: limits.address,
        _QUERY: limits.query,
        Call.CREATE.value: limits.create,
        Call.AMEND.value: limits.amend,
        Call.CANCEL.value: limits.cancel,
    }
