"""One answer out of many: our own partitions at once, the others' over HTTP (requirement Q02).

1. a question about one symbol needs one partition, all others need every partition
2. what is ours is answered from our tables; for each other partition, one worker at a time that says it has it is asked
3. a worker answers for the partitions that it really has, and names them
4. what nobody answered for within the time-out is named in the reply: an answer is never silently incomplete
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass

import httpx
import msgspec
from httpx_aiohttp import AiohttpTransport

from app.web.context import WebContext
from app.web.guard import INTERNAL_KEY_HEADER
from app.web.questions import Answer, Ask, Item, Question, answer

log = logging.getLogger(__name__)

ASK_PATH = "/internal/ask"
MAX_ANSWER_BYTES = 32 * 1024 * 1024
MAX_CONNECTIONS = 64
ROUNDS = 2
"""What the workers say of each other is some seconds old after a rebalance: who else claims a partition is asked once
more, within the same time-out."""

_answers = msgspec.json.Decoder(Answer)


@dataclass(frozen=True, slots=True)
class Gathered:
    """All answers, and the partitions that nobody answered for."""

    answers: tuple[Answer, ...]
    missing: tuple[int, ...]

    @property
    def items(self) -> list[Item]:
        """Everything found, in no order."""
        return [item for each in self.answers for item in each.items]

    def completeness(self) -> dict[str, object]:
        """What every reply says about itself."""
        return {"partial": bool(self.missing), "missing_partitions": list(self.missing)}


class Scatter:
    """Asks all workers. `close` when the web server stops."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._client = httpx.AsyncClient(
            transport=AiohttpTransport(limits=httpx.Limits(max_connections=MAX_CONNECTIONS)),
            timeout=context.settings.peer_timeout_s,
            trust_env=False,  # a proxy from the environment has no business between workers
            headers={INTERNAL_KEY_HEADER: context.settings.internal_key},
        )

    async def close(self) -> None:
        """Close the connections to the other workers."""
        await self._client.aclose()

    async def gather(self, question: Question) -> Gathered:
        """The answers of all workers that answer in time."""
        needed = self._needed(question)  # 1
        answers = [await answer(self._context, Ask(question=question, partitions=tuple(needed)))]  # 2
        missing = needed.difference(answers[0].partitions)
        deadline_s = asyncio.get_running_loop().time() + self._context.settings.peer_timeout_s
        asked: set[tuple[str, int]] = set()
        for _ in range(ROUNDS):
            shares = self._shares(missing, asked)
            if not shares:
                break
            replies = await asyncio.gather(
                *(self._ask(url, question, share, deadline_s) for url, share in shares.items())
            )
            answers += [reply for reply in replies if reply is not None]  # 3
            missing = needed.difference(*(each.partitions for each in answers))
        return Gathered(tuple(answers), tuple(sorted(missing)))  # 4

    def _shares(self, missing: set[int], asked: set[tuple[str, int]]) -> dict[str, tuple[int, ...]]:
        """Which worker to ask for which partitions: each of the first, by URL, that says it has it and was not asked
        for it before. Notes what will be asked."""
        settings = self._context.settings
        if not settings.internal_key:
            return {}
        shares: dict[str, tuple[int, ...]] = {}
        left = set(missing)
        for url, partitions in sorted(self._context.peers().items()):
            share = sorted(partition for partition in left & partitions if (url, partition) not in asked)
            if share and url != settings.own_url:
                shares[url] = tuple(share)
                left.difference_update(share)
                asked.update((url, partition) for partition in share)
        return shares

    def _needed(self, question: Question) -> set[int]:
        symbol = question.symbol_asked
        return {self._context.partition_of(symbol)} if symbol else set(range(self._context.settings.partitions))

    async def _ask(self, url: str, question: Question, partitions: tuple[int, ...], deadline_s: float) -> Answer | None:
        """The worker's answer, or None; why there is none is in the log and counted."""
        content = msgspec.json.encode(Ask(question=question, partitions=partitions))
        try:
            async with asyncio.timeout_at(deadline_s):
                reply = await self._post(url.rstrip("/") + ASK_PATH, content)
                found: Answer = _answers.decode(reply)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as error:
            log.warning("worker %s did not answer for partitions %s: %r", url, partitions, error)
            self._context.metrics.peer_failed()
            return None
        if not set(found.partitions) <= set(partitions):
            log.warning("worker %s answered for partitions %s, asked for %s", url, found.partitions, partitions)
            self._context.metrics.peer_failed()
            return None
        return found

    async def _post(self, url: str, content: bytes) -> bytes:
        chunks, size = [], 0
        headers = {"Content-Type": "application/json"}
        async with self._client.stream("POST", url, content=content, headers=headers) as reply:
            if reply.status_code != 200:
                raise ValueError(f"status {reply.status_code}")
            async for chunk in reply.aiter_bytes():
                size += len(chunk)
                if size > MAX_ANSWER_BYTES:
                    raise ValueError(f"more than {MAX_ANSWER_BYTES} bytes")
                chunks.append(chunk)
        return b"".join(chunks)


def merged(answers: Iterable[Answer], limit: int, *, descending: bool) -> tuple[list[Item], str | None]:
    """(items of a page in order, the place to resume after or None at the end).

    An answer that stopped at a place knows nothing of what lies beyond it, so neither does the page: what others found
    beyond the nearest stop is left for the next one.
    """
    answers = list(answers)
    stops = [each.resume for each in answers if each.resume is not None]
    horizon = (max(stops) if descending else min(stops)) if stops else None
    items = sorted((item for each in answers for item in each.items), key=lambda item: item.place, reverse=descending)
    if horizon is not None:
        items = [item for item in items if (item.place >= horizon if descending else item.place <= horizon)]
    if len(items) > limit:
        return items[:limit], items[limit - 1].place
    return items, horizon
