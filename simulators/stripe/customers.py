"""Customers and the payment methods that are saved for them.

Source: https://docs.stripe.com/payments/save-during-payment
"""

from __future__ import annotations

from typing import Final

from simulators.calls import Answer, Call, Refused, new_id
from simulators.stripe.customer_shapes import show_customer, show_method
from simulators.stripe.errors import answer, error, invalid
from simulators.stripe.objects import Customer, Intent, PaymentMethod
from simulators.stripe.params import check_known, metadata_of, text
from simulators.stripe.store import Store

CREATE: Final = frozenset(
    "address balance business_name cash_balance description email expand "
    "individual_name invoice_prefix invoice_settings metadata name "
    "next_invoice_sequence payment_method phone preferred_locales shipping source tax "
    "tax_exempt tax_id_data test_clock".split()
)


class Customers:
    """Makes customers, and attaches payment methods to them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, call: Call) -> Answer:
        """``POST /v1/customers``."""
        body, store = call.body, self._store
        check_known(body, CREATE)
        if len(store.customers) >= store.bounds.customers:
            raise Refused(error(500, "The simulator is full.", type="api_error"))
        customer = Customer(
            id=new_id("cus_", 14),
            account=call.account,
            created=store.now(),
            metadata=metadata_of(body),
            name=text(body, "name", 256),
            email=text(body, "email", 512),
            phone=text(body, "phone", 20),
            description=text(body, "description", 5000),
            address=body.get("address"),
            shipping=body.get("shipping"),
        )
        token = text(body, "payment_method", 5000)
        method = store.adopt_method(call.account, token) if token else None
        if method is not None:
            _check_attachable(method)
        store.customers[customer.id] = customer
        store.account(call.account).customers.append(customer)
        store.send_event(
            call.account, "customer.created", show_customer(customer), call
        )
        if method is not None:
            self.save(method, customer, call)
        return answer(call, show_customer(customer))

    def attach(self, call: Call) -> Answer:
        """``POST /v1/payment_methods/{id}/attach``."""
        check_known(call.body, frozenset(("customer", "customer_account", "expand")))
        id = text(call.body, "customer", 5000)
        if id is None:
            raise invalid(
                "Missing required param: customer.",
                "customer",
                code="parameter_missing",
            )
        customer = self._store.customer(call.account, id, "customer", 400)
        method = self._store.adopt_method(call.account, call.ids["id"])
        if method.customer != customer.id:
            _check_attachable(method)
            self.save(method, customer, call)
        return answer(call, show_method(method))

    def detach(self, call: Call) -> Answer:
        """``POST /v1/payment_methods/{id}/detach``; it can never be used again."""
        check_known(call.body, frozenset(("expand",)))
        method = self._store.method(call.account, call.ids["id"])
        if method.customer is None:
            raise invalid(
                "The payment method you provided is not attached to a customer so "
                "detachment is impossible."
            )
        self._store.customers[method.customer].methods.remove(method)
        method.customer, method.used, method.future = None, True, None
        shown = show_method(method)
        self._store.send_event(call.account, "payment_method.detached", shown, call)
        return answer(call, shown)

    def save(
        self, method: PaymentMethod, customer: Customer, call: Call | None
    ) -> None:
        """Attach a method, so that it can be used from now on."""
        method.customer = customer.id
        customer.methods.append(method)
        shown = show_method(method)
        self._store.send_event(customer.account, "payment_method.attached", shown, call)

    def paid(self, intent: Intent, call: Call | None) -> None:
        """Mark the method of a paid intent as used, or save it on request."""
        method = self._store.methods[intent.payment_method or ""]
        method.used = True
        if intent.setup_future_usage is not None:
            method.future = intent.setup_future_usage
            if intent.customer is not None and method.customer is None:
                self.save(method, self._store.customers[intent.customer], call)


def check_usable(method: PaymentMethod, customer: str | None) -> None:
    """Raise ``Refused`` if a payment of ``customer`` may not use the method."""
    if method.customer is None and method.used:
        raise _spent()
    if method.customer is not None and customer is None:
        raise invalid(
            f"The PaymentMethod {method.id} belongs to a Customer. Please include the "
            f"Customer in the `customer` parameter on the PaymentIntent.",
            "payment_method",
        )
    if method.customer not in (None, customer):
        raise invalid(
            f"The PaymentMethod {method.id} does not belong to the Customer you "
            f"supplied {customer}. Please use it with the Customer that it belongs to.",
            "payment_method",
        )


def _check_attachable(method: PaymentMethod) -> None:
    if method.customer is not None:
        raise invalid(
            "The payment method you provided has already been attached to a customer."
        )
    if method.used and method.future is None:
        raise _spent()


def _spent() -> Refused:
    return invalid(
        "The provided PaymentMethod was previously used with a PaymentIntent without "
        "Customer attachment, or was detached from a Customer. It may not be used "
        "again. To use a PaymentMethod multiple times, you must attach it to a "
        "Customer first.",
        "payment_method",
        code="payment_method_unexpected_state",
    )
