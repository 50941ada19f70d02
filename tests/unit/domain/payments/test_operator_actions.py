"""What an operator may do with an operation, and what is refused."""

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
    LookNeeded,
    NeedsReview,
    NotSent,
)
from domain.money import Money
from domain.payments.answer import Answer, Verdict
from domain.payments.apply_answer import settle
from domain.payments.follow_ups import capture, refund, void
from domain.payments.operation import PROOF_AFTER
from domain.payments.operator_actions import (
    Evidence,
    Intervention,
    Replay,
    looked_into,
    replay_of,
    replayed,
    resolved,
)
from domain.payments.payment import Payment
from domain.payments.start_attempt import looking
from domain.payments.states import State, Status
from domain.payments.submission import ProviderName
from domain.payments.transitions import escalate
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
    outcome: Answer | LookNeeded | NeedsReview,
    provider: ProviderName = ProviderName.STRIPE,
) -> Payment:
    given = payment(asked=submission(provider=provider))
    return stored(settle(sending(given), outcome, now=NOW, jitter=0))


def _dead() -> Payment:
    assert TRANSIENT.within is not None
    late = NOW + TRANSIENT.within
    return stored(settle(sending(payment()), NotSent(), now=late, jitter=1))


def _proven_dead() -> Payment:
    """A review that a look has proven never executed."""
    review = _ended(NeedsReview("odd"))
    asked = stored(looking(review, review.first, now=NOW + PROOF_AFTER))
    gone = Answer(Verdict.ABSENT)
    return stored(settle(asked, gone, now=NOW + PROOF_AFTER, jitter=0))


REVIEW: Final = _ended(NeedsReview("odd"))
PAYPAL: Final = _ended(NeedsReview("odd"), provider=ProviderName.PAYPAL)
UNPREPARED: Final = escalate(payment(), payment().first, "cannot_prepare", now=NOW)


@pytest.mark.parametrize(
    ("given", "later", "what"),
    [
        (payment(), False, Replay.NOTHING),
        (sending(payment()), False, Replay.NOTHING),
        (_ended(LookNeeded()), False, Replay.NOTHING),
        (_dead(), True, Replay.RESENDS),
        (_proven_dead(), True, Replay.NEEDS_REASON),
        (UNPREPARED, True, Replay.RESENDS),
        (REVIEW, False, Replay.RESENDS),
        (REVIEW, True, Replay.LOOKS),
        (PAYPAL, False, Replay.RESENDS),
        (PAYPAL, True, Replay.REFUSED),
        (_ended(Answer(Verdict.PENDING)), False, Replay.LOOKS),
        (_ended(Answer(Verdict.ACTION_REQUIRED)), False, Replay.LOOKS),
        (captured(), False, Replay.LOOKS),
        (_ended(DECLINE), False, Replay.REFUSED),
    ],
)
def test_a_replay_says_what_it_would_do(
    given: Payment, later: bool, what: Replay
) -> None:
    now = MUCH_LATER if later else NOW
    assert replay_of(given, given.first, now=now) is what


@pytest.mark.parametrize("given", [payment(), _ended(DECLINE)])
def test_what_is_owed_or_would_charge_again_is_not_replayed(given: Payment) -> None:
    with pytest.raises(Conflict):
        replayed(given, given.first, WHO, now=NOW)


def test_a_dead_letter_is_queued_again_with_its_key_and_a_new_budget() -> None:
    dead = _dead()
    again = replayed(dead, dead.first, WHO, now=MUCH_LATER)
    assert (again.first.state, again.due_at) == (State.QUEUED, MUCH_LATER)
    assert again.first.started_at is None
    assert again.news[-1].data["by"] == "key_1"
    assert again.news[-1].data["reason"] == "the bank was down"
    assert again.news[-1].data["replay"] == "resends"
    sent = sending(again, now=MUCH_LATER)
    assert sent.first.send is not None and dead.first.send is not None
    assert sent.first.send.key == dead.first.send.key


def test_a_dead_letter_that_spent_all_its_tries_has_them_again() -> None:
    dead = _dead()
    spent = replace(dead.first, attempts=TRANSIENT.tries or 0)
    dead = replace(dead, operations=(spent,))
    again = stored(replayed(dead, dead.first, WHO, now=MUCH_LATER))
    sent = sending(again, now=MUCH_LATER)
    failed = settle(sent, NotSent(), now=MUCH_LATER, jitter=1)
    assert (failed.first.state, failed.first.attempts) == (State.RETRYING, 1)


