"""How long a payment blocks its reference."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.payments.settle import settle
from domain.payments.operation import HoldEnd
from domain.payments.payment import Payment
from domain.payments.submission import DuplicatePolicy, ProviderName
from tests.suites.samples import (
    DECLINE,
    NOW,
    authorized,
    captured,
    payment,
    sending,
    stored,
)
from tests.support.operation_steps import capture, refund, succeed, void

PAYPAL = ProviderName.PAYPAL


def _refunded_in_part() -> Payment:
    """The captured part was refunded, and the rest is on hold."""
    return succeed(refund(succeed(capture(authorized(provider=PAYPAL), 5))))


def _expired_under(asked: Payment) -> Payment:
    """The hold has ended, and the outcome of the capture is unknown."""
    assert asked.hold is not None
    return replace(asked, hold=replace(asked.hold, ended=HoldEnd.EXPIRED))


@pytest.mark.parametrize(
    ("given", "unfinished", "paid"),
    [
        (payment(), True, True),
        (authorized(), True, True),
        (succeed(capture(authorized(provider=PAYPAL), 5)), True, True),
        (_refunded_in_part(), True, True),
        (_expired_under(capture(authorized())), True, True),
        (captured(), False, True),
        (succeed(refund(captured())), False, False),
        (succeed(void(authorized())), False, False),
        (stored(settle(sending(payment()), DECLINE, now=NOW, jitter=0)), False, False),
    ],
)
def test_payment_blocks_its_reference_while_it_may_move_money(
    given: Payment, unfinished: bool, paid: bool
) -> None:
    def guarding(guard: DuplicatePolicy, reference: str | None = "r") -> bool:
        asked = replace(given.submission, duplicate_policy=guard, reference=reference)
        return replace(given, submission=asked).blocks_reference

    assert guarding(DuplicatePolicy.UNFINISHED) is unfinished
    assert guarding(DuplicatePolicy.PAID) is paid
    assert not guarding(DuplicatePolicy.NONE)
    assert not guarding(DuplicatePolicy.PAID, None)
