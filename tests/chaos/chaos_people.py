"""What people do meanwhile: commands and controls by API, command line and topic, and orders by hand at the venue."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
import uuid
from decimal import ROUND_DOWN, Decimal
from typing import Any

import httpx
import orjson
from chaos_circumstances import SYMBOLS
from chaos_set import ChaosSet
from chaos_wishes import Wishes

from exchanges.paper.instruments import INSTRUMENTS

_VENUE = "paper"
_COMMAND_LINE_S = 30.0


class People:
    """Operators, and the account's owner at the exchange's own screen."""

    def __init__(self, chaos: ChaosSet, wishes: Wishes) -> None:
        self._chaos = chaos
        self._wishes = wishes

    async def command(self, draw: random.Random) -> str:
        """Cancel or compare a symbol or everything."""
        action = draw.choice(["cancel", "cancel", "sync"])
        symbol = draw.choice([*SYMBOLS, "*"])
        way = draw.choice(["api", "topic", "cli"])
        if way == "api":
            return f"{action} {symbol} by api {await self._post('/commands', draw, action=action, symbol=symbol)}"
        if way == "topic" and symbol != "*":
            record = {"command_id": f"chaos-{uuid.uuid4().hex}", "action": action, "symbol": symbol, "reason": "chaos"}
            for _ in range(draw.choice([1, 2])):  # the same command again does nothing
                await self._wishes.publish(self._chaos.local.topics.order_commands, symbol, orjson.dumps(record))
            return f"{action} {symbol} by topic"
        target = ["--all"] if symbol == "*" else ["--symbol", symbol]
        return f"{action} {symbol} by command line {await self._command_line(action, *target, '--reason', 'chaos')}"

    async def one_order(self, draw: random.Random) -> str:
        """Cancel or replace one open order, or ask for it."""
        action = draw.choice(["cancel", "replace", "sync"])
        try:
            reply = await self._chaos.http.get(self._url(draw) + "/orders", params={"status": "pending", "limit": 50})
            orders = reply.json()["items"]
        except (httpx.HTTPError, ValueError, KeyError):
            return "no list of orders"
        if not orders:
            return "no open order"
        order_id = draw.choice(orders)["order_id"]
        return f"{action} {order_id}: {await self._post('/commands', draw, action=action, order_id=order_id)}"

    async def control(self, draw: random.Random) -> str:
        """Halt or reduce-only for seconds, then armed again, whatever it takes."""
        scope = draw.choice([*SYMBOLS[:4], "all", _VENUE])
        state, way = draw.choice(["halted", "reduce_only"]), draw.choice(["api", "api", "topic", "cli"])
        if way == "api":
            body = {"scope": scope, "state": state, "reason": "chaos"}
            if state == "halted" and draw.random() < 0.5:
                body |= {"cancel_open": True}
            said = str(await self._chaos.post("/controls", body, draw.randrange(len(self._chaos.workers))))
        elif way == "topic":
            record = {"scope": scope, "state": state, "reason": "chaos", "set_by": "chaos", "at_ns": time.time_ns()}
            await self._wishes.publish(self._chaos.local.topics.controls, scope, orjson.dumps(record))
            said = "written"
        else:
            word = "halt" if state == "halted" else "reduce-only"
            said = await self._command_line(word, "--scope", scope, "--reason", "chaos")
        await asyncio.sleep(draw.uniform(0.5, 4.0))
        armed = await self._chaos.until_accepted("/controls", {"scope": scope, "state": "armed", "reason": "chaos"})
        return f"{state} {scope} by {way} {said}, then armed: {armed}"

    async def by_hand(self, draw: random.Random) -> str:
        """The owner buys, sells, rests an order or cancels everything of a symbol, at the exchange itself."""
        symbol = draw.choice(SYMBOLS)
        quotes = await self._wishes.quotes(symbol)
        if quotes is None:
            return "no price"
        rules = INSTRUMENTS[symbol]
        quantity = (Decimal(100) / quotes[0]).quantize(rules.lot, ROUND_DOWN) + rules.min_qty
        order: dict[str, object] = {"category": "linear", "symbol": symbol}
        if self._chaos.around.hedges:
            order["positionIdx"] = draw.choice([1, 2])
        chance = draw.random()
        if chance < 0.2:
            wish: dict[str, object] = {"action": "cancel-all", "order": order}
        else:
            order |= {"side": draw.choice(["Buy", "Sell"]), "orderType": "Market", "qty": f"{quantity:f}"}
            if chance < 0.4:
                price = (quotes[0] * Decimal("0.9")).quantize(rules.tick, ROUND_DOWN)
                order |= {"side": "Buy", "orderType": "Limit", "price": f"{price:f}"}
            wish = {"action": "create", "order": order}
        try:
            reply = await self._chaos.http.post(self._chaos.local.paper_url + "/paper/orders", json=wish)
        except httpx.HTTPError:
            return "by hand: exchange away"
        return f"by hand: {wish} {reply.status_code}"

    async def _post(self, path: str, draw: random.Random, **body: Any) -> int:  # Any: JSON
        return await self._chaos.post(path, body | {"reason": "chaos"}, draw.randrange(len(self._chaos.workers)))

    def _url(self, draw: random.Random) -> str:
        return draw.choice(self._chaos.local.worker_urls)

    async def _command_line(self, *arguments: str) -> str:
        code, _ = await ordermanager(self._chaos, *arguments, limit_s=_COMMAND_LINE_S)
        return f"exit {code}"


async def ordermanager(chaos: ChaosSet, *arguments: str, limit_s: float) -> tuple[int | None, str]:
    """Run a command of ours with the set's settings; returns exit code and output, no code if it took too long."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli", *arguments),
        env={**os.environ, **chaos.settings.environment()},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), limit_s)
    except TimeoutError:
        process.kill()
        await process.wait()
        return None, f"no end after {limit_s:g} s"
    return process.returncode, output.decode(errors="replace")
