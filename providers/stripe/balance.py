"""Reads movements from Stripe's balance transactions and their charges or refunds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from stripe import BalanceTransaction, StripeClient, StripeError

from application.ports.reconciliation import StatementPage
from domain.errors import InvalidPayment, NeedsReview
from domain.money import Money
from domain.payments.payment import Payment
from domain.payments.review_reasons import ReviewReason
from domain.reconciliation import Direction, Movement, MovementStatus, UnreadableEntry
from providers.amounts import from_stripe, to_stripe
from providers.sanitize import (
    parse_lines,
    parse_optional,
    parse_unix_time,
    validated_id,
)
from providers.stripe.captures import parse_parts
from providers.stripe.errors import mapped_errors
from providers.stripe.responses import EXPAND_CHARGE, read_metadata_id

#: Lines on a page: Stripe's maximum.
_PAGE: Final = 100
#: Types of balance transactions that payments cause (docs.stripe.com/reports/
#: balance-transaction-types). A failed refund has two, and the refund itself has the
#: status. Disputes cause adjustments; some adjustments have other causes.
_TYPES: Final = frozenset(
    "charge payment refund payment_refund refund_failure"
    " payment_failure_refund adjustment".split()
)
_REFUNDS: Final = {
    "succeeded": MovementStatus.MOVED,
    "failed": MovementStatus.NOT_MOVED,
    "canceled": MovementStatus.NOT_MOVED,
}


class StripeStatement:
    """The Statement of a Stripe account. Its balance transactions have no lag."""

    def __init__(self, client: StripeClient) -> None:
        self._client = client

    def list_page(
        self, since: datetime, until: datetime, cursor: str | None
    ) -> StatementPage:
        # Stripe's times are whole seconds.
        params: dict[str, Any] = {
            "created": {
                "gte": math.ceil(since.timestamp()),
                "lt": math.ceil(until.timestamp()),
            },
            "limit": _PAGE,
            "expand": ["data.source"],
        }
        if cursor is not None:
            params["starting_after"] = cursor
        with mapped_errors():
            return self._read_page(params, since)

    def for_payment(self, payment: Payment) -> Sequence[Movement] | None:
        intent_id = payment.refs.get("payment_intent")
        if intent_id is None:
            return None
        with mapped_errors():
            return self._read_payment(intent_id)

    def find_payment_id(self, ref: str) -> str | None:
        """Finds it in the charge's metadata, which Stripe copies from the intent."""
        with mapped_errors():
            try:
                return read_metadata_id(
                    self._client.v1.charges.retrieve(ref), "payment"
                )
            except StripeError as error:
                if error.http_status == 404:
                    return None
                raise

    def _read_page(self, params: Any, since: datetime) -> StatementPage:
        page = self._client.v1.balance_transactions.list(params)
        movements, unread = parse_lines(
            page.data, _parse_line, lambda line: _parse_unreadable(line, since)
        )
        more = validated_id(page.data[-1].id) if page.has_more else None
        return StatementPage(movements, more, unread)

    def _read_payment(self, intent_id: str) -> list[Movement]:
        """The charge and refunds of an intent; none if Stripe has no such intent."""
        api = self._client.v1
        try:
            intent = api.payment_intents.retrieve(intent_id, {"expand": EXPAND_CHARGE})
        except StripeError as error:
            if error.http_status == 404:
                return []
            raise
        charge: Any = intent.latest_charge
        found = []
        if charge is not None and parse_parts(intent):
            found += self._parse_parts(charge, parse_parts(intent))
        elif charge is not None:
            line = charge.balance_transaction
            at = charge.created if line is None else line.created
            found.append(_parse_charge(charge, at, line))
        page = api.refunds.list({"payment_intent": intent_id, "limit": _PAGE})
        if page.has_more:
            raise NeedsReview(ReviewReason.TOO_MANY_REFUNDS)
        return found + [_parse_refund(refund, refund.created) for refund in page.data]

    def _parse_parts(self, charge: Any, parts: Mapping[str, int]) -> list[Movement]:
        """The captures of a charge that takes several, from its balance transactions.

        A transaction names no capture, so captures are matched by amount; equal ones
        are interchangeable.
        """
        page = self._client.v1.balance_transactions.list(
            {"source": charge.id, "limit": _PAGE}
        )
        lines = [line for line in page.data if line.type in _TYPES]
        left, found = dict(parts), list[Movement]()
        if any(line.currency != charge.currency for line in lines):
            # Converted amounts cannot be matched; the intent's metadata has ours.
            whole = _parse_charge(charge, charge.created, None)
            return [
                replace(whole, money=from_stripe(part, charge.currency), operation=ours)
                for ours, part in parts.items()
            ]
        for line in reversed(lines):
            moved = _parse_charge(charge, line.created, line)
            amount = to_stripe(moved.money)
            ours = next((one for one in left if left[one] == amount), None)
            if ours is not None:
                del left[ours]
            found.append(replace(moved, operation=ours))
        return found


