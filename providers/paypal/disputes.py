"""What PayPal shows of a dispute, and of a capture that it reversed, in our terms."""

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
    DisputeState,
    DisputeUpdate,
    DisputeSnapshot,
)
from providers.paypal.client import PayPalApi, Reply
from providers.paypal.errors import mapped_errors
from providers.paypal.objects import CAPTURES, REFUNDS, parent_id, parse_money
from providers.sanitize import (
    validated_id,
    parse_optional,
    parse_own_id,
    parse_paypal_code,
    parse_rfc3339,
)

#: Where disputes are read and searched for.
DISPUTES: Final = "v1/customer/disputes"

# What a status is to us, and a resolved dispute's outcome
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

#: Whose money a movement is of, and for what: the others are fees
#: (developer.paypal.com/docs/api/customer-disputes/v1, fund_movement_list).
_SELLER: Final = "SELLER"
_SETTLEMENT: Final = "DISPUTE_SETTLEMENT"


class PayPalDisputeReader:
    """Disputes. PayPal's app needs the feature of that name, or is refused."""

    def __init__(self, api: PayPalApi) -> None:
        self._api = api

    def read(self, update: DisputeUpdate) -> DisputeSnapshot:
        """See DisputeReader."""
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
        """The dispute that it ends, where the capture has one, or it alone."""
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
            reading = self._dispute(validated_id(newest["dispute_id"]))
            if reading.dispute.is_at_risk:
                return reading
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
        named = _operation_ids(capture.get("invoice_id"))
        return DisputeSnapshot(reversal, parse_own_id(capture.get("custom_id")), named)

    def _get(self, path: str, name: str) -> Reply:
        found: Reply = self._api.get(f"{path}/{quote(name, safe='')}")
        return found


def _parse_dispute(found: Mapping[str, Any], capture_id: str) -> Dispute:
    """A dispute; a status that we do not know is read as nothing at all."""
    status, outcome = found["status"], found.get("dispute_outcome") or {}
    code = outcome.get("outcome_code", "NONE")
    state = _OUTCOMES.get(code) if status == "RESOLVED" else _OPEN.get(status)
    if state is None:
        raise OutcomeUnknown(ErrorDetail.UNRECOGNIZED_STATUS)
    money = parse_money(found["dispute_amount"])
    asked = state is DisputeState.NEEDS_RESPONSE
    due = found.get("seller_response_due_date") if asked else None
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
    """What was taken of ``money`` and has not come back, in its minor units.

    PayPal may list what it moved; else the outcome says it. Fees are not of it, and a
    movement in another currency moved all of it.
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
