"""Reads movements from PayPal's transaction search, which lags, and from orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

from paypalrestsdk.exceptions import ResourceNotFound

from application.ports.reconciliation import StatementPage
from domain.money import Money
from domain.payments.payment import Payment
from domain.reconciliation import Direction, Movement, MovementStatus, UnreadableEntry
from providers.amounts import from_paypal
from providers.paypal.client import PayPalApi
from providers.paypal.errors import mapped_errors
from providers.paypal.objects import CAPTURES, ORDERS, parent_id
from providers.paypal.responses import order_payments
from providers.sanitize import (
    parse_lines,
    parse_optional,
    parse_own_id,
    parse_rfc3339,
    validated_id,
)

#: Transactions on a page: PayPal's maximum.
_PAGE: Final = 500
#: The resolution of the search, which includes both of its ends.
_SECOND: Final = timedelta(seconds=1)
#: Event codes (developer.paypal.com, transaction event codes). Codes of payments
#: received and sent begin with T00. T1107 is a refund. T1106 is a reversal by PayPal,
#: T1201 a chargeback; T1202 and T1205 reinstate the money. Other codes (payouts, fees,
#: holds) are not caused by payments.
_RECEIVED: Final = "T00"
_REFUND: Final = "T1107"
_WITHDRAWN: Final = frozenset({"T1106", "T1201"})
_REINSTATED: Final = frozenset({"T1202", "T1205"})
_CODES: Final = frozenset({_REFUND}) | _WITHDRAWN | _REINSTATED
#: V: done, and later reversed by another transaction.
_STATUSES: Final = {
    "S": MovementStatus.MOVED,
    "V": MovementStatus.MOVED,
    "D": MovementStatus.NOT_MOVED,
}
#: Statuses of captures and refunds. Here and above, an unrecognized status proves
#: neither success nor failure.
_OBJECTS: Final = {
    "COMPLETED": MovementStatus.MOVED,
    "PARTIALLY_REFUNDED": MovementStatus.MOVED,
    "REFUNDED": MovementStatus.MOVED,
    "DECLINED": MovementStatus.NOT_MOVED,
    "FAILED": MovementStatus.NOT_MOVED,
    "CANCELLED": MovementStatus.NOT_MOVED,
}


class PayPalStatement:
    """The Statement of a PayPal account. A payment is read by its order."""

    def __init__(self, api: PayPalApi) -> None:
        self._api = api

    def list_page(
        self, since: datetime, until: datetime, cursor: str | None
    ) -> StatementPage:
        """Transactions younger than ``list_lag`` may be missing."""
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
        with mapped_errors():
            return self._read_page(query, number, since)

    def for_payment(self, payment: Payment) -> Sequence[Movement] | None:
        """Reads the captures and refunds of the payment's order."""
        order_id = payment.refs.get("order")
        if order_id is None:
            return None
        with mapped_errors():
            return self._read_payment(order_id)

    def find_payment_id(self, ref: str) -> str | None:
        with mapped_errors():
            try:
                capture = self._api.get(f"{CAPTURES}/{quote(ref, safe='')}")
            except ResourceNotFound:
                return None
            return parse_own_id(capture.get("custom_id"))

    def _read_page(self, query: str, number: int, since: datetime) -> StatementPage:
        found = self._api.get(f"v1/reporting/transactions?{query}")
        movements, unread = parse_lines(
            found["transaction_details"],
            lambda one: _parse_transaction(one["transaction_info"]),
            lambda one: _parse_unreadable(one, since),
        )
        more = number < found["total_pages"]
        return StatementPage(movements, str(number + 1) if more else None, unread)

    def _read_payment(self, order_id: str) -> list[Movement]:
        try:
            order = self._api.get(f"{ORDERS}/{order_id}")
        except ResourceNotFound:
            return []
        payments = order_payments(order)
        captures, refunds = payments.get("captures", ()), payments.get("refunds", ())
        return [
            *(_parse_object(Direction.COLLECTED, one) for one in captures),
            *(_parse_object(Direction.REFUNDED, one) for one in refunds),
        ]


def _parse_transaction(info: Mapping[str, Any]) -> Movement | None:
    """The movement of a reported transaction; None if it is not a payment's.

    The report has our payment's id as ``custom_field`` and our operation's as
    ``invoice_id``. Debits are negative.
    """
    code = info["transaction_event_code"]
    if not code.startswith(_RECEIVED) and code not in _CODES:
        return None  # no payment caused it; its other fields need not be readable
    debit = info["transaction_amount"]["value"].startswith("-")
    if code.startswith(_RECEIVED) and not debit:
        direction = Direction.COLLECTED
    elif code == _REFUND and debit:
        direction = Direction.REFUNDED
    elif code in _WITHDRAWN and debit:
        direction = Direction.WITHDRAWN
    elif code in _REINSTATED and not debit:
        direction = Direction.REINSTATED
    else:
        return None
    fee = info.get("fee_amount")
    return Movement(
        direction=direction,
        status=_STATUSES.get(info["transaction_status"], MovementStatus.UNDER_WAY),
        money=_parse_money(info["transaction_amount"]),
        at=parse_rfc3339(info["transaction_initiation_date"]),
        ref=validated_id(info["transaction_id"]),
        payment=parse_own_id(info.get("custom_field")),
        operation=parse_own_id(info.get("invoice_id")),
        fee=_parse_money(fee) if fee and direction is Direction.COLLECTED else None,
        charge_ref=parse_optional(validated_id, info.get("paypal_reference_id")),
    )


def _parse_unreadable(listed: Any, since: datetime) -> UnreadableEntry:
    """An entry for a transaction that cannot be read, with its id if it has one."""
    info = listed.get("transaction_info") if isinstance(listed, dict) else None
    fields = info if isinstance(info, dict) else {}
    return UnreadableEntry(
        at=parse_optional(parse_rfc3339, fields.get("transaction_initiation_date"))
        or since,
        ref=parse_optional(validated_id, fields.get("transaction_id")),
        payment=parse_own_id(fields.get("custom_field")),
    )


def _parse_object(direction: Direction, found: Mapping[str, Any]) -> Movement:
    """The movement of a capture or a refund of an order."""
    receivable = found.get("seller_receivable_breakdown") or {}
    fee = receivable.get("paypal_fee")
    return Movement(
        direction=direction,
        status=_OBJECTS.get(found["status"], MovementStatus.UNDER_WAY),
        money=_parse_money(found["amount"]),
        at=parse_rfc3339(found["create_time"]),
        ref=validated_id(found["id"]),
        payment=parse_own_id(found.get("custom_id")),
        operation=parse_own_id(found.get("invoice_id")),
        fee=_parse_money(fee) if fee else None,
        charge_ref=parent_id(found, CAPTURES),
    )


def _parse_money(amount: Mapping[str, Any]) -> Money:
    return from_paypal(amount["value"].removeprefix("-"), amount["currency_code"])
