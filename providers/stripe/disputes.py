"""Reads Stripe's disputes."""

from __future__ import annotations

from typing import Any, Final

from stripe import StripeClient

from domain.error_details import ErrorDetail
from domain.errors import OutcomeUnknown
from domain.money import Money
from domain.payments.dispute import (
    Dispute,
    DisputeSnapshot,
    DisputeState,
    DisputeUpdate,
)
from providers.amounts import from_stripe
from providers.sanitize import (
    parse_optional,
    parse_stripe_code,
    parse_unix_time,
    validated_id,
)
from providers.stripe.errors import mapped_errors
from providers.stripe.responses import read_metadata_id

#: The state of each status, and whether the dispute is only an inquiry
#: (docs.stripe.com/api/disputes/object, status).
_STATES: Final = {
    "warning_needs_response": (DisputeState.NEEDS_RESPONSE, True),
    "warning_under_review": (DisputeState.UNDER_REVIEW, True),
    "warning_closed": (DisputeState.CLOSED, True),
    "needs_response": (DisputeState.NEEDS_RESPONSE, False),
    "under_review": (DisputeState.UNDER_REVIEW, False),
    "prevented": (DisputeState.CLOSED, False),
    "won": (DisputeState.WON, False),
    "lost": (DisputeState.LOST, False),
}
_ENDS: Final = frozenset({"warning_closed", "prevented", "won", "lost"})


class StripeDisputeReader:
    """The DisputeReader of a Stripe account.

    A dispute has none of our metadata; its payment intent does.
    """

    def __init__(self, client: StripeClient) -> None:
        self._client = client

    def read(self, update: DisputeUpdate) -> DisputeSnapshot:
        with mapped_errors():
            return self._read(update.ref)

    def _read(self, dispute_id: str) -> DisputeSnapshot:
        params: Any = {"expand": ["payment_intent"]}
        found: Any = self._client.v1.disputes.retrieve(dispute_id, params)
        intent = found.payment_intent
        ids = [
            read_metadata_id(intent, name)
            for name in ("capture", "operation")
            if intent is not None
        ]
        return DisputeSnapshot(
            _parse_dispute(found),
            payment=None if intent is None else read_metadata_id(intent, "payment"),
            operations=tuple(one for one in ids if one is not None),
        )


def _parse_dispute(found: Any) -> Dispute:
    if found.status not in _STATES:
        raise OutcomeUnknown(ErrorDetail.UNRECOGNIZED_STATUS)
    state, inquiry = _STATES[found.status]
    money = from_stripe(found.amount, found.currency)
    taken = -sum(_moved_amount(line, money) for line in found.balance_transactions)
    due = found.evidence_details.due_by
    needs_response = state is DisputeState.NEEDS_RESPONSE
    return Dispute(
        id=validated_id(found.id),
        ref=validated_id(found.charge),
        money=money,
        reason=parse_stripe_code(found.reason) or "unknown",
        state=state,
        opened_at=parse_unix_time(found.created),
        inquiry=inquiry,
        withdrawn=min(max(taken, 0), money.minor),
        respond_by=parse_optional(parse_unix_time, due) if needs_response else None,
        outcome=found.status if found.status in _ENDS else None,
    )


def _moved_amount(line: Any, disputed: Money) -> int:
    """The amount that a balance transaction moved, in minor units of ``disputed``.

    Debits are negative; fees are not included. A transaction in another currency counts
    as the whole disputed amount: exchange rates change, so the sum of such amounts is
    rarely 0 even if all the money came back.
    """
    amount = line.amount
    whole = line.currency.upper() != disputed.currency
    size = disputed if whole and amount else from_stripe(abs(amount), line.currency)
    return size.minor if amount > 0 else -size.minor
