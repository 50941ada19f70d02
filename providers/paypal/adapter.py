"""PayPal: a payment is one order, carried out at once where a vaulted token pays.

Without a token the payer must approve the order first, at the link it answers with;
a second call then carries it out.
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
    parse_order,
    parse_capture,
    parse_release,
    order_payments,
    parse_refund,
    effective_object,
    parse_void,
)
from providers.sanitize import truncate, without_causes

#: Characters that PayPal allows in a description.
_DESCRIPTION: Final = 127


class PayPal:
    """A Provider."""

    def __init__(self, api: PayPalApi) -> None:
        self._api = api

    def prepare(self, payment: Payment, operation: Operation) -> str:
        """See Provider."""
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
        """See Provider."""
        with without_causes():
            return self._send(payment)

    def look_up(self, payment: Payment) -> Answer:
        """See Provider."""
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
        """PayPal takes no key for a void, so it is read first; twice does no harm."""
        path = f"{AUTHORIZATIONS}/{authorization_id}"
        found = self._api.get(path)
        seen = parse_void(found, found.debug_id)
        if seen.verdict is not Verdict.ABSENT:
            return seen
        voided = self._post(f"{path}/void", send)
        return parse_void(voided, voided.debug_id)

    def _post(self, path: str, send: Send) -> Reply:
        headers = {"PayPal-Request-Id": send.key, "Prefer": "return=representation"}
        reply: Reply = self._api.post(path, json.loads(send.body), headers)
        return reply

    def _look_up(self, payment: Payment) -> Answer:
        operation = payment.claimed_operation
        if "order" not in payment.refs:
            # PayPal lists no orders, and its search of transactions lags for hours.
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
    """Whether an order that PayPal does not know may be one that ran out.

    Where the payer has to act, nothing was sent that could move money. Where they have
    agreed, the order was to be carried out, and one that was is not forgotten.
    """
    carried_out = operation.state is State.UNKNOWN and operation.approved
    return operation.state is State.REQUIRES_ACTION or carried_out


def _answer_from_order(
    order: Reply, operation: Operation, external: Sequence[ExternalMovement]
) -> Answer:
    """What a whole order tells of one of its operations."""
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
            # It never came: others have made the last capture.
            return decline_captured_elsewhere(external, request_id=order.debug_id)
    return Answer(Verdict.ABSENT, request_id=order.debug_id)


def _amount_fields(payment: Payment, operation: Operation) -> dict[str, Any]:
    """What is moved, under the operation's id as its invoice.

    PayPal refuses a second payment of one invoice: a guard beside the key. Its reports
    name the invoice and ``custom_id``, so that a movement finds its payment. Raises
    InvalidPayment.
    """
    money = Money(operation.amount, payment.submission.amount.currency)
    amount = {"currency_code": money.currency, "value": to_paypal(money)}
    return {"amount": amount, "invoice_id": operation.id}


def _require_ref(refs: Mapping[str, str], name: str) -> None:
    """Raises InvalidPayment where PayPal's id of what it is about was never heard: a
    person said that it succeeded, and no call can be made for it."""
    if name not in refs:
        raise InvalidPayment(f"PayPal's {name} is not known", field="operation")


def _new_order(
    submission: Submission, kind: Kind, unit: dict[str, Any]
) -> dict[str, Any]:
    """An order: carried out at once with a vaulted token, else to be approved."""
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
    """That the wallet is saved once it has paid; PayPal tells no usages apart."""
    vault = {"store_in_vault": "ON_SUCCESS", "usage_type": "MERCHANT"}
    attributes: dict[str, Any] = {"vault": vault}
    customer = submission.customer_for(ProviderName.PAYPAL)
    if customer is not None:
        attributes["customer"] = {"id": customer}
    return attributes
