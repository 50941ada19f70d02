"""Issuers' and banks' processing of a confirmed PaymentIntent, now or days later."""

from __future__ import annotations

from typing import Final

from simulators.calls import Call, Json, new_id
from simulators.stripe.cards import Decline
from simulators.stripe.customer_shapes import show_method
from simulators.stripe.customers import Customers
from simulators.stripe.disputes import Disputes
from simulators.stripe.errors import invalid
from simulators.stripe.fees import processing_fee
from simulators.stripe.objects import Charge, Intent
from simulators.stripe.shapes import show_charge, show_intent
from simulators.stripe.store import Store

#: Seconds an authorization of a card lasts online: seven days.
#: Source: https://docs.stripe.com/payments/place-a-hold-on-a-payment-method
AUTHORIZATION: Final = 7 * 86400
#: Seconds a bank debit takes to settle: four days, as Stripe documents for ACH.
SETTLEMENT: Final = 4 * 86400
#: Cards that allow several captures, and the number of captures before the final one.
#: Source: https://docs.stripe.com/payments/multicapture
MULTICAPTURE_BRANDS: Final = ("amex", "discover", "jcb", "mastercard", "visa")
MAX_PARTS: Final = 50


class Charging:
    """Makes charges, moves money and sends the events."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._customers = Customers(store)
        self._disputes = Disputes(store)

    def ask_issuer(self, intent: Intent, call: Call | None) -> None:
        """Approve or decline, as the test method determines."""
        decline = self._store.methods[intent.payment_method or ""].kind.decline
        if decline is None:
            self._approve(intent, call)
        else:
            self.fail(intent, decline, call)

    def _approve(self, intent: Intent, call: Call | None) -> None:
        """Take the approved money, or put it on hold."""
        charge = self._new_charge(intent)
        if intent.capture_method == "manual":
            self._hold(intent, charge, intent.amount)
            if intent.multicapture and charge.method.brand in MULTICAPTURE_BRANDS:
                charge.parts = 0
            self._store.move("authorize", intent, intent.id, intent.amount, intent.key)
            self._store.world.clock.schedule(
                AUTHORIZATION, lambda: self._expire(intent)
            )
            self.send_charge_event(charge, "charge.succeeded", call)
            self.send_intent_event(
                intent, "payment_intent.amount_capturable_updated", call
            )
            self._customers.paid(intent, call)
            return
        self._take(intent, charge, call)

    def start_debit(self, intent: Intent, call: Call) -> None:
        """Collect from a bank account, which takes days."""
        charge = self._new_charge(intent)
        charge.status = "pending"
        intent.status = "processing"
        self._store.world.clock.schedule(
            SETTLEMENT, lambda: self._end_debit(intent, charge)
        )
        self.send_charge_event(charge, "charge.pending", call)
        self.send_intent_event(intent, "payment_intent.processing", call)

    def _end_debit(self, intent: Intent, charge: Charge) -> None:
        if charge.method.decline is not None:
            self.fail(intent, charge.method.decline, None, charge)
            return
        charge.status = "succeeded"
        self._take(intent, charge, None)

    def _take(self, intent: Intent, charge: Charge, call: Call | None) -> None:
        """Move all of an intent's money at once."""
        self._collect(intent, charge, intent.amount)
        self._store.move("charge", intent, intent.id, intent.amount, intent.key)
        self.send_charge_event(charge, "charge.succeeded", call)
        self.send_intent_event(intent, "payment_intent.succeeded", call)
        self._customers.paid(intent, call)
        self._disputes.open_for(charge)

    def capture(self, intent: Intent, amount: int, final: bool, call: Call) -> None:
        """Take money on hold; the final capture releases the rest."""
        charge = charge_of(intent)
        left = intent.amount_capturable - amount
        self._collect(intent, charge, amount)
        self._store.move("capture", intent, intent.id, amount, call.key)
        if left and not final:
            charge.parts = (charge.parts or 0) + 1
            self._hold(intent, charge, left)
            self.send_charge_event(charge, "charge.updated", call)
            self.send_intent_event(
                intent, "payment_intent.amount_capturable_updated", call
            )
            return
        self.send_charge_event(charge, "charge.captured", call)
        self.send_intent_event(intent, "payment_intent.succeeded", call)
        self._disputes.open_for(charge)

    def _hold(self, intent: Intent, charge: Charge, amount: int) -> None:
        """Keep an amount on hold, for as long as its authorization lasts."""
        charge.captured = False
        charge.capture_before = charge.created + AUTHORIZATION
        intent.status = "requires_capture"
        intent.amount_capturable = amount

    def _collect(self, intent: Intent, charge: Charge, amount: int) -> None:
        """Count money as received; the caller writes the ledger."""
        charge.captured, charge.capture_before = True, None
        charge.amount_captured += amount
        fee = processing_fee(amount, intent.currency)
        line = self._store.settle(intent, "charge", charge.id, amount, fee=fee)
        charge.balance_transaction = line.id
        intent.status = "succeeded"
        intent.amount_received += amount
        intent.amount_capturable = 0

    def fail(
        self,
        intent: Intent,
        decline: Decline,
        call: Call | None,
        charge: Charge | None = None,
    ) -> Json:
        """Record a decline and return Stripe's error object for it."""
        charge = charge or self._new_charge(intent)
        charge.status, charge.decline = "failed", decline
        intent.status = "requires_payment_method"
        method_id, intent.payment_method = intent.payment_method, None
        details: Json = {
            "advice_code": decline.advice_code,
            "charge": charge.id,
            "code": decline.code,
            "decline_code": decline.decline_code,
            "message": decline.message,
            "payment_method": self.method_object(method_id),
            "type": "card_error",
        }
        if decline.param is not None:
            details["param"] = decline.param
        intent.last_error = details
        self.send_charge_event(charge, "charge.failed", call)
        self.send_intent_event(intent, "payment_intent.payment_failed", call)
        return details

    def _expire(self, intent: Intent) -> None:
        """End an authorization and release its uncaptured money."""
        if intent.status == "requires_capture":
            if not intent.amount_received:
                self.send_charge_event(charge_of(intent), "charge.expired", None)
            self.close(intent, "automatic", None)

    def close(self, intent: Intent, reason: str | None, call: Call | None) -> None:
        """Cancel an intent and release its hold.

        A partly captured intent has succeeded with that part.
        """
        if intent.amount_received:
            charge = charge_of(intent)
            charge.captured, charge.capture_before = True, None
            intent.status, intent.amount_capturable = "succeeded", 0
            self.send_charge_event(charge, "charge.captured", call)
            self.send_intent_event(intent, "payment_intent.succeeded", call)
            self._disputes.open_for(charge)
            return
        intent.status = "canceled"
        intent.canceled_at = self._store.now()
        intent.cancellation_reason = reason
        intent.amount_capturable = 0
        intent.next_action = None
        self.send_intent_event(intent, "payment_intent.canceled", call)

    def _new_charge(self, intent: Intent) -> Charge:
        method_id = intent.payment_method or ""
        method = self._store.methods[method_id].kind
        charge = Charge(
            id=new_id("ch_3" if method.type == "card" else "py_3", 23),
            intent=intent,
            created=self._store.now(),
            amount=intent.amount,
            method_id=method_id,
            method=method,
        )
        intent.charge = self._store.charges[charge.id] = charge
        return charge

    def method_object(self, id: str | None) -> Json | None:
        """Return the payment method's JSON in errors."""
        return None if id is None else show_method(self._store.methods[id])

    def send_intent_event(self, intent: Intent, type: str, call: Call | None) -> None:
        """Send an event about an intent."""
        self._store.send_event(intent.account, type, show_intent(intent), call)

    def send_charge_event(self, charge: Charge, type: str, call: Call | None) -> None:
        """Send an event about a charge."""
        self._store.send_event(charge.intent.account, type, show_charge(charge), call)


def charge_of(intent: Intent) -> Charge:
    """Return the charge of an intent that has one."""
    if intent.charge is None:
        raise LookupError(f"{intent.id} has no charge")
    return intent.charge


def check_parts(charge: Charge) -> None:
    """Raise ``Refused`` if the rest cannot stay on hold after a capture."""
    if charge.parts is None:
        raise invalid(
            "This PaymentIntent does not support multiple captures: `final_capture` "
            "can be false only where multicapture is available for its payment method.",
            "final_capture",
        )
    if charge.parts >= MAX_PARTS:
        raise invalid(
            f"A PaymentIntent can be captured {MAX_PARTS} times before its final "
            f"capture.",
            "final_capture",
        )
