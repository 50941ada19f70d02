"""The reasons for a manual review, and for a status lookup without an error."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from domain.payments.answer import Verdict
from domain.payments.states import State


class ReviewReason(StrEnum):
    """The reason for a manual review; also a label of the metric of reviews.

    It is stored by its value, as an operation's error and on its timeline. Three of the
    values have a suffix there, see ``FAMILIES`` and ``out_of_turn``.
    """

    ABSENT_AGAIN = "absent_again"  #: each new request is refused or lost, for days
    ABSENT_IN_ANSWER = "absent_in_answer"  #: the answer to a send denies the object
    AMOUNT_DIFFERS = "amount_differs"  #: the amount moved is not the requested one
    ANOTHER_ORDER = "another_order"  #: an order of a lost answer may have been paid
    APPROVED_AGAIN = "approved_again"  #: each send is followed by one more approval
    CANCELED_AFTER_CAPTURE = "canceled_after_capture"
    CANNOT_PREPARE = "cannot_prepare"  #: the request could not be built
    CAPTURED_ELSEWHERE = "captured_elsewhere"  #: by a capture that could not be read
    COMPLIANCE_VIOLATION = "compliance_violation"
    DECLINED_YET_CHARGED = "declined_yet_charged"
    DUPLICATE_REQUEST_ID = "duplicate_request_id"  #: the key was used with another body
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"  #: the same at Stripe
    LESS_WAS_CAPTURED = "less_was_captured"
    LIST_TOO_LONG = "list_too_long"  #: for a lookup to find the object in
    MADE_TWICE = "made_twice"  #: the provider shows two objects of one operation
    NOTHING_FOUND = "nothing_found"  #: lookups found nothing new for too long
    NOTHING_TO_LOOK_UP = "nothing_to_look_up"  #: no id is known for a lookup
    REFUND_FAILED_INSUFFICIENT_FUNDS = "refund_failed_insufficient_funds"
    SEND_NOT_WRITTEN_DOWN = "send_not_written_down"
    STILL_HELD = "still_held"  #: the hold still exists long after its end
    TOO_MANY_REFUNDS = "too_many_refunds"  #: for a lookup to find ours among them
    VANISHED = "vanished"  #: the provider denies an object that it had confirmed

    OUT_OF_TURN = "out_of_turn"  #: an answer that the operation's state does not allow
    PAYEE_ACCOUNT = "payee_account"  #: PayPal restricts the merchant's account
    STATUS = "status"  #: a status that is unexpected for the kind of operation
    OTHER = "other"  #: a code that is none of these

    def with_detail(self, detail: str) -> str:
        """The stored code of a member of FAMILIES, with its suffix."""
        return f"{self}_{detail}"

    @classmethod
    def of(cls, error: str | None) -> ReviewReason:
        """The reason in the stored error of an operation in review."""
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
    """The reason for a status lookup without an error."""

    EXCEEDS_CAPTURED = "exceeds_captured"  #: a refund of more than is left
    MADE_BY_OTHERS = "made_by_others"  #: an object that no operation of ours has made
    ANOTHER_OBJECT = "another_object"  #: a second object of the operation
