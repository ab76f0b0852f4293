"""What each symbol adds to the account's load, and how these records are added up (requirements R03, R04).

The owner of a symbol publishes one record for it on the one-partition topic `order-exposure`: what stands (position and
open orders), what is held (granted to a signal whose orders are not written yet) and what is pending (asked for, not
decided). Everyone adds up the newest records alike. A signal's wish is decided by its owner, on the load as it was at
the wish's own offset: every wish that stands before it counts, decided or not; one behind it does not, since its owner
counts this one. So of two that race for the last of a limit, the log's order decides, and both see the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

import msgspec

from domain.instruments import LINEAR, Instrument
from domain.limits import AccountLoad
from domain.money import ZERO, divide
from domain.plans import Decision, Plan

_NS = 1_000_000_000
_DAY_NS = 86_400 * _NS
_MINUTE_NS = 60 * _NS
_MONDAY = 3
"""The epoch's first day was a Thursday: day 4 the first Monday."""


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """What a signal's orders will add: exposure (their opening part), orders, and notional for the rate; and what they
    may take from the balance of a currency."""

    exposure: Decimal = ZERO
    orders: int = 0
    notional: Decimal = ZERO
    at_ns: int = 0
    currency: str = ""
    balance: Decimal = ZERO

    def covers(self, wish: Hold) -> bool:
        """Whether what was asked for is enough for `wish`."""
        fits = wish.exposure <= self.exposure and wish.orders <= self.orders and wish.balance <= self.balance
        return fits and (not wish.balance or wish.currency == self.currency)


class Taking(msgspec.Struct, frozen=True, kw_only=True):
    """What one order may take from a balance that does not show it yet (requirement R02). `source`: its signal's
    record. A balance that was read after `shown_after_ns` shows it; None: nobody knows yet from when on."""

    source: str
    currency: str
    amount: Decimal
    shown_after_ns: int | None = None

    def counts(self, currency: str, balance_at_ns: int) -> bool:
        """Whether a balance of that time does not show it."""
        shown = self.shown_after_ns is not None and self.shown_after_ns < balance_at_ns
        return self.currency == currency and not shown