def test_a_review_is_resumed_as_unknown_with_its_send() -> None:
    again = replayed(REVIEW, REVIEW.first, WHO, now=NOW)
    assert (again.first.state, again.first.send) == (State.UNKNOWN, REVIEW.first.send)
    assert sending(again).first.state is State.UNKNOWN


def test_a_review_that_was_never_sent_is_queued() -> None:
    again = replayed(UNPREPARED, UNPREPARED.first, WHO, now=NOW)
    assert again.first.state is State.QUEUED


def test_what_is_only_looked_at_keeps_its_state() -> None:
    paid = captured()
    asked = replayed(paid, paid.first, WHO, now=NOW)
    assert (asked.first.state, asked.due_at) == (State.SUCCEEDED, NOW)
    assert asked.first.must_look(now=NOW)


@pytest.mark.parametrize(
    ("verdict", "status", "taken"),
    [
        (Verdict.SUCCEEDED, Status.CAPTURED, 1999),
        (Verdict.DECLINED, Status.FAILED, 0),
        (Verdict.CANCELED, Status.CANCELED, 0),
    ],
)
def test_a_person_says_what_became_of_a_review(
    verdict: Verdict, status: Status, taken: int
) -> None:
    done = resolved(REVIEW, REVIEW.first, Evidence(verdict), WHO, now=NOW)
    assert (done.status, done.captured) == (status, taken)
    [told] = done.news
    assert (told.type, told.data["by"]) == ("operation.resolved", "key_1")
    assert (told.data["answer"], told.data["reason"]) == (verdict, WHO.reason)


@pytest.mark.parametrize("verdict", [Verdict.DECLINED, Verdict.CANCELED])
def test_a_no_that_a_person_said_says_whose_it_is(verdict: Verdict) -> None:
    done = resolved(REVIEW, REVIEW.first, Evidence(verdict), WHO, now=NOW)
    error = done.last_error
    assert error is not None and not error.retryable
    assert error.code == done.first.error == f"{verdict}_by_operator"
    assert WHO.by in error.message
    assert done.news[-1].data["code"] == error.code


def test_a_yes_that_a_person_said_leaves_no_error() -> None:
    done = resolved(REVIEW, REVIEW.first, Evidence(Verdict.SUCCEEDED), WHO, now=NOW)
    assert (done.last_error, done.first.error) == (None, None)


def test_a_void_that_a_person_saw_moves_no_money() -> None:
    asked = stored(void(authorized(), id="op_v", origin=origin(), now=NOW))
    review = stored(settle(sending(asked), NeedsReview("odd"), now=NOW, jitter=0))
    done = resolved(
        review, review.operations[-1], Evidence(Verdict.SUCCEEDED), WHO, now=NOW
    )
    assert (done.status, done.operations[-1].moved) == (Status.VOIDED, 0)


@pytest.mark.parametrize("kind", ["capture", "void"])
def test_giving_a_follow_up_up_leaves_the_money_on_hold(kind: str) -> None:
    asks: dict[str, Callable[..., Payment]] = {
        "capture": partial(capture, amount=None, final=False),
        "void": void,
    }
    asked = stored(asks[kind](authorized(), id="op_2", origin=origin(), now=NOW))
    assert TRANSIENT.within is not None
    late = NOW + TRANSIENT.within
    dead = stored(settle(sending(asked), NotSent(), now=late, jitter=1))
    assert (dead.operations[-1].state, dead.capturable) == (State.DEAD, 0)
    done = resolved(
        dead, dead.operations[-1], Evidence(Verdict.CANCELED), WHO, now=late
    )
    assert (done.status, done.capturable) == (Status.AUTHORIZED, 1999)


def test_a_replay_of_a_set_names_it() -> None:
    who, dead = replace(WHO, replay="rpl_1"), _dead()
    again = replayed(dead, dead.first, who, now=MUCH_LATER)
    assert again.news[-1].data["replay_set"] == "rpl_1"


def test_what_went_wrong_last_is_on_the_operation() -> None:
    assert [one.first.error for one in (REVIEW, _dead(), captured())] == [
        *("odd", NotSent.code, None),
    ]