def _parse_line(line: BalanceTransaction) -> Movement | None:
    source: Any = line.source
    if source is None or line.type not in _TYPES:
        return None
    if source.object == "charge":
        return _parse_charge(source, line.created, line)
    if source.object == "refund":
        return _parse_refund(source, line.created)
    if source.object == "dispute":
        return _parse_dispute_movement(source, line)
    return None


def _parse_unreadable(line: Any, since: datetime) -> UnreadableEntry:
    """An entry for a line that cannot be read, with its source's id if it has one."""
    source: Any = getattr(line, "source", None)
    names = (getattr(one, "id", None) for one in (source, line))
    refs = [
        ref for name in names if (ref := parse_optional(validated_id, name)) is not None
    ]
    return UnreadableEntry(
        at=parse_optional(parse_unix_time, getattr(line, "created", None)) or since,
        ref=next(iter(refs), None),
        payment=read_metadata_id(source, "payment"),
    )


def _parse_charge(charge: Any, at: int, line: Any) -> Movement:
    """The movement of a charge, or of one of its captures.

    ``line`` is its balance transaction, which has the fee, or None. The line's amount
    is that of one capture. It is used only in the charge's currency.
    """
    status = MovementStatus.NOT_MOVED
    if charge.status == "succeeded" and charge.amount_captured:
        status = MovementStatus.MOVED
    elif charge.status == "pending":
        status = MovementStatus.UNDER_WAY
    moved = status is MovementStatus.MOVED
    amount = charge.amount_captured if moved else charge.amount
    if moved and line is not None and line.currency == charge.currency:
        amount = line.amount
    return Movement(
        direction=Direction.COLLECTED,
        status=status,
        money=from_stripe(amount, charge.currency),
        at=parse_unix_time(at),
        ref=validated_id(charge.id),
        payment=read_metadata_id(charge, "payment"),
        operation=read_metadata_id(charge, "operation"),
        fee=None if line is None else _parse_fee(line),
    )


def _parse_fee(line: Any) -> Money | None:
    """The fee, or None if it is not an ISO 4217 amount: it is shown, not compared."""
    try:
        return from_stripe(line.fee, line.currency)
    except InvalidPayment:
        return None


def _parse_refund(refund: Any, at: int) -> Movement:
    return Movement(
        direction=Direction.REFUNDED,
        # An unrecognized status proves neither success nor failure.
        status=_REFUNDS.get(refund.status, MovementStatus.UNDER_WAY),
        money=from_stripe(refund.amount, refund.currency),
        at=parse_unix_time(at),
        ref=validated_id(refund.id),
        payment=read_metadata_id(refund, "payment"),
        operation=read_metadata_id(refund, "operation"),
        charge_ref=parse_optional(validated_id, refund.charge),
    )


def _parse_dispute_movement(dispute: Any, line: BalanceTransaction) -> Movement:
    """Money that a dispute withdrew or reinstated; its charge identifies the payment.

    The dispute's amount is used if the line is in another currency.
    """
    same = line.currency == dispute.currency
    amount = abs(line.amount) if same else dispute.amount
    return Movement(
        direction=Direction.WITHDRAWN if line.amount < 0 else Direction.REINSTATED,
        status=MovementStatus.MOVED,
        money=from_stripe(amount, dispute.currency),
        at=parse_unix_time(line.created),
        ref=validated_id(dispute.id),
        payment=None,
        operation=None,
        fee=_parse_fee(line),
        charge_ref=validated_id(dispute.charge),
    )
