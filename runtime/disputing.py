"""What a worker reads disputes with, and lays them over payments."""

from __future__ import annotations

from application.attempt import Tools
from application.dispute import Desk
from application.operator_ports import OperatorView
from domain.submission import ProviderName
from runtime import metrics
from runtime.accounts import AccountAdapters


def dispute_desk(view: OperatorView, tools: Tools, adapters: AccountAdapters) -> Desk:
    """By the worker's gates and clock; nothing connects before it is used."""
    return Desk(
        view=view,
        store=tools.store,
        disputes=adapters.disputes,
        gates=tools.gates,
        clock=tools.clock,
        told=_count,
    )


def _count(provider: ProviderName, event: str) -> None:
    metrics.DISPUTES.labels(provider, event).inc()
