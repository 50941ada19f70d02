"""Builds and recognizes the captures of a PaymentIntent.

Every capture writes its operation's id to the intent's metadata in the same call. If
several are possible, each writes a key of its own with its amount as the value: no
capture overwrites another's key, and the sum is the amount captured by us.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from stripe import PaymentIntent

from domain.error_details import ErrorDetail
from domain.errors import NeedsReview, OutcomeUnknown
from domain.payments.answer import Answer, ExternalMovement, Verdict
from domain.payments.external_changes import decline_captured_elsewhere
from domain.payments.operation import Operation
from domain.payments.payment import Payment
from domain.payments.review_reasons import ReviewReason
from providers.amounts import from_stripe
from providers.sanitize import parse_own_id
from providers.stripe.responses import (
    EXPAND_CHARGE,
    build_charge_refs,
    parse_release,
    read_metadata_id,
    read_request_id,
    parse_stripe_fee,
)

#: Prefix of a metadata key. With the operation's id it has 37 characters; Stripe takes
#: 40.
_PART: Final = "capture_"
#: The amount in such a key's value; Stripe takes at most twelve digits.
_AMOUNT: Final = re.compile(r"[0-9]{1,12}")


def capture_params(payment: Payment, operation: Operation, amount: int) -> Any:
    """The parameters of a capture of ``amount`` (Stripe's units).

    Stripe merges the metadata into the intent's. ``capture`` names the latest capture,
    for webhooks.
    """
    metadata = {"capture": operation.id}
    params: dict[str, Any] = {"amount_to_capture": amount, "metadata": metadata}
    if payment.hold is not None and payment.hold.multicapture:
        metadata[_PART + operation.id] = str(amount)
        params["final_capture"] = operation.final
    return {**params, "expand": EXPAND_CHARGE}


def parse_parts(intent: Any) -> Mapping[str, int]:
    """Our captures of an intent that takes several: Stripe's units by operation id.

    Keys and values that do not have our form are left out; others may write metadata.
    """
    as_dict: Any = getattr(getattr(intent, "metadata", None), "to_dict", dict)
    return {
        ours: int(value)
        for name, value in as_dict().items()
        if name.startswith(_PART)
        and (ours := parse_own_id(name.removeprefix(_PART))) is not None
        and isinstance(value, str)
        and _AMOUNT.fullmatch(value)
    }


def is_rest_released(intent: Any) -> bool:
    """Whether the amount left by our several captures is no longer on hold."""
    taken = sum(parse_parts(intent).values())
    received: int = intent.amount_received
    ours_alone = 0 < taken == received < intent.amount
    return ours_alone and intent.status in ("succeeded", "canceled")


def parse_released_rest(intent: PaymentIntent) -> Answer:
    """The answer for a released rest; Stripe does not say who released it."""
    refs = build_charge_refs(intent.id, None)
    return Answer(Verdict.EXPIRED, refs=refs, request_id=read_request_id(intent))


def parse_capture(
    intent: PaymentIntent,
    operation: Operation,
    external: Sequence[ExternalMovement] = (),
) -> Answer:
    """Answers for one capture of an intent; ``external`` are those made by others."""
    request_id, parts = read_request_id(intent), parse_parts(intent)
    if operation.id in parts:
        if sum(parts.values()) > intent.amount_received:
            raise NeedsReview(ReviewReason.LESS_WAS_CAPTURED, request_id=request_id)
        return _captured_answer(intent, parts[operation.id], part=parts[operation.id])
    match intent.status:
        case "succeeded" if read_metadata_id(intent, "capture") == operation.id:
            return _captured_answer(intent, intent.amount_received)
        case "succeeded" if is_rest_released(intent):
            # The capture never arrived, and no amount is left for it.
            return parse_released_rest(intent)
        case "succeeded":
            # The capture never arrived: an external one has taken its place.
            refs = build_charge_refs(intent.id, None)
            return decline_captured_elsewhere(
                external, request_id=request_id, refs=refs
            )
        case "requires_capture":
            return Answer(Verdict.ABSENT, request_id=request_id)
        case "canceled":
            return parse_release(intent, Verdict.CANCELED)
        case (
            "requires_payment_method"
            | "requires_confirmation"
            | "requires_action"
            | "processing" as status
        ):
            raise NeedsReview(
                ReviewReason.STATUS.with_detail(status), request_id=request_id
            )
        case _:
            raise OutcomeUnknown(ErrorDetail.UNRECOGNIZED_STATUS, request_id=request_id)


def _captured_answer(
    intent: PaymentIntent, amount: int, *, part: int | None = None
) -> Answer:
    return Answer(
        Verdict.SUCCEEDED,
        from_stripe(amount, intent.currency),
        build_charge_refs(intent.id, intent.latest_charge),
        request_id=read_request_id(intent),
        fee=parse_stripe_fee(intent.latest_charge, part),
    )
