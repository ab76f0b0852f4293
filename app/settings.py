"""Every setting, from the environment (`ORDERMANAGER_…`). A wrong value is refused at start, by name and range.

`env.example` lists them all; a test keeps it in step with this class. Times are in the unit of the name, amounts in
quote currency, ratios as fractions.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from app.settings_parts import (
    GatewaySettings,
    NotifySettings,
    PaperSettings,
    PlaceSettings,
    RehearsalSettings,
    VenueName,
    VenueSettings,
    WorkerSettings,
)
from app.settings_trading import CallSettings, DecisionSettings, RiskSettings
from domain.errors import InvalidInput
from domain.ids import PREFIX_PATTERN
from domain.instruments import CATEGORIES
from domain.limits import LIMIT_NAMES, Limits
from domain.plans import PlanSettings

PREFIX = "ORDERMANAGER_"

_ADDRESSES = {
    VenueName.BYBIT: ("https://api.bybit.com", "wss://stream.bybit.com"),
    VenueName.BYBIT_TESTNET: ("https://api-testnet.bybit.com", "wss://stream-testnet.bybit.com"),
}

_TAKEN_DIRECTORIES = {"api-key", "kafka", "logs", "paper"}
"""What other parts keep in the data directory."""


class _WithoutUnit(EnvSettingsSource):
    """Times in seconds by their names without `_S`: `…_SIGNAL_MAX_AGE` is `…_SIGNAL_MAX_AGE_S`; that wins."""

    def __call__(self) -> dict[str, Any]:  # Any: as in the base class
        """The values of such variables, by the field they are for."""
        fields = self.settings_cls.model_fields
        short = {name: name.removesuffix("_s") for name in fields if name.endswith("_s")}
        named = {name: self.env_vars.get((PREFIX + without).lower()) for name, without in short.items()}
        return {name: value for name, value in named.items() if value is not None and short[name] not in fields}


class Settings(
    RehearsalSettings,
    NotifySettings,
    GatewaySettings,
    CallSettings,
    RiskSettings,
    DecisionSettings,
    WorkerSettings,
    PaperSettings,
    VenueSettings,
    PlaceSettings,
    BaseSettings,
):
    """All settings of all parts. Each default is safe for live money. (The last base's fields come first.)"""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=False)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- only the environment is read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given, then the environment; there a time in seconds may do without its unit's name."""
        return init_settings, env_settings, _WithoutUnit(settings_cls)

    @field_validator("instance")
    @classmethod
    def _legal_prefix(cls, value: str) -> str:
        if not PREFIX_PATTERN.fullmatch(value):
            raise ValueError("a lower-case letter, then up to 5 lower-case letters or digits")
        return value

    @field_validator("topic_prefix")
    @classmethod
    def _legal_in_topics(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9._-]{0,64}", value):
            raise ValueError("up to 64 letters, digits, dots, underscores and hyphens")
        return value

    @field_validator("worker_id")
    @classmethod
    def _own_directory(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value) or value in _TAKEN_DIRECTORIES:
            taken = ", ".join(sorted(_TAKEN_DIRECTORIES))
            raise ValueError(f"a letter or digit, then up to 63 of them, dots, underscores and hyphens; not {taken}")
        return value

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ValueError("one of DEBUG, INFO, WARNING, ERROR")
        return value.upper()

    @field_validator("log_format")
    @classmethod
    def _known_format(cls, value: str) -> str:
        if value not in {"json", "console"}:
            raise ValueError("one of json, console")
        return value

    @field_validator("category", "categories")
    @classmethod
    def _known_category(cls, value: str) -> str:
        if unknown := [each for each in value.split(",") if value and each not in CATEGORIES]:
            raise ValueError(f"{', '.join(unknown)}: known are {', '.join(CATEGORIES)}")
        return value

    @model_validator(mode="after")
    def _default_is_traded(self) -> Settings:
        if not self.category or self.category not in self.traded_categories:
            raise ValueError(f"{PREFIX}CATEGORY {self.category!r} is not among {PREFIX}CATEGORIES {self.categories!r}")
        return self

    @model_validator(mode="after")
    def _live_needs_keys(self) -> Settings:
        if self.venue is not VenueName.PAPER and not (
            self.venue_key.get_secret_value() and self.venue_secret.get_secret_value()
        ):
            raise ValueError(f"venue {self.venue} needs {PREFIX}VENUE_KEY and {PREFIX}VENUE_SECRET")
        return self

    @model_validator(mode="after")
    def _stops_need_positions(self) -> Settings:
        if self.auto_stop_loss and self.category == "spot":
            raise ValueError(f"{PREFIX}AUTO_STOP_LOSS is on, and spot has no positions that a stop could follow")
        return self

    # -- what follows --------------------------------------------------------------------------------------------

    @property
    def traded_categories(self) -> tuple[str, ...]:
        """The kinds of instruments that may be traded; what signals mean by default is the first."""
        named = self.categories.split(",") if self.categories else [self.category]
        return tuple(sorted(set(named), key=lambda each: (each != self.category, each)))

    @property
    def bootstrap(self) -> str:
        """Where Kafka is."""
        return self.kafka_bootstrap or f"{self.kafka_host}:{self.kafka_port}"

    @property
    def rest_url(self) -> str:
        """Where the venue's REST API is."""
        if self.venue_rest_url:
            return self.venue_rest_url
        if self.venue is VenueName.PAPER:
            return f"http://{self.paper_host}:{self.paper_port}"
        return _ADDRESSES[self.venue][0]

    @property
    def stream_url(self) -> str:
        """Where the venue's private stream is."""
        base = self.venue_stream_url or (
            f"ws://{self.paper_host}:{self.paper_port}" if self.venue is VenueName.PAPER else _ADDRESSES[self.venue][1]
        )
        return base + "/v5/private"

    @property
    def key_pair(self) -> tuple[str, str]:
        """The account's key and secret."""
        key, secret = self.venue_key.get_secret_value(), self.venue_secret.get_secret_value()
        if self.venue is VenueName.PAPER:
            return key or self.paper_key, secret or self.paper_secret.get_secret_value()
        return key, secret

    @property
    def armed_by_default(self) -> bool:
        """A live account trades only after somebody armed it (requirement R05)."""
        return self.venue is VenueName.PAPER

    @property
    def own_url(self) -> str:
        """Where others reach the worker's web views."""
        return self.web_url or f"http://{self.web_host}:{self.web_port}"

    @property
    def worker_dir(self) -> Path:
        """This worker's own directory."""
        return self.data_dir / self.worker_id

    def secret_values(self) -> tuple[str, ...]:
        """Every configured secret, for what must never show one."""
        values = (
            *(self.venue_key, self.venue_secret, self.paper_secret),
            *(self.api_key, self.api_read_key, self.notify_urls),
        )
        return tuple(value.get_secret_value() for value in values if value.get_secret_value())

    def plan_settings(self, *, venue_protects: bool = True) -> PlanSettings:
        """What decisions depend on; `venue_protects` is the venue's trait."""
        return PlanSettings(
            venue_protects=venue_protects,
            instance=self.instance,
            dry_run=self.dry_run,
            warmup_mode=self.warmup_mode,
            market_order_confidence_threshold=self.market_order_confidence_threshold,
            market_order_spread_threshold=self.market_order_spread_threshold,
            limit_order_price_offset_ratio=self.limit_order_price_offset_ratio,
            min_confidence=self.min_confidence,
            post_only=self.post_only,
            price_drift_warn=self.price_drift_warn,
            price_drift_reject=self.price_drift_reject,
            max_slippage=self.max_slippage,
            max_snapshot_age_ns=_ns(self.max_snapshot_age_s),
            signal_max_age_ns=_ns(self.signal_max_age_s),
            max_future_ns=_ns(self.max_future_s),
            cancel_opposite_orders_only=self.cancel_opposite_orders_only,
            cancel_partially_filled=self.cancel_partially_filled,
            allow_short=self.allow_short,
            enable_balance_check=self.enable_balance_check,
            cash_reserve=self.cash_reserve,
            taker_fee_rate=self.taker_fee_rate,
            spot_taker_fee_rate=self.spot_taker_fee_rate,
            leverage=self.leverage,
            market_guard=self.market_guard,
            min_profit=self.min_profit,
            position_mode=self.position_mode,
            protection_trigger=self.protection_trigger,
            scale_in_mode=self.scale_in_mode,
            risk_action=self.risk_action,
            enable_order_splitting=self.enable_order_splitting,
            max_single_order_size=self.max_single_order_size,
            split_interval_ns=_ns(self.split_interval_s),
            cooldown_ns=_ns(self.cooldown_s),
            strategy_cooldown_ns=_ns(self.strategy_cooldown_s),
        )

    def limits(self) -> Limits:
        """The general limits, before what was changed while running."""
        return Limits(**{name: getattr(self, name) for name in LIMIT_NAMES})

    def environment(self, **changes: object) -> dict[str, str]:
        """The settings as variables, for a part that is started as a process of its own."""
        values: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields} | changes
        return {
            PREFIX + name.upper(): value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            for name, value in values.items()
            if value is not None
        }


