"""From a plan's intent to the order's first row."""

from __future__ import annotations

from domain.instruments import Instrument
from domain.orders import LocalState, Order, OrderState, SignalContext, Times
from domain.plans import Intent, Plan
from domain.signals import Signal
from tables.signals import SignalRow


def intended_order(signal: Signal, row: SignalRow, plan: Plan, intent: Intent, instrument: Instrument) -> Order:
    """The order as it is meant, before anybody else knows of it. Its times come from the plan: the same plan makes
    the same row."""
    return Order(
        order_id=intent.order_id,
        client_order_id=intent.order_id,
        instrument=instrument,
        account=plan.account,
        side=intent.side,
        order_type=intent.order_type,
        quantity=intent.quantity,
        price=intent.price,
        time_in_force=intent.time_in_force,
        reduce_only=intent.reduce_only,
        post_only=intent.post_only,
        position_side=intent.position_side,
        protection=intent.protection,
        signal=SignalContext(
            signal_id=signal.signal_id,
            attempt=row.attempt,
            part=intent.part,
            source=row.source,
            signal_type=signal.signal_type,
            amount=intent.amount,
            at_ns=row.signal_ns,
            strategy_id=signal.strategy_id,
            confidence=signal.confidence,
            model_version=signal.model_version,
            is_warmup=signal.is_warmup,
            dry_run=plan.dry_run,
            rule=intent.rule,
            warnings=plan.warnings,
            price_drift=plan.price_drift,
            market=_market(signal),
            metadata=dict(signal.metadata),
        ),
        trace_id=row.trace_id,
        local=LocalState.PLANNED,
        state=OrderState.PLANNED,
        sequence=1,
        times=Times(signal_ns=row.signal_ns, created_ns=plan.planned_at_ns, updated_ns=plan.planned_at_ns),
    )


def _market(signal: Signal) -> dict[str, str]:
    """The producer's view of the market, figures as text."""
    snapshot = signal.market_data_snapshot
    if snapshot is None:
        return {}
    return {name: str(figure) for name, figure in snapshot.model_dump(exclude_none=True).items()}
