"""Stripe: a payment is one PaymentIntent, created and confirmed in one call."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, NoReturn
from urllib.parse import quote

from stripe import ListObject, PaymentIntent, Refund, StripeClient, StripeError

from domain.error_details import ErrorDetail
from domain.errors import NeedsReview, OutcomeUnknown
from domain.money import Fee, Money
from domain.payments.answer import Answer, ExternalMovement, Verdict
from domain.payments.operation import Kind, Operation, Send
from domain.payments.payment import Payment
from domain.payments.review_reasons import ReviewReason
from providers.amounts import to_stripe
from providers.sanitize import unquoted
from providers.stripe.answer_details import stripe_part_fee
from providers.stripe.captures import (
    capture_of,
    capture_params,
    is_rest_released,
    parts_of,
    rest_of,
)
from providers.stripe.client import post
from providers.stripe.errors import refusal_of
from providers.stripe.external_changes import (
    external_capture_of,
    external_captures,
    external_refunds,
    has_other_refunds,
)
from providers.stripe.requests import asks_the_payer, confirmation, new_intent
from providers.stripe.responses import (
    EXPAND_CHARGE,
    EXPAND_REFUND,
    answer_of,
    metadata_of,
    refund_of,
    void_of,
)

_INTENTS: Final = "/v1/payment_intents"
#: Seconds by which Stripe's clock and ours may differ where a list is asked for.
_CLOCKS: Final = timedelta(minutes=5)
#: Pages of a hundred that a look reads: what an account makes in ten minutes at
#: Stripe's limit of a hundred calls a second.
_PAGES: Final = 600


class Stripe:
    """A Provider."""

    def __init__(self, client: StripeClient) -> None:
        self._client = client

    def prepare(self, payment: Payment, operation: Operation) -> str:
        """See Provider."""
        ours = {"payment": payment.id, "operation": operation.id}
        money = Money(operation.amount, payment.submission.amount.currency)
        match operation.kind:
            case Kind.CAPTURE:
                amount = to_stripe(money)
                params: dict[str, Any] = capture_params(payment, operation, amount)
            case Kind.VOID:
                params = {"cancellation_reason": "requested_by_customer"}
            case Kind.CHARGE | Kind.AUTHORIZE if operation.approved:
                params = confirmation(payment.submission)
            case Kind.REFUND:
                intent = payment.refs["payment_intent"]
                params = {"payment_intent": intent, "amount": to_stripe(money)}
                params |= {"metadata": ours, "expand": EXPAND_REFUND}
            case _:
                amount = to_stripe(money)
                params = new_intent(payment.submission, operation, amount, ours)
        return json.dumps(params)

    def send(self, payment: Payment) -> Answer:
        """See Provider."""
        with unquoted():
            return asks_the_payer(payment, self._send(payment))

    def look(self, payment: Payment) -> Answer:
        """See Provider."""
        with unquoted():
            return asks_the_payer(payment, self._look(payment))

    def _send(self, payment: Payment) -> Answer:
        operation = payment.working
        send = operation.send
        if send is None:
            raise NeedsReview(ReviewReason.SEND_NOT_WRITTEN_DOWN)
        try:
            match operation.kind:
                case Kind.REFUND:
                    return refund_of(self._post("/v1/refunds", send))
                case Kind.CAPTURE:
                    captured = self._post(_of_intent(payment, "capture"), send)
                    return capture_of(captured, operation)
                case Kind.VOID:
                    return _voided(self._post(_of_intent(payment, "cancel"), send))
                case Kind.CHARGE | Kind.AUTHORIZE if operation.approved:
                    confirmed = self._post(_of_intent(payment, "confirm"), send)
                    return answer_of(confirmed, operation.kind)
                case _:
                    return answer_of(self._post(_INTENTS, send), operation.kind)
        except StripeError as error:
            return refusal_of(error)

    def _post(self, path: str, send: Send) -> Any:
        return post(self._client, path, json.loads(send.body), key=send.key)

    def _look(self, payment: Payment) -> Answer:
        operation = payment.working
        try:
            if operation.kind is Kind.REFUND:
                return self._look_for_refund(payment, operation)
            intent = self._intent(payment)
            if intent is None:
                return Answer(Verdict.ABSENT)
            external = external_captures(payment, intent)
            if has_other_refunds(payment, intent):
                external += external_refunds(payment, self._refunds(intent.id).data)
        except StripeError as error:
            _raise_unread(error)
        return replace(self._seen(payment, intent, external), external=external)

    def _seen(
        self,
        payment: Payment,
        intent: PaymentIntent,
        external: Sequence[ExternalMovement],
    ) -> Answer:
        """What an intent tells of the operation that is looked at."""
        operation = payment.working
        match operation.kind:
            case Kind.CAPTURE if operation.external:
                return external_capture_of(payment, intent, operation)
            case Kind.CAPTURE:
                captured = capture_of(intent, operation, external)
                fee = captured.fee or self._fee_of_part(intent, operation)
                return replace(captured, fee=fee)
            case Kind.VOID:
                return _voided(intent)
            case Kind.AUTHORIZE if _holds(payment) and is_rest_released(intent):
                return rest_of(intent)
            case _:
                return answer_of(intent, operation.kind)

    def _fee_of_part(self, intent: PaymentIntent, operation: Operation) -> Fee | None:
        """What the balance says of an earlier one of several captures."""
        part, charge = parts_of(intent).get(operation.id), intent.latest_charge
        if part is None or charge is None:
            return None
        source = charge if isinstance(charge, str) else charge.id
        balance = self._client.v1.balance_transactions
        return stripe_part_fee(
            lambda: balance.list({"source": source, "limit": 100}).data,
            part,
            intent.currency,
        )

    def _intent(self, payment: Payment) -> PaymentIntent | None:
        """The payment's intent: by its id, or by what we wrote on it.

        A list by creation time does not lag, as Stripe's search does.
        """
        intents = self._client.v1.payment_intents
        if "payment_intent" in payment.refs:
            intent_id = payment.refs["payment_intent"]
            return intents.retrieve(intent_id, {"expand": EXPAND_CHARGE})
        send = payment.first.send
        if send is None:
            raise NeedsReview(ReviewReason.SEND_NOT_WRITTEN_DOWN)
        params: Any = {
            "created": {
                "gte": int((send.first_at - _CLOCKS).timestamp()),
                "lte": int((send.last_at + _CLOCKS).timestamp()),
            },
            "limit": 100,
        }
        for _ in range(_PAGES):
            page = intents.list(params)
            for intent in page.data:
                if metadata_of(intent, "operation") == payment.first.id:
                    return intents.retrieve(intent.id, {"expand": EXPAND_CHARGE})
            if not page.has_more:
                return None
            params["starting_after"] = page.data[-1].id
        # The next look would meet the same list.
        raise NeedsReview(ReviewReason.LIST_TOO_LONG)

    def _look_for_refund(self, payment: Payment, operation: Operation) -> Answer:
        if "refund" in operation.refs:
            refund_id = operation.refs["refund"]
            refunds = self._client.v1.refunds
            return refund_of(refunds.retrieve(refund_id, {"expand": EXPAND_REFUND}))
        page = self._refunds(payment.refs["payment_intent"])
        external = external_refunds(payment, page.data)
        for refund in page.data:
            if metadata_of(refund, "operation") == operation.id:
                return replace(refund_of(refund), external=external)
        if page.has_more:
            raise NeedsReview(ReviewReason.TOO_MANY_REFUNDS)
        return Answer(Verdict.ABSENT, external=external)

    def _refunds(self, intent_id: str) -> ListObject[Refund]:
        """The newest refunds of an intent, others' as well; a page has them all."""
        return self._client.v1.refunds.list(
            {
                "payment_intent": intent_id,
                "limit": 100,
                "expand": [f"data.{name}" for name in EXPAND_REFUND],
            }
        )


def _of_intent(payment: Payment, act: str) -> str:
    return f"{_INTENTS}/{quote(payment.refs['payment_intent'], safe='')}/{act}"


def _holds(payment: Payment) -> bool:
    """Whether what no capture under way may take counts as on hold."""
    held = payment.hold is not None and payment.hold.ended is None
    return held and not payment.capture_reserved


def _voided(intent: PaymentIntent) -> Answer:
    """What an intent says of its cancellation, some of it captured before or none."""
    if is_rest_released(intent):
        return replace(rest_of(intent), verdict=Verdict.SUCCEEDED)
    return void_of(intent)


def _raise_unread(error: StripeError) -> NoReturn:
    """A look that was refused says nothing of what was looked for."""
    refusal_of(error)
    raise OutcomeUnknown(ErrorDetail.LOOKUP_REFUSED, request_id=error.request_id)
