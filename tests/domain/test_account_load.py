"""What the account carries, added up from every symbol's record (requirements R03, R04)."""

from __future__ import annotations

import random

from domain_cases import NOW, SECOND, dec, facts, plan, signal
from hypothesis import given
from hypothesis import strategies as st

from domain.exposure import Hold, SymbolLoad, account_load, day_begins_ns, day_of, week_begins, wish_of
from domain.limits import AccountLoad, Limits

TODAY = day_of(NOW)


def record(symbol: str, **changed: object) -> SymbolLoad:
    return SymbolLoad(symbol=symbol, worker="w1", day=TODAY, **changed)  # type: ignore[arg-type]  # named by each test


def load(*records: SymbolLoad, before: frozenset[str] = frozenset(), **changed: object) -> AccountLoad:
    return account_load("BTCUSDT", records, lambda symbol, _source: symbol in before, NOW, **changed)  # type: ignore[arg-type]


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
        found = account_load(symbol, read.values(), lambda other, _source, at=at: asked_at[other] < at, NOW)
        own = read[symbol].pending[symbol]
        fits = found.exposure + own.exposure <= limit
        log.append(record(symbol, held={symbol: own} if fits else {}))
    newest = {each.symbol: each for each in log}
    granted = sum(hold.exposure for each in newest.values() for hold in each.held.values())
    assert granted <= limit
