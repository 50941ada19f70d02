"""Captures, voids and refunds of a payment.

A request reserves its amount in the same write that appends it. So two requests that
exceed the rest together cannot both be accepted.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from domain.conflict_reasons import ConflictReason
from domain.errors import Conflict
from domain.money import Money
from domain.payments.event_types import EventType
from domain.payments.operation import HoldEnd, Kind, Operation, Origin
from domain.payments.payment import WAKEUP_GRACE, Payment
from domain.payments.states import UNSENT, State
from domain.payments.apply_answer import cancel_first_operation
from domain.provider_rules import RULES

#: The most operations of one payment: its document must not grow without a bound.
MAX_OPERATIONS: Final = 100


def capture(
    payment: Payment,
    *,
    amount: int | None,
    final: bool | None,
    id: str,
    origin: Origin,
    now: datetime,
) -> Payment:
    """The payment with a capture of ``amount`` (minor units); None takes the rest.

    ``final`` releases the rest. At a provider that does not capture in parts, None
    means True, and False is allowed only for a hold of several captures. Raises
    InvalidPayment where the provider has no such amount. Raises Conflict where the
    hold does not allow the capture, or another capture under way may take the rest.
    """
    left = payment.capturable
    wanted = left if amount is None else amount
    if payment.hold is None or payment.hold.ended is not None or not left:
        raise Conflict(ConflictReason.NOTHING_TO_CAPTURE, _capture_refusal(payment))
    if wanted > left:
        words = f"{_format_amount(payment, left)} can be captured"
        raise Conflict(ConflictReason.AMOUNT_EXCEEDS_HOLD, words)
    alone = not payment.capture_reserved
    rules = RULES[payment.provider]
    wants_release = not rules.captures_in_parts if final is None else final
    releases = wants_release or not payment.may_capture_in_parts
    if releases and not alone:
        words = "a capture that releases the rest waits until the others are finished"
        raise Conflict(ConflictReason.CAPTURE_UNDER_WAY, words)
    if releases and final is False and wanted < left:
        raise Conflict(ConflictReason.RELEASES_THE_REST, _release_reason(payment))
    most = rules.max_partial_captures
    if most is not None and not releases and _count_parts(payment) >= most:
        words = (
            f"{rules.name} leaves the rest on hold {most} times: make this one final"
        )
        raise Conflict(ConflictReason.TOO_MANY_CAPTURES, words)
    _check_units(payment, wanted)
    _check_reference(payment, payment.first_operation)
    operation = Operation(
        id=id,
        kind=Kind.CAPTURE,
        amount=wanted,
        origin=origin,
        starts_at=now,
        final=releases or (alone and wanted == left),
    )
    return _with_new_operation(payment, operation, now)


def refund(
    payment: Payment,
    *,
    amount: int | None,
    target: str | None,
    id: str,
    origin: Origin,
    now: datetime,
) -> Payment:
    """The payment with a refund of ``amount`` (minor units); None refunds the rest.

    ``target`` is the id of the capture; by default the first one with enough left. A
    provider refunds one capture at a time, so the rest of several captures needs a
    ``target``. Raises InvalidPayment where the provider has no such amount, Conflict,
    and PaymentNotFound where ``target`` is no operation.
    """
    targets = payment.operations if target is None else (payment.get_operation(target),)
    left = [(one, payment.refundable_amount(one)) for one in targets]
    left = [(one, most) for one, most in left if most]
    if not left:
        raise Conflict(
            ConflictReason.NOTHING_TO_REFUND, "no captured money is left to refund"
        )
    if amount is None and len(left) > 1:
        words = f"{len(left)} captures have money left: name one of them as operation"
        raise Conflict(ConflictReason.SEVERAL_CAPTURES, words)
    largest = max(most for _, most in left)
    wanted = left[0][1] if amount is None else amount
    for one, most in left:
        if wanted <= most:
            _check_units(payment, wanted)
            _check_reference(payment, one)
            operation = Operation(
                id=id,
                kind=Kind.REFUND,
                amount=wanted,
                origin=origin,
                starts_at=now,
                target=one.id,
            )
            return _with_new_operation(payment, operation, now)
    words = f"{_format_amount(payment, largest)} can be refunded"
    if len(left) > 1:
        words += " of one capture: ask for each by itself, and name it as operation"
    raise Conflict(ConflictReason.AMOUNT_EXCEEDS_CAPTURED, words)


def void(payment: Payment, *, id: str, origin: Origin, now: datetime) -> Payment:
    """The payment with its hold released, or canceled before money moves.

    Raises Conflict where money may have moved or is about to.
    """
    operation = Operation(
        id=id,
        kind=Kind.VOID,
        amount=payment.capturable,
        origin=origin,
        starts_at=now,
    )
    first = payment.first_operation
    if any(one.kind is Kind.VOID and not one.is_terminal for one in payment.operations):
        raise Conflict(ConflictReason.VOID_UNDER_WAY, "a void is not finished yet")
    if first.may_have_duplicate_order and not first.is_terminal:
        words = "an order of a lost answer may have been paid"
        raise Conflict(ConflictReason.ANOTHER_ORDER, words)
    waits_for_payer = first.state is State.REQUIRES_ACTION
    if waits_for_payer and not RULES[payment.provider].needs_payer_approval:
        return _with_new_operation(payment, operation, now)
    # A due lookup must come first: by a webhook, money may have moved.
    is_unsent = first.state in UNSENT and first.lookups_since is None
    # An order that the payer approves moves nothing without another request of ours.
    if (is_unsent or waits_for_payer) and payment.claim is None:
        return _cancel_unsent(payment, operation, now)
    if payment.hold is None or payment.hold.ended is not None:
        raise Conflict(ConflictReason.NOTHING_TO_VOID, _capture_refusal(payment))
    if payment.capture_reserved or not payment.capturable:
        raise Conflict(
            ConflictReason.CAPTURE_UNDER_WAY, "a capture is not finished yet"
        )
    _check_reference(payment, first)
    return _with_new_operation(payment, operation, now)


def _cancel_unsent(payment: Payment, operation: Operation, now: datetime) -> Payment:
    """The payment canceled without a call, since no request can have moved money."""
    done = replace(operation, state=State.SUCCEEDED)
    return _append(cancel_first_operation(payment, now=now), done, now)


def _with_new_operation(
    payment: Payment, operation: Operation, now: datetime
) -> Payment:
    return _append(payment, replace(operation, due_at=now + WAKEUP_GRACE), now)


def _append(payment: Payment, operation: Operation, now: datetime) -> Payment:
    if len(payment.operations) >= MAX_OPERATIONS:
        raise Conflict(
            ConflictReason.TOO_MANY_OPERATIONS,
            f"a payment has at most {MAX_OPERATIONS} operations",
        )
    data: dict[str, str | int] = {
        "kind": operation.kind.value,
        "amount": operation.amount,
    }
    return payment.with_event(
        operation, EventType.OPERATION_ACCEPTED, now=now, data=data
    )


def _check_units(payment: Payment, minor: int) -> None:
    """Raises InvalidPayment where the provider has no such amount.

    The rest may be such an amount after a dispute or an external refund.
    """
    money = Money(minor, payment.submission.amount.currency)
    RULES[payment.provider].to_units(money)


def _check_reference(payment: Payment, target: Operation) -> None:
    """Raises Conflict where the provider's reference of ``target`` is not known.

    An operator may have resolved it without a reference.
    """
    name = RULES[payment.provider].object_ids[target.kind].ref
    if name not in payment.first_operation.refs and name not in target.refs:
        words = (
            f"the provider's reference of {target.id} is not known: an operator has to"
            " resolve that operation once more, as succeeded, with the reference"
        )
        raise Conflict(ConflictReason.PROVIDER_REFERENCE_UNKNOWN, words)


def _count_parts(payment: Payment) -> int:
    """The number of captures that leave the rest on hold."""
    parts = (one for one in payment.operations if one.kind is Kind.CAPTURE)
    return sum(not one.final for one in parts)


def _release_reason(payment: Payment) -> str:
    name = RULES[payment.provider].name
    if payment.submission.multicapture:
        return (
            f"{name} does not allow several captures of this card and releases the rest"
            " after a capture: omit final, or set it to true"
        )
    return (
        f"{name} releases the rest after a capture: omit final, or set it to true;"
        " several captures need a payment with multicapture"
    )


def _capture_refusal(payment: Payment) -> str:
    hold = payment.hold
    if hold is None:
        authorizes = payment.first_operation.kind is Kind.AUTHORIZE
        return (
            "the authorization has not succeeded"
            if authorizes
            else "the payment was captured with its charge, or is about to be"
        )
    if hold.ended is HoldEnd.CAPTURED:
        return "the authorization is captured, and the rest is released"
    if hold.ended is not None:
        return f"the authorization is {hold.ended}"
    return "all of the authorization is captured or about to be"


def _format_amount(payment: Payment, minor: int) -> str:
    return str(Money(minor, payment.submission.amount.currency))
