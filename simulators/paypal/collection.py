"""Collection or holding of an order's money, at once or after a review."""

from __future__ import annotations

from typing import Final

from simulators.calls import Call, Refused
from simulators.paypal.errors import error, unprocessable
from simulators.paypal.money import Money
from simulators.paypal.objects import Authorization, Capture, Order, Unit
from simulators.paypal.payment_tokens import PaymentTokens
from simulators.paypal.shapes import (
    authorization_in_full,
    capture_in_full,
    payer_link,
    show_order,
)
from simulators.paypal.store import Store, new_paypal_id
from simulators.paypal.vault import Outcome

#: Seconds a payment under review stays pending: a day.
REVIEW: Final = 86400.0
#: Seconds an authorization can be captured: 29 days.
#: Source: https://developer.paypal.com/docs/checkout/standard/customize/authorization/
AUTHORIZATION: Final = 29 * 86400.0


class Collection:
    """Carries out an order whose payer has agreed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tokens = PaymentTokens(store)

    def check(self, order: Order, outcome: Outcome) -> None:
        """Raise ``Refused`` if this token, or another order, forbids the payment."""
        if outcome.issue == "PAYER_ACTION_REQUIRED":
            links = [payer_link(order)]
            raise Refused(error(422, outcome.issue, links=links, stored=True))
        if outcome.issue is not None:
            raise unprocessable(outcome.issue)
        for unit in order.units:
            self._store.check_invoice(order, unit.invoice_id)

    def capture_order(self, order: Order, outcome: Outcome, call: Call) -> None:
        """Take the money of every unit; the order is then completed."""
        for unit in order.units:
            capture = Capture(
                id=new_paypal_id(),
                order=order,
                unit=unit,
                money=unit.money,
                created=self._store.now(),
                status=outcome.status,
                key=call.key,
                custom_id=unit.custom_id,
                invoice_id=unit.invoice_id,
            )
            self.add_capture(capture)
        self._complete(order)

    def authorize_order(self, order: Order, outcome: Outcome, call: Call) -> None:
        """Hold the money of every unit; the order is then completed."""
        statuses = {"COMPLETED": "CREATED", "DECLINED": "DENIED"}
        for unit in order.units:
            status = statuses.get(outcome.status, outcome.status)
            self.add_authorization(order, unit, status, call.key)
        self._complete(order)

    def add_authorization(
        self,
        order: Order,
        unit: Unit,
        status: str,
        key: str | None,
        money: Money | None = None,
    ) -> Authorization:
        """Hold a unit's money, or another amount of it."""
        store, now = self._store, self._store.now()
        authorization = Authorization(
            id=new_paypal_id(),
            order=order,
            unit=unit,
            money=money or unit.money,
            created=now,
            expires=now + AUTHORIZATION,
            status=status,
            key=key,
        )
        unit.authorizations.append(authorization)
        store.authorizations[authorization.id] = authorization
        store.world.clock.schedule(AUTHORIZATION, lambda: self._expire(authorization))
        if status == "CREATED":
            self._hold(authorization)
        elif status == "PENDING":
            store.world.clock.schedule(
                REVIEW, lambda: self._end_authorization_review(authorization)
            )
        return authorization

    def add_capture(self, capture: Capture) -> None:
        """Register a capture and take its money, unless it is declined or pending."""
        store = self._store
        store.captures[capture.id] = capture
        capture.unit.captures.append(capture)
        if capture.status == "COMPLETED":
            self._take(capture)
        elif capture.status == "PENDING":
            store.claim_invoice(capture.order, capture.invoice_id)
            store.world.clock.schedule(
                REVIEW, lambda: self._end_capture_review(capture)
            )
            store.send_event(
                "PAYMENT.CAPTURE.PENDING", "capture", capture_in_full(capture)
            )
        else:
            store.send_event(
                "PAYMENT.CAPTURE.DECLINED", "capture", capture_in_full(capture)
            )

    def _take(self, capture: Capture) -> None:
        store, authorization = self._store, capture.authorization
        store.claim_invoice(capture.order, capture.invoice_id)
        store.move(
            "charge" if authorization is None else "capture",
            capture.id,
            capture.order,
            capture.money,
            capture.key,
            capture.custom_id,
            capture.invoice_id,
        )
        store.send_event(
            "PAYMENT.CAPTURE.COMPLETED", "capture", capture_in_full(capture)
        )

    def _hold(self, authorization: Authorization) -> None:
        store, unit = self._store, authorization.unit
        store.claim_invoice(authorization.order, unit.invoice_id)
        store.move(
            "authorize",
            authorization.id,
            authorization.order,
            authorization.money,
            authorization.key,
            unit.custom_id,
            unit.invoice_id,
        )
        store.send_event(
            "PAYMENT.AUTHORIZATION.CREATED",
            "authorization",
            authorization_in_full(authorization),
        )

    def _end_capture_review(self, capture: Capture) -> None:
        capture.updated = self._store.now()
        outcome = capture.order.outcome
        if outcome is not None and outcome.denied:
            capture.status = "DECLINED"
            shown = capture_in_full(capture)
            self._store.send_event("PAYMENT.CAPTURE.DENIED", "capture", shown)
            return
        capture.status = "COMPLETED"
        self._take(capture)

    def _end_authorization_review(self, authorization: Authorization) -> None:
        if authorization.status != "PENDING":
            return
        authorization.updated = self._store.now()
        outcome = authorization.order.outcome
        if outcome is not None and outcome.denied:
            authorization.status = "DENIED"
            return
        authorization.status = "CREATED"
        self._hold(authorization)

    def _expire(self, authorization: Authorization) -> None:
        """Void an uncaptured authorization at its end, with an event."""
        if authorization.status in ("CREATED", "PARTIALLY_CAPTURED"):
            authorization.status = "VOIDED"
            authorization.updated = authorization.expires
            shown = authorization_in_full(authorization)
            self._store.send_event(
                "PAYMENT.AUTHORIZATION.VOIDED", "authorization", shown
            )

    def _complete(self, order: Order) -> None:
        order.status, order.updated = "COMPLETED", self._store.now()
        shown = show_order(order, full=True)
        self._store.send_event("CHECKOUT.ORDER.COMPLETED", "checkout-order", shown)
        self._tokens.save(order)
