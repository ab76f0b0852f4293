"""Everything that may happen to the set, at random: `make chaos SEED=7 S=120`.

    python tests/chaos/chaos_run.py SEED [SECONDS] [DIRECTORY]

The same seed draws the same settings and the same deeds in the same order; what they meet depends on the machine. The
last line says whether all was well, the exit code too. Logs of every part stay in DIRECTORY when it was not.
"""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from chaos_circumstances import Circumstances, drawn
from chaos_deeds import deeds
from chaos_people import People
from chaos_set import ChaosSet, chaos_set
from chaos_verdict import verdict
from chaos_wishes import Wishes

log = logging.getLogger(__name__)

_DEEDS_EVERY_S = (0.5, 6.0)
_LANE_LIMIT_S = 240.0


async def run_chaos(seed: int, seconds: float, directory: Path, *, workers: int = 0) -> list[str]:
    """A set that is hurt for so long and then left alone; returns what is not as it must be."""
    draw = random.Random(seed)  # noqa: S311 -- repeatable chance is what is wanted
    around = drawn(draw, workers=workers)
    log.info("seed %s: %s", seed, around)
    async with chaos_set(around, directory, random.Random(seed + 1)) as chaos:  # noqa: S311 -- as above
        return await _hurt(chaos, around, seed, seconds)


async def _hurt(chaos: ChaosSet, around: Circumstances, seed: int, seconds: float) -> list[str]:
    wishes = Wishes(chaos, random.Random(seed + 2))  # noqa: S311 -- as above
    await wishes.start()
    sending = asyncio.create_task(wishes.keep_sending(), name="wishes")
    try:
        end_s = time.monotonic() + seconds
        lanes = [_lane(chaos, wishes, seed + 3 + number, end_s) for number in range(around.lanes)]
        await asyncio.gather(*lanes)
        if sending.done():
            await sending  # raises what ended it
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await chaos.let_it_heal()
        log.info("%6.1f left alone after %s signals, %s", chaos.age_s, len(wishes.sent), dict(wishes.told_again))
        return await verdict(chaos, wishes)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await wishes.stop()


async def _lane(chaos: ChaosSet, wishes: Wishes, seed: int, end_s: float) -> None:
    """One deed after another; each draws from a chance of its own, so that what it meets changes no later one."""
    draw = random.Random(seed * 1_000)  # noqa: S311 -- as above
    known = deeds(People(chaos, wishes))
    weights = [weight for weight, _ in known]
    number = 0
    while time.monotonic() < end_s:
        number += 1
        await asyncio.sleep(draw.uniform(*_DEEDS_EVERY_S))
        (_, deed), own = draw.choices(known, weights)[0], random.Random(draw.random())  # noqa: S311 -- as above
        said = await asyncio.wait_for(deed(chaos, own), _LANE_LIMIT_S)
        log.info("%6.1f %s", chaos.age_s, said)


def main(arguments: list[str]) -> int:
    """The program."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    for name in ("aiokafka", "httpx", "app"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # they say thousands of times what is known
    seed = int(arguments[0]) if arguments else random.SystemRandom().randrange(1, 1_000_000)
    seconds = float(arguments[1]) if len(arguments) > 1 else 90.0
    directory = Path(arguments[2]) if len(arguments) > 2 else Path(tempfile.gettempdir()) / f"ordermanager-chaos-{seed}"
    found = asyncio.run(run_chaos(seed, seconds, directory))
    for difference in found:
        log.info("FOUND %s", difference)
    if found:
        log.info("BAD seed %s: %s; logs are in %s", seed, len(found), directory / "data" / "logs")
        return 1
    shutil.rmtree(directory, ignore_errors=True)
    log.info("GOOD seed %s", seed)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
