"""Reads PayPal's disputes and reversed captures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from domain.error_details import ErrorDetail
from domain.errors import OutcomeUnknown
from domain.money import Money
from domain.payments.dispute import (
    REVERSED,
    Dispute,
    DisputeSnapshot,
    DisputeState,
    DisputeUpdate,
)
from providers.paypal.client import PayPalApi, Reply
from providers.paypal.errors import mapped_errors
from providers.paypal.objects import CAPTURES, REFUNDS, parent_id, parse_money
from providers.sanitize import (
    parse_optional,
    parse_own_id,
    parse_paypal_code,
    parse_rfc3339,
    validated_id,
)

#: The path of disputes.
DISPUTES: Final = "v1/customer/disputes"

# The state of each status, and of each outcome of a resolved dispute
# (developer.paypal.com/docs/api/customer-disputes/v1, dispute_outcome).
_OPEN: Final = {
    "OPEN": DisputeState.NEEDS_RESPONSE,
    "WAITING_FOR_SELLER_RESPONSE": DisputeState.NEEDS_RESPONSE,
    "WAITING_FOR_BUYER_RESPONSE": DisputeState.UNDER_REVIEW,
    "UNDER_REVIEW": DisputeState.UNDER_REVIEW,
}
_OUTCOMES: Final = {
    "RESOLVED_SELLER_FAVOUR": DisputeState.WON,
    "RESOLVED_BUYER_FAVOUR": DisputeState.LOST,
    "RESOLVED_WITH_PAYOUT": DisputeState.WON,  #: PayPal has paid the payer
    "ACCEPTED": DisputeState.LOST,
    "DENIED": DisputeState.WON,
    "CANCELED_BY_BUYER": DisputeState.CLOSED,
    "NONE": DisputeState.CLOSED,
}

#: The party and the reason of movements of the disputed amount; others are fees
#: (developer.paypal.com/docs/api/customer-disputes/v1, fund_movement_list).
_SELLER: Final = "SELLER"
_SETTLEMENT: Final = "DISPUTE_SETTLEMENT"


class PayPalDisputeReader:
    """The DisputeReader of a PayPal account. Its app needs the feature Disputes."""

    def __init__(self, api: PayPalApi) -> None:
        self._api = api

    def read(self, update: DisputeUpdate) -> DisputeSnapshot:
        with mapped_errors():
            if update.is_reversal:
                return self._reversal(update.ref)
            return self._dispute(update.ref)

    def _dispute(self, dispute_id: str) -> DisputeSnapshot:
        found = self._get(DISPUTES, dispute_id)
        disputed = found["disputed_transactions"][0]
        capture_id = validated_id(disputed["seller_transaction_id"])
        payment, operation = disputed.get("custom"), disputed.get("invoice_number")
        if payment is None:
            capture = self._get(CAPTURES, capture_id)
            payment, operation = capture.get("custom_id"), capture.get("invoice_id")
        return DisputeSnapshot(
            _parse_dispute(found, capture_id),
            parse_own_id(payment),
            _operation_ids(operation),
        )

    def _reversal(self, refund_id: str) -> DisputeSnapshot:
        """The newest dispute of the reversed capture if it is at risk.

        Otherwise the reversal itself is a lost dispute.
        """
        refund = self._get(REFUNDS, refund_id)
        capture_id = parent_id(refund, CAPTURES)
        if capture_id is None or refund["status"] != "COMPLETED":
            raise OutcomeUnknown(
                ErrorDetail.UNRECOGNIZED_STATUS, request_id=refund.debug_id
            )
        query = urlencode({"disputed_transaction_id": capture_id})
        disputes = self._api.get(f"{DISPUTES}?{query}").get("items") or ()
        if disputes:
            newest = max(disputes, key=lambda one: parse_rfc3339(one["create_time"]))
            snapshot = self._dispute(validated_id(newest["dispute_id"]))
            if snapshot.dispute.is_at_risk:
                return snapshot
        capture = self._get(CAPTURES, capture_id)
        money = parse_money(refund["amount"])
        reversal = Dispute(
            id=validated_id(refund["id"]),
            ref=validated_id(capture_id),
            money=money,
            reason=REVERSED,
            state=DisputeState.LOST,
            opened_at=parse_rfc3339(refund["create_time"]),
            withdrawn=money.minor,
        )
        operations = _operation_ids(capture.get("invoice_id"))
        payment = parse_own_id(capture.get("custom_id"))
        return DisputeSnapshot(reversal, payment, operations)

    def _get(self, path: str, name: str) -> Reply:
        found: Reply = self._api.get(f"{path}/{quote(name, safe='')}")
        return found


def _parse_dispute(found: Mapping[str, Any], capture_id: str) -> Dispute:
    """Parses a dispute. Raises OutcomeUnknown for an unrecognized status."""
    status, outcome = found["status"], found.get("dispute_outcome") or {}
    code = outcome.get("outcome_code", "NONE")
    state = _OUTCOMES.get(code) if status == "RESOLVED" else _OPEN.get(status)
    if state is None:
        raise OutcomeUnknown(ErrorDetail.UNRECOGNIZED_STATUS)
    money = parse_money(found["dispute_amount"])
    needs_response = state is DisputeState.NEEDS_RESPONSE
    due = found.get("seller_response_due_date") if needs_response else None
    ended = status == "RESOLVED"
    return Dispute(
        id=validated_id(found["dispute_id"]),
        ref=capture_id,
        money=money,
        reason=(parse_paypal_code(found.get("reason")) or "unknown").lower(),
        state=state,
        opened_at=parse_rfc3339(found["create_time"]),
        inquiry=found.get("dispute_life_cycle_stage") == "INQUIRY",
        withdrawn=_withdrawn_amount(found, money, state),
        respond_by=parse_optional(parse_rfc3339, due),
        outcome=code.lower() if ended else None,
    )


def _withdrawn_amount(
    found: Mapping[str, Any], money: Money, state: DisputeState
) -> int:
    """The amount withdrawn and not reinstated, in minor units of ``money``.

    It is the sum of PayPal's listed movements without fees; without a list, the outcome
    has it. A movement in another currency counts as the whole disputed amount.
    """
    listed = found.get("fund_movements") or found.get("money_movements") or ()
    moved = [
        _minor_units(one["amount"], money) * (1 if one["type"] == "DEBIT" else -1)
        for one in listed
        if _SELLER in (one.get("party"), one.get("affected_party"))
        and one.get("reason") == _SETTLEMENT
    ]
    if moved:
        return min(max(sum(moved), 0), money.minor)
    if state is not DisputeState.LOST:
        return 0
    refunded = (found.get("dispute_outcome") or {}).get("amount_refunded")
    return min(_minor_units(refunded, money), money.minor) if refunded else money.minor


def _minor_units(amount: Mapping[str, Any], money: Money) -> int:
    if amount["currency_code"] != money.currency:
        return money.minor
    return parse_money(amount).minor


def _operation_ids(operation: object) -> tuple[str, ...]:
    ours = parse_own_id(operation)
    return () if ours is None else (ours,)
