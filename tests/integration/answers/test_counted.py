"""Tests of the metrics of answers that need attention."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from prometheus_client import Counter

from domain.payments.states import State
from runtime import container, metrics
from runtime.container import WorkerServices
from tests.integration.answers.test_paypal_answers import ANSWERS
from tests.integration.answers.test_paypal_statuses import STATUSES as PAYPAL
from tests.integration.answers.test_stripe_errors import ERRORS
from tests.integration.answers.test_stripe_statuses import STATUSES as STRIPE
from tests.support.answer_rows import Row, arm, make_payment
from tests.support.workbench import Workbench
from workers import tasks

#: Answers that contradict our records or our knowledge of the provider.
DISAGREEMENTS = [
    ("paypal", ANSWERS, "REFUND_AMOUNT_EXCEEDED"),
    ("paypal", ANSWERS, "MAX_CAPTURE_AMOUNT_EXCEEDED"),
    ("paypal", PAYPAL, "a status that is new"),
    ("paypal", PAYPAL, "a status of a capture that is new"),
    ("paypal", PAYPAL, "a status of an authorization that is new"),
    ("paypal", PAYPAL, "a status of a refund that is new"),
    ("stripe", STRIPE, "a status that is new"),
    ("stripe", STRIPE, "a status of a refund that is new"),
]
REVIEWS = [
    ("paypal", ANSWERS, "PAYEE_ACCOUNT_LOCKED_OR_CLOSED", "payee_account"),
    ("paypal", ANSWERS, "COMPLIANCE_VIOLATION", "compliance_violation"),
    ("stripe", ERRORS, "IdempotencyError", "idempotency_mismatch"),
    ("stripe", STRIPE, "requires_payment_method, no error", "status"),
]


@pytest.fixture
def services(bench: Workbench) -> Iterator[WorkerServices]:
    """A worker's services with the bench's context."""
    with ExitStack() as stack:
        made = container.create_worker_services(bench.settings)
        stack.callback(made.database.client.close)
        for pool in made.attempt_context.executors.values():
            stack.callback(pool.shutdown)
        yield replace(made, attempt_context=bench.context)


@pytest.mark.parametrize(("provider", "rows", "words"), DISAGREEMENTS)
def test_an_answer_that_contradicts_our_records_is_counted(
    bench: Workbench,
    services: WorkerServices,
    provider: str,
    rows: dict[str, Row],
    words: str,
) -> None:
    row = rows[words]
    before = counted(metrics.DISAGREEMENTS, provider)
    _carried_out(bench, services, provider, row)
    assert row.error is not None
    before[row.error] += 1
    assert counted(metrics.DISAGREEMENTS, provider) == before


@pytest.mark.parametrize(("provider", "rows", "words", "why"), REVIEWS)
def test_an_operation_in_review_is_counted_by_its_reason(
    bench: Workbench,
    services: WorkerServices,
    provider: str,
    rows: dict[str, Row],
    words: str,
    why: str,
) -> None:
    reviews, row = counted(metrics.ESCALATED, provider), rows[words]
    others = counted(metrics.DISAGREEMENTS, provider)
    assert row.state is State.REVIEW
    _carried_out(bench, services, provider, row)
    reviews[why] = reviews.get(why, 0) + 1
    assert counted(metrics.ESCALATED, provider) == reviews
    assert counted(metrics.DISAGREEMENTS, provider) == others


def test_a_paid_payment_is_counted_as_neither(
    bench: Workbench, services: WorkerServices
) -> None:
    before = [counted(each, "stripe") for each in _BOTH]
    payment_id = bench.pay("stripe")
    tasks.attempt_payments([payment_id], services, urgent=True)
    assert bench.stored(payment_id).captured == 1999
    assert [counted(each, "stripe") for each in _BOTH] == before


_BOTH = (metrics.DISAGREEMENTS, metrics.ESCALATED)


def counted(counter: Counter, provider: str) -> dict[str, float]:
    """The counter's values of a provider, by reason."""
    return {
        sample.labels["reason"]: sample.value
        for family in counter.collect()
        for sample in family.samples
        if sample.name.endswith("_total") and sample.labels["provider"] == provider
    }


def _carried_out(
    bench: Workbench, services: WorkerServices, provider: str, row: Row
) -> None:
    """Runs one attempt of the row's operation by a worker's task."""
    payment_id = make_payment(bench, provider, row)
    arm(bench, provider, row)
    tasks.attempt_payments([payment_id], services, urgent=True)
    operation = bench.stored(payment_id).operations[-1]
    assert (operation.state, operation.error) == (row.state, row.error)
