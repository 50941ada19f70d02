"""Payments that no provider can carry out are refused at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.errors import InvalidPayment
from domain.money import Money
from domain.payments.submission import MAX_SCHEDULE, ProviderName, Submission
from tests.suites.samples import NOW, submission

PAYPAL = submission(provider=ProviderName.PAYPAL, payment_method=None)


@pytest.mark.parametrize(
    "asked",
    [
        submission(),
        PAYPAL,
        submission(amount=Money(1, "USD")),
        submission(execute_at=NOW - timedelta(days=1)),
        submission(execute_at=NOW + MAX_SCHEDULE),
    ],
)
def test_a_payment_that_the_provider_can_carry_out_is_accepted(
    asked: Submission,
) -> None:
    asked.check(now=NOW)
    asked.check_for(asked.provider or ProviderName.STRIPE)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (submission(amount=Money(0, "USD")), "amount"),
        (submission(amount=Money(1001, "KWD")), "amount"),
        (submission(payment_method=None), "payment_method"),
        (replace(PAYPAL, amount=Money(1000, "KWD")), "currency"),
        (replace(PAYPAL, amount=Money(150, "HUF")), "amount"),
        (
            submission(execute_at=NOW + MAX_SCHEDULE + timedelta(seconds=1)),
            "execute_at",
        ),
    ],
)
def test_a_payment_that_no_provider_can_carry_out_names_the_invalid_field(
    asked: Submission, field: str
) -> None:
    with pytest.raises(InvalidPayment) as caught:
        asked.check(now=NOW)
        asked.check_for(asked.provider or ProviderName.STRIPE)
    assert caught.value.field == field
