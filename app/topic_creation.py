"""Making the topics, and refusing to start on topics that are not as they have to be (fault 16).

Faust waits silently for a topic that is missing, and mis-assigns one that has another partition count. So nothing of
the engine starts before `check_topics` has passed, and `create_topics` makes them with explicit counts and policies.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain, repeat

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from domain.errors import OrderManagerError
from streams.topics import Topics, TopicSpec

_log = logging.getLogger(__name__)

TIMEOUT_S = 30.0
"""For all of it. Making 20 topics takes 0.2 s on one node; a cluster that is electing its controller takes seconds."""

_POLL_S = 0.05
_CREATE_TIMEOUT_MS = 10_000
_UNKNOWN_TOPIC = 3  # Kafka protocol, error codes: UNKNOWN_TOPIC_OR_PARTITION
_LEADERLESS = 5  # LEADER_NOT_AVAILABLE: made, but not yet to be used
_POLICY = "cleanup.policy"


class TopicsUnfit(OrderManagerError):  # noqa: N818 -- the words name it well without a suffix, as in domain.errors
    """Topics are missing or not as they have to be; `problems` has a sentence for each.

    A partition count can't be mended in place: symbols would move away from their state.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("TOPICS_UNFIT", "; ".join(self.problems))


class ClusterSilent(OrderManagerError):  # noqa: N818 -- as above
    """No broker answers, or the cluster refuses what we ask of it."""


@dataclass(frozen=True, slots=True)
class TopicReport:
    """What `create_topics` or `check_topics` found and did, by full names.

    `drifted` has a sentence for each setting of an existing topic that differs from ours without being dangerous to
    the assignment of partitions, such as a shorter retention; whoever runs the cluster may have meant it.
    """

    created: tuple[str, ...] = ()
    existing: tuple[str, ...] = ()
    drifted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Seen:
    """A topic as the cluster has it; `ready` when every partition has a leader."""

    partitions: int
    ready: bool


async def create_topics(
    bootstrap: str, topics: Topics, *, security: Mapping[str, object] | None = None, timeout_s: float = TIMEOUT_S
) -> TopicReport:
    """Make the topics that are missing, and wait until they can be used. Running it again changes nothing.

    `security` has further arguments of aiokafka's clients (`security_protocol`, `ssl_context`, `sasl_…`). Raises
    `TopicsUnfit` if an existing topic has another partition count or policy (nothing is made then), `ClusterSilent`
    if the cluster doesn't answer within `timeout_s` or refuses.
    """
    specs = topics.specs()
    created: list[str] = []

    async def create(admin: AIOKafkaAdminClient) -> TopicReport:
        seen = await _describe(admin, specs)
        existing = [spec for spec in specs if spec.name in seen]
        missing = [spec for spec in specs if spec.name not in seen]
        drifted = await _compare(admin, existing, seen)
        created.extend(await _create(admin, missing))
        await _wait_usable(admin, specs)
        return TopicReport(
            created=tuple(created),
            existing=tuple(spec.name for spec in specs if spec.name not in created),
            drifted=drifted,
        )

    return await _ask(bootstrap, security, timeout_s, create)


