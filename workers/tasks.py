"""The Celery tasks: each calls one use case, and logs and counts its result.

``runtime.queue.kombu_transport`` has checked the ids: texts, at most one group.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from celery import Celery

from application import attempt as use_case, webhooks
from application.attempt import AttemptResult
from application.logs import get_logger
from domain.errors import StoreUnavailable
from domain.payments.failure_codes import DISAGREEING_CODES
from domain.payments.review_reasons import ReviewReason
from domain.payments.states import STUCK
from domain.webhooks import WebhookStatus
from runtime import metrics
from runtime.container import WorkerServices
from runtime.queue.wakeups import DUE_PAYMENTS, NEW_PAYMENTS, WEBHOOKS

log = get_logger(__name__)


def register(app: Celery, services: WorkerServices) -> None:
    """Gives the application its tasks."""

    def attempt(ids: list[str]) -> None:
        attempt_payments(ids, services, urgent=True)

    def recover(ids: list[str]) -> None:
        attempt_payments(ids, services, urgent=False)

    def handle(ids: list[str]) -> None:
        handle_webhooks(ids, services)

    _register_task(app, NEW_PAYMENTS.task, attempt)
    _register_task(app, DUE_PAYMENTS.task, recover)
    _register_task(app, WEBHOOKS.task, handle)


def attempt_payments(
    ids: Sequence[str], services: WorkerServices, *, urgent: bool
) -> None:
    """Carries out the due payments among ``ids``.

    At an account's rate limit, ``urgent`` ones go first.
    """
    try:
        for group in use_case.run(ids, services.attempt_context, urgent=urgent):
            for result in group:
                _report(result)
    except StoreUnavailable:
        log.warning("attempt_abandoned", count=len(ids), reason="store_unavailable")


def handle_webhooks(ids: Sequence[str], services: WorkerServices) -> None:
    """Handles the due webhooks among ``ids``."""
    try:
        for webhook in webhooks.handle(ids, services.webhook_context):
            if webhook.status is not WebhookStatus.WAITING:
                metrics.WEBHOOKS_ENDED.labels(webhook.provider, webhook.status).inc()
            log.info(
                "webhook_handled",
                provider=webhook.provider.value,
                payment=webhook.payment,
                state=webhook.status.value,
                due_at=webhook.due_at.isoformat() if webhook.due_at else None,
            )
    except StoreUnavailable:
        log.warning("webhooks_abandoned", count=len(ids), reason="store_unavailable")


def _report(result: AttemptResult) -> None:
    payment, operation = result.payment, result.operation
    provider = payment.provider
    metrics.ATTEMPTS.labels(provider, result.answer).inc()
    if operation.attempts == 1 and operation.started_at is not None:
        waited = operation.started_at - operation.starts_at
        metrics.QUEUE_WAIT.observe(max(waited.total_seconds(), 0.0))
    if not operation.has_work:
        metrics.SETTLED.labels(provider, operation.kind, operation.state).inc()
    if operation.is_terminal:
        seconds = (payment.updated_at - operation.starts_at).total_seconds()
        metrics.END_TO_END.labels(provider, operation.kind).observe(seconds)
    if result.is_correction:
        metrics.CORRECTIONS.labels(provider, operation.kind).inc()
    if result.is_escalation:
        metrics.ESCALATED.labels(provider, ReviewReason.of(operation.error)).inc()
    for kind in result.discovered:
        metrics.EXTERNAL.labels(provider, kind).inc()
        log.info("operation_discovered", payment=payment.id, provider=provider.value)
    disagrees = result.code in DISAGREEING_CODES
    if disagrees:
        metrics.DISAGREEMENTS.labels(provider, result.code).inc()
    origin = operation.origin
    needs_attention = result.is_correction or disagrees or operation.state in STUCK
    (log.error if needs_attention else log.info)(
        "operation_corrected" if result.is_correction else "attempt_settled",
        payment=payment.id,
        merchant=payment.merchant,
        request_id=origin and origin.request_id,
        traceparent=origin and origin.traceparent,
        operation=operation.id,
        provider=provider.value,
        state=operation.state.value,
        answer=result.answer,
        attempt=operation.attempts,
    )


def _register_task(app: Celery, name: str, run: Callable[[Any], None]) -> None:
    """Registers a task. Celery's decorator has no types and is used only here."""
    app.task(name=name, ignore_result=True)(run)
