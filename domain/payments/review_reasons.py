"""Why an operation needs manual review, or a status lookup that a webhook or an answer
asks for."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from domain.payments.answer import Verdict
from domain.payments.states import State


class ReviewReason(StrEnum):
    """Why an operation needs manual review; the label of the metric that counts these.

    Stored as an operation's error and on its timeline, by its value. Three of them are
    stored with more in the code, see ``FAMILIES`` and ``out_of_turn``.
    """

    ABSENT_AGAIN = "absent_again"  #: each new request is refused or lost, for days
    ABSENT_IN_ANSWER = "absent_in_answer"  #: an answer to a send denies the object
    AMOUNT_DIFFERS = "amount_differs"  #: another amount moved than was asked for
    ANOTHER_ORDER = "another_order"  #: an order that was lost may have been paid
    APPROVED_AGAIN = "approved_again"  #: each approval is answered by a new demand
    CANCELED_AFTER_CAPTURE = "canceled_after_capture"
    CANNOT_PREPARE = "cannot_prepare"  #: the request could not be built
    CAPTURED_ELSEWHERE = "captured_elsewhere"  #: by a capture that could not be read
    COMPLIANCE_VIOLATION = "compliance_violation"
    DECLINED_YET_CHARGED = "declined_yet_charged"
    DUPLICATE_REQUEST_ID = "duplicate_request_id"  #: the key came with another body
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"  #: the same at Stripe
    LESS_WAS_CAPTURED = "less_was_captured"
    LIST_TOO_LONG = "list_too_long"  #: for a lookup to find the object in
    MADE_TWICE = "made_twice"  #: the provider shows two objects of one operation
    NOTHING_FOUND = "nothing_found"  #: lookups told nothing new for too long
    NOTHING_TO_LOOK_UP = "nothing_to_look_up"  #: no id that a lookup could ask for
    REFUND_FAILED_INSUFFICIENT_FUNDS = "refund_failed_insufficient_funds"
    SEND_NOT_WRITTEN_DOWN = "send_not_written_down"
    STILL_HELD = "still_held"  #: a hold is there long after its end
    TOO_MANY_REFUNDS = "too_many_refunds"  #: for a lookup to find ours among them
    VANISHED = "vanished"  #: the provider denies what it had confirmed

    OUT_OF_TURN = "out_of_turn"  #: an answer that the operation's state does not allow
    PAYEE_ACCOUNT = "payee_account"  #: PayPal restricts the merchant's account
    STATUS = "status"  #: a status that is unexpected for the kind of operation
    OTHER = "other"  #: a code that is none of these

    def with_detail(self, detail: str) -> str:
        """The code that is stored of a member of FAMILIES."""
        return f"{self}_{detail}"

    @classmethod
    def of(cls, error: str | None) -> ReviewReason:
        """The reason that the error of an operation in review stands for."""
        if error is None:
            return cls.OTHER
        if error in _MEMBERS:
            return cls(error)
        if _OUT_OF_TURN in error:
            return cls.OUT_OF_TURN
        for family in FAMILIES:
            if error.startswith(family.with_detail("")):
                return family
        return cls.OTHER


#: Reasons that are stored with the provider's word after them.
FAMILIES: Final = (ReviewReason.PAYEE_ACCOUNT, ReviewReason.STATUS)

_MEMBERS: Final = frozenset(ReviewReason)
_OUT_OF_TURN: Final = "_while_"


def out_of_turn(verdict: Verdict, state: State) -> str:
    """The code of an answer that does not fit the operation's state."""
    return f"{verdict}{_OUT_OF_TURN}{state}"


class LookupReason(StrEnum):
    """Why a status lookup is needed, where no error says it."""

    EXCEEDS_CAPTURED = "exceeds_captured"  #: a refund of more than is left
    MADE_BY_OTHERS = "made_by_others"  #: an object that no operation has made
    ANOTHER_OBJECT = "another_object"  #: not the one that the operation is known by
