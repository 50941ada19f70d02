"""What others moved of a payment at Stripe: in the dashboard, or by another program.

All that we make there carries the id of its operation. The rest is not ours.
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
from providers.sanitize import validated_id, parse_optional, read_secondary
from providers.stripe.answer_details import parse_stripe_fee
from providers.stripe.captures import parse_parts
from providers.stripe.responses import (
    read_metadata_id,
    build_charge_refs,
    read_request_id,
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
    """What was captured beyond our captures: Stripe names no single one."""

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
            # The balance line of the charge; of another amount it is none of this.
            fee=parse_stripe_fee(intent.latest_charge, rest),
        )
        return (found,)

    return read_secondary("external", ProviderName.STRIPE, read) or ()


def parse_external_refunds(
    payment: Payment, refunds: Iterable[Refund]
) -> tuple[ExternalMovement, ...]:
    """Those of an intent's ``refunds`` that are not ours."""
    asked = [one for one in payment.operations if one.kind is Kind.REFUND]
    ids = {one.id for one in asked if not one.is_external}
    refs = {one.refs.get("refund") for one in asked if not one.is_external}

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
    """Whether the charge says that more, or less, went back than we know of."""

    def read() -> bool:
        charge: Any = intent.latest_charge
        if not charge or isinstance(charge, str):
            return False
        back = Money(payment.refunded, payment.submission.amount.currency)
        differs: bool = charge.amount_refunded != to_stripe(back)
        return differs

    return read_secondary("external", ProviderName.STRIPE, read) or False


def parse_external_capture(
    payment: Payment, intent: PaymentIntent, operation: Operation
) -> Answer:
    """What an intent says of a capture that others have made."""
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
    """Stripe's units; a capture that a person resolved may have left no mark."""
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
