"""The web views: questions to the tables, commands, controls, probes and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from aiohttp import web
from faust.web.base import BlueprintManager

from app.web.alerts import AlertsView, AlertView
from app.web.auth import key_hash
from app.web.commands import CommandsView, CommandView
from app.web.connections import Connections
from app.web.context import CONTEXT, ApiKey, Check, Mark, Scope, WebContext, WebSettings
from app.web.controls import ControlsView
from app.web.dry_run import DryRunView
from app.web.guard import guard
from app.web.internal import AskView
from app.web.limits import ExposureView, LimitsView
from app.web.orders import ExplainView, HistoryView, OrdersView, OrderView
from app.web.plans import PlanView
from app.web.positions import PositionHistoryView, PositionsView, SymbolPositionsView
from app.web.probes import LiveView, MetricsView, ReadyView, readiness
from app.web.scatter import Scatter
from app.web.signals import SignalsView, SignalView
from app.web.view import SCATTER, ApiView

__all__ = [
    "ApiKey",
    "Check",
    "Mark",
    "Scope",
    "WebContext",
    "WebSettings",
    "key_hash",
    "readiness",
    "register_views",
]

VIEWS: tuple[type[ApiView], ...] = (
    OrdersView,
    OrderView,
    ExplainView,
    HistoryView,
    PositionsView,
    SymbolPositionsView,
    PositionHistoryView,
    SignalsView,
    SignalView,
    PlanView,
    CommandsView,
    CommandView,
    ControlsView,
    LimitsView,
    ExposureView,
    DryRunView,
    AlertsView,
    AlertView,
    LiveView,
    ReadyView,
    MetricsView,
    AskView,
)


def register_views(app: Any, context: WebContext) -> None:  # Any: Faust's App carries no types
    """Give the Faust application our views, and none of its own: its index, tables, router and statistics would be
    open to everybody. Call once, before the application starts."""
    app.web.blueprints = BlueprintManager()
    application: web.Application = app.web.web_app
    guard(application, context)
    application.cleanup_ctx.append(_scatter)
    application.cleanup_ctx.append(lambda _application: _watched(app.web._runner))
    for view in VIEWS:
        view.view_name, view.view_path = view.__name__, view.path
        app.web.add_view(view)


async def _scatter(application: web.Application) -> AsyncIterator[None]:
    """The connections to other workers live as long as the server."""
    scatter = application[SCATTER] = Scatter(application[CONTEXT])
    yield
    await scatter.close()


async def _watched(runner: web.AppRunner) -> AsyncIterator[None]:
    """The bounds on connections hold as long as the server lives."""
    watching = asyncio.create_task(Connections().watch(runner))
    yield
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
