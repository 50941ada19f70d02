"""The Stripe provider: a payment is one PaymentIntent, confirmed as it is created."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, NoReturn
from urllib.parse import quote

from stripe import ListObject, PaymentIntent, Refund, StripeError

from domain.error_details import ErrorDetail
from domain.errors import NeedsReview, OutcomeUnknown
from domain.money import Fee, Money
from domain.payments.answer import Answer, ExternalMovement, Verdict
from domain.payments.operation import Kind, Operation, Send
from domain.payments.payment import Payment
from domain.payments.review_reasons import ReviewReason
from providers.amounts import to_stripe
from providers.sanitize import without_causes
from providers.stripe.captures import (
    capture_params,
    is_rest_released,
    parse_capture,
    parse_parts,
    parse_released_rest,
)
from providers.stripe.client import PostClient
from providers.stripe.errors import map_error
from providers.stripe.external_changes import (
    has_other_refunds,
    parse_external_capture,
    parse_external_captures,
    parse_external_refunds,
)
from providers.stripe.requests import (
    build_confirmation,
    build_intent,
    require_payer_action,
)
from providers.stripe.responses import (
    EXPAND_CHARGE,
    EXPAND_REFUND,
    parse_intent,
    parse_refund,
    parse_stripe_part_fee,
    parse_void,
    read_metadata_id,
)

_INTENTS: Final = "/v1/payment_intents"
#: Allowed difference between Stripe's clock and ours in a list's time range.
_CLOCKS: Final = timedelta(minutes=5)
#: Pages of a hundred intents that a lookup reads: ten minutes of an account at Stripe's
#: limit of a hundred calls a second.
_PAGES: Final = 600


class Stripe:
    """The Provider for one Stripe account."""

    def __init__(self, client: PostClient) -> None:
        self._client = client

    def prepare(self, payment: Payment, operation: Operation) -> str:
        ours = {"payment": payment.id, "operation": operation.id}
        money = Money(operation.amount, payment.submission.amount.currency)
        match operation.kind:
            case Kind.CAPTURE:
                amount = to_stripe(money)
                params: dict[str, Any] = capture_params(payment, operation, amount)
            case Kind.VOID:
                params = {"cancellation_reason": "requested_by_customer"}
            case Kind.CHARGE | Kind.AUTHORIZE if operation.approved:
                params = build_confirmation(payment.submission)
            case Kind.REFUND:
                intent = payment.refs["payment_intent"]
                params = {"payment_intent": intent, "amount": to_stripe(money)}
                params |= {"metadata": ours, "expand": EXPAND_REFUND}
            case _:
                amount = to_stripe(money)
                params = build_intent(payment.submission, operation, amount, ours)
        return json.dumps(params)

    def send(self, payment: Payment) -> Answer:
        with without_causes():
            return require_payer_action(payment, self._send(payment))

    def look_up(self, payment: Payment) -> Answer:
        with without_causes():
            return require_payer_action(payment, self._look_up(payment))

    def _send(self, payment: Payment) -> Answer:
        operation = payment.claimed_operation
        send = operation.send
        if send is None:
            raise NeedsReview(ReviewReason.SEND_NOT_WRITTEN_DOWN)
        try:
            match operation.kind:
                case Kind.REFUND:
                    return parse_refund(self._post("/v1/refunds", send))
                case Kind.CAPTURE:
                    captured = self._post(_intent_path(payment, "capture"), send)
                    return parse_capture(captured, operation)
                case Kind.VOID:
                    return _parse_canceled(
                        self._post(_intent_path(payment, "cancel"), send)
                    )
                case Kind.CHARGE | Kind.AUTHORIZE if operation.approved:
                    confirmed = self._post(_intent_path(payment, "confirm"), send)
                    return parse_intent(confirmed, operation.kind)
                case _:
                    return parse_intent(self._post(_INTENTS, send), operation.kind)
        except StripeError as error:
            return map_error(error)

    def _post(self, path: str, send: Send) -> Any:
        return self._client.post(path, json.loads(send.body), key=send.key)

    def _look_up(self, payment: Payment) -> Answer:
        operation = payment.claimed_operation
        try:
            if operation.kind is Kind.REFUND:
                return self._look_up_refund(payment, operation)
            intent = self._find_intent(payment)
            if intent is None:
                return Answer(Verdict.ABSENT)
            external = parse_external_captures(payment, intent)
            if has_other_refunds(payment, intent):
                external += parse_external_refunds(
                    payment, self._list_refunds(intent.id).data
                )
        except StripeError as error:
            _raise_lookup_failed(error)
        return replace(
            self._answer_from_intent(payment, intent, external),
            external_movements=external,
        )

    def _answer_from_intent(
        self,
        payment: Payment,
        intent: PaymentIntent,
        external: Sequence[ExternalMovement],
    ) -> Answer:
        """Answers for the claimed operation from its intent."""
        operation = payment.claimed_operation
        match operation.kind:
            case Kind.CAPTURE if operation.is_external:
                return parse_external_capture(payment, intent, operation)
            case Kind.CAPTURE:
                captured = parse_capture(intent, operation, external)
                fee = captured.fee or self._read_part_fee(intent, operation)
                return replace(captured, fee=fee)
            case Kind.VOID:
                return _parse_canceled(intent)
            case Kind.AUTHORIZE if _is_rest_held(payment) and is_rest_released(intent):
                return parse_released_rest(intent)
            case _:
                return parse_intent(intent, operation.kind)

    def _read_part_fee(self, intent: PaymentIntent, operation: Operation) -> Fee | None:
        """Reads the fee of one of several captures from the balance."""
        part, charge = parse_parts(intent).get(operation.id), intent.latest_charge
        if part is None or charge is None:
            return None
        source = charge if isinstance(charge, str) else charge.id
        balance = self._client.v1.balance_transactions
        return parse_stripe_part_fee(
            lambda: balance.list({"source": source, "limit": 100}).data,
            part,
            intent.currency,
        )

    def _find_intent(self, payment: Payment) -> PaymentIntent | None:
        """Finds the payment's intent by its id, or by the metadata we wrote on it.

        Lists by creation time: unlike Stripe's search, the list does not lag.
        """
        intents = self._client.v1.payment_intents
        if "payment_intent" in payment.refs:
            intent_id = payment.refs["payment_intent"]
            return intents.retrieve(intent_id, {"expand": EXPAND_CHARGE})
        send = payment.first_operation.send
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
                if read_metadata_id(intent, "operation") == payment.first_operation.id:
                    return intents.retrieve(intent.id, {"expand": EXPAND_CHARGE})
            if not page.has_more:
                return None
            params["starting_after"] = page.data[-1].id
        # Another lookup would read the same list.
        raise NeedsReview(ReviewReason.LIST_TOO_LONG)

    def _look_up_refund(self, payment: Payment, operation: Operation) -> Answer:
        if "refund" in operation.refs:
            refund_id = operation.refs["refund"]
            refunds = self._client.v1.refunds
            return parse_refund(refunds.retrieve(refund_id, {"expand": EXPAND_REFUND}))
        page = self._list_refunds(payment.refs["payment_intent"])
        external = parse_external_refunds(payment, page.data)
        for refund in page.data:
            if read_metadata_id(refund, "operation") == operation.id:
                return replace(parse_refund(refund), external_movements=external)
        if page.has_more:
            raise NeedsReview(ReviewReason.TOO_MANY_REFUNDS)
        return Answer(Verdict.ABSENT, external_movements=external)

    def _list_refunds(self, intent_id: str) -> ListObject[Refund]:
        """The newest hundred refunds of an intent, external ones included."""
        return self._client.v1.refunds.list(
            {
                "payment_intent": intent_id,
                "limit": 100,
                "expand": [f"data.{name}" for name in EXPAND_REFUND],
            }
        )


def _intent_path(payment: Payment, act: str) -> str:
    return f"{_INTENTS}/{quote(payment.refs['payment_intent'], safe='')}/{act}"


def _is_rest_held(payment: Payment) -> bool:
    """Whether the hold stands and no capture is under way."""
    held = payment.hold is not None and payment.hold.ended is None
    return held and not payment.capture_reserved


def _parse_canceled(intent: PaymentIntent) -> Answer:
    """Answers for a void from its intent, which may be partly captured."""
    if is_rest_released(intent):
        return replace(parse_released_rest(intent), verdict=Verdict.SUCCEEDED)
    return parse_void(intent)


def _raise_lookup_failed(error: StripeError) -> NoReturn:
    """Raises OutcomeUnknown: a refused lookup does not tell what happened."""
    map_error(error)
    raise OutcomeUnknown(ErrorDetail.LOOKUP_REFUSED, request_id=error.request_id)
