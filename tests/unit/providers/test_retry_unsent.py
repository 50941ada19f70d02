"""Tests that unsent calls alone are retried, a few times within a second."""

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
from providers.retry_unsent import RetryUnsent
from tests.suites import samples

DONE = Answer(Verdict.SUCCEEDED)


class Scripted:
    """A Provider that has each outcome in turn."""

    def __init__(self, *outcomes: Answer | ProviderError, seconds: float = 0) -> None:
        self.sent: list[Payment] = []
        self._outcomes: Iterator[Answer | ProviderError] = iter(outcomes)
        self._seconds = seconds

    def prepare(self, payment: Payment, operation: Operation) -> str:
        return f"the body of {operation.id}"

    def look_up(self, payment: Payment) -> Answer:
        return self.send(payment)

    def send(self, payment: Payment) -> Answer:
        self.sent.append(payment)
        time.sleep(self._seconds)
        outcome = next(self._outcomes)
        if isinstance(outcome, ProviderError):
            raise outcome
        return outcome


def test_an_answer_is_passed_on_after_one_send() -> None:
    provider, payment = Scripted(DONE), samples.sending(samples.payment())
    assert RetryUnsent(provider).send(payment) is DONE
    assert provider.sent == [payment]


def test_an_unsent_call_is_repeated_unchanged_until_it_arrives() -> None:
    provider, payment = Scripted(NotSent(), NotSent(), DONE), samples.sending(
        samples.payment()
    )
    assert RetryUnsent(provider).send(payment) is DONE
    assert provider.sent == [payment] * 3


def test_a_call_is_sent_three_times_at_most() -> None:
    provider = Scripted(*[NotSent() for _ in range(9)])
    with pytest.raises(NotSent):
        RetryUnsent(provider).send(samples.sending(samples.payment()))
    # On a slow machine the time limit may end it after two.
    assert len(provider.sent) in (2, 3)


def test_a_connection_attempt_of_a_second_is_not_repeated() -> None:
    provider = Scripted(NotSent(), DONE, seconds=1.0)
    with pytest.raises(NotSent):
        RetryUnsent(provider).send(samples.sending(samples.payment()))
    assert len(provider.sent) == 1


@pytest.mark.parametrize(
    "error", [NotExecuted, Misconfigured, OutcomeUnknown, NeedsReview]
)
def test_other_errors_are_not_retried(error: type[ProviderError]) -> None:
    raised = error("detail")
    provider = Scripted(raised, DONE)
    with pytest.raises(error) as caught:
        RetryUnsent(provider).send(samples.sending(samples.payment()))
    assert caught.value is raised
    assert len(provider.sent) == 1


def test_a_lost_answer_after_an_unsent_try_is_unknown_and_not_repeated() -> None:
    provider = Scripted(NotSent(), OutcomeUnknown("no_answer"), DONE)
    with pytest.raises(OutcomeUnknown):
        RetryUnsent(provider).send(samples.sending(samples.payment()))
    assert len(provider.sent) == 2


def test_a_lookup_retries_like_a_send() -> None:
    provider, payment = Scripted(NotSent(), DONE), samples.sending(samples.payment())
    assert RetryUnsent(provider).look_up(payment) is DONE
    assert provider.sent == [payment] * 2


def test_the_body_is_prepared_by_the_provider() -> None:
    payment = samples.sending(samples.payment())
    assert (
        RetryUnsent(Scripted()).prepare(payment, payment.first_operation)
        == f"the body of {payment.first_operation.id}"
    )