def test_a_dead_letter_can_only_be_discarded() -> None:
    dead = _dead()
    assert resolved(
        dead, dead.first, Evidence(Verdict.CANCELED), WHO, now=NOW
    ).status is (Status.CANCELED)
    with pytest.raises(Conflict):
        resolved(dead, dead.first, Evidence(Verdict.SUCCEEDED), WHO, now=NOW)


def test_what_a_provider_decides_is_not_for_a_person() -> None:
    unknown = _ended(LookNeeded())
    before = replace(unknown)
    with pytest.raises(Conflict):
        resolved(unknown, unknown.first, Evidence(Verdict.SUCCEEDED), WHO, now=NOW)
    assert unknown == before


@pytest.mark.parametrize("given", [captured(), _ended(DECLINE), _ended(REJECTION)])
def test_what_has_ended_can_be_looked_into_whatever_it_came_to(given: Payment) -> None:
    asked = stored(looked_into(given, given.first, WHO, now=MUCH_LATER))
    assert asked.first.state is given.first.state
    assert asked.due_at == MUCH_LATER
    assert asked.first.must_look(now=MUCH_LATER)
    looking_at = stored(looking(asked, asked.first, now=MUCH_LATER))
    paid = Answer(Verdict.SUCCEEDED, given.submission.amount)
    seen = settle(looking_at, paid, now=MUCH_LATER, jitter=0)
    assert seen.first.state is State.SUCCEEDED
    assert seen.due_at is None


@pytest.mark.parametrize("given", [payment(), REVIEW, _dead(), _ended(LookNeeded())])
def test_what_is_worked_on_or_waits_for_a_person_is_not_looked_into(
    given: Payment,
) -> None:
    with pytest.raises(Conflict):
        looked_into(given, given.first, WHO, now=MUCH_LATER)


@pytest.mark.parametrize(
    ("provider", "ref", "refs"),
    [
        (ProviderName.STRIPE, "pi_3NirD82eZvKYlo2C", "payment_intent"),
        (ProviderName.PAYPAL, "2GG279541U471931P", "capture"),
    ],
)
def test_what_a_person_names_can_be_refunded_by_its_reference(
    provider: ProviderName, ref: str, refs: str
) -> None:
    asked = payment(asked=submission(provider=provider))
    review = stored(settle(sending(asked), NeedsReview("odd"), now=NOW, jitter=0))
    found = Evidence(Verdict.SUCCEEDED, ref, 1500)
    done = resolved(review, review.first, found, WHO, now=NOW)
    assert (done.first.refs, done.captured) == ({refs: ref}, 1500)
    [told] = done.news
    assert (told.data["ref"], told.data["amount"]) == (ref, 1500)
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
def test_evidence_that_cannot_be_of_the_operation_is_refused(
    evidence: Evidence, field: str
) -> None:
    with pytest.raises(InvalidPayment) as refused:
        resolved(REVIEW, REVIEW.first, evidence, WHO, now=NOW)
    assert refused.value.field == field


def test_an_amount_that_a_provider_has_no_units_for_is_refused() -> None:
    forints = submission(provider=ProviderName.PAYPAL, amount=Money(150_000, "HUF"))
    asked = sending(payment(asked=forints))
    review = stored(settle(asked, NeedsReview("odd"), now=NOW, jitter=0))
    for amount, ref in ((50_50, None), (50_00, "re_1")):
        with pytest.raises(InvalidPayment):
            evidence = Evidence(Verdict.SUCCEEDED, ref, amount)
            resolved(review, review.first, evidence, WHO, now=NOW)
    done = resolved(
        review, review.first, Evidence(Verdict.SUCCEEDED, amount=50_00), WHO, now=NOW
    )
    assert done.captured == 50_00


def test_a_void_that_a_person_saw_has_a_reference_and_no_amount() -> None:
    asked = stored(void(authorized(), id="op_v", origin=origin(), now=NOW))
    review = stored(settle(sending(asked), NeedsReview("odd"), now=NOW, jitter=0))
    with pytest.raises(InvalidPayment):
        evidence = Evidence(Verdict.SUCCEEDED, amount=1)
        resolved(review, review.operations[-1], evidence, WHO, now=NOW)
    named = Evidence(Verdict.SUCCEEDED, "pi_3NirD82eZvKYlo2C")
    done = resolved(review, review.operations[-1], named, WHO, now=NOW)
    assert done.operations[-1].refs == {"payment_intent": "pi_3NirD82eZvKYlo2C"}