async def check_topics(
    bootstrap: str,
    topics: Topics,
    *,
    only: Collection[str] = (),
    security: Mapping[str, object] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> TopicReport:
    """Make sure, before anything starts, that every topic, or each of `only` these, is there and as it has to be.
    Changes nothing.

    Raises `TopicsUnfit` with every missing topic and every other partition count or policy; `ClusterSilent` if the
    cluster doesn't answer within `timeout_s`.
    """
    specs = [spec for spec in topics.specs() if not only or spec.name in only]

    async def check(admin: AIOKafkaAdminClient) -> TopicReport:
        seen = await _describe(admin, specs)
        existing = [spec for spec in specs if spec.name in seen]
        missing = [f"topic {spec.name} is missing" for spec in specs if spec.name not in seen]
        drifted = await _compare(admin, existing, seen, missing)
        return TopicReport(existing=tuple(spec.name for spec in existing), drifted=drifted)

    return await _ask(bootstrap, security, timeout_s, check)


async def _ask(
    bootstrap: str,
    security: Mapping[str, object] | None,
    timeout_s: float,
    work: Callable[[AIOKafkaAdminClient], Awaitable[TopicReport]],
) -> TopicReport:
    """Do `work`, which may be repeated, with an admin client; begin again on errors that pass: a node that just went
    away, a controller that is being elected, a cluster that still starts."""
    last_error: KafkaError | None = None
    pauses_s = chain((0.25, 0.5, 1.0, 2.0), repeat(4.0))
    try:
        async with asyncio.timeout(timeout_s):
            for pause_s in pauses_s:
                try:
                    async with _admin(bootstrap, security) as admin:
                        return await work(admin)
                except KafkaError as error:
                    if not error.retriable:
                        raise
                    last_error = error
                    _log.warning("waiting for the brokers at %s: %r", bootstrap, error)
                await asyncio.sleep(pause_s)
            raise AssertionError("pauses never end")
    except TimeoutError as error:
        reason = f": {type(last_error).__name__}: {last_error}" if last_error else ""
        raise ClusterSilent("KAFKA_SILENT", f"{bootstrap} gave no answer within {timeout_s:g} s{reason}") from error
    except KafkaError as error:
        raise ClusterSilent("KAFKA_REFUSED", f"{bootstrap}: {type(error).__name__}: {error}") from error


@asynccontextmanager
async def _admin(bootstrap: str, security: Mapping[str, object] | None) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(
        bootstrap_servers=bootstrap, client_id="ordermanager-topics", request_timeout_ms=10_000, **(security or {})
    )
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def _describe(admin: AIOKafkaAdminClient, specs: Iterable[TopicSpec]) -> dict[str, _Seen]:
    """Those of the topics that the cluster has. It is asked for all: a topic that is asked for by its name is made by a
    broker that makes topics by itself, which is Kafka's default."""
    found: dict[str, _Seen] = {}
    wanted = {spec.name for spec in specs}
    for topic in await admin.describe_topics():
        if topic["topic"] not in wanted or topic["error_code"] == _UNKNOWN_TOPIC:
            continue
        if topic["error_code"] not in {0, _LEADERLESS}:
            raise for_code(topic["error_code"])(f"describing {topic['topic']}")
        partitions = topic["partitions"]
        found[topic["topic"]] = _Seen(
            len(partitions), ready=bool(partitions) and all(each["leader"] >= 0 for each in partitions)
        )
    return found


async def _compare(
    admin: AIOKafkaAdminClient, specs: list[TopicSpec], seen: Mapping[str, _Seen], problems: Iterable[str] = ()
) -> tuple[str, ...]:
    """Existing topics against what they have to be: raises `TopicsUnfit`, returns what merely drifted."""
    found_problems = list(problems)
    drifted: list[str] = []
    settings = await _settings(admin, specs)
    for spec in specs:
        if (count := seen[spec.name].partitions) != spec.partitions:
            found_problems.append(f"topic {spec.name} has {_count(count, 'partition')}, expected {spec.partitions}")
        for name, expected in spec.config().items():
            actual = settings[spec.name].get(name)
            if actual is None or _same(name, actual, expected):
                continue
            sentence = f"topic {spec.name} has {name}={actual}, expected {expected}"
            (found_problems if name == _POLICY else drifted).append(sentence)
    if found_problems:
        raise TopicsUnfit(found_problems)
    return tuple(drifted)


def _same(name: str, actual: str, expected: str) -> bool:
    if name == _POLICY:  # a set, in any order
        return set(actual.replace(" ", "").split(",")) == set(expected.split(","))
    return actual == expected


async def _settings(admin: AIOKafkaAdminClient, specs: list[TopicSpec]) -> dict[str, dict[str, str]]:
    """The settings of existing topics, under the broker's names."""
    found: dict[str, dict[str, str]] = {spec.name: {} for spec in specs}
    if not specs:
        return found
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, spec.name) for spec in specs])
    for answer in answers:
        for code, message, _, topic, entries in answer.resources:
            if code:
                raise for_code(code)(f"describing {topic}: {message}")
            found[topic] = {entry[0]: entry[1] for entry in entries if entry[1] is not None}
    return found


async def _create(admin: AIOKafkaAdminClient, specs: list[TopicSpec]) -> list[str]:
    """Make them; returns the names of those that nobody else, starting beside us, had made before."""
    if not specs:
        return []
    answer = await admin.create_topics(
        [NewTopic(spec.name, spec.partitions, spec.replication_factor, topic_configs=spec.config()) for spec in specs],
        timeout_ms=_CREATE_TIMEOUT_MS,
    )
    made: list[str] = []
    for topic, code, *message in answer.topic_errors:
        if code == 0:
            made.append(topic)
        elif code != TopicAlreadyExistsError.errno:
            raise for_code(code)(f"creating {topic}: {message[0] if message else ''}")
    return made


async def _wait_usable(admin: AIOKafkaAdminClient, specs: tuple[TopicSpec, ...]) -> None:
    """Until every partition has a leader; then compare once more, since another worker may have made some."""
    began = time.monotonic()
    while True:
        seen = await _describe(admin, specs)
        if len(seen) == len(specs) and all(topic.ready for topic in seen.values()):
            break
        await asyncio.sleep(min(1.0, max(_POLL_S, (time.monotonic() - began) / 10)))
    await _compare(admin, list(specs), seen)


def _count(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"
