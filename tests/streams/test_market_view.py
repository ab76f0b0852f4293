"""What the broadcasts show of the account, and of prices: what it is worth, what is free, how old it is (R02, R03)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import msgspec
import pytest
from quiet_venue import NOW, CalmMarket, QuietVenue
from trading_desk import ACCOUNT, BTC, TOPICS, MovedClock

from domain.instruments import Instrument, InstrumentRules, Quote
from domain.plans import TradingState
from exchanges.venue import Balance
from streams import boards
from streams.broadcast import Broadcasts, Entry
from streams.market_view import MarketSettings, MarketView
from streams.reservations import Reservations


def view(balances: dict[str, str], marks: dict[tuple[str, str], str]) -> MarketView:
    """What a worker sees when these balances, and marks by category and symbol, were told."""
    told = Broadcasts("nowhere:1", (TOPICS.balances, TOPICS.marks, TOPICS.instruments, TOPICS.controls))
    for currency, total in balances.items():
        balance = Balance(account=ACCOUNT, currency=currency, total=Decimal(total), available=Decimal(total), at_ns=NOW)
        key = boards.balance_key(ACCOUNT, currency)
        told.table(TOPICS.balances)[key] = Entry(boards.encode(balance), NOW, 0)
    for (category, symbol), price in marks.items():
        figure = Decimal(price)
        quote = Quote(bid=figure, ask=figure, last=figure, mark=figure, at_ns=NOW)
        told.table(TOPICS.marks)[boards.market_key(category, symbol)] = Entry(boards.encode(quote), NOW, 0)
    return MarketView(
        broadcasts=told,
        topics=TOPICS,
        trading=QuietVenue(),  # type: ignore[arg-type]  # it is not asked
        clock=MovedClock(),
        settings=MarketSettings(armed_by_default=True),
    )


MARKS = {("linear", "BTCUSDT"): "60000", ("spot", "SOLUSDT"): "150", ("inverse", "XRPUSD"): "0.5"}


@pytest.mark.parametrize(
    ("balances", "worth"),
    [
        ({"USDT": "1000.5"}, "1000.5"),
        ({"USDT": "1000", "USDC": "10"}, "1010"),
        ({"BTC": "0.25"}, "15000"),
        ({"USDT": "-500", "SOL": "10", "XRP": "100"}, "1050"),
        ({"USDT": "1000", "ODD": "7"}, "1000"),
    ],
    ids=["dollars", "two kinds of dollars", "a coin by its contract", "by pair and inverse contract", "no price"],
)
def test_r03_an_account_is_worth_its_dollars_and_its_coins_at_their_prices(
    balances: dict[str, str], worth: str
) -> None:
    assert view(balances, MARKS).worth(ACCOUNT) == Decimal(worth)


@pytest.mark.parametrize("balances", [{}, {"ODD": "7"}])
def test_r03_without_a_balance_that_can_be_priced_the_worth_is_unknown(balances: dict[str, str]) -> None:
    assert view(balances, MARKS).worth(ACCOUNT) is None


def test_r03_what_has_left_the_account_is_worth_nothing_once_the_gateway_tells_of_nothing() -> None:
    market = view({"USDT": "1000", "BTC": "0.25"}, MARKS)
    gone = Balance(account=ACCOUNT, currency="BTC", total=Decimal(0), available=Decimal(0), at_ns=NOW)
    key = boards.balance_key(ACCOUNT, "BTC")

    before = market.worth(ACCOUNT)
    market._broadcasts.table(TOPICS.balances)[key] = Entry(boards.encode(gone), NOW, 1)

    assert (before, market.worth(ACCOUNT)) == (16_000, 1_000)


def test_r03_while_nobody_tells_of_balances_the_last_worth_counts_and_nothing_is_free() -> None:
    market = view({"USDT": "1000", "BTC": "0.25"}, MARKS)
    market._clock.ns += 7 * 86_400 * S  # type: ignore[attr-defined]  # the one that a test moves

    assert (market.worth(ACCOUNT), market.available(ACCOUNT, "USDT")) == (16_000, None)


def test_r03_of_the_balances_on_their_topic_those_that_cannot_be_read_are_left_out() -> None:
    balance = Balance(account=ACCOUNT, currency="BTC", total=Decimal(2), available=Decimal(1), at_ns=NOW)

    assert boards.readable_balances([b"?", boards.encode(balance), b"{}"]) == [balance]


def test_r03_a_record_that_cannot_be_read_prices_nothing() -> None:
    market = view({"BTC": "1"}, {})
    market._broadcasts.table(TOPICS.marks)[boards.market_key("linear", "BTCUSDT")] = Entry(b"?", NOW, 0)

    assert market.dollars("BTC") is None


def test_r05_controls_that_can_not_be_read_stop_exposure_though_heartbeats_are_heard() -> None:
    market = view({}, {})
    told = market._broadcasts
    told.silent_s = lambda _topic: 0.0  # type: ignore[method-assign]
    told.unanswered_s = lambda topic: 3.5 if topic == TOPICS.controls else 0.0  # type: ignore[method-assign]

    assert market.trading(BTC) == (TradingState.REDUCE_ONLY, "controls could not be read for 3 s")


S = 1_000_000_000


class Room:
    """A worker's view while several gateways tell, at times in seconds from now."""

    def __init__(self) -> None:
        self.view, self.clock = view({}, {}), MovedClock()
        self.view._clock = self.clock  # the one that a test moves
        self.told = self.view._broadcasts
        self.told.overtaken = boards.too_late(TOPICS, self.clock.now_ns)
        self.asked = Quote(bid=Decimal(1), ask=Decimal(1), last=Decimal(1), mark=Decimal(1), at_ns=NOW)
        self.view._trading.quote = self._ask  # type: ignore[method-assign]

    async def _ask(self, _instrument: object) -> Quote:
        return self.asked

    def tell(self, topic: str, key: bytes, value: bytes) -> None:
        """A record is read that was produced now."""
        self.told._take(topic, Produced(key, value, self.clock.ns // 1_000_000))

    def balance(self, available: str, *, asked_s: float) -> None:
        free, at_ns = Decimal(available), NOW + int(asked_s * S)
        told = Balance(account=ACCOUNT, currency="USDT", total=Decimal(1_000), available=free, at_ns=at_ns)
        self.tell(TOPICS.balances, boards.balance_key(ACCOUNT, "USDT"), boards.encode(told))

    def free(self) -> str | None:
        found = self.view.available(ACCOUNT, "USDT")
        return None if found is None else str(found[0])


@dataclass(frozen=True)
class Produced:
    """A record as the consumer has it."""

    key: bytes
    value: bytes
    timestamp: int
    offset: int = 0


def test_r02_a_gateways_slow_reply_does_not_replace_the_newer_balance_of_another() -> None:
    room = Room()
    room.clock.ns += 6 * S
    room.balance("100", asked_s=5.0)

    room.balance("1000", asked_s=1.0)
    slow = room.free()
    room.balance("90", asked_s=5.5)

    assert (slow, room.free()) == ("100", "90")


def test_r06_what_the_venue_does_not_tell_is_unknown_however_young_and_counts_in_the_worth() -> None:
    room = Room()
    untold = Balance(
        account=ACCOUNT, currency="USDT", total=Decimal(700), available=Decimal(0), at_ns=NOW, available_known=False
    )
    room.tell(TOPICS.balances, boards.balance_key(ACCOUNT, "USDT"), boards.encode(untold))

    assert (room.free(), room.view.knows_a_balance(ACCOUNT), room.view.worth(ACCOUNT)) == (None, False, 700)


def test_r06_a_balance_of_a_gateway_that_tells_less_is_read_as_before() -> None:
    room = Room()
    balance = Balance(account=ACCOUNT, currency="USDT", total=Decimal(1), available=Decimal(1), at_ns=NOW)
    told = msgspec.to_builtins(balance)
    del told["available_known"]
    room.tell(TOPICS.balances, boards.balance_key(ACCOUNT, "USDT"), msgspec.json.encode(told))

    assert room.free() == "1"


def test_r02_what_is_reserved_is_not_given_back_by_an_older_balance() -> None:
    room, reservations = Room(), Reservations()

    def left() -> Decimal:
        free, at_ns = room.view.available(ACCOUNT, "USDT") or (Decimal(0), 0)
        return free - reservations.total("USDT", at_ns)

    room.balance("1000", asked_s=0.0)
    reservations.hold(BTC, "USDT", "om1", Decimal(900), "signals-0-1")
    held = left()
    room.clock.ns += 3 * S
    reservations.shown_after("om1", NOW + 2 * S)
    room.balance("100", asked_s=3.0)
    shown = left()
    room.balance("1000", asked_s=1.0)

    assert (held, shown, left()) == (100, 100, 100)


def test_r02_a_balance_of_a_clock_that_was_ahead_keeps_no_later_one_away_and_shows_nothing_to_come() -> None:
    room = Room()
    room.balance("1000", asked_s=3_600.0)
    found = room.view.available(ACCOUNT, "USDT")
    room.balance("100", asked_s=0.0)

    assert found == (Decimal(1_000), NOW)
    assert room.free() == "100"


def test_r02_a_balance_that_a_gateway_waited_long_for_is_as_old_as_the_question() -> None:
    room = Room()
    room.clock.ns += 31 * S

    room.balance("100", asked_s=0.0)

    assert room.free() is None


@pytest.mark.parametrize(
    ("asked_s", "shown_s", "seen"),
    [(0.0, 0.0, "venue"), (8.0, 8.0, "told"), (0.0, 9.0, "venue"), (9.0, 3.0, "venue"), (10.4, 10.4, "told")],
    ids=["both old", "both young", "asked long ago", "told long ago", "a clock that is ahead"],
)
async def test_r01_a_price_is_as_old_as_the_question_for_it(asked_s: float, shown_s: float, seen: str) -> None:
    room = Room()
    figure = Decimal(100)
    quote = Quote(bid=figure, ask=figure, last=figure, mark=figure, at_ns=NOW + int(asked_s * S))
    room.clock.ns = NOW + int(shown_s * S)
    room.tell(TOPICS.marks, boards.market_key("linear", "BTCUSDT"), boards.encode(quote))
    room.clock.ns = NOW + 10 * S

    found = await room.view.quote(BTC)

    assert found == (quote if seen == "told" else room.asked)


async def test_d05_rules_that_were_asked_for_stay_when_those_of_another_category_are() -> None:
    room, pair = Room(), Instrument("paper", "spot", "ETHUSDT")
    asked: list[str] = []

    async def listed(category: str) -> list[InstrumentRules]:
        asked.append(category)
        return [await CalmMarket().rules({"linear": BTC, "spot": pair}[category])]

    room.view._trading.instruments = listed  # type: ignore[method-assign]

    found = [await room.view.rules(each) for each in (BTC, pair, BTC)]

    assert [rules and rules.instrument for rules in found] == [BTC, pair, BTC]
    assert asked == ["linear", "spot"]
