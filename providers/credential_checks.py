"""What an account's credentials allow, asked by reads that change nothing.

That they may move money cannot be tried without moving it, so of payments it is asked
whether they can be read. Each read raises ProviderError: Misconfigured or NotPermitted
where the right is not there.
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
from providers.paypal.errors import mapped_errors as reading_paypal
from providers.paypal.objects import ORDERS
from providers.paypal.transactions import PayPalStatement
from providers.stripe.errors import mapped_errors as reading_stripe


class Permission(StrEnum):
    """What we need of an account."""

    PAYMENTS = "payments"
    DISPUTES = "disputes"
    BALANCE = "books"  #: what moved, for a reconciliation


PermissionChecks = Mapping[Permission, Callable[[], object]]

#: Shaped as PayPal's ids of orders are, and nobody's.
_NO_ORDER: Final = "0" * 17


def stripe_permission_checks(client: StripeClient) -> PermissionChecks:
    """A read for each; a restricted key may lack any of them."""
    api = client.v1
    lists: Mapping[Permission, Callable[..., object]] = {
        Permission.PAYMENTS: api.payment_intents.list,
        Permission.DISPUTES: api.disputes.list,
        Permission.BALANCE: api.balance_transactions.list,
    }
    return {right: partial(_check_list, one) for right, one in lists.items()}


def paypal_permission_checks(api: PayPalApi) -> PermissionChecks:
    """A read for each; an app has the features that were chosen for it."""
    return {
        Permission.PAYMENTS: partial(_check_order, api),
        Permission.DISPUTES: partial(_check_get, api, f"{DISPUTES}?page_size=1"),
        Permission.BALANCE: partial(_check_report, api),
    }


def _check_list(ask: Callable[..., object]) -> None:
    with reading_stripe():
        ask({"limit": 1})


def _check_get(api: PayPalApi, path: str) -> None:
    with reading_paypal():
        api.get(path)


def _check_order(api: PayPalApi) -> None:
    """PayPal lists no orders; to say that there is none, it has to let us look."""
    with reading_paypal():
        try:
            api.get(f"{ORDERS}/{_NO_ORDER}")
        except ResourceNotFound:
            return


def _check_report(api: PayPalApi) -> None:
    now = datetime.now(timezone.utc)
    PayPalStatement(api).list_page(now - timedelta(minutes=1), now, None)
