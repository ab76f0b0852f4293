"""Settings: every one documented, every wrong one refused by name, no secret shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.env_example import env_example
from app.settings import PREFIX, Settings, api_key, load_settings
from app.settings_names import misspelt_variables
from app.settings_parts import VenueName
from domain.errors import InvalidInput

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


def test_env_example_lists_every_setting_as_it_is() -> None:
    assert (ROOT / "env.example").read_text() == env_example(), "run `make env`"


def test_env_example_taken_as_it_is_gives_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for line in env_example().splitlines():
        if line.startswith(PREFIX):
            name, _, value = line.partition("=")
            monkeypatch.setenv(name, value)

    assert load_settings() == Settings()


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("SIGNAL_MAX_AGE", "signal_max_age_s", 7.0),
        ("ORDER_EXECUTION_TIMEOUT", "order_execution_timeout_s", 8.0),
        ("CANCEL_STALE_ORDER_TIMEOUT", "cancel_stale_order_timeout_s", 9.0),
        ("POSITION_SNAPSHOT_INTERVAL", "position_snapshot_interval_s", 10.0),
        ("POSITION_VALIDATION_INTERVAL", "position_validation_interval_s", 11.0),
    ],
)
def test_a_time_may_be_named_without_its_unit(
    monkeypatch: pytest.MonkeyPatch, name: str, field: str, value: float
) -> None:
    monkeypatch.setenv(PREFIX + name, str(value))
    assert getattr(load_settings(), field) == value

    monkeypatch.setenv(f"{PREFIX}{name}_S", "12")
    assert getattr(load_settings(), field) == 12.0


def test_a_wrong_time_without_its_unit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + "SIGNAL_MAX_AGE", "soon")

    with pytest.raises(InvalidInput, match="ORDERMANAGER_SIGNAL_MAX_AGE_S is 'soon'"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("PARTITIONS", "0", "greater than or equal to 1"),
        ("WEB_PORT", "70000", "less than or equal to 65535"),
        ("MAX_SLIPPAGE", "1.5", "less than or equal to 1"),
        ("INSTANCE", "Too-Long-Prefix", "lower-case letter"),
        ("VENUE", "kraken", "'paper', 'bybit' or 'bybit-testnet'"),
        ("LOG_LEVEL", "LOUD", "DEBUG, INFO, WARNING, ERROR"),
        ("SESSION_TIMEOUT_S", "abc", "valid number"),
    ],
)
def test_a_wrong_value_is_refused_with_name_value_and_range(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(PREFIX + name, value)

    with pytest.raises(InvalidInput) as refusal:
        load_settings()

    assert PREFIX + name in str(refusal.value)
    assert value in str(refusal.value)
    assert told in str(refusal.value)


@pytest.mark.parametrize("name", ["", "..", "../other", "a/b", "kafka", "paper", "logs", "two words"])
def test_a_worker_is_not_named_so_that_its_stores_lie_elsewhere_or_in_anothers_place(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(PREFIX + "WORKER_ID", name)

    with pytest.raises(InvalidInput, match=r"ORDERMANAGER_WORKER_ID is .*letter or digit"):
        load_settings()


@pytest.mark.parametrize("prefix", ["a b", "a/b", "ä-", "x" * 65])
def test_a_prefix_that_no_topic_may_have_is_refused(monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    monkeypatch.setenv(PREFIX + "TOPIC_PREFIX", prefix)

    with pytest.raises(InvalidInput, match="ORDERMANAGER_TOPIC_PREFIX is"):
        load_settings()


def test_every_wrong_value_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + "PARTITIONS", "0")
    monkeypatch.setenv(PREFIX + "MAX_RUNNING", "-1")

    with pytest.raises(InvalidInput) as refusal:
        load_settings()

    assert len(refusal.value.reasons) == 2


def test_a_variable_that_is_no_setting_is_told_with_what_may_be_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + "MAX_ORDERSIZE", "100")
    monkeypatch.setenv(PREFIX + "MAX_SNAPSHOT_AGE", "100")
    monkeypatch.setenv(PREFIX + "XYZZY", "1")

    assert misspelt_variables() == [
        f"{PREFIX}MAX_ORDERSIZE is no setting; is {PREFIX}MAX_ORDER_SIZE meant?",
        f"{PREFIX}XYZZY is no setting",
    ]


def test_a_live_venue_without_keys_is_refused() -> None:
    with pytest.raises(InvalidInput, match=f"{PREFIX}VENUE_KEY"):
        load_settings(venue=VenueName.BYBIT_TESTNET)


def test_a_stop_that_could_follow_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="AUTO_STOP_LOSS is on, and spot has no positions"):
        load_settings(category="spot", auto_stop_loss=True)


def test_a_live_venue_differs_from_paper_by_settings_only() -> None:
    live = load_settings(venue=VenueName.BYBIT, venue_key=SecretStr("key"), venue_secret=SecretStr("secret"))

    assert live.rest_url == "https://api.bybit.com"
    assert live.stream_url == "wss://stream.bybit.com/v5/private"
    assert not live.armed_by_default
    assert Settings().armed_by_default


def test_no_secret_is_in_the_text_of_settings_or_their_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + "VENUE_SECRET", "canary-secret-value")
    monkeypatch.setenv(PREFIX + "API_KEY", "canary-api-key-value")
    assert "canary" not in repr(load_settings())

    monkeypatch.setenv(PREFIX + "PARTITIONS", "0")
    with pytest.raises(InvalidInput) as refusal:
        load_settings()

    assert "canary" not in str(refusal.value)


def test_settings_reach_a_child_process_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, paper_seed=7, venue_secret=SecretStr("s3cret-s3cret"), allow_short=True)

    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)

    assert load_settings() == settings


def test_the_api_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)

    first, second = api_key(settings), api_key(settings)

    assert first == second
    assert len(first) >= 32
    assert (tmp_path / "api-key").stat().st_mode & 0o077 == 0