def _ns(seconds: float) -> int:
    return int(seconds * 1_000_000_000)


def load_settings(**changes: Any) -> Settings:  # Any: each field has its own type, which pydantic checks
    """The settings of the environment, with `changes`. Raises `InvalidInput` naming each variable, value and range."""
    try:
        return Settings(**changes)
    except ValidationError as error:
        raise InvalidInput("BAD_SETTINGS", [_reason(line) for line in error.errors()]) from None


def _reason(line: Any) -> str:  # Any: pydantic's ErrorDetails
    name = ".".join(str(part) for part in line["loc"])
    field = Settings.model_fields.get(name)
    secret = field is not None and field.annotation is SecretStr
    value = "" if secret or not name else f" is {line['input']!r:.80}"
    about = f" ({field.description})" if field is not None and field.description else ""
    sentence = str(line["msg"]).removeprefix("Value error, ")
    return f"{PREFIX}{name.upper()}{value}: {sentence}{about}" if name else sentence


def api_key(settings: Settings) -> str:
    """The key for the web views: the configured one, or one that is made once and kept in the data directory."""
    if configured := settings.api_key.get_secret_value():
        return configured
    path = settings.data_dir / "api-key"
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        key = secrets.token_urlsafe(24)
        path.touch(mode=0o600)
        path.write_text(key + "\n")
        return key
