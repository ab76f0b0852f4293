"""What the account carries, added up from every symbol's record (requirements R02, R03, R04)."""

from __future__ import annotations

import random

import pytest
from domain_cases import NOW, SECOND, dec, facts, plan, settings, signal
from hypothesis import given
from hypothesis import strategies as st

from domain.exposure import (
    Hold,
    SymbolLoad,
    Taking,
    account_load,
    day_begins_ns,
    day_of,
    reserved_by,
    week_begins,
    wish_of,
)
from domain.limits import AccountLoad, Limits

TODAY = day_of(NOW)


def record(symbol: str, **changed: object) -> SymbolLoad:
    return SymbolLoad(symbol=symbol, worker="w1", day=TODAY, **changed)  # type: ignore[arg-type]  # named by each test


def load(*records: SymbolLoad, before: frozenset[str] = frozenset(), **changed: object) -> AccountLoad:
    return account_load(
        "linear/BTCUSDT", records, lambda name, _source: name.partition("/")[2] in before, NOW, **changed
    )  # type: ignore[arg-type]


def test_r04_other_symbols_count_with_what_stands_what_is_held_and_what_was_asked_before():
    hold = Hold(exposure=dec(100), orders=1)
    records = [
        record("ETHUSDT", exposure=dec(10), orders=2, held={"s1": hold}, pending={"s2": hold}),
        record("XRPUSDT", pending={"s3": hold}),
        record("BTCUSDT", exposure=dec(7), held={"s4": hold}),
    ]

    found = load(*records, before=frozenset({"ETHUSDT"}))

    assert (found.exposure, found.open_orders) == (dec(210), 4)


def test_r03_the_rate_counts_every_symbol_for_a_minute():
    sent = tuple(Hold(orders=1, notional=dec(5), at_ns=NOW - age * SECOND) for age in (59, 60))

    found = load(record("BTCUSDT", sent=sent), record("ETHUSDT", sent=sent))

    assert (found.orders_last_minute, found.notional_last_minute) == (2, dec(10))


def test_r03_yesterdays_figures_are_not_todays():
    old = SymbolLoad(
        symbol="ETHUSDT", worker="w1", day=TODAY - 1, traded_today=dec(5), traded_this_week=dec(9), profit_today=dec(-3)
    )

    found = load(old, record("XRPUSDT", traded_today=dec(1), traded_this_week=dec(2), profit_today=dec(-1)))

    assert (found.traded_today, found.loss_today) == (dec(1), dec(1))
    assert found.traded_this_week == (dec(11) if week_begins(TODAY) < TODAY else dec(2))


def test_r03_a_drawdown_is_what_is_missing_from_the_highest_worth():
    assert load(record("ETHUSDT", profit=dec(-50)), peak=dec(50), worth=dec(900)).drawdown == dec("0.1")
    assert load(record("ETHUSDT", profit=dec(60)), peak=dec(50), worth=dec(900)).drawdown == 0
    assert load(record("ETHUSDT", profit=dec(-50)), peak=dec(50)).drawdown == 0, "a worth that nobody knows"


@pytest.mark.parametrize(("worth", "drawdown"), [("0", "1"), ("-100", "1"), ("-300", "1"), ("-50", "2")])
def test_r03_an_account_that_owes_more_than_it_lost_has_lost_everything(worth, drawdown):
    assert load(record("ETHUSDT", profit=dec(-50)), peak=dec(50), worth=dec(worth)).drawdown == dec(drawdown)
    assert load(record("ETHUSDT", profit=dec(50)), peak=dec(50), worth=dec(worth)).drawdown == 0, "nothing was lost"


def test_r03_a_week_begins_on_monday():
    monday = week_begins(TODAY)

    assert (monday - 4) % 7 == 0  # the fifth day of 1970 was one
    assert 0 <= TODAY - monday < 7
    assert day_of(day_begins_ns(monday)) == monday


def test_r04_only_what_opens_under_a_limit_of_the_account_asks_for_leave():
    limited = facts(limits=Limits(max_exposure=dec(10_000)), load=AccountLoad())

    wish = wish_of(plan(known=limited), NOW)

    assert wish == Hold(exposure=dec(1000), orders=1, notional=dec(1000), at_ns=NOW)
    assert wish_of(plan(), NOW) is None
    held = facts(limits=Limits(max_exposure=dec(10_000)), load=AccountLoad(), position_size=dec(1))
    assert wish_of(plan(signal(signal_type="sell"), held), NOW) is None


