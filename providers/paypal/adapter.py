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
from domain.payments.external_changes import captured_by_others
from domain.payments.operation import Kind, Operation, Send
from domain.payments.payment import Payment
from domain.payments.review_reasons import ReviewReason
from domain.payments.states import State
from domain.payments.submission import ProviderName, Submission
from providers.amounts import to_paypal
from providers.paypal.client import PayPalApi, Reply, debug_id
from providers.paypal.errors import is_gone, refusal_of, unheard
from providers.paypal.external_changes import external_movements
from providers.paypal.objects import AUTHORIZATIONS, CAPTURES, ORDERS
from providers.paypal.responses import (
    answer_of,
    capture_of,
    let_go,
    payments_of,
    refund_of,
    the_one,
    void_of,
)
from providers.sanitize import cut, unquoted

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
                _known(payment.refs, "authorization")
                body = _amount(payment, operation)
                body["final_capture"] = operation.final
            case Kind.VOID:
                _known(payment.refs, "authorization")
                body = {}
            case Kind.CHARGE | Kind.AUTHORIZE if operation.approved:
                body = {}
            case Kind.REFUND:
                _known(payment.operation(operation.target or "").refs, "capture")
                body = {**_amount(payment, operation), "custom_id": payment.id}
            case _:
                unit = {**_amount(payment, operation), "custom_id": payment.id}
                body = _new_order(payment.submission, operation.kind, unit)
        return json.dumps(body)

    def send(self, payment: Payment) -> Answer:
        """See Provider."""
        with unquoted():
            return self._send(payment)

    def look(self, payment: Payment) -> Answer:
        """See Provider."""
        with unquoted():
            return self._look(payment)

    def _send(self, payment: Payment) -> Answer:
        operation = payment.working
        send = operation.send
        if send is None:
            raise NeedsReview(ReviewReason.SEND_NOT_WRITTEN_DOWN)
        try:
            match operation.kind:
                case Kind.CAPTURE:
                    path = f"{AUTHORIZATIONS}/{payment.refs['authorization']}/capture"
                    capture = self._post(path, send)
                    return capture_of(capture, {}, capture.debug_id)
                case Kind.VOID:
                    return self._void(payment.refs["authorization"], send)
                case Kind.REFUND:
                    captured = payment.operation(operation.target or "").refs
                    path = f"{CAPTURES}/{captured['capture']}/refund"
                    refund = self._post(path, send)
                    return refund_of(refund, refund.debug_id)
                case Kind.CHARGE if operation.approved:
                    path = f"{ORDERS}/{operation.refs['order']}/capture"
                    return answer_of(self._post(path, send))
                case Kind.AUTHORIZE if operation.approved:
                    path = f"{ORDERS}/{operation.refs['order']}/authorize"
                    return answer_of(self._post(path, send))
                case _:
                    return answer_of(self._post(ORDERS, send))
        except ApiError as error:
            return refusal_of(error)
        except requests.RequestException as error:
            raise unheard(error)

    def _void(self, authorization_id: str, send: Send) -> Answer:
        """PayPal takes no key for a void, so it is read first; twice does no harm."""
        path = f"{AUTHORIZATIONS}/{authorization_id}"
        found = self._api.get(path)
        seen = void_of(found, found.debug_id)
        if seen.verdict is not Verdict.ABSENT:
            return seen
        voided = self._post(f"{path}/void", send)
        return void_of(voided, voided.debug_id)

    def _post(self, path: str, send: Send) -> Reply:
        headers = {"PayPal-Request-Id": send.key, "Prefer": "return=representation"}
        reply: Reply = self._api.post(path, json.loads(send.body), headers)
        return reply

    def _look(self, payment: Payment) -> Answer:
        operation = payment.working
        if "order" not in payment.refs:
            # PayPal lists no orders, and its search of transactions lags for hours.
            raise NeedsReview(ReviewReason.NOTHING_TO_LOOK_UP)
        try:
            if operation.kind is Kind.VOID:
                path = f"{AUTHORIZATIONS}/{payment.refs['authorization']}"
                authorization = self._api.get(path)
                return void_of(authorization, authorization.debug_id)
            order = self._api.get(f"{ORDERS}/{payment.refs['order']}")
        except ApiError as error:
            if is_gone(error) and _forgotten(operation):
                return Answer(Verdict.EXPIRED, request_id=debug_id(error))
            refusal_of(error)
            raise OutcomeUnknown(ErrorDetail.LOOKUP_REFUSED, request_id=debug_id(error))
        except requests.RequestException as error:
            raise unheard(error)
        external = external_movements(payment, order)
        return replace(_seen(order, operation, external), external=external)


