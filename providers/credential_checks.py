"""Checks an account's permissions by reads that change nothing.

The permission to move money cannot be tested without moving money, so the check for
payments only reads them. Each check raises ProviderError: Misconfigured or NotPermitted
if the permission is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from functools import partial
from typing import Final

from paypalrestsdk.exceptions import ResourceNotFound
from stripe import StripeClient

from providers.paypal.client import PayPalApi
from providers.paypal.disputes import DISPUTES
from providers.paypal.errors import mapped_errors as mapped_paypal_errors
from providers.paypal.objects import ORDERS
from providers.paypal.transactions import PayPalStatement
from providers.stripe.errors import mapped_errors as mapped_stripe_errors


class Permission(StrEnum):
    """A permission that the service needs on an account."""

    PAYMENTS = "payments"
    DISPUTES = "disputes"
    BALANCE = "books"  #: to list movements for a reconciliation


PermissionChecks = Mapping[Permission, Callable[[], object]]

#: Has the shape of PayPal's order ids and names no order.
_NO_ORDER: Final = "0" * 17


def stripe_permission_checks(client: StripeClient) -> PermissionChecks:
    """One read per permission. A restricted key may lack any of them."""
    api = client.v1
    lists: Mapping[Permission, Callable[..., object]] = {
        Permission.PAYMENTS: api.payment_intents.list,
        Permission.DISPUTES: api.disputes.list,
        Permission.BALANCE: api.balance_transactions.list,
    }
    return {
        permission: partial(_check_list, list_objects)
        for permission, list_objects in lists.items()
    }


def paypal_permission_checks(api: PayPalApi) -> PermissionChecks:
    """One read per permission. An app has only the features enabled for it."""
    return {
        Permission.PAYMENTS: partial(_check_order, api),
        Permission.DISPUTES: partial(_check_get, api, f"{DISPUTES}?page_size=1"),
        Permission.BALANCE: partial(_check_report, api),
    }


def _check_list(list_objects: Callable[..., object]) -> None:
    with mapped_stripe_errors():
        list_objects({"limit": 1})


def _check_get(api: PayPalApi, path: str) -> None:
    with mapped_paypal_errors():
        api.get(path)


def _check_order(api: PayPalApi) -> None:
    """Reads an order that does not exist: PayPal cannot list orders, and a "not found"
    shows that reading is allowed."""
    with mapped_paypal_errors():
        try:
            api.get(f"{ORDERS}/{_NO_ORDER}")
        except ResourceNotFound:
            return


def _check_report(api: PayPalApi) -> None:
    now = datetime.now(timezone.utc)
    PayPalStatement(api).list_page(now - timedelta(minutes=1), now, None)
