"""The rules that forbid a request in the payment's present state."""

from __future__ import annotations

from enum import StrEnum


class ConflictReason(StrEnum):
    """The ``reason`` of a problem of the code ``conflict``."""

    # Of a capture, a refund or a void.
    NOTHING_TO_CAPTURE = "nothing_to_capture"  #: no money is on hold
    AMOUNT_EXCEEDS_HOLD = "amount_exceeds_hold"
    CAPTURE_UNDER_WAY = "capture_under_way"
    RELEASES_THE_REST = "releases_the_rest"  #: the hold allows one capture only
    TOO_MANY_CAPTURES = "too_many_captures"
    NOTHING_TO_REFUND = "nothing_to_refund"
    SEVERAL_CAPTURES = "several_captures"  #: the refund must name one of them
    AMOUNT_EXCEEDS_CAPTURED = "amount_exceeds_captured"
    NOTHING_TO_VOID = "nothing_to_void"
    VOID_UNDER_WAY = "void_under_way"
    ANOTHER_ORDER = "another_order"  #: an order of a lost answer may have been paid
    TOO_MANY_OPERATIONS = "too_many_operations"
    PROVIDER_REFERENCE_UNKNOWN = "provider_reference_unknown"  #: of its target

    # Of an operator's action.
    WORK_IS_OWED = "work_is_owed"  #: the operation is under way already
    WOULD_MOVE_MONEY_AGAIN = "would_move_money_again"
    LOOKUP_NOT_ALLOWED = "lookup_not_allowed"  #: in the operation's state
    RESOLUTION_NOT_ALLOWED = "resolution_not_allowed"  #: in the operation's state
    NOT_ENOUGH_LEFT = "not_enough_left"  #: other operations took its reserved amount
    ALREADY_DONE = "already_done"  #: the whole set has been carried out
    TOO_WIDE = "too_wide"  #: the search names neither merchant nor payments
    TOO_MANY = "too_many"  #: more operations match than a set may have
