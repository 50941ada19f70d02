"""What others moved of a payment at PayPal: in the dashboard, or by another program.

All that we make there carries the id of its operation as its invoice. The rest is not
ours, the invoice of the order on it or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from domain.payments.answer import ExternalMovement, Verdict
from domain.payments.operation import Kind
from domain.payments.payment import Payment
from domain.payments.submission import ProviderName
from providers.paypal.answer_details import paypal_fee
from providers.paypal.objects import CAPTURES, above, money_of
from providers.paypal.responses import payments_of
from providers.sanitize import name_of, optional, read_aside

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


def external_movements(
    payment: Payment, order: Mapping[str, Any]
) -> tuple[ExternalMovement, ...]:
    """The captures and refunds of a whole order that are not ours."""

    def read() -> tuple[ExternalMovement, ...]:
        made = payments_of(order)
        held = payment.first.kind is Kind.AUTHORIZE
        ended = any(
            one.get("status") == "CAPTURED" for one in made.get("authorizations", ())
        )
        found = [
            _movement(payment, kind, one, ended)
            for kind in ((Kind.CAPTURE, Kind.REFUND) if held else (Kind.REFUND,))
            for one in made.get(_LISTS[kind], ())
        ]
        return tuple(one for one in found if one is not None)

    return read_aside("external", ProviderName.PAYPAL, read) or ()


def _movement(
    payment: Payment, kind: Kind, found: Mapping[str, Any], ended: bool
) -> ExternalMovement | None:
    ours = [one for one in payment.operations if one.kind is kind and not one.external]

    def read() -> ExternalMovement | None:
        name, verdict = name_of(found["id"]), _STATUSES.get(found["status"])
        if found.get("invoice_id") in {one.id for one in ours} or verdict is None:
            return None
        if any(one.refs.get(kind) == name for one in ours):
            return None
        return ExternalMovement(
            kind=kind,
            verdict=verdict,
            money=money_of(found["amount"]),
            refs={kind.value: name},
            of=optional(name_of, above(found, CAPTURES)),
            final=kind is Kind.CAPTURE
            and (ended or found.get("final_capture") is True),
            fee=paypal_fee(found),
        )

    return read_aside("external", ProviderName.PAYPAL, read)