@pytest.mark.parametrize("kind", ["capture", "refund"])
def test_what_others_took_meanwhile_cannot_be_resolved_as_ours(kind: str) -> None:
    """The provider allows no more than there is, so one of both is not so."""
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
        resolved(both, both.operation("op_2"), yes, WHO, now=NOW)
    assert refused.value.why == "not_enough_left"
    less = Evidence(Verdict.SUCCEEDED, amount=999)
    assert resolved(both, both.operation("op_2"), less, WHO, now=NOW)


@pytest.mark.parametrize("provider", ProviderName)
def test_a_follow_up_of_an_object_without_a_reference_is_refused(
    provider: ProviderName,
) -> None:
    at_refund = replace(captured(provider=provider).first, refs={"order": "O1"})
    paid = replace(captured(provider=provider), operations=(at_refund,))
    at_hold = replace(authorized(provider=provider).first, refs={})
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
        assert refused.value.why == "provider_reference_unknown"


@pytest.mark.parametrize(
    ("provider", "ref"),
    [
        (ProviderName.STRIPE, "pi_3NirD82eZvKYlo2C"),
        (ProviderName.PAYPAL, "2GG279541U471931P"),
    ],
)
def test_a_success_without_a_reference_is_given_one(
    provider: ProviderName, ref: str
) -> None:
    asked = payment(asked=submission(provider=provider))
    review = stored(settle(sending(asked), NeedsReview("odd"), now=NOW, jitter=0))
    yes = Evidence(Verdict.SUCCEEDED, amount=1500)
    paid = stored(resolved(review, review.first, yes, WHO, now=NOW))
    for wrong in (Evidence(Verdict.SUCCEEDED), Evidence(Verdict.SUCCEEDED, amount=5)):
        with pytest.raises(Conflict):
            resolved(paid, paid.first, wrong, WHO, now=NOW)
    with pytest.raises(InvalidPayment, match="15.00 USD is what moved"):
        wrong = Evidence(Verdict.SUCCEEDED, ref, 1499)
        resolved(paid, paid.first, wrong, WHO, now=NOW)
    named = Evidence(Verdict.SUCCEEDED, ref, 1500)
    done = resolved(paid, paid.first, named, WHO, now=NOW)
    assert (done.captured, done.first.state) == (1500, State.SUCCEEDED)
    assert list(done.first.refs.values()) == [ref]
    [told] = done.news
    assert (told.type, told.data["ref"]) == ("operation.resolved", ref)
    done = stored(done)
    with pytest.raises(Conflict, match="known already"):
        resolved(done, done.first, named, WHO, now=NOW)
    assert refund(
        done, amount=None, target=None, id="op_r", origin=origin(), now=NOW
    ).refund_reserved == (1500)


def test_a_resolved_operation_is_of_the_amount_that_moved() -> None:
    part = Evidence(Verdict.SUCCEEDED, "pi_3NirD82eZvKYlo2C", 1500)
    done = stored(resolved(REVIEW, REVIEW.first, part, WHO, now=NOW))
    assert (done.first.amount, done.first.moved, done.captured) == (1500, 1500, 1500)
    again = stored(looked_into(done, done.first, WHO, now=NOW))
    seen = Answer(Verdict.SUCCEEDED, Money(1500, "USD"), done.first.refs)
    claimed = stored(looking(again, again.first, now=NOW))
    after = settle(claimed, seen, now=NOW, jitter=0)
    assert (after.first.state, after.captured) == (State.SUCCEEDED, 1500)
    told = resolved(REVIEW, REVIEW.first, part, WHO, now=NOW).news[0].data
    assert (told["amount"], told["amount_asked"]) == (1500, 1999)


def test_a_no_taken_back_is_of_the_amount_that_moved() -> None:
    no = Evidence(Verdict.CANCELED)
    given = stored(resolved(REVIEW, REVIEW.first, no, WHO, now=NOW))
    done = resolved(
        given, given.first, Evidence(Verdict.SUCCEEDED, amount=700), WHO, now=NOW
    )
    assert (done.first.amount, done.captured) == (700, 700)
