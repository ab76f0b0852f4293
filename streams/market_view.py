"""The market as a worker sees it: from the broadcasts where they are fresh, from the venue where they are not."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from domain.instruments import INVERSE, LINEAR, SPOT, Instrument, InstrumentRules, Quote
from domain.money import ZERO
from domain.plans import TradingState
from exchanges.venue import Trading
from streams import boards
from streams.broadcast import Broadcasts, Entry
from streams.ports import Clock
from streams.topics import Topics

_NS = 1_000_000_000
_DOLLARS = frozenset({"USDT", "USDC", "USD"})
_PRICED_BY = ((LINEAR, "USDT"), (SPOT, "USDT"), (INVERSE, "USD"), (LINEAR, "USDC"), (SPOT, "USDC"))
_STRICTNESS = {TradingState.ARMED: 0, TradingState.REDUCE_ONLY: 1, TradingState.HALTED: 2}


@dataclass(frozen=True, slots=True)
class MarketSettings:
    """`silence_s`: without having heard a heartbeat for this long, a kill switch could have been missed."""

    armed_by_default: bool
    max_quote_age_s: float = 5.0
    balance_max_age_s: float = 30.0
    instruments_lifetime_s: float = 3_600.0
    silence_s: float = 3.0


class MarketView:
    """Answers what planning and the last checks ask (see `streams.market.Market`)."""

    def __init__(
        self, *, broadcasts: Broadcasts, topics: Topics, trading: Trading, clock: Clock, settings: MarketSettings
    ) -> None:
        self._broadcasts = broadcasts
        self._topics = topics
        self._trading = trading
        self._clock = clock
        self._settings = settings
        self._asked_rules: dict[Instrument, InstrumentRules] = {}
        self._asked_at_ns: dict[str, int] = {}

    async def rules(self, instrument: Instrument) -> InstrumentRules | None:
        """From the broadcast; asked for at the venue when the gateway has shown none that are fresh."""
        key = boards.market_key(instrument.category, instrument.symbol)
        entry = self._broadcasts.table(self._topics.instruments).get(key)
        lifetime_ns = int(self._settings.instruments_lifetime_s * 1.5 * _NS)
        if entry is not None and (rules := _read_rules(entry)) is not None and self._age_ns(entry) < lifetime_ns:
            return rules
        asked_at_ns = self._asked_at_ns.get(instrument.category, 0)
        if self._clock.now_ns() - asked_at_ns > lifetime_ns:
            listed = await self._trading.instruments(instrument.category)
            others = {each: rules for each, rules in self._asked_rules.items() if each.category != instrument.category}
            self._asked_rules = others | {rules.instrument: rules for rules in listed}
            self._asked_at_ns[instrument.category] = self._clock.now_ns()
        return self._asked_rules.get(instrument)

    async def quote(self, instrument: Instrument) -> Quote | None:
        """From the broadcast; asked for at the venue when that is older than the limit."""
        entry = self._broadcasts.table(self._topics.marks).get(
            boards.market_key(instrument.category, instrument.symbol)
        )
        if entry is not None:
            with contextlib.suppress(msgspec.DecodeError):  # somebody else's record: the venue knows better
                quote = boards.decode_quote(entry.value)
                if self._age_ns(entry, quote.at_ns) < self._settings.max_quote_age_s * _NS:
                    return quote
        return await self._trading.quote(instrument)

    def available(self, account: str, currency: str) -> tuple[Decimal, int] | None:
        """The gateway shows balances when they change and at least every few seconds; an old one counts as unknown, as
        does one of which the venue doesn't tell what is available."""
        entry = self._broadcasts.table(self._topics.balances).get(boards.balance_key(account, currency))
        if entry is None:
            return None
        try:
            balance = boards.decode_balance(entry.value)
        except msgspec.DecodeError:
            return None
        if not balance.available_known:
            return None
        if self._age_ns(entry, balance.at_ns) > self._settings.balance_max_age_s * _NS:
            return None
        return balance.available, min(balance.at_ns, self._clock.now_ns())  # it shows nothing that is still to come

    def knows_a_balance(self, account: str) -> bool:
        """Whether it was heard lately what is available of the account, in whatever currency."""
        prefix = f"{account}/"
        found = (key.decode(errors="replace") for key in self._broadcasts.table(self._topics.balances))
        named = [key.removeprefix(prefix) for key in found if key.startswith(prefix)]
        return any(self.available(account, currency) is not None for currency in named)

    def worth(self, account: str) -> Decimal | None:
        """What the account's balances are worth in dollars by the venue's newest figures; a coin whose price nobody
        knows counts as nothing. None while no balance is known that counts.

        Whatever their age: the gateway tells of nothing where a coin has left the account, so what stands was there
        when the venue last answered. While it doesn't, that worth goes on counting. An unknown one would open the gate
        that a drawdown has shut, and a part of it, where some coins are heard of and others not, would halt for a loss
        that nobody made. Nothing is added meanwhile: balances of that age buy nothing (`available`).
        """
        prefix, found = f"{account}/", []
        for key, entry in self._broadcasts.table(self._topics.balances).items():
            name = key.decode(errors="replace")
            if not name.startswith(prefix) or (price := self.dollars(name.removeprefix(prefix))) is None:
                continue
            with contextlib.suppress(msgspec.DecodeError):
                found.append(boards.decode_balance(entry.value).total * price)
        return sum(found, ZERO) if found else None

    def dollars(self, currency: str) -> Decimal | None:
        """The newest price of a currency in dollars, by its contract or its pair; None where neither is shown."""
        if currency in _DOLLARS:
            return Decimal(1)
        for category, quote in _PRICED_BY:
            key = boards.market_key(category, currency + quote)
            entry = self._broadcasts.table(self._topics.marks).get(key)
            with contextlib.suppress(msgspec.DecodeError):
                told = None if entry is None else boards.decode_quote(entry.value)
                if told is not None and (price := told.mark or told.last):
                    return price
        return None

    def trading(self, instrument: Instrument) -> tuple[TradingState, str]:
        """The strictest control that applies. What cannot be read, or heard, stops exposure from growing."""
        found: list[tuple[TradingState, str]] = []
        if self._broadcasts.silent_s(self._topics.heartbeats) > self._settings.silence_s:
            found.append((TradingState.REDUCE_ONLY, f"no heartbeat was heard for {self._settings.silence_s:g} s"))
        if self._broadcasts.unanswered_s(self._topics.controls) > self._settings.silence_s:
            found.append((TradingState.REDUCE_ONLY, f"controls could not be read for {self._settings.silence_s:g} s"))
        controls = self._broadcasts.table(self._topics.controls)
        scopes = (boards.EVERYWHERE, instrument.venue, instrument.symbol)
        known = [_read_control(entry) for scope in scopes if (entry := controls.get(scope.encode())) is not None]
        if not known and not self._settings.armed_by_default:
            found.append((TradingState.HALTED, "a live account trades only after it was armed"))
        found += known
        return max(found, key=lambda control: _STRICTNESS[control[0]], default=(TradingState.ARMED, ""))

    def controls(self) -> list[boards.Control]:
        """Every control that can be read."""
        found = []
        for entry in self._broadcasts.table(self._topics.controls).values():
            with contextlib.suppress(msgspec.DecodeError):
                found.append(boards.decode_control(entry.value))
        return found

    def mark(self, instrument: Instrument) -> Quote | None:
        """The instrument's newest quote, whatever its age."""
        key = boards.market_key(instrument.category, instrument.symbol)
        entry = self._broadcasts.table(self._topics.marks).get(key)
        if entry is None:
            return None
        try:
            return boards.decode_quote(entry.value)
        except msgspec.DecodeError:
            return None

    def heartbeats(self, younger_than_s: float) -> list[boards.Heartbeat]:
        """The processes that were heard of lately."""
        found = []
        for entry in self._broadcasts.table(self._topics.heartbeats).values():
            if self._age_ns(entry) < younger_than_s * _NS:
                with contextlib.suppress(msgspec.DecodeError):
                    found.append(boards.decode_heartbeat(entry.value))
        return found

    def _age_ns(self, entry: Entry, said_ns: int | None = None) -> int:
        """How old a record is or, if that is more, what it says: a gateway may have waited long for the venue's
        answer, which it dates `said_ns`. Of another machine's clock that is ahead: 0."""
        at_ns = entry.at_ns if said_ns is None else min(entry.at_ns, said_ns)
        return max(0, self._clock.now_ns() - at_ns)


def _read_rules(entry: Entry) -> InstrumentRules | None:
    try:
        return boards.decode_rules(entry.value)
    except msgspec.DecodeError:
        return None


def _read_control(entry: Entry) -> tuple[TradingState, str]:
    try:
        control = boards.decode_control(entry.value)
    except msgspec.DecodeError:
        return TradingState.HALTED, "a control record cannot be read"
    return control.state, control.reason
