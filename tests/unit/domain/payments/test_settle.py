"""The results of a send, one by one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from domain import retry
from domain.errors import (
    LookupRequired,
    Misconfigured,
    NeedsReview,
    NotExecuted,
    NotPermitted,
    NotSent,
    OutcomeUnknown,
    ProviderError,
)
from domain.money import Money
from domain.payments.answer import Answer, Failure, NextAction, Verdict
from domain.payments.settle import settle
from domain.payments.follow_ups import void
from domain.payments.operation import Kind
from domain.payments.payment import Payment
from domain.payments.states import State, Status
from domain.payments.submission import ProviderName
from domain.provider_rules import RULES
from domain.retry import MISCONFIGURED, TRANSIENT
from tests.suites.samples import (
    DECLINE,
    NOW,
    PRICE,
    origin,
    payment,
    sending,
    stored,
    submission,
)

SECOND: Final = timedelta(seconds=1)


def _running() -> Payment:
    return sending(payment())


def _unknown() -> Payment:
    return settle(_running(), OutcomeUnknown("timeout"), now=NOW, jitter=1.0)


#: The answer to a successful charge.
WINDOW: Final = RULES[ProviderName.STRIPE].key_windows[Kind.CHARGE]
PAID: Final = Answer(Verdict.SUCCEEDED, PRICE, {"payment_intent": "pi_1"})


def test_a_successful_charge_captures_the_whole_amount() -> None:
    done = settle(_running(), PAID, now=NOW, jitter=0)
    assert (done.authorized, done.captured, done.refunded) == (1999, 1999, 0)
    assert (done.status, done.due_at, done.is_settled) == (Status.CAPTURED, None, True)
    assert done.refs == {"payment_intent": "pi_1"}


def test_known_object_ids_stay_after_an_answer() -> None:
    known = _running()
    first = replace(
        known.first_operation, refs={"order": "o_1", "payment_intent": "old"}
    )
    done = settle(replace(known, operations=(first,)), PAID, now=NOW, jitter=0)
    assert done.refs == {"order": "o_1", "payment_intent": "pi_1"}


@pytest.mark.parametrize("moved", [Money(1998, "USD"), Money(1999, "EUR"), None])
def test_other_amount_than_requested_needs_manual_review(moved: Money | None) -> None:
    answer = Answer(
        Verdict.SUCCEEDED, moved, {"payment_intent": "pi_1"}, request_id="req_1"
    )
    odd = settle(_running(), answer, now=NOW, jitter=0)
    assert (odd.first_operation.state, odd.captured, odd.due_at) == (
        State.REVIEW,
        0,
        None,
    )
    assert odd.pending_events[-1].data["reason"] == "amount_differs"
    assert odd.refs == {"payment_intent": "pi_1"}, "the reason for the operator"
    assert odd.pending_events[-1].data["provider_request_id"] == "req_1"


@pytest.mark.parametrize("verdict", sorted(set(Verdict) - {Verdict.SUCCEEDED}))
def test_movement_without_a_success_needs_manual_review(verdict: Verdict) -> None:
    odd = settle(_running(), Answer(verdict, PRICE), now=NOW, jitter=0)
    assert (odd.first_operation.state, odd.captured) == (State.REVIEW, 0)


def test_a_decline_is_final_and_has_its_reason() -> None:
    declined = settle(_running(), DECLINE, now=NOW, jitter=0)
    assert (declined.status, declined.captured) == (Status.FAILED, 0)
    assert declined.last_error == DECLINE.failure
    assert declined.pending_events[-1].data["code"] == "insufficient_funds"
    assert declined.pending_events[-1].data["provider_request_id"] == "req_declined"


def test_providers_code_is_the_error_without_a_banks_reason() -> None:
    answer = Answer(Verdict.REJECTED, failure=Failure("bad_request", "No."))
    rejected = settle(_running(), answer, now=NOW, jitter=0)
    assert rejected.first_operation.state is State.REJECTED
    assert rejected.pending_events[-1].data["code"] == "bad_request"


def test_demand_for_the_payer_has_its_page() -> None:
    step = NextAction("https://bank.example/step")
    answer = Answer(
        Verdict.ACTION_REQUIRED, next_action=step, waiting_for="the payer to confirm"
    )
    waiting = settle(_running(), answer, now=NOW, jitter=0)
    assert (waiting.status, waiting.next_action) == (Status.REQUIRES_ACTION, step)
    assert waiting.first_operation.waiting_for == "the payer to confirm"
    assert waiting.due_at == NOW + retry.PAYER.base_delay


@pytest.mark.parametrize(
    ("verdict", "whom"),
    [(Verdict.PENDING, "the provider"), (Verdict.ACTION_REQUIRED, "the payer")],
)
def test_answer_without_a_wait_gets_the_default_one(
    verdict: Verdict, whom: str
) -> None:
    waiting = settle(sending(payment(), now=NOW), Answer(verdict), now=NOW, jitter=0)
    assert waiting.first_operation.waiting_for == whom


def test_a_send_that_was_not_executed_is_retried_with_the_same_key_and_body() -> None:
    retrying = settle(_running(), NotExecuted("busy"), now=NOW, jitter=1.0)
    assert (retrying.first_operation.state, retrying.due_at) == (
        State.RETRYING,
        NOW + SECOND,
    )
    assert retrying.first_operation.waiting_for == "stripe to take the request"
    later = NOW + timedelta(hours=1)
    resent = sending(retrying, now=later, body='{"other": "body"}')
    before, after = retrying.first_operation.send, resent.first_operation.send
    assert before is not None and after is not None
    assert (after.key, after.body) == (before.key, before.body)
    assert after.first_at == later, "no earlier send reached the provider"
    assert resent.first_operation.started_at == NOW


def test_a_retry_waits_as_long_as_the_provider_asks() -> None:
    error = NotExecuted("busy", retry_after=timedelta(minutes=7))
    retrying = settle(_running(), error, now=NOW, jitter=0)
    assert retrying.due_at == NOW + timedelta(minutes=7)


def test_operation_refused_for_days_is_dead() -> None:
    assert TRANSIENT.max_duration is not None
    late = NOW + TRANSIENT.max_duration
    dead = settle(_running(), NotSent(), now=late, jitter=1.0)
    assert (dead.first_operation.state, dead.due_at) == (State.DEAD, None)
    assert dead.first_operation.waiting_for == "an operator's replay"


def test_refused_credentials_cost_no_attempt_and_wait_longer() -> None:
    waiting = settle(_running(), Misconfigured("bad_key"), now=NOW, jitter=1.0)
    assert (waiting.first_operation.state, waiting.first_operation.attempts) == (
        State.RETRYING,
        0,
    )
    assert waiting.due_at == NOW + MISCONFIGURED.base_delay
    assert waiting.first_operation.waiting_for == "credentials that stripe accepts"
    much_later = NOW + timedelta(days=3)
    again = sending(waiting, now=much_later)
    still = settle(again, Misconfigured(), now=much_later, jitter=0)
    assert still.first_operation.state is State.RETRYING


def test_lost_answer_leaves_the_outcome_unknown_and_the_request_is_resent() -> None:
    unknown = _unknown()
    assert unknown.first_operation.state is State.UNKNOWN
    assert unknown.first_operation.waiting_for == "stripe to answer the same request"
    resent = sending(unknown, now=NOW + timedelta(hours=1), body='{"other": "body"}')
    assert resent.first_operation.state is State.UNKNOWN
    assert (
        resent.first_operation.send is not None
        and unknown.first_operation.send is not None
    )
    assert (
        replace(resent.first_operation.send, last_at=NOW)
        == unknown.first_operation.send
    )
    assert resent.first_operation.attempts == 2


@pytest.mark.parametrize("error", [NotSent(), Misconfigured(), NotExecuted("busy")])
def test_refused_resend_leaves_the_operation_unknown(
    error: ProviderError,
) -> None:
    resent = sending(_unknown(), now=NOW)
    still = settle(resent, error, now=NOW + timedelta(days=30), jitter=1.0)
    assert still.first_operation.state is State.UNKNOWN
    assert still.due_at is not None


@pytest.mark.parametrize("verdict", [Verdict.REJECTED, Verdict.DECLINED])
def test_unattributed_refusal_of_a_resend_makes_a_lookup_due(
    verdict: Verdict,
) -> None:
    answer = Answer(verdict, failure=Failure("expired_card", "No."))
    open_ = settle(sending(_unknown()), answer, now=NOW, jitter=0)
    assert (open_.first_operation.state, open_.first_operation.lookups_since) == (
        State.UNKNOWN,
        NOW,
    )
    assert open_.due_at == NOW
    assert (
        open_.first_operation.waiting_for
        == f"a status lookup at stripe: {verdict}_while_unknown"
    )
    assert open_.first_operation.needs_lookup(now=NOW)


def test_a_lookup_is_due_if_a_resend_would_prove_nothing() -> None:
    open_ = settle(_running(), LookupRequired("repeated_500"), now=NOW, jitter=0)
    assert (open_.first_operation.state, open_.first_operation.lookups_since) == (
        State.UNKNOWN,
        NOW,
    )
    assert open_.pending_events[-1].data["code"] == "repeated_500"


def test_absence_in_the_answer_to_a_send_needs_manual_review() -> None:
    odd = settle(_running(), Answer(Verdict.ABSENT), now=NOW, jitter=0)
    assert odd.first_operation.state is State.REVIEW


@pytest.mark.parametrize(
    "answer", [PAID, replace(DECLINE, refs={"payment_intent": "pi_1"})]
)
def test_evidence_settles_an_unknown_outcome(answer: Answer) -> None:
    settled = settle(sending(_unknown(), now=NOW), answer, now=NOW, jitter=0)
    assert settled.is_settled
    assert settled.captured == (1999 if answer.moved else 0)


def test_review_has_the_providers_reason() -> None:
    review = settle(
        _running(), NeedsReview("two_captures", request_id="req_1"), now=NOW, jitter=0
    )
    assert (review.first_operation.state, review.status) == (
        State.REVIEW,
        Status.PROCESSING,
    )
    assert review.first_operation.waiting_for == "an operator: two_captures"
    assert review.pending_events[-1].data["provider_request_id"] == "req_1"


def test_an_operation_without_permission_waits_and_spends_no_attempt() -> None:
    waiting = settle(_running(), NotPermitted("denied"), now=NOW, jitter=1.0)
    assert (waiting.first_operation.state, waiting.first_operation.attempts) == (
        State.RETRYING,
        0,
    )
    assert waiting.due_at == NOW + timedelta(minutes=1)
    assert waiting.first_operation.waiting_for == "a right that stripe has to grant"


def test_days_without_credentials_leave_time_for_an_ordinary_retry() -> None:
    waiting = settle(sending(payment(), now=NOW), Misconfigured(), now=NOW, jitter=1)
    later = NOW + timedelta(hours=25)
    retried = settle(sending(waiting, now=later), NotExecuted(), now=later, jitter=1)
    assert retried.first_operation.state is State.RETRYING


@pytest.mark.parametrize(
    "verdict", [Verdict.DECLINED, Verdict.EXPIRED, Verdict.ACTION_REQUIRED]
)
def test_an_answer_with_the_known_object_settles_an_unknown_outcome(
    verdict: Verdict,
) -> None:
    ours = Answer(verdict, refs={"order": "O-1"})
    known = settle(sending(_unknown()), ours, now=NOW, jitter=0)
    assert known.first_operation.state.value == verdict.trigger.value.replace(
        "action_required", "requires_action"
    )


def test_pending_operation_is_looked_up_again() -> None:
    pending = Answer(Verdict.PENDING, refs={"payment_intent": "pi_1"})
    waiting = settle(_running(), pending, now=NOW, jitter=0)
    assert (waiting.first_operation.state, waiting.due_at) == (
        State.PENDING,
        NOW + retry.POLL.base_delay,
    )
    assert waiting.is_settled
    assert waiting.first_operation.needs_lookup(now=NOW)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(Verdict.ACTION_REQUIRED, refs={"order": "another"}),
        Answer(Verdict.APPROVED, refs={"order": "another"}),
        Answer(Verdict.DECLINED, refs={"order": "another", "capture": "c"}),
    ],
)
def test_new_object_of_a_paypal_resend_leaves_the_operation_unknown(
    answer: Answer,
) -> None:
    asked = submission(provider=ProviderName.PAYPAL)
    unknown = settle(
        sending(payment(submitted=asked)), OutcomeUnknown("http_500"), now=NOW, jitter=0
    )
    resent = sending(stored(unknown))
    puzzled = settle(resent, answer, now=NOW, jitter=0).first_operation
    assert puzzled.state is State.UNKNOWN
    assert puzzled.needs_lookup(now=NOW)
    assert "order" not in puzzled.refs
    known = replace(resent.first_operation, refs={"order": "another"})
    with_refs = replace(resent, operations=(known,))
    assert (
        settle(with_refs, answer, now=NOW, jitter=0).first_operation.state
        is not State.UNKNOWN
    )


def _voiding() -> Payment:
    """A payment waiting for its payer, with a void under way."""
    acts = Answer(
        Verdict.ACTION_REQUIRED,
        refs={"payment_intent": "pi_1"},
        next_action=NextAction("https://bank.example"),
    )
    waiting = stored(settle(_running(), acts, now=NOW, jitter=0))
    return sending(void(waiting, id="op_void", origin=origin("void"), now=NOW))


@pytest.mark.parametrize(
    "outcome",
    [
        Answer(Verdict.DECLINED, failure=Failure("already_captured", "It was.")),
        Answer(Verdict.REJECTED, failure=Failure("no", "No.")),
        NeedsReview("status_processing"),
    ],
)
def test_a_refused_void_makes_a_lookup_of_the_waiting_charge_due_at_once(
    outcome: Answer | ProviderError,
) -> None:
    done = settle(_voiding(), outcome, now=NOW, jitter=0)
    assert (done.first_operation.state, done.first_operation.due_at) == (
        State.REQUIRES_ACTION,
        NOW,
    )
    assert (
        done.first_operation.lookups_since == NOW
        and done.next_operation == done.first_operation
    )
    assert done.next_action == NextAction("https://bank.example")


def test_a_successful_void_ends_the_waiting_charge() -> None:
    done = settle(_voiding(), Answer(Verdict.SUCCEEDED), now=NOW, jitter=0)
    assert (done.first_operation.state, done.due_at) == (State.CANCELED, None)
    assert done.next_action is None
