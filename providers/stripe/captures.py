"""Captures of a PaymentIntent, one or several, and how each is known again.

Every capture writes its operation's id on the intent in the same call. Where several
are possible, each writes a key of its own, whose value is its amount: what one has
written no other overwrites, and together they say what ours have taken.
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
from providers.stripe.answer_details import parse_stripe_fee
from providers.stripe.responses import (
    EXPAND_CHARGE,
    parse_release,
    read_metadata_id,
    build_charge_refs,
    read_request_id,
)

#: Before the operation's id, in the name of a metadata key: 37 characters of Stripe's
#: 40 in all.
_PART: Final = "capture_"
#: An amount, as we write it there; Stripe takes twelve digits at most.
_AMOUNT: Final = re.compile(r"[0-9]{1,12}")


def capture_params(payment: Payment, operation: Operation, amount: int) -> Any:
    """What a capture of ``amount`` (Stripe's units) sends.

    The intent keeps the metadata of its beginning beside this. ``capture`` names the
    latest one, for webhooks.
    """
    metadata = {"capture": operation.id}
    params: dict[str, Any] = {"amount_to_capture": amount, "metadata": metadata}
    if payment.hold is not None and payment.hold.multicapture:
        metadata[_PART + operation.id] = str(amount)
        params["final_capture"] = operation.final
    return {**params, "expand": EXPAND_CHARGE}


def parse_parts(intent: Any) -> Mapping[str, int]:
    """Our captures of an intent that takes several: Stripe's units by operation.

    Others may write metadata of such a name, too: what is none of ours is left out.
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
    """Whether nothing is on hold any more of what our several captures have left."""
    taken = sum(parse_parts(intent).values())
    received: int = intent.amount_received
    ours_alone = 0 < taken == received < intent.amount
    return ours_alone and intent.status in ("succeeded", "canceled")


def parse_released_rest(intent: PaymentIntent) -> Answer:
    """That the rest is not on hold any more; Stripe does not say who let go of it."""
    refs = build_charge_refs(intent.id, None)
    return Answer(Verdict.EXPIRED, refs=refs, request_id=read_request_id(intent))


def parse_capture(
    intent: PaymentIntent,
    operation: Operation,
    external: Sequence[ExternalMovement] = (),
) -> Answer:
    """What an intent says of one of its captures; ``external`` are those of others."""
    request_id, parts = read_request_id(intent), parse_parts(intent)
    if operation.id in parts:
        if sum(parts.values()) > intent.amount_received:
            raise NeedsReview(ReviewReason.LESS_WAS_CAPTURED, request_id=request_id)
        return _captured_answer(intent, parts[operation.id], part=parts[operation.id])
    match intent.status:
        case "succeeded" if read_metadata_id(intent, "capture") == operation.id:
            return _captured_answer(intent, intent.amount_received)
        case "succeeded" if is_rest_released(intent):
            # It never came, and there is nothing left that it could take.
            return parse_released_rest(intent)
        case "succeeded":
            # It never came: others have captured, and an intent is captured once.
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
