"""What is done to the parts and the wires between them."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Awaitable, Callable

from chaos_people import People
from chaos_set import ChaosSet, Part
from chaos_venue import change_state, spoil_calls, spoil_streams
from chaos_wires import State, Wire

from app.kafka.errors import KafkaError

Deed = Callable[[ChaosSet, random.Random], Awaitable[str]]

_READY_LIMIT_S = 60.0


async def kill_one(chaos: ChaosSet, draw: random.Random) -> str:
    """SIGKILL, workers most of all."""
    part = draw.choice([*chaos.workers, *chaos.workers, *chaos.gateways, chaos.paper])
    part.kill()
    return f"{part.name} killed"


async def kill_several(chaos: ChaosSet, draw: random.Random) -> str:
    """Two parts in the same moment, or all workers, or everything: a machine that loses its power."""
    worker, gateway = draw.choice(chaos.workers), draw.choice(chaos.gateways)
    parts, broker = draw.choice(
        [
            ([worker], True),
            ([worker, chaos.paper], False),
            ([worker, gateway], False),
            ([gateway], True),
            ([chaos.paper], True),
            (chaos.workers, False),
            (chaos.parts, True),
        ]
    )
    for part in parts:
        part.kill()
    names = ", ".join(part.name for part in parts)
    if broker:
        await _broker_killed(chaos, draw.choice([0.0, 1.0, 5.0]))
    return f"{names}{' and the broker' if broker else ''} killed at once"


async def kill_as_it_starts(chaos: ChaosSet, draw: random.Random) -> str:
    """One part, again and again, while it starts and recovers."""
    part = draw.choice([*chaos.workers, *chaos.workers, *chaos.gateways, chaos.paper])
    times = draw.choice([2, 3, 5])
    for _ in range(times):
        part.kill()
        await part.started_again()
        await asyncio.sleep(draw.uniform(0.3, 5.0))
    part.kill()
    return f"{part.name} killed {times + 1} times as it started"


async def end_one(chaos: ChaosSet, draw: random.Random) -> str:
    """SIGTERM."""
    part = draw.choice([*chaos.workers, *chaos.gateways, chaos.paper])
    part.ask_to_end()
    return f"{part.name} told to end"


async def restart_in_turn(chaos: ChaosSet, draw: random.Random) -> str:
    """As a new version is rolled out: each worker ends in order and is ready again before the next one's turn."""
    said = []
    for number, worker in enumerate(chaos.workers):
        worker.ask_to_end()
        await worker.started_again()
        said.append(await chaos.until_ready(number, _READY_LIMIT_S) or f"{worker.name} again")
    return f"restarted in turn: {'; '.join(said)}"


async def forget_a_directory(chaos: ChaosSet, draw: random.Random) -> str:
    """A worker's directory is a cache: it goes while the worker is down."""
    worker = draw.choice(chaos.workers)
    worker.held = True
    worker.kill()
    await worker.ended()
    worker.note_exit()
    shutil.rmtree(worker.directory, ignore_errors=True)
    await asyncio.sleep(draw.choice([0.0, 3.0, chaos.around.session_s + 2.0]))
    worker.start()
    worker.held = False
    return f"{worker.name} killed, its directory deleted"


async def stop_a_clock(chaos: ChaosSet, draw: random.Random) -> str:
    """SIGSTOP, often for longer than the group waits, then SIGCONT."""
    part = draw.choice([*chaos.workers, *chaos.workers, *chaos.gateways, chaos.paper])
    seconds = draw.choice([1.0, 3.0, chaos.around.session_s + 2.0, chaos.around.session_s + 8.0])
    await part.sleep(seconds)
    return f"{part.name} slept {seconds:g} s"


async def stop_two_clocks(chaos: ChaosSet, draw: random.Random) -> str:
    """A worker and the exchange sleep, and wake one after the other."""
    worker, seconds = draw.choice(chaos.workers), chaos.around.session_s + 3.0
    other: Part = draw.choice([chaos.paper, *chaos.gateways])
    await asyncio.gather(worker.sleep(seconds), other.sleep(seconds - draw.uniform(-2.0, 4.0)))
    return f"{worker.name} and {other.name} slept {seconds:g} s"


async def kill_the_broker(chaos: ChaosSet, draw: random.Random) -> str:
    """SIGKILL."""
    await _broker_killed(chaos, draw.choice([0.0, 0.5, 4.0]))
    return "broker killed"


async def stop_the_broker(chaos: ChaosSet, draw: random.Random) -> str:
    """In order, and again after a while."""
    async with chaos.broker_is_hurt:
        await chaos.kafka.stop()
        await asyncio.sleep(draw.choice([0.5, 5.0, 15.0]))
        await _broker_again(chaos)
    return "broker stopped"


async def stop_the_brokers_clock(chaos: ChaosSet, draw: random.Random) -> str:
    """SIGSTOP: it keeps its connections, and nobody hears of it."""
    seconds = draw.choice([2.0, 8.0, chaos.around.session_s + 4.0, 20.0])
    async with chaos.broker_is_hurt:
        chaos.kafka.pause()
        await asyncio.sleep(seconds)
        chaos.kafka.resume()
    return f"broker slept {seconds:g} s"


async def cut_from_the_broker(chaos: ChaosSet, draw: random.Random) -> str:
    """One part cannot reach it, the others can."""
    return await _disturbed("broker", chaos.to_broker, draw, [1.0, 4.0, 12.0, 25.0])


async def cut_from_the_venue(chaos: ChaosSet, draw: random.Random) -> str:
    """One part cannot reach the exchange, the others can."""
    return await _disturbed("exchange", chaos.to_venue, draw, [1.0, 4.0, 12.0])


async def _disturbed(far: str, wires: dict[str, Wire], draw: random.Random, durations_s: list[float]) -> str:
    name, state, seconds = draw.choice(sorted(wires)), draw.choice([State.CUT, State.SILENT]), draw.choice(durations_s)
    wire = wires[name]
    wire.become(state)
    await asyncio.sleep(seconds)
    wire.become(State.OPEN)
    return f"wire from {name} to the {far} {state.name.lower()} for {seconds:g} s"


async def _broker_killed(chaos: ChaosSet, away_s: float) -> None:
    async with chaos.broker_is_hurt:
        await chaos.kafka.kill()
        await asyncio.sleep(away_s)
        await _broker_again(chaos)


async def _broker_again(chaos: ChaosSet) -> None:
    while chaos.kafka.pid is None:
        try:
            await chaos.kafka.start()
        except KafkaError:  # its port is still taken by connections that end
            await asyncio.sleep(1.0)


def deeds(people: People) -> list[tuple[int, Deed]]:
    """Everything that may happen, with how often."""
    return [
        (10, kill_one),
        (6, kill_several),
        (5, kill_as_it_starts),
        (4, end_one),
        (4, restart_in_turn),
        (4, forget_a_directory),
        (8, stop_a_clock),
        (2, stop_two_clocks),
        (3, kill_the_broker),
        (2, stop_the_broker),
        (3, stop_the_brokers_clock),
        (7, cut_from_the_broker),
        (7, cut_from_the_venue),
        (14, spoil_calls),
        (7, spoil_streams),
        (5, change_state),
        (6, lambda _, draw: people.command(draw)),
        (4, lambda _, draw: people.one_order(draw)),
        (5, lambda _, draw: people.control(draw)),
        (5, lambda _, draw: people.by_hand(draw)),
    ]
