"""Tasks are addresses: each calls one use case and tells what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import Celery

from application import attempt as use_case
from application import notice
from application.attempt import Settled
from domain.errors import StoreUnavailable
from domain.notice import Fate
from domain.states import STUCK
from runtime import logs, metrics
from runtime.broker import DUE, FRESH, GROUP, WEBHOOKS
from runtime.container import WorkerServices

log = logs.get_logger()


def register(app: Celery, services: WorkerServices) -> None:
    """Gives the application its tasks."""

    def attempt(ids: object) -> None:
        attempt_payments(ids, services, urgent=True)

    def recover(ids: object) -> None:
        attempt_payments(ids, services, urgent=False)

    def hear(ids: object) -> None:
        handle_webhooks(ids, services)

    _task(app, FRESH.task, attempt)
    _task(app, DUE.task, recover)
    _task(app, WEBHOOKS.task, hear)


def attempt_payments(ids: object, services: WorkerServices, *, urgent: bool) -> None:
    """Works on the payments that a message names, as far as they are due.

    A message is only a knock: whatever else it carries is left alone. At an account's
    limit what is ``urgent`` goes first.
    """
    known = _ids(ids)
    try:
        for group in use_case.run(known, services.tools, urgent=urgent):
            for settled in group:
                _tell(settled, services)
    except StoreUnavailable:
        log.warning("attempt_abandoned", count=len(known), why="store_unavailable")


def handle_webhooks(ids: object, services: WorkerServices) -> None:
    """Handles the webhooks that a message names, as far as they are due."""
    known = _ids(ids)
    try:
        for webhook in notice.handle(known, services.hearing):
            if webhook.fate is not Fate.WAITING:
                metrics.WEBHOOKS_ENDED.labels(webhook.provider, webhook.fate).inc()
            log.info(
                "webhook_handled",
                provider=webhook.provider.value,
                payment=webhook.payment,
                state=webhook.fate.value,
                due_at=webhook.due_at.isoformat() if webhook.due_at else None,
            )
    except StoreUnavailable:
        log.warning("webhooks_abandoned", count=len(known), why="store_unavailable")


def _ids(given: object) -> list[str]:
    """Those that a message names: at most a group, and nothing but texts."""
    named = given if isinstance(given, list) else []
    return [one for one in named[:GROUP] if isinstance(one, str)]


def _tell(settled: Settled, services: WorkerServices) -> None:
    payment, operation = settled.payment, settled.operation
    provider = payment.provider
    metrics.ATTEMPTS.labels(provider, settled.answer).inc()
    if operation.attempts == 1 and operation.started_at is not None:
        waited = operation.started_at - operation.owed_from
        metrics.QUEUE_WAIT.observe(max(waited.total_seconds(), 0.0))
    if not operation.owed:
        metrics.SETTLED.labels(provider, operation.kind, operation.state).inc()
    if operation.ended:
        seconds = (payment.updated_at - operation.owed_from).total_seconds()
        metrics.END_TO_END.labels(provider, operation.kind).observe(seconds)
    if settled.corrected:
        metrics.CORRECTIONS.labels(provider, operation.kind).inc()
    wrong = settled.corrected or operation.state in STUCK
    (log.error if wrong else log.info)(
        "operation_corrected" if settled.corrected else "attempt_settled",
        payment=payment.id,
        merchant=payment.merchant,
        request_id=operation.origin.request_id,
        traceparent=operation.origin.traceparent,
        operation=operation.id,
        provider=provider.value,
        state=operation.state.value,
        answer=settled.answer,
        attempt=operation.attempts,
    )


def _task(app: Celery, name: str, run: Callable[[Any], None]) -> None:
    """Celery's decorator has no types; this is the only place that meets it."""
    app.task(name=name, ignore_result=True)(run)
