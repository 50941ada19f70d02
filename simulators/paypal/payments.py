"""Payments v2: authorizations, captures and refunds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from simulators.calls import Answer, Call, Json, length
from simulators.paypal.collection import Collection
from simulators.paypal.errors import bad_field, unprocessable
from simulators.paypal.money import Money, read_money
from simulators.paypal.objects import Authorization, Capture, Refund
from simulators.paypal.shapes import (
    authorization_in_full,
    capture_in_full,
    show_authorization,
    show_capture,
    show_refund,
)
from simulators.paypal.store import Store, answer, new_paypal_id, wants_all

#: Percent of an authorization that its captures may reach together.
#: Source: the description of MAX_CAPTURE_AMOUNT_EXCEEDED in PayPal's OpenAPI file.
OVERAGE: Final = 115
#: Seconds after a capture within which it can be refunded: 180 days.
REFUND_LIMIT: Final = 180 * 86400.0
#: Seconds before an authorization can be renewed: its honor period of three days.
HONOR_PERIOD: Final = 3 * 86400.0
#: Seconds a refund by bank transfer takes: three days.
REFUND_SETTLEMENT: Final = 3 * 86400.0
#: Text fields of a capture or refund, and the most characters of each.
TEXTS: Final = {"invoice_id": 127, "custom_id": 127, "note_to_payer": 255}


class Payments:
    """The operations on a paid order."""

    def __init__(self, store: Store, collection: Collection) -> None:
        self._store = store
        self._collection = collection

    def get_authorization(self, call: Call) -> Answer:
        """``GET /v2/payments/authorizations/{id}``."""
        authorization = self._store.authorization(call)
        return answer(authorization_in_full(authorization))

    def get_capture(self, call: Call) -> Answer:
        """``GET /v2/payments/captures/{id}``."""
        capture = self._store.capture(call)
        return answer(capture_in_full(capture))

    def get_refund(self, call: Call) -> Answer:
        """``GET /v2/payments/refunds/{id}``."""
        return answer(show_refund(self._store.refund(call)))

    def capture(self, call: Call) -> Answer:
        """``POST /v2/payments/authorizations/{id}/capture``, in part or whole."""
        authorization = self._store.authorization(call)
        self._check_capturable(authorization)
        texts = _texts(call.body)
        money = authorization.money
        money = Money(money.units - authorization.captured, money.currency)
        if call.body.get("amount") is not None:
            money = read_money(call.body["amount"], "/amount")
        if money.currency != authorization.money.currency:
            raise unprocessable("AUTH_CAPTURE_CURRENCY_MISMATCH", "/amount")
        total = authorization.captured + money.units
        if total * 100 > authorization.money.units * OVERAGE:
            raise unprocessable("MAX_CAPTURE_AMOUNT_EXCEEDED", "/amount")
        self._check_invoice(authorization, texts["invoice_id"])
        authorization.captured = total
        whole = total >= authorization.money.units
        authorization.final = whole or call.body.get("final_capture") is True
        authorization.status = (
            "CAPTURED" if authorization.final else "PARTIALLY_CAPTURED"
        )
        authorization.updated = self._store.now()
        unit = authorization.unit
        capture = Capture(
            id=new_paypal_id(),
            order=authorization.order,
            unit=unit,
            money=money,
            created=self._store.now(),
            status="COMPLETED",
            key=call.key,
            custom_id=unit.custom_id,
            invoice_id=texts["invoice_id"] or unit.invoice_id,
            final=authorization.final,
            authorization=authorization,
        )
        self._collection.add_capture(capture)
        return _created(call, lambda full: show_capture(capture, full))

    def void(self, call: Call) -> Answer:
        """``POST /v2/payments/authorizations/{id}/void``: release the rest."""
        authorization = self._store.authorization(call)
        if authorization.status == "VOIDED":
            raise unprocessable("PREVIOUSLY_VOIDED")
        if authorization.final:
            raise unprocessable("PREVIOUSLY_CAPTURED")
        if authorization.status == "DENIED":
            raise unprocessable("AUTHORIZATION_DENIED")
        held, unit = authorization.status != "PENDING", authorization.unit
        authorization.status, authorization.updated = "VOIDED", self._store.now()
        if held and authorization.expires > self._store.now():
            money = authorization.money
            self._store.move(
                "void",
                authorization.id,
                authorization.order,
                Money(money.units - authorization.captured, money.currency),
                call.key,
                unit.custom_id,
                unit.invoice_id,
            )
        shown = authorization_in_full(authorization)
        self._store.send_event("PAYMENT.AUTHORIZATION.VOIDED", "authorization", shown)
        if wants_all(call):
            return answer(show_authorization(authorization))
        return Answer(204, headers=answer({}).headers)

    def reauthorize(self, call: Call) -> Answer:
        """``POST /v2/payments/authorizations/{id}/reauthorize``: once, after 3 days."""
        old = self._store.authorization(call)
        self._check_capturable(old)
        money = old.money
        if call.body.get("amount") is not None:
            money = read_money(call.body["amount"], "/amount")
        if money.currency != old.money.currency:
            raise unprocessable("AUTH_CURRENCY_MISMATCH", "/amount")
        young = self._store.now() < old.created + HONOR_PERIOD
        if young or old.renewed or old.captured or money.units > old.money.units:
            raise unprocessable("REAUTHORIZATION_NOT_SUPPORTED")
        old.renewed, old.status, old.updated = True, "VOIDED", self._store.now()
        unit = old.unit
        self._store.move(
            "void", old.id, old.order, old.money, call.key, unit.custom_id, None
        )
        shown = authorization_in_full(old)
        self._store.send_event("PAYMENT.AUTHORIZATION.VOIDED", "authorization", shown)
        new = self._collection.add_authorization(
            old.order, unit, "CREATED", call.key, money
        )
        new.renewed = True
        return _created(call, lambda full: show_authorization(new, full))

    def refund(self, call: Call) -> Answer:
        """``POST /v2/payments/captures/{id}/refund``, in part or whole.

        The ledger gets its row when the money has gone back. A pending refund has none
        yet, and a failed one never gets one.
        """
        capture = self._store.capture(call)
        texts = _texts(call.body)
        manner = capture.order.outcome.refund if capture.order.outcome else "instant"
        money = self._refundable(capture, call.body.get("amount"))
        if manner == "refused":
            raise unprocessable("REFUND_FAILED_INSUFFICIENT_FUNDS")
        self._store.claim_refund_invoice(call.account, texts["invoice_id"])
        refund = Refund(
            id=new_paypal_id(),
            capture=capture,
            money=money,
            created=self._store.now(),
            status="COMPLETED" if manner == "instant" else "PENDING",
            key=call.key,
            custom_id=texts["custom_id"],
            invoice_id=texts["invoice_id"],
            note=texts["note_to_payer"],
        )
        capture.refunds.append(refund)
        self._store.refunds[refund.id] = refund
        capture.count_refund(money.units, self._store.now())
        if manner == "instant":
            self._give_back(refund)
        else:
            self._store.world.clock.schedule(
                REFUND_SETTLEMENT, lambda: self._settle(refund, manner == "pending")
            )
            self._store.send_event(
                "PAYMENT.REFUND.PENDING", "refund", show_refund(refund)
            )
        return _created(call, lambda full: show_refund(refund, full))

    def _check_capturable(self, authorization: Authorization) -> None:
        late = self._store.now() >= authorization.expires
        if late and not authorization.final:
            raise unprocessable("AUTHORIZATION_EXPIRED")
        if authorization.status == "VOIDED":
            raise unprocessable("AUTHORIZATION_VOIDED")
        if authorization.status == "DENIED":
            raise unprocessable("AUTHORIZATION_DENIED")
        if authorization.status == "PENDING":
            raise unprocessable("TRANSACTION_REFUSED")
        if authorization.final:
            raise unprocessable("AUTHORIZATION_ALREADY_CAPTURED")

    def _check_invoice(
        self, authorization: Authorization, invoice_id: str | None
    ) -> None:
        if invoice_id is None:
            return
        self._store.check_invoice(authorization.order, invoice_id)
        if any(each.invoice_id == invoice_id for each in authorization.unit.captures):
            raise unprocessable("DUPLICATE_INVOICE_ID", "/invoice_id", invoice_id)

    def _refundable(self, capture: Capture, amount: object) -> Money:
        if capture.status == "PENDING":
            raise unprocessable("PENDING_CAPTURE")
        if capture.status == "DECLINED":
            raise unprocessable("REFUND_NOT_ALLOWED")
        if capture.dispute is not None and capture.dispute.outcome is None:
            raise unprocessable("REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK")
        if self._store.now() >= capture.created + REFUND_LIMIT:
            raise unprocessable("REFUND_TIME_LIMIT_EXCEEDED")
        left = capture.money.units - capture.refunded
        if left == 0:
            raise unprocessable("CAPTURE_FULLY_REFUNDED")
        if amount is None:
            return Money(left, capture.money.currency)
        money = read_money(amount, "/amount")
        if money.currency != capture.money.currency:
            raise unprocessable("REFUND_CAPTURE_CURRENCY_MISMATCH", "/amount")
        if money.units > left:
            raise unprocessable("REFUND_AMOUNT_EXCEEDED", "/amount")
        return money

    def _settle(self, refund: Refund, succeeded: bool) -> None:
        refund.updated = self._store.now()
        if succeeded:
            refund.status = "COMPLETED"
            self._give_back(refund)
            return
        refund.status = "FAILED"
        refund.capture.count_refund(-refund.money.units, refund.updated)
        self._store.send_event("PAYMENT.REFUND.FAILED", "refund", show_refund(refund))

    def _give_back(self, refund: Refund) -> None:
        self._store.move(
            "refund",
            refund.id,
            refund.capture.order,
            refund.money,
            refund.key,
            refund.custom_id,
            refund.invoice_id,
        )
        self._store.send_event(
            "PAYMENT.CAPTURE.REFUNDED", "refund", show_refund(refund)
        )


def _created(call: Call, show: Callable[[bool], Json]) -> Answer:
    """Answer 201; a repeated request gets the object's current state, also as 201."""
    fresh = answer(show(wants_all(call)), 201)
    return Answer(
        fresh.status,
        fresh.body,
        fresh.headers,
        again=lambda later: answer(show(wants_all(later)), 201),
    )


def _texts(body: Json) -> dict[str, str | None]:
    texts: dict[str, str | None] = {}
    for name, most in TEXTS.items():
        value = body.get(name)
        if value is not None and not isinstance(value, str):
            raise bad_field("INVALID_PARAMETER_SYNTAX", f"/{name}")
        if value is not None and not 1 <= length(value) <= most:
            raise bad_field("INVALID_STRING_LENGTH", f"/{name}", value[:200])
        texts[name] = value
    return texts
