"""The topics as data: names, counts and policies that the promises rest on."""

from __future__ import annotations

import pytest

from streams.topics import DAY_MS, FOREVER_MS, ROLES, CleanupPolicy, Topics, TopicSpec


def spec_of(topics: Topics, name: str) -> TopicSpec:
    (found,) = (spec for spec in topics.specs() if spec.name == name)
    return found


def test_default_names_are_the_published_ones() -> None:
    assert {spec.name for spec in Topics().specs()} == {
        "signals",
        "order-updates",
        "order-commands",
        "order-events",
        "position-events",
        "position-snapshots",
        "signals-dead",
        "order-updates-dead",
        "order-commands-dead",
        "alerts",
        "controls",
        "balances",
        "marks",
        "instruments",
        "order-exposure",
        "heartbeats",
        "ordermanager-orders-changelog",
        "ordermanager-signals-changelog",
        "ordermanager-positions-changelog",
        "ordermanager-__assignor-__leader",
    }


def test_every_role_is_an_attribute() -> None:
    topics = Topics(prefix="p-")

    assert {getattr(topics, role.replace("-", "_")) for role in ROLES} == {f"p-{role}" for role in ROLES}


def test_inputs_outputs_and_changelogs_have_one_count() -> None:
    topics = Topics(partitions=5)
    together = (*topics.inputs, topics.order_events, topics.position_events, *topics.changelogs)

    assert {spec_of(topics, name).partitions for name in together} == {5}


def test_broadcasts_are_compacted_in_one_partition() -> None:
    topics = Topics(partitions=5)

    for spec in (spec_of(topics, name) for name in topics.broadcasts):
        assert spec.partitions == 1
        assert spec.cleanup_policy is not CleanupPolicy.DELETE


def test_inputs_and_events_are_kept_for_ever() -> None:
    topics = Topics()

    for name in (*topics.inputs, topics.order_events, topics.position_events, topics.signals_dead):
        assert spec_of(topics, name).config()["cleanup.policy"] == "delete"
        assert spec_of(topics, name).config()["retention.ms"] == str(FOREVER_MS)


def test_changelogs_keep_every_row_for_a_day_and_lose_none_to_age() -> None:
    for name in Topics().changelogs:
        settings = spec_of(Topics(), name).config()

        assert settings["cleanup.policy"] == "compact"
        assert int(settings["min.compaction.lag.ms"]) >= DAY_MS
        assert "retention.ms" not in settings


@pytest.mark.parametrize(("copies", "in_sync"), [(1, "1"), (2, "1"), (3, "2"), (5, "2")])
def test_in_sync_replicas_follow_the_copies(copies: int, in_sync: str) -> None:
    for spec in Topics(replication_factor=copies).specs():
        assert spec.replication_factor == copies
        assert spec.config()["min.insync.replicas"] == in_sync


def test_a_dead_letter_has_room_for_the_whole_original() -> None:
    topics = Topics()

    for name in topics.inputs:
        assert spec_of(topics, topics.dead(name)).max_message_bytes >= 2 * spec_of(topics, name).max_message_bytes
        assert spec_of(topics, topics.dead(name)).partitions == spec_of(topics, name).partitions


def test_a_prefix_sets_two_installations_apart() -> None:
    left = {spec.name for spec in Topics(prefix="left-").specs()}
    right = {spec.name for spec in Topics(prefix="right-").specs()}

    assert not left & right
    assert Topics(prefix="left-").app_id == "left-ordermanager"


def test_a_topic_can_have_the_name_its_users_know() -> None:
    topics = Topics(prefix="p-", names={"signals": "desk.signals"})

    assert topics.signals == "p-desk.signals"
    assert topics.dead(topics.signals) == "p-signals-dead"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"names": {"signal": "x"}}, "unknown topics renamed: signal; known: signals, "),
        ({"names": {"signals": "alerts"}}, "two topics have the name 'alerts'"),
        ({"names": {"signals": "my signals"}}, "not a legal topic name: 'my signals'"),
        ({"prefix": "x" * 250}, "not a legal topic name"),
        ({"partitions": 0}, "partitions=0"),
        ({"replication_factor": 0}, "replication_factor=0"),
    ],
)
def test_what_cannot_work_is_refused_at_once(arguments: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Topics(**arguments)  # type: ignore[arg-type]


def test_unknown_tables_and_outputs_have_no_topics() -> None:
    with pytest.raises(ValueError, match="no table 'fills'"):
        Topics().changelog("fills")
    with pytest.raises(ValueError, match="'order-events' is no input topic"):
        Topics().dead("order-events")
