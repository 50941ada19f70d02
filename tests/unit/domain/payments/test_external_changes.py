"""Changes made at the provider, beside our operations under way."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import given, strategies as st

from domain.errors import Conflict, NeedsReview, OutcomeUnknown
from domain.money import Fee, Money
from domain.payments.answer import Answer, ExternalMovement, Verdict
from domain.payments.settle import settle
from domain.payments.apply_dispute import apply_dispute
from domain.payments.dispute import REVERSED, DisputeState
from domain.payments.external_changes import (
    MAX_KEPT,
    decline_captured_elsewhere,
    reject_overtaken,
)
from domain.payments.follow_ups import capture, refund, void
from domain.payments.operation import HoldEnd, Kind, Operation
from domain.payments.payment import Payment
from domain.payments.start_attempt import start_lookup
from domain.payments.states import State, Status
from domain.payments.submission import CaptureMethod, ProviderName
from tests.suites.samples import (
    NOW,
    PRICE,
    origin,
    payment,
    sending,
    stored,
    submission,
)
from tests.support.disputes import dispute, snapshot

REFS: Final = {"payment_intent": "pi_1", "charge": "ch_1"}
MINUTE: Final = timedelta(minutes=1)


def paid(provider: ProviderName = ProviderName.STRIPE) -> Payment:
    """A charge that succeeded."""
    made = sending(payment(submitted=submission(provider=provider)))
    done = Answer(Verdict.SUCCEEDED, PRICE, REFS)
    return stored(settle(made, done, now=NOW, jitter=0))


def held(**fields: Any) -> Payment:
    """An authorization that succeeded."""
    asked = replace(submission(), capture=CaptureMethod.MANUAL)
    done = Answer(
        Verdict.SUCCEEDED,
        PRICE,
        {"payment_intent": "pi_1"},
        expires_at=NOW + timedelta(days=7),
        **fields,
    )
    return stored(settle(sending(payment(submitted=asked)), done, now=NOW, jitter=0))


def external_refund(
    amount: int = 500,
    ref: str = "re_1",
    verdict: Verdict = Verdict.SUCCEEDED,
    **fields: Any,
) -> ExternalMovement:
    """An external refund."""
    whole = ExternalMovement(
        Kind.REFUND, verdict, Money(amount, "USD"), {"refund": ref}, parent_ref="ch_1"
    )
    return replace(whole, **fields)


def external_capture(
    amount: int, ref: str | None = None, **fields: Any
) -> ExternalMovement:
    """An external capture."""
    refs = REFS if ref is None else {"capture": ref}
    whole = ExternalMovement(
        Kind.CAPTURE, Verdict.SUCCEEDED, Money(amount, "USD"), refs
    )
    return replace(whole, **fields)


def look_up(of: Payment, *external: ExternalMovement, **fields: Any) -> Payment:
    """The payment after a lookup that found the external movements."""
    answer = Answer(Verdict.SUCCEEDED, PRICE, external_movements=external, **fields)
    first = replace(
        of.first_operation, lookups_since=of.first_operation.lookups_since or NOW
    )
    asked = replace(of, operations=(first, *of.operations[1:]))
    return stored(
        settle(start_lookup(asked, first, now=NOW), answer, now=NOW, jitter=0)
    )


def request_refund(of: Payment, amount: int | None, name: str = "op_r") -> Payment:
    """The payment with a requested refund."""
    return stored(
        refund(of, amount=amount, target=None, id=name, origin=origin(name), now=NOW)
    )


def request_capture(of: Payment, amount: int | None, *, final: bool) -> Payment:
    """The payment with a requested capture."""
    name = f"op_{len(of.operations)}"
    return stored(
        capture(of, amount=amount, final=final, id=name, origin=origin(name), now=NOW)
    )


def external_operations(of: Payment) -> list[Operation]:
    """The external operations."""
    return [one for one in of.operations if one.is_external]


def test_external_refund_is_an_operation_without_work() -> None:
    before = paid()
    first = replace(before.first_operation, lookups_since=NOW)
    asked = start_lookup(before, first, now=NOW)
    found = Answer(
        Verdict.SUCCEEDED,
        PRICE,
        external_movements=(external_refund(fee=Fee(-20, "USD")),),
    )
    after = settle(asked, found, now=NOW, jitter=0)
    [made] = external_operations(after)
    assert (made.kind, made.amount, made.moved) == (Kind.REFUND, 500, 500)
    assert (made.state, made.due_at, made.has_work) == (State.SUCCEEDED, None, False)
    assert (made.target, made.moved_at, made.fee) == (
        before.first_operation.id,
        NOW,
        Fee(-20, "USD"),
    )
    assert (after.refunded, after.status) == (500, Status.PARTIALLY_REFUNDED)
    event = after.pending_events[-1]
    assert (event.type, dict(event.data)) == (
        "operation.discovered",
        {
            "operation": made.id,
            "to": "succeeded",
            "kind": "refund",
            "amount": 500,
            "source": "provider",
            "ref": "re_1",
        },
    )
    again = look_up(after, external_refund())
    assert again.operations[1:] == after.operations[1:]


def test_external_refund_has_the_same_id_each_time() -> None:
    [one] = external_operations(look_up(paid(), external_refund()))
    [same] = external_operations(look_up(look_up(paid()), external_refund()))
    [_, other] = external_operations(
        look_up(paid(), external_refund(), external_refund(ref="re_2"))
    )
    assert one.id == same.id != other.id
    assert len(one.id) == len("op_") + 26


def test_pending_external_refund_reserves_its_amount_and_is_looked_up() -> None:
    after = look_up(paid(), external_refund(verdict=Verdict.PENDING))
    [made] = external_operations(after)
    assert (made.state, made.due_at) == (State.PENDING, NOW + MINUTE)
    assert (after.refunded, after.refund_reserved) == (0, 500)
    assert after.refundable_amount(after.first_operation) == 1499
    done = look_up(after, external_refund())
    assert (external_operations(done)[0].state, done.refunded) == (State.SUCCEEDED, 500)


@pytest.mark.parametrize("verdict", [Verdict.DECLINED, Verdict.CANCELED])
def test_failed_external_refund_is_canceled(verdict: Verdict) -> None:
    after = look_up(
        look_up(paid(), external_refund()), external_refund(verdict=verdict)
    )
    assert (after.refunded, external_operations(after)[0].state.value) == (
        0,
        verdict.value,
    )
    assert after.refundable_amount(after.first_operation) == 1999
    assert look_up(after, external_refund(verdict=verdict)).refunded == 0
    assert look_up(after, external_refund()).refunded == 500
    never = look_up(paid(), external_refund(verdict=verdict))
    assert (
        external_operations(never) == []
    ), "a failed movement that we never knew is not recorded"


def test_unsent_operation_without_money_left_is_rejected() -> None:
    """The newest is rejected first, and the older one stays."""
    asked = request_refund(request_refund(paid(), 600, "op_a"), 900, "op_b")
    after = look_up(asked, external_refund(1000))
    kept, gone = after.get_operation("op_a"), after.get_operation("op_b")
    assert (kept.state, gone.state) == (State.QUEUED, State.REJECTED)
    assert (gone.error, gone.due_at, gone.waiting_for) == (
        "refunded_at_provider",
        None,
        None,
    )
    assert (after.refunded, after.refund_reserved) == (1000, 600)
    assert after.last_error is not None and not after.last_error.retryable


def test_sent_refund_stays_after_external_refunds() -> None:
    asked = sending(request_refund(paid(), None))
    lost = stored(settle(asked, OutcomeUnknown(), now=NOW, jitter=0))
    after = look_up(lost, external_refund(1999))
    assert after.get_operation("op_r").state is State.UNKNOWN
    assert (after.refunded, after.refund_reserved) == (1999, 0)
    # It was not executed and waits for a send, which is no longer made.
    absent = start_lookup(
        after, after.get_operation("op_r").with_lookup_due(now=NOW), now=NOW
    )
    late = NOW + timedelta(hours=1)
    assert absent.claim is not None
    absent = replace(absent, claim=replace(absent.claim, at=late))
    again = settle(absent, Answer(Verdict.ABSENT), now=late, jitter=0)
    assert again.get_operation("op_r").state is State.RETRYING
    ended = reject_overtaken(again, now=late)
    assert ended.get_operation("op_r").state is State.REJECTED
    assert reject_overtaken(ended, now=late) is ended


def test_operation_with_a_due_lookup_is_not_rejected() -> None:
    asked = request_refund(paid(), None)
    refund = replace(asked.get_operation("op_r"), lookups_since=NOW)
    after = look_up(
        replace(asked, operations=(asked.first_operation, refund)), external_refund()
    )
    assert after.get_operation("op_r").state is State.QUEUED


def test_our_refund_succeeds_once_the_external_one_has_failed() -> None:
    """The provider refuses refunds over the amount, so our record is older."""
    asked = request_refund(paid(), None)
    sent = sending(asked)
    between = replace(look_up(asked, external_refund(1999)), claim=None)
    assert between.get_operation("op_r").state is State.REJECTED
    lost = settle(sent, OutcomeUnknown(), now=NOW, jitter=0)
    both = look_up(stored(lost), external_refund(1999))
    resent = sending(both, now=NOW + MINUTE)
    done = Answer(Verdict.SUCCEEDED, PRICE, {"refund": "re_2"})
    doubted = stored(settle(resent, done, now=NOW + MINUTE, jitter=0))
    assert (doubted.refunded, doubted.get_operation("op_r").state) == (
        1999,
        State.UNKNOWN,
    )
    [of_others] = external_operations(doubted)
    assert of_others.due_at == NOW + MINUTE, "both are looked up"
    looked = start_lookup(doubted, doubted.get_operation("op_r"), now=NOW + MINUTE)
    still = stored(settle(looked, done, now=NOW + MINUTE, jitter=0))
    assert (still.refunded, still.get_operation("op_r").state) == (1999, State.UNKNOWN)
    failed = settle(
        start_lookup(still, external_operations(still)[0], now=NOW + MINUTE),
        Answer(Verdict.DECLINED),
        now=NOW + MINUTE,
        jitter=0,
    )
    last = start_lookup(stored(failed), failed.get_operation("op_r"), now=NOW + MINUTE)
    ended = settle(last, done, now=NOW + MINUTE, jitter=0)
    assert (ended.refunded, ended.get_operation("op_r").state) == (
        1999,
        State.SUCCEEDED,
    )


def test_external_refund_without_room_makes_another_lookup_due() -> None:
    """Our record is older than the lookup: another refund has failed meanwhile."""
    before = look_up(paid(), external_refund(1999))
    after = look_up(before, external_refund(1500, "re_2"))
    assert (after.refunded, len(external_operations(after))) == (1999, 1)
    assert after.first_operation.due_at == NOW + timedelta(seconds=30)
    assert external_operations(after)[0].due_at == NOW, "the known one is looked up"
    late = replace(
        after,
        operations=(
            replace(
                after.first_operation,
                lookups_since=NOW - timedelta(hours=2),
                lookup_count=9,
            ),
            *after.operations[1:],
        ),
    )
    assert (
        look_up(late, external_refund(1500, "re_2")).first_operation.due_at is None
    ), "not forever"
    right = look_up(
        after,
        external_refund(1999, verdict=Verdict.DECLINED),
        external_refund(1500, "re_2"),
    )
    assert right.refunded == 1500


def test_external_refund_of_an_unknown_capture_makes_another_lookup_due() -> None:
    after = look_up(paid(), external_refund(parent_ref="ch_2"))
    assert (external_operations(after), after.refunded) == ([], 0)
    assert after.first_operation.due_at is not None
    # A lookup of the charge itself is due, so that no other is needed.
    lost = stored(settle(sending(payment()), OutcomeUnknown(), now=NOW, jitter=0))
    looked = start_lookup(lost, lost.first_operation.with_lookup_due(now=NOW), now=NOW)
    answer = Answer(Verdict.PENDING, external_movements=(external_refund(),))
    assert external_operations(settle(looked, answer, now=NOW, jitter=0)) == []


def test_external_movement_in_another_currency_is_not_recorded() -> None:
    after = look_up(paid(), external_refund(money=Money(500, "EUR")))
    assert (external_operations(after), after.first_operation.due_at) == ([], None)


def test_number_of_external_operations_is_bounded() -> None:
    full = replace(
        paid(),
        operations=(
            paid().first_operation,
            *(
                replace(paid().first_operation, id=f"op_{one}", kind=Kind.VOID, moved=0)
                for one in range(MAX_KEPT)
            ),
        ),
    )
    assert external_operations(look_up(full, external_refund())) == []


def test_resolved_refund_gets_the_reference_of_the_external_one() -> None:
    asked = request_refund(paid(), 500)
    mine = asked.get_operation("op_r")
    done = replace(mine, state=State.SUCCEEDED, moved=500, due_at=None)
    unnamed = replace(asked, operations=(asked.first_operation, done))
    named = look_up(unnamed, external_refund())
    assert (external_operations(named), named.refunded) == ([], 500)
    assert named.get_operation("op_r").refs == {"refund": "re_1"}
    assert external_operations(look_up(named, external_refund())) == []
    both = look_up(named, external_refund(), external_refund(ref="re_2"))
    assert (len(external_operations(both)), both.refunded) == (1, 1000)


def test_a_full_external_capture_ends_the_hold_and_rejects_a_waiting_capture() -> None:
    asked = request_capture(held(), 700, final=True)
    after = look_up(asked, external_capture(1999, final=True))
    assert (after.captured, after.status) == (1999, Status.CAPTURED)
    assert after.hold is not None and after.hold.ended is HoldEnd.CAPTURED
    own = after.operations[1]
    assert (own.state, own.error) == (State.REJECTED, "captured_at_provider")
    assert after.capture_reserved == 0
    again = look_up(after, external_capture(1999, final=True))
    assert (again.captured, len(again.operations)) == (1999, 3)


def test_an_external_partial_capture_leaves_the_rest_that_the_provider_leaves() -> None:
    released = look_up(held(), external_capture(500, final=True))
    assert (released.captured, released.capturable) == (500, 0)
    kept = look_up(held(multicapture=True), external_capture(500))
    assert (kept.captured, kept.capturable) == (500, 1499)
    # Stripe shows the sum of the external captures of a charge.
    more = look_up(kept, external_capture(800))
    assert [one.amount for one in external_operations(more)] == [500, 300]
    assert len({one.id for one in external_operations(more)}) == 2
    assert (more.captured, more.capturable) == (800, 1199)
    ended = look_up(more, external_capture(800, final=True))
    assert (ended.captured, ended.capturable) == (800, 0)


def test_a_waiting_capture_is_rejected_only_if_it_exceeds_the_rest() -> None:
    asked = request_capture(held(multicapture=True), 1000, final=False)
    assert look_up(asked, external_capture(999)).operations[1].state is State.QUEUED
    gone = look_up(asked, external_capture(1000))
    assert gone.operations[1].state is State.REJECTED
    assert (gone.captured, gone.capturable) == (1000, 999)


def test_a_waiting_void_stays_queued_after_an_external_capture() -> None:
    held_there = held(multicapture=True)
    asked = stored(void(held_there, id="op_v", origin=origin("op_v"), now=NOW))
    after = look_up(asked, external_capture(500))
    assert after.get_operation("op_v").state is State.QUEUED
    assert after.captured == 500


def test_external_capture_over_the_hold_is_not_recorded() -> None:
    after = look_up(held(), external_capture(2500, final=True))
    assert (after.captured, external_operations(after)) == (0, [])
    assert after.hold is not None and after.hold.ended is None
    assert after.first_operation.due_at is not None


def test_a_pending_external_capture_ends_no_hold() -> None:
    pending = external_capture(500, "CAP1", verdict=Verdict.PENDING, final=True)
    before = look_up(held(), pending)
    assert (before.captured, before.capture_reserved, before.capturable) == (0, 500, 0)
    after = look_up(before, external_capture(500, "CAP1", final=True))
    assert (after.captured, after.capturable) == (500, 0)


def test_one_lookup_finds_an_external_capture_and_its_refund() -> None:
    back = external_refund(300)
    after = look_up(held(), back, external_capture(1999, final=True))
    assert (after.captured, after.refunded) == (1999, 300)


def test_a_refund_of_a_charge_shared_by_several_captures_is_recorded() -> None:
    """The refund is of the whole charge, and may exceed any single capture."""
    parts = look_up(held(multicapture=True), external_capture(900))
    parts = look_up(parts, external_capture(1500))
    after = look_up(parts, external_refund(1200))
    assert after.refunded == 1200
    left = [after.refundable_amount(one) for one in external_operations(after)[:2]]
    assert max(left) == 300
    with pytest.raises(Conflict):
        request_refund(after, 301)
    assert request_refund(after, 300).refund_reserved == 300


@pytest.mark.parametrize("ended", [Verdict.CANCELED, Verdict.EXPIRED])
def test_lost_authorization_is_a_success_after_an_external_capture(
    ended: Verdict,
) -> None:
    """Neither the success nor the end of the authorization is known."""
    asked = replace(submission(), capture=CaptureMethod.MANUAL)
    lost = sending(payment(submitted=asked))
    unknown = stored(settle(lost, OutcomeUnknown(), now=NOW, jitter=0))
    looked = start_lookup(
        unknown, unknown.first_operation.with_lookup_due(now=NOW), now=NOW
    )
    answer = Answer(ended, refs=REFS, external_movements=(external_capture(500),))
    after = settle(looked, answer, now=NOW, jitter=0)
    assert (after.authorized, after.captured, after.capturable) == (1999, 500, 0)
    assert after.status is Status.CAPTURED
    pending = replace(answer, verdict=Verdict.PENDING)
    waits = settle(looked, pending, now=NOW, jitter=0)
    assert (waits.first_operation.state, waits.captured) == (State.PENDING, 0)
    none = settle(looked, replace(answer, external_movements=()), now=NOW, jitter=0)
    assert (none.captured, none.first_operation.moved) == (0, 0)


def test_external_void_has_an_event_with_the_released_amount() -> None:
    asked = start_lookup(
        held(), replace(held().first_operation, lookups_since=NOW), now=NOW
    )
    after = settle(asked, Answer(Verdict.CANCELED), now=NOW, jitter=0)
    [made] = external_operations(after)
    assert (made.kind, made.amount, made.refs) == (
        Kind.VOID,
        1999,
        {"payment_intent": "pi_1"},
    )
    assert (after.status, after.capturable) == (Status.VOIDED, 0)
    assert [one.type for one in after.pending_events[-2:]] == [
        "authorization.ended",
        "operation.discovered",
    ]


def test_a_reversal_or_lost_dispute_is_no_external_refund() -> None:
    lost = dispute(state=DisputeState.LOST)
    known = stored(apply_dispute(paid(), snapshot(paid(), lost), now=NOW))
    assert external_operations(look_up(known, external_refund(1999))) == []
    # A refund recorded before its dispute was known is canceled.
    early = look_up(paid(), external_refund(1999))
    later = apply_dispute(early, snapshot(early, lost), now=NOW)
    assert (later.refunded, later.disputed) == (0, 1999)
    assert external_operations(later)[0].state is State.CANCELED
    assert look_up(later, external_refund(1999)).refunded == 0
    reversal = dispute("re_1", reason=REVERSED, state=DisputeState.LOST)
    reversed_ = apply_dispute(early, snapshot(early, reversal), now=NOW)
    assert (reversed_.refunded, reversed_.disputed) == (0, 1999)
    other = look_up(paid(), external_refund(500))
    kept = apply_dispute(other, snapshot(other, lost), now=NOW)
    assert kept.refunded == 500, "another amount is another movement"


def test_external_refund_is_canceled_once_its_dispute_is_known() -> None:
    early = look_up(paid(), external_refund(1999))
    known = replace(early, disputes=(dispute(state=DisputeState.LOST),))
    assert look_up(known, external_refund(1999)).refunded == 0


moves: Final = st.one_of(
    st.tuples(st.just("ask"), st.integers(1, 1999)),
    st.tuples(st.just("lose"), st.just(0)),
    st.tuples(st.just("done"), st.just(0)),
    st.tuples(st.just("others"), st.integers(1, 1999)),
    st.tuples(st.just("fails"), st.integers(0, 5)),
)


@given(st.lists(moves, max_size=20))
def test_refunds_of_all_sources_stay_within_the_captured_amount(
    history: list[tuple[str, int]],
) -> None:
    """Our refunds, requested, lost and made; and external ones, which may fail."""
    now, of_others = paid(), dict[str, ExternalMovement]()
    for what, value in history:
        if what == "ask":
            try:
                now = request_refund(now, value, f"op_r{len(now.operations)}")
            except Conflict:
                continue
        elif what == "others":
            made = external_refund(value, f"re_{len(of_others)}")
            of_others[made.ref] = made
            now = look_up(now, *of_others.values())
        elif what == "fails" and of_others:
            name = sorted(of_others)[value % len(of_others)]
            of_others[name] = replace(of_others[name], verdict=Verdict.DECLINED)
            now = look_up(now, *of_others.values())
        elif now.next_operation is not None and not now.next_operation.needs_lookup(
            now=NOW
        ):
            sent = sending(now)
            done = Answer(
                Verdict.SUCCEEDED, Money(sent.claimed_operation.amount, "USD")
            )
            outcome = done if what == "done" else OutcomeUnknown()
            now = stored(settle(sent, outcome, now=NOW, jitter=0))
        assert 0 <= now.refunded <= now.captured <= now.authorized
        assert now.refunded + now.refund_reserved <= now.captured
        assert now.refundable_amount(now.first_operation) <= now.captured - now.refunded
        assert now.refundable_amount(now.first_operation) >= 0
        ids = [one.id for one in now.operations]
        assert len(set(ids)) == len(ids)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 1999)), max_size=12))
def test_captures_of_all_sources_stay_within_the_hold(
    history: list[tuple[bool, int]],
) -> None:
    now, taken_there = held(multicapture=True), 0
    for ours, amount in history:
        if ours:
            try:
                now = request_capture(now, amount, final=False)
            except Conflict:
                continue
        else:
            taken_there = min(taken_there + amount, 1999)
            now = look_up(now, external_capture(taken_there, final=taken_there == 1999))
        assert now.captured <= now.authorized
        assert now.captured + now.capture_reserved <= now.authorized
        assert 0 <= now.capturable <= now.authorized - now.captured


@pytest.mark.parametrize("verdict", [Verdict.SUCCEEDED, Verdict.PENDING])
def test_an_external_capture_in_place_of_ours_declines_ours(verdict: Verdict) -> None:
    theirs = ExternalMovement(Kind.CAPTURE, verdict, PRICE, {"capture": "cap_1"})
    answer = decline_captured_elsewhere((theirs,), request_id="req_1")
    assert answer.verdict is Verdict.DECLINED and answer.failure is not None
    assert answer.failure.code == "captured_at_provider"
    assert answer.failure.provider_request_id == answer.request_id == "req_1"


@pytest.mark.parametrize(
    "theirs",
    [
        (),
        (ExternalMovement(Kind.REFUND, Verdict.SUCCEEDED, PRICE, {"refund": "re_1"}),),
        (ExternalMovement(Kind.CAPTURE, Verdict.DECLINED, PRICE, {"capture": "c_1"}),),
    ],
    ids=["nothing", "a refund", "a capture that was declined"],
)
def test_captured_hold_without_a_known_capture_needs_manual_review(
    theirs: tuple[ExternalMovement, ...],
) -> None:
    with pytest.raises(NeedsReview) as caught:
        decline_captured_elsewhere(theirs, request_id="req_1")
    assert caught.value.detail == "captured_elsewhere"