class SymbolLoad(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument's record. `worker` wrote it; `day` counts days UTC since 1970: which day's `…_today` it is.
    `profit` is everything ever won, realised and unrealised, less fees, in quote currency."""

    symbol: str
    category: str = LINEAR
    worker: str
    exposure: Decimal = ZERO
    orders: int = 0
    notional_open: Decimal = ZERO
    """What open orders may still trade, closing ones included."""
    pending: dict[str, Hold] = msgspec.field(default_factory=dict)
    held: dict[str, Hold] = msgspec.field(default_factory=dict)
    sent: tuple[Hold, ...] = ()
    """Granted within the last minute."""
    taking: dict[str, Taking] = msgspec.field(default_factory=dict)
    """By order: what the balance does not show yet."""
    day: int = 0
    day_mark: Decimal | None = None
    """Price at which the position was valued when the day began, or was first looked at."""
    traded_today: Decimal = ZERO
    traded_this_week: Decimal = ZERO
    profit: Decimal = ZERO
    profit_today: Decimal = ZERO
    at_ns: int = 0

    @property
    def name(self) -> str:
        """Its record's key."""
        return f"{self.category}/{self.symbol}"


def load_name(instrument: Instrument) -> str:
    """Key of an instrument's record: a symbol may be a contract's and a pair's."""
    return f"{instrument.category}/{instrument.symbol}"


class AccountPeak(msgspec.Struct, frozen=True, kw_only=True):
    """The highest profit that the account ever had, and which limits have halted it already: each once."""

    peak: Decimal
    halted: tuple[str, ...] = ()


def day_of(at_ns: int) -> int:
    """Days UTC since 1970."""
    return at_ns // _DAY_NS


def day_begins_ns(day: int) -> int:
    """Midnight UTC at which a day begins."""
    return day * _DAY_NS


def week_begins(day: int) -> int:
    """The Monday of a day's week."""
    return day - (day + _MONDAY) % 7


def not_less(fresh: SymbolLoad, told: SymbolLoad) -> SymbolLoad:
    """`fresh`, worked out from tables that may lack a part of what they had when `told` was: two tables lose different
    ends with a crash, so a fill may have left its order and not be in the position. What counts against limits stays at
    least as it was told."""
    today = told.traded_today if told.day == fresh.day else ZERO
    this_week = told.traded_this_week if week_begins(told.day) == week_begins(fresh.day) else ZERO
    return msgspec.structs.replace(
        fresh,
        exposure=max(fresh.exposure, told.exposure),
        orders=max(fresh.orders, told.orders),
        notional_open=max(fresh.notional_open, told.notional_open),
        traded_today=max(fresh.traded_today, today),
        traded_this_week=max(fresh.traded_this_week, this_week),
    )


def released(record: SymbolLoad, source: str, left: Hold | None, *, is_behind: bool) -> SymbolLoad:
    """The record without what was asked for a signal, or held, but for what is `left` of it: the rest of its orders is
    written, or will not be. `is_behind`: the figures may not count what is written; then the rest stands from here on,
    until they do."""
    hold, still = record.held.get(source), left or Hold()
    if is_behind and hold is not None:
        record = msgspec.structs.replace(
            record,
            exposure=record.exposure + max(ZERO, hold.exposure - still.exposure),
            orders=record.orders + max(0, hold.orders - still.orders),
            notional_open=record.notional_open + max(ZERO, hold.notional - still.notional),
        )
    held = without(record.held, source) | ({} if left is None else {source: left})
    return msgspec.structs.replace(record, pending=without(record.pending, source), held=held)


def without(holds: dict[str, Hold], source: str) -> dict[str, Hold]:
    """The holds of the other signals."""
    return {name: hold for name, hold in holds.items() if name != source}


def recent(sent: Iterable[Hold], now_ns: int) -> tuple[Hold, ...]:
    """Those of the last minute."""
    return tuple(hold for hold in sent if now_ns - hold.at_ns < _MINUTE_NS)


def account_load(
    name: str,
    records: Iterable[SymbolLoad],
    stands_before: Callable[[str, str], bool],
    now_ns: int,
    *,
    peak: Decimal = ZERO,
    worth: Decimal | None = None,
) -> AccountLoad:
    """The account's load as the owner of the instrument of that name plans on it.

    `stands_before(name, source)` says whether a pending wish stands before ours. `peak` is the highest profit so far
    and `worth` what the account is worth now (None: unknown, and no drawdown is concluded).
    """
    today = day_of(now_ns)
    exposure = notional = notional_open = traded_today = traded_this_week = profit = profit_today = ZERO
    orders = orders_last_minute = 0
    for record in records:
        holds = list(record.held.values())
        holds += [hold for source, hold in record.pending.items() if stands_before(record.name, source)]
        if record.name != name:
            exposure += record.exposure + sum((hold.exposure for hold in holds), ZERO)
            orders += record.orders + sum(hold.orders for hold in holds)
            notional_open += record.notional_open + sum((hold.notional for hold in holds), ZERO)
        asked = [hold for source, hold in record.pending.items() if stands_before(record.name, source)]
        rated = (*recent(record.sent, now_ns), *asked)
        orders_last_minute += sum(hold.orders for hold in rated)
        notional += sum((hold.notional for hold in rated), ZERO)
        if record.day == today:
            traded_today += record.traded_today
            profit_today += record.profit_today
        if record.day >= week_begins(today):
            traded_this_week += record.traded_this_week
        profit += record.profit
    lost = max(ZERO, peak - profit)
    return AccountLoad(
        exposure=exposure,
        open_orders=orders,
        orders_last_minute=orders_last_minute,
        notional_last_minute=notional,
        notional_open=notional_open,
        traded_today=traded_today,
        traded_this_week=traded_this_week,
        loss_today=max(ZERO, -profit_today),
        drawdown=_drawdown(lost, worth),
    )


def _drawdown(lost: Decimal, worth: Decimal | None) -> Decimal:
    """What was lost, as a part of what the account would be worth with it. Who owes more than that, and has lost, has
    lost everything: a part of less than nothing would be within every limit."""
    if worth is None or not lost:
        return ZERO
    highest = worth + lost
    return divide(lost, highest) if highest > 0 else Decimal(1)


def reserved_by(
    records: Iterable[SymbolLoad], stands_before: Callable[[str, str], bool], currency: str, balance_at_ns: int
) -> Decimal:
    """What the orders of these records may take from a balance of that time. Those of a wish that is not decided count
    where it stands before ours; its own record lists what its orders would take, too."""
    total = ZERO
    for record in records:
        pending = record.pending
        for source, hold in pending.items():
            if hold.currency == currency and stands_before(record.name, source):
                total += hold.balance
        for taking in record.taking.values():
            if taking.source not in pending and taking.counts(currency, balance_at_ns):
                total += taking.amount
    return total


def wish_of(plan: Plan, at_ns: int, *, since_part: int = 0, balance_shared: bool = False) -> Hold | None:
    """What a plan adds to the account, from one part on; None where no limit of the account asks, or it adds nothing.

    An order that may open counts whole: how much of it only closes is known for certain when it has traded.
    `balance_shared`: others plan on the same balance, so what the plan takes from it has to be asked for, too.
    """
    if plan.decision is not Decision.EXECUTE or plan.reference_price is None:
        return None
    taken = ZERO
    if balance_shared:
        taken = sum((amend.need for amend in plan.amends), ZERO)
        taken += sum((intent.need for intent in plan.intents if intent.part >= since_part), ZERO)
    if not taken and not plan.facts.limits.of_the_account:
        return None
    price = Decimal(1) if plan.instrument.inverse else plan.reference_price
    sizes = [amend.added for amend in plan.amends]
    sizes += [intent.quantity for intent in plan.intents if not intent.reduce_only and intent.part >= since_part]
    if _sells_what_is_held(plan):
        sizes = []
    if not sizes and not taken:
        return None
    value = sum(sizes, ZERO) * price
    currency = plan.facts.currency if taken else ""
    return Hold(exposure=value, orders=len(sizes), notional=value, at_ns=at_ns, currency=currency, balance=taken)


def _sells_what_is_held(plan: Plan) -> bool:
    """A spot sale opens nothing, although spot knows no reduce-only orders."""
    rules = plan.facts.rules
    return plan.instrument.spot and rules is not None and plan.facts.currency == rules.base_currency
