"""A payment's steps, one by one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from domain.answer import Answer, Failure, NextAction, Verdict
from domain.errors import (
    IllegalTransition,
    Misconfigured,
    NeedsReview,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
    ProviderError,
)
from domain.idempotency import WINDOWS
from domain.money import Money
from domain.payment import Payment
from domain.retry import MISCONFIGURED, TRANSIENT
from domain.states import State, Status
from tests.fakes import pay
from tests.suites.samples import DECLINE, NOW, PRICE, payment

SECOND: Final = timedelta(seconds=1)


def _running() -> Payment:
    return payment().sent("{}", now=NOW)


def _unknown() -> Payment:
    return _running().settle(OutcomeUnknown("timeout"), now=NOW, jitter=1.0)


def test_a_send_is_written_down_with_its_key_body_and_window() -> None:
    sent = payment().sent('{"a": 1}', now=NOW)
    send = sent.operation.send
    assert send is not None
    assert (send.key, send.body) == (f"{sent.operation.id}-1", '{"a": 1}')
    assert (send.first_at, send.window_ends_at) == (NOW, NOW + WINDOWS["stripe"])
    assert sent.operation.state is State.RUNNING
    assert (sent.operation.attempts, sent.operation.started_at) == (1, NOW)
    assert sent.news[-1].data == {
        "operation": sent.operation.id,
        "from": "queued",
        "to": "running",
        "attempt": 1,
        "provider_key": send.key,
    }


def test_money_that_moved_is_the_merchants() -> None:
    done = _running().settle(pay(payment()), now=NOW, jitter=0)
    assert (done.authorized, done.captured, done.refunded) == (1999, 1999, 0)
    assert (done.status, done.due_at, done.settled) == (Status.CAPTURED, None, True)
    assert done.refs["intent"].startswith("pi_")


def test_what_the_provider_named_before_is_still_known_after() -> None:
    known = replace(_running(), refs={"order": "o_1", "intent": "old"})
    done = known.settle(pay(known), now=NOW, jitter=0)
    assert done.refs == {"order": "o_1", "intent": f"pi_{known.operation.key}"}


@pytest.mark.parametrize("moved", [Money(1998, "USD"), Money(1999, "EUR"), None])
def test_another_amount_than_was_asked_for_is_for_a_person(moved: Money | None) -> None:
    answer = Answer(Verdict.SUCCEEDED, moved, {"intent": "pi_1"}, request_id="req_1")
    odd = _running().settle(answer, now=NOW, jitter=0)
    assert (odd.operation.state, odd.captured, odd.due_at) == (State.REVIEW, 0, None)
    assert odd.news[-1].data["why"] == "amount_differs"
    assert odd.refs == {"intent": "pi_1"}, "what the person has to look at"
    assert odd.news[-1].data["provider_request_id"] == "req_1"


@pytest.mark.parametrize("verdict", sorted(set(Verdict) - {Verdict.SUCCEEDED}))
def test_money_that_moved_without_a_success_is_for_a_person(verdict: Verdict) -> None:
    odd = _running().settle(Answer(verdict, PRICE), now=NOW, jitter=0)
    assert (odd.operation.state, odd.captured) == (State.REVIEW, 0)


def test_a_decline_is_final_and_says_why() -> None:
    declined = _running().settle(DECLINE, now=NOW, jitter=0)
    assert (declined.status, declined.captured) == (Status.FAILED, 0)
    assert declined.last_error == DECLINE.failure
    assert declined.news[-1].data["code"] == "insufficient_funds"
    assert declined.news[-1].data["provider_request_id"] == "req_declined"


def test_without_a_banks_reason_the_providers_code_is_told() -> None:
    answer = Answer(Verdict.REJECTED, failure=Failure("bad_request", "No."))
    rejected = _running().settle(answer, now=NOW, jitter=0)
    assert rejected.operation.state is State.REJECTED
    assert rejected.news[-1].data["code"] == "bad_request"


def test_a_payer_who_must_act_is_told_where() -> None:
    step = NextAction("https://bank.example/step")
    answer = Answer(
        Verdict.ACTION_REQUIRED, next_action=step, waiting_for="the payer to confirm"
    )
    waiting = _running().settle(answer, now=NOW, jitter=0)
    assert (waiting.status, waiting.next_action) == (Status.REQUIRES_ACTION, step)
    assert waiting.operation.waiting_for == "the payer to confirm"
    assert waiting.due_at is None


@pytest.mark.parametrize(
    ("verdict", "whom"),
    [(Verdict.PENDING, "the provider"), (Verdict.ACTION_REQUIRED, "the payer")],
)
def test_an_answer_that_does_not_say_so_still_names_whom_it_waits_for(
    verdict: Verdict, whom: str
) -> None:
    waiting = payment().sent("{}", now=NOW).settle(Answer(verdict), now=NOW, jitter=0)
    assert waiting.operation.waiting_for == whom


def test_what_was_not_executed_is_tried_again_with_the_same_key_and_body() -> None:
    retrying = _running().settle(NotExecuted("busy"), now=NOW, jitter=1.0)
    assert (retrying.operation.state, retrying.due_at) == (State.RETRYING, NOW + SECOND)
    assert retrying.operation.waiting_for == "stripe to take the request"
    later = NOW + timedelta(hours=1)
    resent = retrying.sent('{"other": "body"}', now=later)
    before, after = retrying.operation.send, resent.operation.send
    assert before is not None and after is not None
    assert (after.key, after.body) == (before.key, before.body)
    assert after.first_at == later, "nothing has reached the provider before"
    assert resent.operation.started_at == NOW


def test_a_provider_that_asks_for_time_gets_it() -> None:
    error = NotExecuted("busy", retry_after=timedelta(minutes=7))
    retrying = _running().settle(error, now=NOW, jitter=0)
    assert retrying.due_at == NOW + timedelta(minutes=7)


def test_a_day_of_refusals_is_the_end_until_somebody_replays() -> None:
    assert TRANSIENT.within is not None
    late = NOW + TRANSIENT.within
    dead = _running().settle(NotSent(), now=late, jitter=1.0)
    assert (dead.operation.state, dead.due_at) == (State.DEAD, None)
    assert dead.operation.waiting_for == "an operator's replay"


def test_refused_credentials_cost_no_attempt_and_wait_longer() -> None:
    waiting = _running().settle(Misconfigured("bad_key"), now=NOW, jitter=1.0)
    assert (waiting.operation.state, waiting.operation.attempts) == (State.RETRYING, 0)
    assert waiting.due_at == NOW + MISCONFIGURED.base
    assert waiting.operation.waiting_for == "credentials that stripe accepts"
    much_later = NOW + timedelta(days=3)
    again = waiting.sent("{}", now=much_later)
    still = again.settle(Misconfigured(), now=much_later, jitter=0)
    assert still.operation.state is State.RETRYING


def test_an_answer_that_never_came_leaves_it_open_and_the_same_is_sent_again() -> None:
    unknown = _unknown()
    assert unknown.operation.state is State.UNKNOWN
    assert unknown.operation.waiting_for == "stripe to answer the same request"
    resent = unknown.sent('{"other": "body"}', now=NOW + timedelta(hours=1))
    assert resent.operation.state is State.UNKNOWN
    assert resent.operation.send == unknown.operation.send, "the window runs on"
    assert resent.operation.attempts == 2


@pytest.mark.parametrize("error", [NotSent(), Misconfigured(), NotExecuted("busy")])
def test_a_resend_that_was_refused_says_nothing_of_the_send_before(
    error: ProviderError,
) -> None:
    resent = _unknown().sent("{}", now=NOW)
    still = resent.settle(error, now=NOW + timedelta(days=30), jitter=1.0)
    assert still.operation.state is State.UNKNOWN
    assert still.due_at is not None


def test_a_resend_that_was_rejected_is_for_a_person() -> None:
    answer = Answer(Verdict.REJECTED, failure=Failure("expired_card", "No."))
    odd = _unknown().sent("{}", now=NOW).settle(answer, now=NOW, jitter=0)
    assert odd.operation.state is State.REVIEW
    assert odd.news[-1].data["why"] == "rejected_while_unknown"


@pytest.mark.parametrize("answer", [pay(payment()), DECLINE])
def test_evidence_settles_what_was_unknown(answer: Answer) -> None:
    settled = _unknown().sent("{}", now=NOW).settle(answer, now=NOW, jitter=0)
    assert settled.settled
    assert settled.captured == (1999 if answer.moved else 0)


def test_a_person_is_told_what_the_provider_said() -> None:
    review = _running().settle(
        NeedsReview("two_captures", request_id="req_1"), now=NOW, jitter=0
    )
    assert (review.operation.state, review.status) == (State.REVIEW, Status.PROCESSING)
    assert review.operation.waiting_for == "an operator: two_captures"
    assert review.news[-1].data["provider_request_id"] == "req_1"


def test_a_worker_that_went_silent_leaves_the_outcome_unknown() -> None:
    running = _running()
    unknown = running.lease_expired(now=NOW)
    assert unknown.operation.state is State.UNKNOWN
    assert unknown.operation.send == running.operation.send
    assert unknown.news[-1].type == "lease.expired"


def test_a_resend_is_safe_until_the_window_ends() -> None:
    unknown = _unknown()
    end = NOW + WINDOWS["stripe"]
    assert not unknown.window_closed(now=end - timedelta(microseconds=1))
    assert unknown.window_closed(now=end)


def test_only_what_is_unknown_has_a_window() -> None:
    much_later = NOW + timedelta(days=100)
    assert not payment().window_closed(now=much_later)
    assert not _running().window_closed(now=much_later)


def test_what_the_table_does_not_have_changes_nothing() -> None:
    done = _running().settle(pay(payment()), now=NOW, jitter=0)
    before = replace(done)
    with pytest.raises(IllegalTransition):
        done.sent("{}", now=NOW)
    with pytest.raises(IllegalTransition):
        done.settle(DECLINE, now=NOW, jitter=0)
    with pytest.raises(IllegalTransition):
        done.escalate("why", now=NOW)
    assert done == before


def test_days_without_credentials_leave_time_for_an_ordinary_retry() -> None:
    waiting = payment().sent("{}", now=NOW).settle(Misconfigured(), now=NOW, jitter=1)
    later = NOW + timedelta(hours=25)
    retried = waiting.sent("{}", now=later).settle(NotExecuted(), now=later, jitter=1)
    assert retried.operation.state is State.RETRYING


@pytest.mark.parametrize(
    "verdict", [Verdict.DECLINED, Verdict.EXPIRED, Verdict.ACTION_REQUIRED]
)
def test_a_bare_no_to_a_resend_says_nothing_of_the_send_before_it(
    verdict: Verdict,
) -> None:
    unknown = payment().sent("{}", now=NOW).settle(OutcomeUnknown(), now=NOW, jitter=0)
    asked = unknown.sent("{}", now=NOW)
    review = asked.settle(Answer(verdict), now=NOW, jitter=0)
    assert review.operation.state is State.REVIEW
    assert review.operation.waiting_for == f"an operator: {verdict}_while_unknown"
    ours = Answer(verdict, refs={"order": "O-1"})
    assert asked.settle(ours, now=NOW, jitter=0).operation.state.value == (
        "requires_action" if verdict is Verdict.ACTION_REQUIRED else verdict.value
    )