def _forgotten(operation: Operation) -> bool:
    """Whether an order that PayPal does not know may be one that ran out.

    Where the payer has to act, nothing was sent that could move money. Where they have
    agreed, the order was to be carried out, and one that was is not forgotten.
    """
    carried_out = operation.state is State.UNKNOWN and operation.approved
    return operation.state is State.REQUIRES_ACTION or carried_out


def _seen(
    order: Reply, operation: Operation, external: Sequence[ExternalMovement]
) -> Answer:
    """What a whole order tells of one of its operations."""
    if operation.kind not in (Kind.CAPTURE, Kind.REFUND):
        return answer_of(order)
    payments = payments_of(order)
    name = "captures" if operation.kind is Kind.CAPTURE else "refunds"
    made = payments.get(name, ())
    known = operation.refs.get(operation.kind)
    ours = [
        one
        for one in made
        if one.get("invoice_id") == operation.id or one["id"] == known
    ]
    if ours:
        one = the_one(ours, order.debug_id)
        if operation.kind is Kind.CAPTURE:
            return capture_of(one, {}, order.debug_id)
        return refund_of(one, order.debug_id)
    for one in payments.get("authorizations", ()):
        if operation.kind is Kind.CAPTURE and one["status"] == "VOIDED":
            return let_go(one, Verdict.CANCELED, {}, order.debug_id)
        if operation.kind is Kind.CAPTURE and one["status"] == "CAPTURED":
            # It never came: others have made the last capture.
            return captured_by_others(external, request_id=order.debug_id)
    return Answer(Verdict.ABSENT, request_id=order.debug_id)


def _amount(payment: Payment, operation: Operation) -> dict[str, Any]:
    """What is moved, under the operation's id as its invoice.

    PayPal refuses a second payment of one invoice: a guard beside the key. Its reports
    name the invoice and ``custom_id``, so that a movement finds its payment. Raises
    InvalidPayment.
    """
    money = Money(operation.amount, payment.submission.amount.currency)
    amount = {"currency_code": money.currency, "value": to_paypal(money)}
    return {"amount": amount, "invoice_id": operation.id}


def _known(refs: Mapping[str, str], name: str) -> None:
    """Raises InvalidPayment where PayPal's id of what it is about was never heard: a
    person said that it succeeded, and no call can be made for it."""
    if name not in refs:
        raise InvalidPayment(f"PayPal's {name} is not known", field="operation")


def _new_order(asked: Submission, kind: Kind, unit: dict[str, Any]) -> dict[str, Any]:
    """An order: carried out at once with a vaulted token, else to be approved."""
    if asked.description is not None:
        unit["description"] = cut(asked.description, _DESCRIPTION)
    intent = "AUTHORIZE" if kind is Kind.AUTHORIZE else "CAPTURE"
    order: dict[str, Any] = {"intent": intent, "purchase_units": [unit]}
    token = asked.method_at(ProviderName.PAYPAL)
    if token is not None:
        order["payment_source"] = {"paypal": {"vault_id": token}}
    elif asked.return_url is not None:
        wallet: dict[str, Any] = {
            "experience_context": {
                "return_url": asked.return_url,
                "cancel_url": asked.return_url,
                "user_action": "PAY_NOW",
            }
        }
        if asked.setup_future_usage is not None:
            wallet["attributes"] = _saving(asked)
        order["payment_source"] = {"paypal": wallet}
    return order


def _saving(asked: Submission) -> dict[str, Any]:
    """That the wallet is saved once it has paid; PayPal tells no usages apart."""
    vault = {"store_in_vault": "ON_SUCCESS", "usage_type": "MERCHANT"}
    attributes: dict[str, Any] = {"vault": vault}
    customer = asked.customer_at(ProviderName.PAYPAL)
    if customer is not None:
        attributes["customer"] = {"id": customer}
    return attributes
