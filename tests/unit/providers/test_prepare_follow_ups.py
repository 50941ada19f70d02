"""Tests of the prepared requests of captures, voids and refunds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from application.ports.provider import Provider
from domain.errors import InvalidPayment
from domain.money import Money
from domain.payments import follow_ups
from domain.payments.payment import Payment
from domain.payments.submission import ProviderName
from tests.suites import samples
from tests.support.uncalled_adapters import FEES, PAYPAL, STRIPE


def prepared_next(adapter: Provider, payment: Payment) -> Any:
    """The parsed body of the last operation, with our id replaced by OURS."""
    operation = payment.operations[-1]
    text = adapter.prepare(payment, operation)
    return json.loads(text.replace(operation.id, "OURS").replace(payment.id, "PAYMENT"))


def asked_for(name: str = "op_2") -> dict[str, Any]:
    """The origin of a follow-up."""
    return {"id": name, "origin": samples.origin(), "now": samples.NOW}


def known(payment: Payment, name: str) -> Payment:
    """The payment with PayPal's ids that its follow-ups need."""
    first = replace(payment.first_operation, refs={name: "5O1"})
    return replace(payment, operations=(first,))


def test_a_stripe_capture_adds_its_id_to_the_intents_metadata() -> None:
    payment = follow_ups.capture(
        samples.authorized(), amount=700, final=None, **asked_for()
    )
    assert prepared_next(STRIPE, payment) == {
        "amount_to_capture": 700,
        "metadata": {"capture": "OURS"},
        "expand": FEES,
    }


@pytest.mark.parametrize("final", [True, False])
def test_each_of_several_stripe_captures_has_its_own_metadata_name(
    final: bool,
) -> None:
    held = samples.authorized(amount=Money(5300, "ISK"))
    assert held.hold is not None
    held = replace(held, hold=replace(held.hold, multicapture=True))
    payment = follow_ups.capture(held, amount=700, final=final, **asked_for())
    assert prepared_next(STRIPE, payment) == {
        "amount_to_capture": 70_000,
        "metadata": {"capture": "OURS", "capture_OURS": "70000"},
        "final_capture": final,
        "expand": FEES,
    }


def test_a_stripe_void_gives_a_reason() -> None:
    payment = follow_ups.void(samples.authorized(), **asked_for())
    body = {"cancellation_reason": "requested_by_customer"}
    assert prepared_next(STRIPE, payment) == body


def test_a_stripe_refund_names_the_intent_and_the_operation() -> None:
    payment = samples.captured()
    first = replace(payment.first_operation, refs={"payment_intent": "pi_1"})
    payment = replace(payment, operations=(first,))
    payment = follow_ups.refund(payment, amount=700, target=None, **asked_for())
    assert prepared_next(STRIPE, payment) == {
        "payment_intent": "pi_1",
        "amount": 700,
        "metadata": {"payment": "PAYMENT", "operation": "OURS"},
        "expand": ["balance_transaction"],
    }


@pytest.mark.parametrize("final", [True, False])
def test_a_paypal_capture_shows_whether_the_rest_is_released(final: bool) -> None:
    held = known(samples.authorized(provider=ProviderName.PAYPAL), "authorization")
    payment = follow_ups.capture(held, amount=700, final=final, **asked_for())
    assert prepared_next(PAYPAL, payment) == {
        "amount": {"currency_code": "USD", "value": "7.00"},
        "invoice_id": "OURS",
        "final_capture": final,
    }


def test_a_paypal_void_has_an_empty_body() -> None:
    held = known(samples.authorized(provider=ProviderName.PAYPAL), "authorization")
    assert prepared_next(PAYPAL, follow_ups.void(held, **asked_for())) == {}


def test_a_paypal_refund_names_our_payment_and_operation() -> None:
    payment = known(samples.captured(provider=ProviderName.PAYPAL), "capture")
    payment = follow_ups.refund(payment, amount=7, target=None, **asked_for())
    assert prepared_next(PAYPAL, payment) == {
        "amount": {"currency_code": "USD", "value": "0.07"},
        "invoice_id": "OURS",
        "custom_id": "PAYMENT",
    }


@pytest.mark.parametrize("job", [follow_ups.void, follow_ups.refund])
def test_an_object_without_its_paypal_id_is_not_looked_up(
    job: Callable[..., Payment],
) -> None:
    refunds = job is follow_ups.refund
    of = samples.captured if refunds else samples.authorized
    more = {"amount": 7, "target": None} if refunds else {}
    payment = job(of(provider=ProviderName.PAYPAL), **more, **asked_for())
    unnamed = replace(payment.first_operation, refs={})
    payment = replace(payment, operations=(unnamed, payment.operations[-1]))
    with pytest.raises(InvalidPayment):
        prepared_next(PAYPAL, payment)