@given(st.integers(0, 2**32), st.lists(st.integers(1, 60), min_size=2, max_size=8))
def test_r04_whoever_asks_and_in_whatever_order_things_are_read_the_limit_is_never_exceeded(seed, sizes):
    """Every symbol asks once; each owner decides some time after it has read its own wish, on what is in the log up
    to there or further on, which is all that differs between workers."""
    limit, chance = 100, random.Random(seed)  # noqa: S311 -- a test's dice
    log: list[SymbolLoad] = []
    asked_at: dict[str, int] = {}
    waiting = {f"S{number}": size for number, size in enumerate(sizes)}
    undecided: list[str] = []
    while waiting or undecided:
        if waiting and (not undecided or chance.random() < 0.5):
            symbol = chance.choice(sorted(waiting))
            asked_at[symbol] = len(log)
            size = waiting.pop(symbol)
            log.append(record(symbol, pending={symbol: Hold(exposure=dec(size), orders=1)}))
            undecided.append(symbol)
            continue
        symbol = undecided.pop(chance.randrange(len(undecided)))
        at = asked_at[symbol]
        read = {each.symbol: each for each in log[: chance.randint(at + 1, len(log))]}
        found = account_load(f"linear/{symbol}", read.values(), lambda _, source, at=at: asked_at[source] < at, NOW)
        own = read[symbol].pending[symbol]
        fits = found.exposure + own.exposure <= limit
        log.append(record(symbol, held={symbol: own} if fits else {}))
    newest = {each.symbol: each for each in log}
    granted = sum(hold.exposure for each in newest.values() for hold in each.held.values())
    assert granted <= limit


# -- the balance that workers share ----------------------------------------------------------------------------------


def taking(amount: str, source: str = "s1", *, shown_after_ns: int | None = None, currency: str = "USDT") -> Taking:
    return Taking(source=source, currency=currency, amount=dec(amount), shown_after_ns=shown_after_ns)


def test_r02_what_a_balance_does_not_show_yet_counts_once_and_in_its_own_currency():
    granted = record("ETHUSDT", taking={"o1": taking("100"), "o2": taking("7", currency="BTC")})
    shown = record("XRPUSDT", taking={"o3": taking("10", shown_after_ns=NOW - 1)})
    not_yet = record("ADAUSDT", taking={"o4": taking("5", shown_after_ns=NOW)})

    found = reserved_by([granted, shown, not_yet], lambda _name, _source: True, "USDT", NOW)

    assert found == dec(105)


def test_r02_a_wish_that_is_not_decided_counts_only_where_it_stands_before():
    """Its orders are reserved in its worker already; they count with the wish, not beside it."""
    asks = Hold(currency="USDT", balance=dec(100))
    waiting = record("ETHUSDT", pending={"s1": asks}, taking={"o1": taking("100", "s1"), "o2": taking("3", "s0")})

    before = reserved_by([waiting], lambda _name, _source: True, "USDT", NOW)
    behind = reserved_by([waiting], lambda _name, _source: False, "USDT", NOW)

    assert (before, behind) == (dec(103), dec(3))


@given(st.integers(0, 2**32), st.lists(st.integers(1, 60), min_size=2, max_size=8))
def test_r02_whoever_asks_and_in_whatever_order_things_are_read_the_balance_is_never_exceeded(seed, sizes):
    """As for a limit: each worker decides on what is in the log up to its own wish, or further on."""
    available, chance = 100, random.Random(seed)  # noqa: S311 -- a test's dice
    log: list[SymbolLoad] = []
    asked_at: dict[str, int] = {}
    waiting = {f"S{number}": size for number, size in enumerate(sizes)}
    undecided: list[str] = []
    while waiting or undecided:
        if waiting and (not undecided or chance.random() < 0.5):
            symbol = chance.choice(sorted(waiting))
            asked_at[symbol] = len(log)
            size = str(waiting.pop(symbol))
            wish = Hold(currency="USDT", balance=dec(size))
            log.append(record(symbol, pending={symbol: wish}, taking={symbol: taking(size, symbol)}))
            undecided.append(symbol)
            continue
        symbol = undecided.pop(chance.randrange(len(undecided)))
        at = asked_at[symbol]
        read = {each.symbol: each for each in log[: chance.randint(at + 1, len(log))]}
        own = read.pop(symbol).pending[symbol]
        others = reserved_by(read.values(), lambda _, source, at=at: asked_at[source] < at, "USDT", NOW)
        fits = others + own.balance <= available
        log.append(record(symbol, taking={symbol: taking(str(own.balance), symbol)} if fits else {}))
    newest = {each.symbol: each for each in log}
    assert reserved_by(newest.values(), lambda _name, _source: True, "USDT", NOW) <= available


def test_r02_leave_is_asked_for_what_is_taken_from_a_shared_balance_and_for_nothing_else():
    made = plan(signal(), facts())

    wish = wish_of(made, NOW, balance_shared=True)

    assert wish is not None
    assert (wish.currency, wish.balance) == ("USDT", made.intents[0].need)
    assert wish_of(made, NOW) is None, "who plans alone needs no leave for the balance"
    unpaid = plan(signal(), facts(available=None), settings(enable_balance_check=False))
    assert wish_of(unpaid, NOW, balance_shared=True) is None
