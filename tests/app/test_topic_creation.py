"""Topics are made once, with the counts and policies they need; others are refused by name and figure (fault 16)."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.kafka.broker import LocalKafka, free_ports
from app.kafka.options import KafkaOptions
from app.topic_creation import ClusterSilent, TopicsUnfit, check_topics, create_topics
from streams.topics import Topics


async def make(bootstrap: str, *topics: NewTopic) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    answer = await admin.create_topics(list(topics))
    assert not any(error[1] for error in answer.topic_errors)
    async with asyncio.timeout(10):
        while not {each.name for each in topics} <= set(await admin.list_topics()):  # noqa: ASYNC110 -- as below
            await asyncio.sleep(0.02)
    await admin.close()


async def remove(bootstrap: str, *names: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.delete_topics(list(names))
    async with asyncio.timeout(10):
        while set(names) & set(await admin.list_topics()):  # noqa: ASYNC110 -- Kafka tells nobody when it is done
            await asyncio.sleep(0.02)
    await admin.close()


async def test_creating_twice_changes_nothing(kafka: str, topics: Topics) -> None:
    report = await create_topics(kafka, topics)

    assert report.created == ()
    assert set(report.existing) == {spec.name for spec in topics.specs()}
    assert report.drifted == ()


async def test_created_topics_pass_the_check(kafka: str, topics: Topics) -> None:
    report = await check_topics(kafka, topics)

    assert len(report.existing) == len(topics.specs())


async def test_f16_missing_topic_is_refused_by_name(kafka: str, topics: Topics) -> None:
    await remove(kafka, topics.order_updates)

    with pytest.raises(TopicsUnfit) as refused:
        await check_topics(kafka, topics)

    assert refused.value.problems == (f"topic {topics.order_updates} is missing",)


async def test_a_check_makes_nothing_where_brokers_make_what_they_are_asked_for(tmp_path: Path) -> None:
    port, controller_port = free_ports(2)
    extra = {"auto.create.topics.enable": "true"}
    own = LocalKafka(KafkaOptions(tmp_path / "kafka", port, controller_port, quick=True, with_parent=True, extra=extra))
    await own.start()
    try:
        with pytest.raises(TopicsUnfit, match="signals is missing"):
            await check_topics(own.bootstrap, Topics(partitions=2))
        await make(own.bootstrap, NewTopic("later", 1, 1))  # what was asked for before it is there with it
        admin = AIOKafkaAdminClient(bootstrap_servers=own.bootstrap)
        await admin.start()
        there = await admin.list_topics()
        await admin.close()
    finally:
        await own.kill()

    assert there == ["later"]


async def test_a_topic_that_went_missing_is_made_again(kafka: str, topics: Topics) -> None:
    await remove(kafka, topics.marks)

    report = await create_topics(kafka, topics)

    assert report.created == (topics.marks,)


async def test_f16_other_partition_count_is_refused_with_both_figures(kafka: str, topics: Topics) -> None:
    await remove(kafka, topics.signals)
    await make(kafka, NewTopic(topics.signals, 3, 1))

    for refuses in (check_topics, create_topics):
        with pytest.raises(TopicsUnfit) as refused:
            await refuses(kafka, topics)
        assert refused.value.problems == (f"topic {topics.signals} has 3 partitions, expected 4",)


async def test_f16_other_cleanup_policy_is_refused(kafka: str, topics: Topics) -> None:
    changelog = topics.changelog("orders")
    await remove(kafka, changelog)
    await make(kafka, NewTopic(changelog, topics.partitions, 1, topic_configs={"cleanup.policy": "delete"}))

    with pytest.raises(TopicsUnfit, match=f"{changelog} has cleanup.policy=delete, expected compact"):
        await check_topics(kafka, topics)


async def test_shorter_retention_is_reported_and_not_refused(kafka: str, topics: Topics) -> None:
    signals = next(spec for spec in topics.specs() if spec.name == topics.signals)
    await remove(kafka, topics.signals)
    settings = dataclasses.replace(signals, retention_ms=60_000).config()
    await make(kafka, NewTopic(topics.signals, topics.partitions, 1, topic_configs=settings))

    report = await check_topics(kafka, topics)

    assert report.drifted == (f"topic {topics.signals} has retention.ms=60000, expected -1",)


async def test_nothing_is_made_beside_a_topic_that_does_not_fit(kafka: str, topics: Topics) -> None:
    others = dataclasses.replace(topics, partitions=2, names={"marks": "prices"})

    with pytest.raises(TopicsUnfit):
        await create_topics(kafka, others)

    with pytest.raises(TopicsUnfit, match=f"topic {others.marks} is missing"):
        await check_topics(kafka, others)


async def test_workers_that_start_together_make_the_topics_once(kafka: str, topics: Topics) -> None:
    await remove(kafka, *(spec.name for spec in topics.specs()))

    await asyncio.gather(*(create_topics(kafka, topics) for _ in range(4)))

    assert len((await check_topics(kafka, topics)).existing) == len(topics.specs())


@pytest.mark.topics(partitions=2)
async def test_counts_are_as_asked(kafka: str, topics: Topics) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    described = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
    await admin.close()

    assert described[topics.signals] == described[topics.order_updates] == described[topics.order_commands] == 2
    assert {described[name] for name in topics.changelogs} == {2}
    assert {described[name] for name in (*topics.broadcasts, topics.assignor_leader)} == {1}


async def test_a_silent_cluster_is_named_within_the_limit() -> None:
    (port,) = free_ports(1)

    with pytest.raises(ClusterSilent, match=f"127.0.0.1:{port} gave no answer within 0.2 s: KafkaConnectionError"):
        await check_topics(f"127.0.0.1:{port}", Topics(), timeout_s=0.2)
