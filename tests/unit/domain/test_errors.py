"""Every error has a message and a code."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from domain import errors
from domain.errors import PaymentsError, ProviderError
from domain.webhook_refusals import WebhookRefusal


def _all(kind: type[PaymentsError]) -> Iterator[type[PaymentsError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _all(child)


@pytest.mark.parametrize("kind", list(_all(PaymentsError)))
def test_an_errors_docstring_is_its_message(kind: type[PaymentsError]) -> None:
    first = (kind.__doc__ or "").split("\n")[0]
    if kind is errors.ReferenceInProgress:
        assert str(errors.ReferenceInProgress("pay_1")) == first
    elif issubclass(kind, errors.WebhookRefused | errors.WebhookDropped):
        assert str(kind(WebhookRefusal.STALE)) == first
    elif kind not in (errors.InvalidPayment, errors.Conflict):
        assert str(kind()) == first
    assert first.endswith(".")


def test_each_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in _all(PaymentsError)]
    assert len(set(codes)) == len(codes)


def test_a_message_may_be_given() -> None:
    assert str(errors.PaymentNotFound("no pay_1")) == "no pay_1"


def test_an_invalid_payment_names_its_field() -> None:
    error = errors.InvalidPayment("must be at least 1", field="amount")
    assert (str(error), error.field) == ("must be at least 1", "amount")


def test_provider_error_has_its_detail_call_and_wait() -> None:
    plain = errors.NotSent()
    assert (plain.detail, plain.request_id, plain.retry_after) == (
        "not_sent",
        None,
        None,
    )
    error = errors.NotExecuted(
        "busy", request_id="req_1", retry_after=timedelta(seconds=3)
    )
    assert (error.detail, error.request_id) == ("busy", "req_1")
    assert error.retry_after == timedelta(seconds=3)


def test_not_executed_and_outcome_unknown_are_separate_errors() -> None:
    assert issubclass(errors.NotSent, errors.NotExecuted)
    assert issubclass(errors.Misconfigured, errors.NotExecuted)
    for open_end in (errors.OutcomeUnknown, errors.NeedsReview):
        assert issubclass(open_end, ProviderError)
        assert not issubclass(open_end, errors.NotExecuted)
