"""Stripe's JSON of customers and their payment methods.

Fields follow the example objects of Stripe's OpenAPI repository.
"""

from __future__ import annotations

from typing import Final

from simulators.calls import Json
from simulators.stripe.objects import Customer, PaymentMethod

ADDRESS: Final = ("city", "country", "line1", "line2", "postal_code", "state")


def show_customer(customer: Customer) -> Json:
    """Return the ``customer`` object."""
    return {
        "id": customer.id,
        "object": "customer",
        "address": customer.address,
        "balance": 0,
        "created": customer.created,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": customer.description,
        "discount": None,
        "email": customer.email,
        "invoice_prefix": customer.id[-8:].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": customer.metadata,
        "name": customer.name,
        "next_invoice_sequence": 1,
        "phone": customer.phone,
        "preferred_locales": [],
        "shipping": customer.shipping,
        "tax_exempt": "none",
        "test_clock": None,
    }


def show_method(method: PaymentMethod) -> Json:
    """Return the ``payment_method`` object."""
    kind = method.kind
    shown: Json = {
        "id": method.id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": billing_details(),
        "created": method.created,
        "customer": method.customer,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": kind.type,
    }
    if kind.type == "card":
        shown["card"] = {
            "brand": kind.brand,
            "checks": {
                "address_line1_check": None,
                "address_postal_code_check": None,
                "cvc_check": None,
            },
            "country": "US",
            "display_brand": kind.brand,
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": "simulatorfinger",
            "funding": kind.funding,
            "generated_from": None,
            "last4": kind.last4,
            "networks": {"available": [kind.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        }
    else:
        shown[kind.type] = {} if kind.voucher else {"last4": kind.last4}
    return shown


def billing_details() -> Json:
    """Return the details of a payer without any."""
    return {
        "address": dict.fromkeys(ADDRESS),
        "email": None,
        "name": None,
        "phone": None,
        "tax_id": None,
    }
