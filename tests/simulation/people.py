"""Those who send: strategies their signals, operators their commands, traders their orders by hand."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass
from decimal import Decimal

from domain.commands import Action, Command, encode_command
from domain.instruments import LINEAR
from domain.money import ZERO
from domain.orders import OrderType, PositionSide, Side, TimeInForce
from exchanges.venue import NewOrder
from simulation.broker import Broker
from simulation.listing import coin_of, listed, lot_of
from simulation.sides import OPENS
from simulation.surroundings import Surroundings

_NS = 1_000_000_000
_OTHER_KEYS = (b"WRONG", b"", b"btcusdt", None)


@dataclass(slots=True)
class Wish:
    """A signal that was sent, and how."""

    fields: dict[str, object]
    symbol: str


class People:
    """They send until they have sent enough, at moments of their own."""

    def __init__(self, around: Surroundings, chance: random.Random) -> None:
        self._around = around
        self._chance = chance
        self._wishes: list[Wish] = []
        self._commands: list[tuple[str, bytes]] = []
        self.instruments = listed(around.weather)
        self.symbols = list(dict.fromkeys(instrument.symbol for instrument in self.instruments))

    async def send(self) -> None:
        """Everything there is to send, in the time there is."""
        weather, chance = self._around.weather, self._chance
        deeds = (
            [self._signal] * weather.signals
            + [self._command] * weather.commands
            + [self._by_hand] * weather.by_hand
            + [self._transfer] * weather.transfers
        )
        moments = sorted((chance.uniform(0, weather.busy_s), number) for number in range(len(deeds)))
        for moment_s, number in moments:
            await asyncio.sleep(max(0.0, moment_s - self._around.loop.time()))
            deeds[number]()

    # -- signals -------------------------------------------------------------------------------------------------

    def _signal(self) -> None:
        weather, chance, topics = self._around.weather, self._chance, self._around.topics
        if chance.random() < weather.garbage:
            value = chance.choice((b"", b"{", b"[]", b'{"signal_id":"x","symbol":"BTCUSDT","amount":-1}', b"\xff\xfe"))
            self._append(topics.signals, self._symbol().encode(), value)
            return
        if self._wishes and chance.random() < weather.repeats:
            wish = chance.choice(self._wishes)
            fields = dict(wish.fields)
            if chance.random() < 0.7:
                fields["timestamp"] = self._around.clock.now_ns()
            if chance.random() < weather.conflicts:
                fields["amount"] = "77"
            wish = Wish(fields, wish.symbol)
        else:
            wish = self._new_wish()
            self._wishes.append(wish)
        key: bytes | None = wish.symbol.encode()
        partition = None
        if chance.random() < weather.misplaced:
            key = chance.choice((*_OTHER_KEYS, key))
            partition = chance.randrange(weather.partitions)
        self._append(topics.signals, key, json.dumps(wish.fields).encode(), partition)

    def _new_wish(self) -> Wish:
        weather, chance = self._around.weather, self._chance
        instrument, now_ns = chance.choice(self.instruments), self._around.clock.now_ns()
        symbol = instrument.symbol
        fields: dict[str, object] = {
            "signal_id": f"s{len(self._wishes) + 1}",
            "signal_type": chance.choice(("buy", "buy", "sell")),
            "symbol": symbol,
            "amount": str(chance.randint(5, 300)),
            "timestamp": now_ns - chance.randint(0, _NS),
            "strategy_id": "trend",
        }
        kind = chance.choice(("market", "limit", "limit", "limit", "open"))
        if kind == "market":
            fields["order_type"] = "market"
        elif kind == "limit":
            fields["order_type"] = "limit"
            fields["limit_price"] = str(Decimal(chance.randint(960, 1040)) / 10)
            fields["time_in_force"] = chance.choice(("GTC", "GTC", "GTC", "IOC"))
        if chance.random() < 0.1:
            fields["reduce_only"] = True
        if chance.random() < 0.1:
            fields["expires_at"] = now_ns + chance.randint(1, 8) * _NS
        if chance.random() < weather.stale:
            fields["timestamp"] = now_ns - chance.randint(5, 120) * _NS
        if chance.random() < 0.05:
            fields["is_warmup"] = True
        if weather.protected and chance.random() < weather.protected:
            fields |= self._protection(buys=fields["signal_type"] == "buy")
        if len(weather.categories) > 1 and (instrument.category != weather.categories[0] or chance.random() < 0.5):
            fields["category"] = instrument.category
        if weather.flat_prices and "limit_price" in fields:
            fields["limit_price"] = "100"
        if weather.hedge and (side := chance.choice(("long", "long", "short", "short", "", "net"))):
            fields["position_side"] = side
        return Wish(fields, symbol)

    def _protection(self, *, buys: bool) -> dict[str, str]:
        """A take-profit, a stop-loss, or both; few prices, so that signals agree in them."""
        above, below = self._chance.choice(("108", "112")), self._chance.choice(("88", "92"))
        profit, loss = (above, below) if buys else (below, above)
        drawn = self._chance.random()
        if drawn < 0.3:
            return {"take_profit": profit}
        return {"stop_loss": loss} if drawn < 0.6 else {"take_profit": profit, "stop_loss": loss}

    # -- commands ------------------------------------------------------------------------------------------------

    def _command(self) -> None:
        chance, topics = self._chance, self._around.topics
        if self._commands and chance.random() < 0.2:
            symbol, value = chance.choice(self._commands)
        elif chance.random() < 0.05:
            symbol, value = self._symbol(), b"not a command"
        else:
            symbol = self._symbol()
            value = encode_command(
                Command(
                    command_id=f"c{len(self._commands) + 1}",
                    action=chance.choice((Action.CANCEL, Action.CANCEL, Action.SYNC, Action.REPLACE)),
                    symbol=symbol,
                    order_id=self._order_id(symbol) if chance.random() < 0.6 else "",
                    requested_by="operator",
                )
            )
            self._commands.append((symbol, value))
        partition = chance.randrange(self._around.weather.partitions) if chance.random() < 0.03 else None
        self._append(topics.order_commands, symbol.encode(), value, partition)

    def _order_id(self, symbol: str) -> str:
        """An order that somebody could have seen: from the changelog, as any reader of the events would."""
        partition = self._around.broker.partition_of(symbol.encode())
        log = self._around.broker.logs["orders-changelog", partition]
        known = sorted({stored.key[2:].decode() for stored in log if stored.key and stored.key.startswith(b"o/")})
        return self._chance.choice(known) if known else "nobody"

    # -- by hand -------------------------------------------------------------------------------------------------

    def _by_hand(self) -> None:
        chance, books, weather = self._chance, self._around.books, self._around.weather
        instrument = chance.choice(self.instruments)
        drawn, spot = chance.random(), instrument.spot
        resting = [order for order in books.orders.values() if order.live]
        if drawn < 0.2 and not spot:
            books.acts.pay_funding(instrument)
        elif drawn < 0.27 and not spot:
            books.acts.liquidate(instrument)
        elif drawn < 0.4 and resting:
            order = chance.choice(resting)
            books.cancel(order)
        elif drawn < 0.55 and resting:
            order = chance.choice(resting)
            change = Decimal(chance.choice((0, 0, -30, 50))) / 100
            if order.waits:
                books.protections.move(order, (order.trigger_price or Decimal(100)) + Decimal(chance.randint(1, 5)))
            elif order.price is not None and order.new.instrument.category == LINEAR:
                price = order.price + Decimal(chance.randint(-5, 5)) / 10
                if books.now_ns() - order.created_ns > _NS // 5:  # nobody is as quick as that
                    books.amend(order, price, order.quantity + change)
        else:
            limit = chance.random() < 0.7
            books.place_by_hand(
                NewOrder(
                    instrument=instrument,
                    client_order_id=chance.choice(("", f"hand-{len(books.orders)}")),
                    side=chance.choice((Side.BUY, Side.SELL)),
                    order_type=OrderType.LIMIT if limit else OrderType.MARKET,
                    quantity=chance.randint(1, 200) * lot_of(instrument),
                    price=Decimal(100) if limit else None,
                    time_in_force=TimeInForce.GTC if limit else TimeInForce.IOC,
                    position_side=chance.choice(tuple(OPENS)) if weather.hedge else PositionSide.NET,
                )
            )

    def _transfer(self) -> None:
        """Coins come, or some of those go that nothing has a claim on."""
        chance, wallet = self._chance, self._around.books.wallet
        coin = coin_of(chance.choice(self.instruments))
        part = Decimal(chance.randint(1, 10)) / 10
        wallet.move(coin, 3 * part if chance.random() < 0.5 else -max(ZERO, wallet.available(coin)) * part)
        self._around.effects.note(f"people transfer: {wallet.total(coin)} {coin} from now on")

    def _symbol(self) -> str:
        return self._chance.choice(self.symbols)

    def _append(self, topic: str, key: bytes | None, value: bytes, partition: int | None = None) -> None:
        broker: Broker = self._around.broker
        where = broker.partition_of(key or b"") if partition is None else partition
        offset = broker.append((topic, where), key, value)
        self._around.effects.note(f"people append {topic}-{where}-{offset} {value[:160].decode(errors='replace')}")
