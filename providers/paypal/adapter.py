"""The PayPal provider: a payment is one order.

An order with a vaulted token is carried out at once. Without a token the payer approves
it at the link in the answer, and a second call carries it out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import requests
from paypalrestsdk.exceptions import ConnectionError as ApiError

from domain.error_details import ErrorDetail
from domain.errors import InvalidPayment, NeedsReview, OutcomeUnknown
from domain.money import Money
from domain.payments.answer import Answer, ExternalMovement, Verdict
from domain.payments.external_changes import decline_captured_elsewhere
from domain.payments.operation import Kind, Operation, Send
from domain.payments.payment import Payment
from domain.payments.review_reasons import ReviewReason
from domain.payments.states import State
from domain.payments.submission import ProviderName, Submission
from providers.amounts import to_paypal
from providers.paypal.client import PayPalApi, Reply, debug_id
from providers.paypal.errors import is_not_found, map_error, no_response_error
from providers.paypal.external_changes import parse_external_movements
from providers.paypal.objects import AUTHORIZATIONS, CAPTURES, ORDERS
from providers.paypal.responses import (
    effective_object,
    order_payments,
    parse_capture,
    parse_order,
    parse_refund,
    parse_release,
    parse_void,
)
from providers.sanitize import truncate, without_causes

#: Longest description that PayPal allows, in characters.
_DESCRIPTION: Final = 127


class PayPal:
    """The Provider for one PayPal account."""

    def __init__(self, api: PayPalApi) -> None:
        self._api = api

    def prepare(self, payment: Payment, operation: Operation) -> str:
        match operation.kind:
            case Kind.CAPTURE:
                _require_ref(payment.refs, "authorization")
                body = _amount_fields(payment, operation)
                body["final_capture"] = operation.final
            case Kind.VOID:
                _require_ref(payment.refs, "authorization")
                body = {}
            case Kind.CHARGE | Kind.AUTHORIZE if operation.approved:
                body = {}
            case Kind.REFUND:
                _require_ref(
                    payment.get_operation(operation.target or "").refs, "capture"
                )
                body = {**_amount_fields(payment, operation), "custom_id": payment.id}
            case _:
                unit = {**_amount_fields(payment, operation), "custom_id": payment.id}
                body = _new_order(payment.submission, operation.kind, unit)
        return json.dumps(body)

    def send(self, payment: Payment) -> Answer:
        with without_causes():
            return self._send(payment)

    def look_up(self, payment: Payment) -> Answer:
        with without_causes():
            return self._look_up(payment)

    def _send(self, payment: Payment) -> Answer:
        operation = payment.claimed_operation
        send = operation.send
        if send is None:
            raise NeedsReview(ReviewReason.SEND_NOT_WRITTEN_DOWN)
        try:
            match operation.kind:
                case Kind.CAPTURE:
                    path = f"{AUTHORIZATIONS}/{payment.refs['authorization']}/capture"
                    capture = self._post(path, send)
                    return parse_capture(capture, {}, capture.debug_id)
                case Kind.VOID:
                    return self._void(payment.refs["authorization"], send)
                case Kind.REFUND:
                    captured = payment.get_operation(operation.target or "").refs
                    path = f"{CAPTURES}/{captured['capture']}/refund"
                    refund = self._post(path, send)
                    return parse_refund(refund, refund.debug_id)
                case Kind.CHARGE if operation.approved:
                    path = f"{ORDERS}/{operation.refs['order']}/capture"
                    return parse_order(self._post(path, send))
                case Kind.AUTHORIZE if operation.approved:
                    path = f"{ORDERS}/{operation.refs['order']}/authorize"
                    return parse_order(self._post(path, send))
                case _:
                    return parse_order(self._post(ORDERS, send))
        except ApiError as error:
            return map_error(error)
        except requests.RequestException as error:
            raise no_response_error(error)

    def _void(self, authorization_id: str, send: Send) -> Answer:
        """Reads the authorization first: PayPal takes no idempotency key for a void.

        A second void changes nothing.
        """
        path = f"{AUTHORIZATIONS}/{authorization_id}"
        found = self._api.get(path)
        answer = parse_void(found, found.debug_id)
        if answer.verdict is not Verdict.ABSENT:
            return answer
        voided = self._post(f"{path}/void", send)
        return parse_void(voided, voided.debug_id)

    def _post(self, path: str, send: Send) -> Reply:
        headers = {"PayPal-Request-Id": send.key, "Prefer": "return=representation"}
        reply: Reply = self._api.post(path, json.loads(send.body), headers)
        return reply

    def _look_up(self, payment: Payment) -> Answer:
        operation = payment.claimed_operation
        if "order" not in payment.refs:
            # PayPal cannot list orders, and its transaction search lags for hours.
            raise NeedsReview(ReviewReason.NOTHING_TO_LOOK_UP)
        try:
            if operation.kind is Kind.VOID:
                path = f"{AUTHORIZATIONS}/{payment.refs['authorization']}"
                authorization = self._api.get(path)
                return parse_void(authorization, authorization.debug_id)
            order = self._api.get(f"{ORDERS}/{payment.refs['order']}")
        except ApiError as error:
            if is_not_found(error) and _may_have_expired(operation):
                return Answer(Verdict.EXPIRED, request_id=debug_id(error))
            map_error(error)
            raise OutcomeUnknown(ErrorDetail.LOOKUP_REFUSED, request_id=debug_id(error))
        except requests.RequestException as error:
            raise no_response_error(error)
        external = parse_external_movements(payment, order)
        return replace(
            _answer_from_order(order, operation, external), external_movements=external
        )


def _may_have_expired(operation: Operation) -> bool:
    """Whether an order that PayPal does not find may have expired.

    An order that waits for the payer has moved no money. An approved one was being
    carried out, and PayPal keeps an order that was.
    """
    was_approved = operation.state is State.UNKNOWN and operation.approved
    return operation.state is State.REQUIRES_ACTION or was_approved


def _answer_from_order(
    order: Reply, operation: Operation, external: Sequence[ExternalMovement]
) -> Answer:
    """Answers for one operation from its whole order."""
    if operation.kind not in (Kind.CAPTURE, Kind.REFUND):
        return parse_order(order)
    payments = order_payments(order)
    name = "captures" if operation.kind is Kind.CAPTURE else "refunds"
    made = payments.get(name, ())
    known = operation.refs.get(operation.kind)
    ours = [
        one
        for one in made
        if one.get("invoice_id") == operation.id or one["id"] == known
    ]
    if ours:
        one = effective_object(ours, order.debug_id)
        if operation.kind is Kind.CAPTURE:
            return parse_capture(one, {}, order.debug_id)
        return parse_refund(one, order.debug_id)
    for one in payments.get("authorizations", ()):
        if operation.kind is Kind.CAPTURE and one["status"] == "VOIDED":
            return parse_release(one, Verdict.CANCELED, {}, order.debug_id)
        if operation.kind is Kind.CAPTURE and one["status"] == "CAPTURED":
            # The capture never arrived: an external one was the last.
            return decline_captured_elsewhere(external, request_id=order.debug_id)
    return Answer(Verdict.ABSENT, request_id=order.debug_id)


def _amount_fields(payment: Payment, operation: Operation) -> dict[str, Any]:
    """The amount and the invoice, which is the operation's id.

    PayPal refuses a second payment of one invoice, which protects beside the
    idempotency key. Its reports name the invoice and ``custom_id``, which link a
    movement to its payment. Raises InvalidPayment.
    """
    money = Money(operation.amount, payment.submission.amount.currency)
    amount = {"currency_code": money.currency, "value": to_paypal(money)}
    return {"amount": amount, "invoice_id": operation.id}


def _require_ref(refs: Mapping[str, str], name: str) -> None:
    """Raises InvalidPayment if PayPal's id of the object is unknown.

    An operator resolved the earlier operation as succeeded without it.
    """
    if name not in refs:
        raise InvalidPayment(f"PayPal's {name} is not known", field="operation")


def _new_order(
    submission: Submission, kind: Kind, unit: dict[str, Any]
) -> dict[str, Any]:
    """An order: carried out at once with a vaulted token, else for approval."""
    if submission.description is not None:
        unit["description"] = truncate(submission.description, _DESCRIPTION)
    intent = "AUTHORIZE" if kind is Kind.AUTHORIZE else "CAPTURE"
    order: dict[str, Any] = {"intent": intent, "purchase_units": [unit]}
    token = submission.payment_method_for(ProviderName.PAYPAL)
    if token is not None:
        order["payment_source"] = {"paypal": {"vault_id": token}}
    elif submission.return_url is not None:
        wallet: dict[str, Any] = {
            "experience_context": {
                "return_url": submission.return_url,
                "cancel_url": submission.return_url,
                "user_action": "PAY_NOW",
            }
        }
        if submission.setup_future_usage is not None:
            wallet["attributes"] = _save_wallet(submission)
        order["payment_source"] = {"paypal": wallet}
    return order


def _save_wallet(submission: Submission) -> dict[str, Any]:
    """Attributes that save the wallet after it paid; PayPal has one usage for both."""
    vault = {"store_in_vault": "ON_SUCCESS", "usage_type": "MERCHANT"}
    attributes: dict[str, Any] = {"vault": vault}
    customer = submission.customer_for(ProviderName.PAYPAL)
    if customer is not None:
        attributes["customer"] = {"id": customer}
    return attributes
