"""Patience repeats what was not sent, a few times within a second, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from domain.errors import (
    Misconfigured,
    NeedsReview,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
    ProviderError,
)
from domain.payments.answer import Answer, Verdict
from domain.payments.operation import Operation
from domain.payments.payment import Payment
from providers.retry_unsent import Patient
from tests.suites import samples

DONE = Answer(Verdict.SUCCEEDED)


class Scripted:
    """A Provider that comes to each outcome in turn."""

    def __init__(self, *outcomes: Answer | ProviderError, seconds: float = 0) -> None:
        self.sent: list[Payment] = []
        self._outcomes: Iterator[Answer | ProviderError] = iter(outcomes)
        self._seconds = seconds

    def prepare(self, payment: Payment, operation: Operation) -> str:
        """See Provider."""
        return f"the body of {operation.id}"

    def look(self, payment: Payment) -> Answer:
        """See Provider."""
        return self.send(payment)

    def send(self, payment: Payment) -> Answer:
        """See Provider."""
        self.sent.append(payment)
        time.sleep(self._seconds)
        outcome = next(self._outcomes)
        if isinstance(outcome, ProviderError):
            raise outcome
        return outcome


def test_an_answer_is_passed_on_after_one_send() -> None:
    provider, payment = Scripted(DONE), samples.sending(samples.payment())
    assert Patient(provider).send(payment) is DONE
    assert provider.sent == [payment]


def test_what_was_not_sent_is_sent_again_as_it_is_until_it_arrives() -> None:
    provider, payment = Scripted(NotSent(), NotSent(), DONE), samples.sending(
        samples.payment()
    )
    assert Patient(provider).send(payment) is DONE
    assert provider.sent == [payment] * 3


def test_three_sends_are_the_most_and_they_end_within_a_second() -> None:
    provider, start = Scripted(*[NotSent() for _ in range(9)]), time.monotonic()
    with pytest.raises(NotSent):
        Patient(provider).send(samples.sending(samples.payment()))
    assert len(provider.sent) == 3
    assert time.monotonic() - start < 1


def test_a_connection_that_was_tried_for_a_second_is_not_tried_again() -> None:
    provider = Scripted(NotSent(), DONE, seconds=1.0)
    with pytest.raises(NotSent):
        Patient(provider).send(samples.sending(samples.payment()))
    assert len(provider.sent) == 1


@pytest.mark.parametrize(
    "error", [NotExecuted, Misconfigured, OutcomeUnknown, NeedsReview]
)
def test_nothing_else_is_repeated(error: type[ProviderError]) -> None:
    raised = error("detail")
    provider = Scripted(raised, DONE)
    with pytest.raises(error) as caught:
        Patient(provider).send(samples.sending(samples.payment()))
    assert caught.value is raised
    assert len(provider.sent) == 1


def test_a_lost_answer_after_a_send_that_failed_is_unknown_and_not_repeated() -> None:
    provider = Scripted(NotSent(), OutcomeUnknown("no_answer"), DONE)
    with pytest.raises(OutcomeUnknown):
        Patient(provider).send(samples.sending(samples.payment()))
    assert len(provider.sent) == 2


def test_a_look_is_as_patient_as_a_send() -> None:
    provider, payment = Scripted(NotSent(), DONE), samples.sending(samples.payment())
    assert Patient(provider).look(payment) is DONE
    assert provider.sent == [payment] * 2


def test_preparing_is_the_providers_own() -> None:
    payment = samples.sending(samples.payment())
    assert (
        Patient(Scripted()).prepare(payment, payment.first)
        == f"the body of {payment.first.id}"
    )
