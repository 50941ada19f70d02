"""Finds captures and refunds at PayPal that others made, by dashboard or program.

Ours carry the id of their operation as the invoice. External ones carry the invoice of
the order, or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from domain.payments.answer import ExternalMovement, Verdict
from domain.payments.operation import Kind
from domain.payments.payment import Payment
from domain.payments.submission import ProviderName
from providers.paypal.objects import CAPTURES, parent_id, parse_money
from providers.paypal.responses import order_payments, parse_paypal_fee
from providers.sanitize import parse_optional, read_secondary, validated_id

_STATUSES: Final = {
    "COMPLETED": Verdict.SUCCEEDED,
    "PARTIALLY_REFUNDED": Verdict.SUCCEEDED,
    "REFUNDED": Verdict.SUCCEEDED,
    "PENDING": Verdict.PENDING,
    "DECLINED": Verdict.DECLINED,
    "FAILED": Verdict.DECLINED,
    "CANCELLED": Verdict.CANCELED,
}
_LISTS: Final = {Kind.CAPTURE: "captures", Kind.REFUND: "refunds"}


def parse_external_movements(
    payment: Payment, order: Mapping[str, Any]
) -> tuple[ExternalMovement, ...]:
    """The external captures and refunds of an order."""

    def read() -> tuple[ExternalMovement, ...]:
        made = order_payments(order)
        held = payment.first_operation.kind is Kind.AUTHORIZE
        ended = any(
            one.get("status") == "CAPTURED" for one in made.get("authorizations", ())
        )
        found = [
            _parse_movement(payment, kind, one, ended)
            for kind in ((Kind.CAPTURE, Kind.REFUND) if held else (Kind.REFUND,))
            for one in made.get(_LISTS[kind], ())
        ]
        return tuple(one for one in found if one is not None)

    return read_secondary("external", ProviderName.PAYPAL, read) or ()


def _parse_movement(
    payment: Payment, kind: Kind, found: Mapping[str, Any], ended: bool
) -> ExternalMovement | None:
    ours = [
        one for one in payment.operations if one.kind is kind and not one.is_external
    ]

    def read() -> ExternalMovement | None:
        name, verdict = validated_id(found["id"]), _STATUSES.get(found["status"])
        if found.get("invoice_id") in {one.id for one in ours} or verdict is None:
            return None
        if any(one.refs.get(kind) == name for one in ours):
            return None
        return ExternalMovement(
            kind=kind,
            verdict=verdict,
            money=parse_money(found["amount"]),
            refs={kind.value: name},
            parent_ref=parse_optional(validated_id, parent_id(found, CAPTURES)),
            final=kind is Kind.CAPTURE
            and (ended or found.get("final_capture") is True),
            fee=parse_paypal_fee(found),
        )

    return read_secondary("external", ProviderName.PAYPAL, read)
