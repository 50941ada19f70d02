"""Objects that the provider has forgotten: when they end an unknown operation."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import pytest

from domain.errors import OutcomeUnknown
from domain.payments.answer import Answer, Verdict
from domain.payments.settle import settle
from domain.payments.operation import ABSENCE_PROOF_DELAY
from domain.payments.payment import Payment
from domain.payments.start_attempt import start_lookup, expire_claim
from domain.payments.states import State, Status
from domain.payments.submission import ProviderName
from domain.payments.apply_answer import TOO_LATE
from domain.retry import LOOKUP
from tests.suites.samples import NOW, payment, sending, stored, submission

#: A time at which no send can still be on its way.
LATER: Final = NOW + timedelta(seconds=2) + ABSENCE_PROOF_DELAY
FORGOTTEN: Final = Answer(Verdict.EXPIRED)


def _refused(answer: Answer) -> Payment:
    """An approved payment whose first send was lost and whose resend got ``answer``."""
    new = payment(submitted=submission(provider=ProviderName.PAYPAL))
    approved = replace(new, operations=(replace(new.first_operation, approved=True),))
    lost = settle(sending(approved), OutcomeUnknown(), now=NOW, jitter=0)
    again = NOW + timedelta(seconds=2)
    resent = sending(stored(lost), now=again)
    return stored(settle(resent, answer, now=again, jitter=0))


def _forgotten(given: Payment, *, now: datetime = LATER) -> Payment:
    asked = stored(start_lookup(given, given.first_operation, now=now))
    return settle(asked, FORGOTTEN, now=now, jitter=1.0)


@pytest.mark.parametrize("verdict", [Verdict.EXPIRED, Verdict.CANCELED])
def test_missing_object_alone_leaves_the_operation_unknown(verdict: Verdict) -> None:
    given = _refused(Answer(verdict))
    assert given.first_operation.state is State.UNKNOWN
    assert given.first_operation.needs_lookup(now=NOW)


def test_operation_refused_as_too_late_has_expired() -> None:
    ended = _forgotten(_refused(Answer(Verdict.EXPIRED)))
    assert ended.status is Status.EXPIRED
    assert ended.due_at is None


def test_missing_object_is_inconclusive_while_a_send_may_be_on_its_way() -> None:
    given = _refused(Answer(Verdict.EXPIRED))
    assert given.first_operation.error == TOO_LATE
    early = _forgotten(given, now=LATER - timedelta(seconds=1))
    assert early.first_operation.state is State.UNKNOWN
    assert early.due_at == LATER


def test_operation_refused_otherwise_stays_unknown_and_needs_manual_review() -> None:
    given = _refused(Answer(Verdict.REJECTED))
    seen = _forgotten(given)
    assert seen.first_operation.state is State.UNKNOWN
    assert seen.due_at is not None
    since = LATER - timedelta(days=3)
    for_days = replace(
        given.first_operation, lookups_since=since, lookup_count=LOOKUP.min_tries
    )
    late = _forgotten(replace(given, operations=(for_days,)))
    assert (late.first_operation.state, late.first_operation.error) == (
        State.REVIEW,
        "nothing_found",
    )


@pytest.mark.parametrize("verdict", [Verdict.ABSENT, Verdict.EXPIRED])
def test_missing_object_counts_from_the_time_before_the_lookup(
    verdict: Verdict,
) -> None:
    """A worker may be delayed between its lookup and the write of the result."""
    given = _refused(Answer(Verdict.EXPIRED))
    asked = stored(start_lookup(given, given.first_operation, now=NOW))
    seen = settle(asked, Answer(verdict), now=LATER + ABSENCE_PROOF_DELAY, jitter=1.0)
    assert (seen.first_operation.state, seen.due_at) == (State.UNKNOWN, LATER)


def test_refusal_of_an_earlier_request_does_not_concern_the_next_one() -> None:
    """The order exists after all; the sender of the next request dies."""
    given = _refused(Answer(Verdict.EXPIRED))
    asked = stored(start_lookup(given, given.first_operation, now=LATER))
    there = Answer(Verdict.APPROVED, refs={"order": "O-1"})
    again = stored(settle(asked, there, now=LATER, jitter=0))
    assert (again.first_operation.state, again.first_operation.generation) == (
        State.RETRYING,
        2,
    )
    lost = stored(expire_claim(stored(sending(again, now=LATER)), now=LATER))
    assert lost.first_operation.state is State.UNKNOWN
    seen = _forgotten(lost, now=LATER + ABSENCE_PROOF_DELAY)
    assert seen.first_operation.state is State.UNKNOWN
