"""An operator's actions on an operation, and their refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Final

import pytest

from domain.errors import (
    Conflict,
    InvalidPayment,
    LookupRequired,
    NeedsReview,
    NotSent,
)
from domain.money import Money
from domain.payments.answer import Answer, Verdict
from domain.payments.settle import settle
from domain.payments.follow_ups import capture, refund, void
from domain.payments.operation import ABSENCE_PROOF_DELAY
from domain.payments.operator_actions import (
    Evidence,
    Intervention,
    ReplayAction,
    request_lookup,
    decide_replay,
    replay_operation,
    resolve_operation,
)
from domain.payments.payment import Payment
from domain.payments.start_attempt import start_lookup
from domain.payments.states import State, Status
from domain.payments.submission import ProviderName
from domain.payments.apply_answer import escalate
from domain.retry import TRANSIENT
from tests.suites.samples import (
    DECLINE,
    NOW,
    authorized,
    captured,
    origin,
    payment,
    sending,
    stored,
    submission,
)

REJECTION: Final = Answer(Verdict.REJECTED)
WHO: Final = Intervention("key_1", "the bank was down")
MUCH_LATER: Final = NOW + timedelta(days=5)


def _ended(
    outcome: Answer | LookupRequired | NeedsReview,
    provider: ProviderName = ProviderName.STRIPE,
) -> Payment:
    given = payment(submitted=submission(provider=provider))
    return stored(settle(sending(given), outcome, now=NOW, jitter=0))


def _dead() -> Payment:
    assert TRANSIENT.max_duration is not None
    late = NOW + TRANSIENT.max_duration
    return stored(settle(sending(payment()), NotSent(), now=late, jitter=1))


def _proven_dead() -> Payment:
    """An operation in review that a lookup proved never executed."""
    review = _ended(NeedsReview("odd"))
    asked = stored(
        start_lookup(review, review.first_operation, now=NOW + ABSENCE_PROOF_DELAY)
    )
    gone = Answer(Verdict.ABSENT)
    return stored(settle(asked, gone, now=NOW + ABSENCE_PROOF_DELAY, jitter=0))


REVIEW: Final = _ended(NeedsReview("odd"))
PAYPAL: Final = _ended(NeedsReview("odd"), provider=ProviderName.PAYPAL)
UNPREPARED: Final = escalate(
    payment(), payment().first_operation, "cannot_prepare", now=NOW
)


@pytest.mark.parametrize(
    ("given", "later", "what"),
    [
        (payment(), False, ReplayAction.NOTHING),
        (sending(payment()), False, ReplayAction.NOTHING),
        (_ended(LookupRequired()), False, ReplayAction.NOTHING),
        (_dead(), True, ReplayAction.RESEND),
        (_proven_dead(), True, ReplayAction.NEEDS_REASON),
        (UNPREPARED, True, ReplayAction.RESEND),
        (REVIEW, False, ReplayAction.RESEND),
        (REVIEW, True, ReplayAction.LOOKUP),
        (PAYPAL, False, ReplayAction.RESEND),
        (PAYPAL, True, ReplayAction.REFUSED),
        (_ended(Answer(Verdict.PENDING)), False, ReplayAction.LOOKUP),
        (_ended(Answer(Verdict.ACTION_REQUIRED)), False, ReplayAction.LOOKUP),
        (captured(), False, ReplayAction.LOOKUP),
        (_ended(DECLINE), False, ReplayAction.REFUSED),
    ],
)
def test_preview_of_a_replay_has_its_effect(
    given: Payment, later: bool, what: ReplayAction
) -> None:
    now = MUCH_LATER if later else NOW
    assert decide_replay(given, given.first_operation, now=now) is what


@pytest.mark.parametrize("given", [payment(), _ended(DECLINE)])
def test_replay_that_might_charge_again_is_refused(given: Payment) -> None:
    with pytest.raises(Conflict):
        replay_operation(given, given.first_operation, WHO, now=NOW)


def test_a_dead_letter_is_queued_again_with_its_key_and_a_new_budget() -> None:
    dead = _dead()
    again = replay_operation(dead, dead.first_operation, WHO, now=MUCH_LATER)
    assert (again.first_operation.state, again.due_at) == (State.QUEUED, MUCH_LATER)
    assert again.first_operation.started_at is None
    assert again.pending_events[-1].data["by"] == "key_1"
    assert again.pending_events[-1].data["reason"] == "the bank was down"
    assert again.pending_events[-1].data["replay"] == "resend"
    sent = sending(again, now=MUCH_LATER)
    assert (
        sent.first_operation.send is not None and dead.first_operation.send is not None
    )
    assert sent.first_operation.send.key == dead.first_operation.send.key


def test_a_replayed_dead_letter_has_all_its_tries_again() -> None:
    dead = _dead()
    spent = replace(dead.first_operation, attempts=TRANSIENT.max_tries or 0)
    dead = replace(dead, operations=(spent,))
    again = stored(replay_operation(dead, dead.first_operation, WHO, now=MUCH_LATER))
    sent = sending(again, now=MUCH_LATER)
    failed = settle(sent, NotSent(), now=MUCH_LATER, jitter=1)
    assert (failed.first_operation.state, failed.first_operation.attempts) == (
        State.RETRYING,
        1,
    )


def test_a_sent_operation_in_review_is_resumed_as_unknown() -> None:
    again = replay_operation(REVIEW, REVIEW.first_operation, WHO, now=NOW)
    assert (again.first_operation.state, again.first_operation.send) == (
        State.UNKNOWN,
        REVIEW.first_operation.send,
    )
    assert sending(again).first_operation.state is State.UNKNOWN


def test_an_unsent_operation_in_review_is_queued() -> None:
    again = replay_operation(UNPREPARED, UNPREPARED.first_operation, WHO, now=NOW)
    assert again.first_operation.state is State.QUEUED


def test_replay_by_a_lookup_keeps_the_state() -> None:
    paid = captured()
    asked = replay_operation(paid, paid.first_operation, WHO, now=NOW)
    assert (asked.first_operation.state, asked.due_at) == (State.SUCCEEDED, NOW)
    assert asked.first_operation.needs_lookup(now=NOW)


@pytest.mark.parametrize(
    ("verdict", "status", "taken"),
    [
        (Verdict.SUCCEEDED, Status.CAPTURED, 1999),
        (Verdict.DECLINED, Status.FAILED, 0),
        (Verdict.CANCELED, Status.CANCELED, 0),
    ],
)
def test_operator_resolves_an_operation_in_review(
    verdict: Verdict, status: Status, taken: int
) -> None:
    done = resolve_operation(
        REVIEW, REVIEW.first_operation, Evidence(verdict), WHO, now=NOW
    )
    assert (done.status, done.captured) == (status, taken)
    [event] = done.pending_events
    assert (event.type, event.data["by"]) == ("operation.resolved", "key_1")
    assert (event.data["answer"], event.data["reason"]) == (verdict, WHO.reason)


@pytest.mark.parametrize("verdict", [Verdict.DECLINED, Verdict.CANCELED])
def test_refusal_by_an_operator_names_the_operator(verdict: Verdict) -> None:
    done = resolve_operation(
        REVIEW, REVIEW.first_operation, Evidence(verdict), WHO, now=NOW
    )
    error = done.last_error
    assert error is not None and not error.retryable
    assert error.code == done.first_operation.error == f"{verdict}_by_operator"
    assert WHO.by in error.message
    assert done.pending_events[-1].data["code"] == error.code


def test_success_by_an_operator_leaves_no_error() -> None:
    done = resolve_operation(
        REVIEW, REVIEW.first_operation, Evidence(Verdict.SUCCEEDED), WHO, now=NOW
    )
    assert (done.last_error, done.first_operation.error) == (None, None)


def test_void_resolved_by_an_operator_moves_no_money() -> None:
    asked = stored(void(authorized(), id="op_v", origin=origin(), now=NOW))
    review = stored(settle(sending(asked), NeedsReview("odd"), now=NOW, jitter=0))
    done = resolve_operation(
        review, review.operations[-1], Evidence(Verdict.SUCCEEDED), WHO, now=NOW
    )
    assert (done.status, done.operations[-1].moved) == (Status.VOIDED, 0)


@pytest.mark.parametrize("kind", ["capture", "void"])
def test_a_discarded_follow_up_leaves_the_money_on_hold(kind: str) -> None:
    asks: dict[str, Callable[..., Payment]] = {
        "capture": partial(capture, amount=None, final=False),
        "void": void,
    }
    asked = stored(asks[kind](authorized(), id="op_2", origin=origin(), now=NOW))
    assert TRANSIENT.max_duration is not None
    late = NOW + TRANSIENT.max_duration
    dead = stored(settle(sending(asked), NotSent(), now=late, jitter=1))
    assert (dead.operations[-1].state, dead.capturable) == (State.DEAD, 0)
    done = resolve_operation(
        dead, dead.operations[-1], Evidence(Verdict.CANCELED), WHO, now=late
    )
    assert (done.status, done.capturable) == (Status.AUTHORIZED, 1999)


def test_the_event_of_a_replay_names_its_set() -> None:
    who, dead = replace(WHO, replay="rpl_1"), _dead()
    again = replay_operation(dead, dead.first_operation, who, now=MUCH_LATER)
    assert again.pending_events[-1].data["replay_set"] == "rpl_1"


def test_last_error_is_on_the_operation() -> None:
    assert [one.first_operation.error for one in (REVIEW, _dead(), captured())] == [
        *("odd", NotSent.code, None),
    ]


def test_a_dead_letter_can_only_be_discarded() -> None:
    dead = _dead()
    assert resolve_operation(
        dead, dead.first_operation, Evidence(Verdict.CANCELED), WHO, now=NOW
    ).status is (Status.CANCELED)
    with pytest.raises(Conflict):
        resolve_operation(
            dead, dead.first_operation, Evidence(Verdict.SUCCEEDED), WHO, now=NOW
        )


def test_operation_that_the_provider_decides_cannot_be_resolved() -> None:
    unknown = _ended(LookupRequired())
    before = replace(unknown)
    with pytest.raises(Conflict):
        resolve_operation(
            unknown, unknown.first_operation, Evidence(Verdict.SUCCEEDED), WHO, now=NOW
        )
    assert unknown == before


@pytest.mark.parametrize("given", [captured(), _ended(DECLINE), _ended(REJECTION)])
def test_ended_operation_can_be_looked_up(given: Payment) -> None:
    asked = stored(request_lookup(given, given.first_operation, WHO, now=MUCH_LATER))
    assert asked.first_operation.state is given.first_operation.state
    assert asked.due_at == MUCH_LATER
    assert asked.first_operation.needs_lookup(now=MUCH_LATER)
    looking_at = stored(start_lookup(asked, asked.first_operation, now=MUCH_LATER))
    paid = Answer(Verdict.SUCCEEDED, given.submission.amount)
    seen = settle(looking_at, paid, now=MUCH_LATER, jitter=0)
    assert seen.first_operation.state is State.SUCCEEDED
    assert seen.due_at is None


@pytest.mark.parametrize(
    "given", [payment(), REVIEW, _dead(), _ended(LookupRequired())]
)
def test_operation_with_work_or_in_review_cannot_be_looked_up(
    given: Payment,
) -> None:
    with pytest.raises(Conflict):
        request_lookup(given, given.first_operation, WHO, now=MUCH_LATER)


@pytest.mark.parametrize(
    ("provider", "ref", "refs"),
    [
        (ProviderName.STRIPE, "pi_3NirD82eZvKYlo2C", "payment_intent"),
        (ProviderName.PAYPAL, "2GG279541U471931P", "capture"),
    ],
)
def test_resolved_operation_with_a_reference_can_be_refunded(
    provider: ProviderName, ref: str, refs: str
) -> None:
    asked = payment(submitted=submission(provider=provider))
    review = stored(settle(sending(asked), NeedsReview("odd"), now=NOW, jitter=0))
    found = Evidence(Verdict.SUCCEEDED, ref, 1500)
    done = resolve_operation(review, review.first_operation, found, WHO, now=NOW)
    assert (done.first_operation.refs, done.captured) == ({refs: ref}, 1500)
    [event] = done.pending_events
    assert (event.data["ref"], event.data["amount"]) == (ref, 1500)
    assert refund(
        stored(done), amount=None, target=None, id="op_r", origin=origin(), now=NOW
    ).operations[-1].amount == (1500)


@pytest.mark.parametrize(
    ("evidence", "field"),
    [
        (Evidence(Verdict.SUCCEEDED, "ch_3NirD82eZvKYlo2C"), "provider_reference"),
        (Evidence(Verdict.SUCCEEDED, "pi_1; DROP"), "provider_reference"),
        (Evidence(Verdict.SUCCEEDED, amount=2000), "amount"),
        (Evidence(Verdict.DECLINED, "pi_3NirD82eZvKYlo2C"), "as"),
        (Evidence(Verdict.CANCELED, amount=1999), "as"),
    ],
)
def test_evidence_that_does_not_fit_the_operation_is_refused(
    evidence: Evidence, field: str
) -> None:
    with pytest.raises(InvalidPayment) as refused:
        resolve_operation(REVIEW, REVIEW.first_operation, evidence, WHO, now=NOW)
    assert refused.value.field == field


def test_an_amount_without_units_at_the_provider_is_refused() -> None:
    forints = submission(provider=ProviderName.PAYPAL, amount=Money(150_000, "HUF"))
    asked = sending(payment(submitted=forints))
    review = stored(settle(asked, NeedsReview("odd"), now=NOW, jitter=0))
    for amount, ref in ((50_50, None), (50_00, "re_1")):
        with pytest.raises(InvalidPayment):
            evidence = Evidence(Verdict.SUCCEEDED, ref, amount)
            resolve_operation(review, review.first_operation, evidence, WHO, now=NOW)
    done = resolve_operation(
        review,
        review.first_operation,
        Evidence(Verdict.SUCCEEDED, amount=50_00),
        WHO,
        now=NOW,
    )
    assert done.captured == 50_00


def test_void_resolved_by_an_operator_has_a_reference_and_no_amount() -> None:
    asked = stored(void(authorized(), id="op_v", origin=origin(), now=NOW))
    review = stored(settle(sending(asked), NeedsReview("odd"), now=NOW, jitter=0))
    with pytest.raises(InvalidPayment):
        evidence = Evidence(Verdict.SUCCEEDED, amount=1)
        resolve_operation(review, review.operations[-1], evidence, WHO, now=NOW)
    named = Evidence(Verdict.SUCCEEDED, "pi_3NirD82eZvKYlo2C")
    done = resolve_operation(review, review.operations[-1], named, WHO, now=NOW)
    assert done.operations[-1].refs == {"payment_intent": "pi_3NirD82eZvKYlo2C"}


@pytest.mark.parametrize("kind", ["capture", "refund"])
def test_money_taken_by_others_cannot_be_resolved_as_ours(kind: str) -> None:
    """The provider refuses movements over the amount, so one of both did not happen."""
    asks: dict[str, Callable[..., Payment]] = {
        "capture": partial(capture, amount=1500, final=None),
        "refund": partial(refund, amount=1500, target=None),
    }
    begun = authorized() if kind == "capture" else captured()
    asked = stored(asks[kind](begun, id="op_2", origin=origin(), now=NOW))
    review = stored(settle(sending(asked), NeedsReview("odd"), now=NOW, jitter=0))
    of_others = replace(
        review.operations[-1],
        id="op_others",
        state=State.SUCCEEDED,
        origin=None,
        amount=1000,
        moved=1000,
    )
    both = replace(review, operations=(*review.operations, of_others))
    with pytest.raises(Conflict) as refused:
        yes = Evidence(Verdict.SUCCEEDED)
        resolve_operation(both, both.get_operation("op_2"), yes, WHO, now=NOW)
    assert refused.value.reason == "not_enough_left"
    less = Evidence(Verdict.SUCCEEDED, amount=999)
    assert resolve_operation(both, both.get_operation("op_2"), less, WHO, now=NOW)


@pytest.mark.parametrize("provider", ProviderName)
def test_a_follow_up_of_an_object_without_a_reference_is_refused(
    provider: ProviderName,
) -> None:
    at_refund = replace(
        captured(provider=provider).first_operation, refs={"order": "O1"}
    )
    paid = replace(captured(provider=provider), operations=(at_refund,))
    at_hold = replace(authorized(provider=provider).first_operation, refs={})
    held = replace(authorized(provider=provider), operations=(at_hold,))
    asks: list[tuple[Payment, Callable[..., Payment]]] = [
        (paid, partial(refund, amount=700, target=None)),
        (paid, partial(refund, amount=None, target=at_refund.id)),
        (held, partial(capture, amount=None, final=None)),
        (held, void),
    ]
    for of, ask in asks:
        with pytest.raises(Conflict, match="resolve that operation") as refused:
            ask(of, id="op_2", origin=origin(), now=NOW)
        assert refused.value.reason == "provider_reference_unknown"


@pytest.mark.parametrize(
    ("provider", "ref"),
    [
        (ProviderName.STRIPE, "pi_3NirD82eZvKYlo2C"),
        (ProviderName.PAYPAL, "2GG279541U471931P"),
    ],
)
def test_a_success_without_a_reference_gets_one(
    provider: ProviderName, ref: str
) -> None:
    asked = payment(submitted=submission(provider=provider))
    review = stored(settle(sending(asked), NeedsReview("odd"), now=NOW, jitter=0))
    yes = Evidence(Verdict.SUCCEEDED, amount=1500)
    paid = stored(resolve_operation(review, review.first_operation, yes, WHO, now=NOW))
    for wrong in (Evidence(Verdict.SUCCEEDED), Evidence(Verdict.SUCCEEDED, amount=5)):
        with pytest.raises(Conflict):
            resolve_operation(paid, paid.first_operation, wrong, WHO, now=NOW)
    with pytest.raises(InvalidPayment, match="15.00 USD has moved"):
        wrong = Evidence(Verdict.SUCCEEDED, ref, 1499)
        resolve_operation(paid, paid.first_operation, wrong, WHO, now=NOW)
    named = Evidence(Verdict.SUCCEEDED, ref, 1500)
    done = resolve_operation(paid, paid.first_operation, named, WHO, now=NOW)
    assert (done.captured, done.first_operation.state) == (1500, State.SUCCEEDED)
    assert list(done.first_operation.refs.values()) == [ref]
    [event] = done.pending_events
    assert (event.type, event.data["ref"]) == ("operation.resolved", ref)
    done = stored(done)
    with pytest.raises(Conflict, match="known already"):
        resolve_operation(done, done.first_operation, named, WHO, now=NOW)
    assert refund(
        done, amount=None, target=None, id="op_r", origin=origin(), now=NOW
    ).refund_reserved == (1500)


def test_a_resolved_operation_has_the_moved_amount() -> None:
    part = Evidence(Verdict.SUCCEEDED, "pi_3NirD82eZvKYlo2C", 1500)
    done = stored(resolve_operation(REVIEW, REVIEW.first_operation, part, WHO, now=NOW))
    assert (done.first_operation.amount, done.first_operation.moved, done.captured) == (
        1500,
        1500,
        1500,
    )
    again = stored(request_lookup(done, done.first_operation, WHO, now=NOW))
    seen = Answer(Verdict.SUCCEEDED, Money(1500, "USD"), done.first_operation.refs)
    claimed = stored(start_lookup(again, again.first_operation, now=NOW))
    after = settle(claimed, seen, now=NOW, jitter=0)
    assert (after.first_operation.state, after.captured) == (State.SUCCEEDED, 1500)
    event = (
        resolve_operation(REVIEW, REVIEW.first_operation, part, WHO, now=NOW)
        .pending_events[0]
        .data
    )
    assert (event["amount"], event["amount_asked"]) == (1500, 1999)


def test_corrected_refusal_has_the_moved_amount() -> None:
    no = Evidence(Verdict.CANCELED)
    given = stored(resolve_operation(REVIEW, REVIEW.first_operation, no, WHO, now=NOW))
    done = resolve_operation(
        given,
        given.first_operation,
        Evidence(Verdict.SUCCEEDED, amount=700),
        WHO,
        now=NOW,
    )
    assert (done.first_operation.amount, done.captured) == (700, 700)
