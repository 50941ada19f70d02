"""Finds captures and refunds at Stripe that others made, by dashboard or program.

Ours carry the id of their operation; all others are external.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from stripe import PaymentIntent, Refund

from domain.errors import NeedsReview
from domain.money import Money
from domain.payments.answer import Answer, ExternalMovement, Verdict
from domain.payments.operation import Kind, Operation
from domain.payments.payment import Payment
from domain.payments.review_reasons import ReviewReason
from domain.payments.states import State
from domain.payments.submission import ProviderName
from providers.amounts import from_stripe, to_stripe
from providers.sanitize import parse_optional, read_secondary, validated_id
from providers.stripe.captures import parse_parts
from providers.stripe.responses import (
    build_charge_refs,
    read_metadata_id,
    read_request_id,
    parse_stripe_fee,
)

_STATUSES: Final = {
    "succeeded": Verdict.SUCCEEDED,
    "pending": Verdict.PENDING,
    "requires_action": Verdict.PENDING,
    "failed": Verdict.DECLINED,
    "canceled": Verdict.CANCELED,
}


def parse_external_captures(
    payment: Payment, intent: PaymentIntent
) -> tuple[ExternalMovement, ...]:
    """The amount captured beyond our captures; Stripe does not list them singly."""

    def read() -> tuple[ExternalMovement, ...]:
        if payment.first_operation.kind is not Kind.AUTHORIZE:
            return ()
        rest = intent.amount_received - _own_captured_units(payment, intent)
        if rest <= 0:
            return ()
        found = ExternalMovement(
            kind=Kind.CAPTURE,
            verdict=Verdict.SUCCEEDED,
            money=from_stripe(rest, intent.currency),
            refs=build_charge_refs(intent.id, intent.latest_charge),
            final=intent.status != "requires_capture",
            # The balance transaction is used only if it has this amount.
            fee=parse_stripe_fee(intent.latest_charge, rest),
        )
        return (found,)

    return read_secondary("external", ProviderName.STRIPE, read) or ()


def parse_external_refunds(
    payment: Payment, refunds: Iterable[Refund]
) -> tuple[ExternalMovement, ...]:
    """The external ones of an intent's ``refunds``."""
    ours = [
        one
        for one in payment.operations
        if one.kind is Kind.REFUND and not one.is_external
    ]
    ids = {one.id for one in ours}
    refs = {one.refs.get("refund") for one in ours}

    def read(refund: Any) -> ExternalMovement | None:
        if read_metadata_id(refund, "operation") in ids or refund.id in refs:
            return None
        verdict = _STATUSES.get(refund.status)
        if verdict is None:
            return None
        return ExternalMovement(
            kind=Kind.REFUND,
            verdict=verdict,
            money=from_stripe(refund.amount, refund.currency),
            refs={"refund": validated_id(refund.id)},
            parent_ref=parse_optional(validated_id, refund.charge),
            fee=parse_stripe_fee(refund),
        )

    found = [
        read_secondary("external", ProviderName.STRIPE, partial(read, one))
        for one in refunds
    ]
    return tuple(one for one in found if one is not None)


def has_other_refunds(payment: Payment, intent: PaymentIntent) -> bool:
    """Whether the refunded amount of the charge differs from the payment's."""

    def read() -> bool:
        charge: Any = intent.latest_charge
        if not charge or isinstance(charge, str):
            return False
        refunded = Money(payment.refunded, payment.submission.amount.currency)
        differs: bool = charge.amount_refunded != to_stripe(refunded)
        return differs

    return read_secondary("external", ProviderName.STRIPE, read) or False


def parse_external_capture(
    payment: Payment, intent: PaymentIntent, operation: Operation
) -> Answer:
    """Answers for an external capture from its intent."""
    known = sum(
        to_stripe(Money(one.amount, payment.submission.amount.currency))
        for one in payment.operations
        if one.kind is Kind.CAPTURE and one.is_external
    )
    if intent.amount_received - _own_captured_units(payment, intent) < known:
        raise NeedsReview(
            ReviewReason.LESS_WAS_CAPTURED, request_id=read_request_id(intent)
        )
    return Answer(
        Verdict.SUCCEEDED,
        Money(operation.amount, payment.submission.amount.currency),
        operation.refs,
        request_id=read_request_id(intent),
    )


def _own_captured_units(payment: Payment, intent: PaymentIntent) -> int:
    """The amount of our captures, in Stripe's units.

    A capture resolved by an operator may have left no metadata.
    """
    parts, latest, taken = parse_parts(intent), read_metadata_id(intent, "capture"), 0
    for one in payment.operations:
        if one.kind is not Kind.CAPTURE or one.is_external:
            continue
        if one.id in parts:
            taken += parts[one.id]
        elif one.id == latest and not parts:
            taken += intent.amount_received
        elif one.state is State.SUCCEEDED:
            money = Money(one.moved, payment.submission.amount.currency)
            taken += to_stripe(money)
    return taken
