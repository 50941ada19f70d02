"""What PayPal says moved: its search of transactions, which lags, and our orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

from paypalrestsdk.exceptions import ResourceNotFound

from application.ports.reconciliation import Page
from domain.money import Money
from domain.payments.payment import Payment
from domain.reconciliation import Movement, Standing, Unread, Way
from providers.amounts import from_paypal
from providers.paypal.client import PayPalApi
from providers.paypal.errors import reading
from providers.paypal.objects import CAPTURES, ORDERS, above
from providers.paypal.responses import payments_of
from providers.sanitize import name_of, optional, our_id, read_each, text_time

#: Transactions on a page, PayPal's most.
_PAGE: Final = 500
#: Whole seconds are the resolution of the search, and both of its ends belong to it.
_SECOND: Final = timedelta(seconds=1)
#: Event codes (developer.paypal.com, transaction event codes): payments received begin
#: with T00, as those that were sent do; T1107 is a refund. PayPal takes back by T1106,
#: a card's bank by T1201, which T1202 and T1205 make good. What else moves a balance
#: (payouts, fees, holds) no payment of ours has caused.
_RECEIVED: Final = "T00"
_REFUND: Final = "T1107"
_WITHDRAWN: Final = frozenset({"T1106", "T1201"})
_REINSTATED: Final = frozenset({"T1202", "T1205"})
_CODES: Final = frozenset({_REFUND}) | _WITHDRAWN | _REINSTATED
#: V: done, and reversed by a transaction of its own.
_STATUSES: Final = {
    "S": Standing.MOVED,
    "V": Standing.MOVED,
    "D": Standing.NOT_MOVED,
}
#: Statuses of captures and of refunds. Here and above, one that we do not know is read
#: as neither yes nor no.
_OBJECTS: Final = {
    "COMPLETED": Standing.MOVED,
    "PARTIALLY_REFUNDED": Standing.MOVED,
    "REFUNDED": Standing.MOVED,
    "DECLINED": Standing.NOT_MOVED,
    "FAILED": Standing.NOT_MOVED,
    "CANCELLED": Standing.NOT_MOVED,
}


class PayPalStatement:
    """A Statement. PayPal lists no orders, so what we know is read by its order."""

    def __init__(self, api: PayPalApi) -> None:
        self._api = api

    def page(self, since: datetime, until: datetime, cursor: str | None) -> Page:
        """See Statement. It may lack what is younger than ``list_lag``."""
        number = int(cursor or "1")
        query = urlencode(
            {
                "start_date": since.isoformat(timespec="seconds"),
                "end_date": (until - _SECOND).isoformat(timespec="seconds"),
                "fields": "transaction_info",
                "page_size": _PAGE,
                "page": number,
            }
        )
        with reading():
            return self._page(query, number, since)

    def of(self, payment: Payment) -> Sequence[Movement] | None:
        """See Statement. An order shows its captures and their refunds."""
        order_id = payment.refs.get("order")
        if order_id is None:
            return None
        with reading():
            return self._of(order_id)

    def payment_of(self, ref: str) -> str | None:
        """See Statement."""
        with reading():
            try:
                capture = self._api.get(f"{CAPTURES}/{quote(ref, safe='')}")
            except ResourceNotFound:
                return None
            return our_id(capture.get("custom_id"))

    def _page(self, query: str, number: int, since: datetime) -> Page:
        found = self._api.get(f"v1/reporting/transactions?{query}")
        movements, unread = read_each(
            found["transaction_details"],
            lambda one: _transaction(one["transaction_info"]),
            lambda one: _unread(one, since),
        )
        more = number < found["total_pages"]
        return Page(movements, str(number + 1) if more else None, unread)

    def _of(self, order_id: str) -> list[Movement]:
        try:
            order = self._api.get(f"{ORDERS}/{order_id}")
        except ResourceNotFound:
            return []
        payments = payments_of(order)
        captures, refunds = payments.get("captures", ()), payments.get("refunds", ())
        return [
            *(_object(Way.COLLECTED, one) for one in captures),
            *(_object(Way.REFUNDED, one) for one in refunds),
        ]


def _transaction(info: Mapping[str, Any]) -> Movement | None:
    """One transaction of a report, where it is one of a payment; debits are negative.

    We wrote our payment's id on it as ``custom_id``, the operation's as ``invoice_id``.
    """
    code = info["transaction_event_code"]
    if not code.startswith(_RECEIVED) and code not in _CODES:
        return None  # in whatever currency or shape, no payment has caused it
    debit = info["transaction_amount"]["value"].startswith("-")
    if code.startswith(_RECEIVED) and not debit:
        way = Way.COLLECTED
    elif code == _REFUND and debit:
        way = Way.REFUNDED
    elif code in _WITHDRAWN and debit:
        way = Way.WITHDRAWN
    elif code in _REINSTATED and not debit:
        way = Way.REINSTATED
    else:
        return None
    fee = info.get("fee_amount")
    return Movement(
        way=way,
        standing=_STATUSES.get(info["transaction_status"], Standing.UNDER_WAY),
        money=_money(info["transaction_amount"]),
        at=text_time(info["transaction_initiation_date"]),
        ref=name_of(info["transaction_id"]),
        payment=our_id(info.get("custom_field")),
        operation=our_id(info.get("invoice_id")),
        fee=_money(fee) if fee and way is Way.COLLECTED else None,
        of=optional(name_of, info.get("paypal_reference_id")),
    )


def _unread(listed: Any, since: datetime) -> Unread:
    """A line that cannot be read, by its name where it has one."""
    info = listed.get("transaction_info") if isinstance(listed, dict) else None
    named = info if isinstance(info, dict) else {}
    return Unread(
        at=optional(text_time, named.get("transaction_initiation_date")) or since,
        ref=optional(name_of, named.get("transaction_id")),
        payment=our_id(named.get("custom_field")),
    )


def _object(way: Way, found: Mapping[str, Any]) -> Movement:
    """A capture or a refund of an order."""
    receivable = found.get("seller_receivable_breakdown") or {}
    fee = receivable.get("paypal_fee")
    return Movement(
        way=way,
        standing=_OBJECTS.get(found["status"], Standing.UNDER_WAY),
        money=_money(found["amount"]),
        at=text_time(found["create_time"]),
        ref=name_of(found["id"]),
        payment=our_id(found.get("custom_id")),
        operation=our_id(found.get("invoice_id")),
        fee=_money(fee) if fee else None,
        of=above(found, CAPTURES),
    )


def _money(amount: Mapping[str, Any]) -> Money:
    return from_paypal(amount["value"].removeprefix("-"), amount["currency_code"])
