"""Captures, voids and refunds: what may be asked, and what is reserved."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.answer import Answer, Verdict
from domain.errors import Conflict, PaymentNotFound
from domain.money import Money
from domain.operation import Hold, HoldEnd, Kind
from domain.payment import Payment
from domain.requests import MAX_OPERATIONS, capture, refund, void
from domain.settling import settle
from domain.states import State, Status
from domain.submission import Guard, ProviderName
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

PAYPAL = ProviderName.PAYPAL


def _capture(
    held: Payment, amount: int | None = None, *, final: bool | None = None
) -> Payment:
    name = f"op_{len(held.operations)}"
    asked = capture(
        held, amount=amount, final=final, id=name, origin=origin(name), now=NOW
    )
    return stored(asked)


def _refund(
    paid: Payment, amount: int | None = None, *, of: str | None = None
) -> Payment:
    name = f"op_{len(paid.operations)}"
    asked = refund(
        paid, amount=amount, target=of, id=name, origin=origin(name), now=NOW
    )
    return stored(asked)


def _void(held: Payment) -> Payment:
    return stored(void(held, id="op_void", origin=origin("void"), now=NOW))


def _done(asked: Payment, **said: object) -> Payment:
    """The operation asked for last has succeeded."""
    operation = asked.operations[-1]
    money = Money(operation.amount, asked.submission.amount.currency)
    answer = Answer(Verdict.SUCCEEDED, None if operation.kind is Kind.VOID else money)
    return stored(settle(sending(asked), answer, now=NOW, jitter=0))


def _next_done(asked: Payment) -> Payment:
    """The operation that is due first has succeeded."""
    assert asked.next is not None
    money = Money(asked.next.amount, asked.submission.amount.currency)
    answer = Answer(Verdict.SUCCEEDED, money)
    return stored(settle(sending(asked), answer, now=NOW, jitter=0))


def _refused(asked: Payment, verdict: Verdict = Verdict.DECLINED) -> Payment:
    return stored(settle(sending(asked), Answer(verdict), now=NOW, jitter=0))


def _refunded_in_part() -> Payment:
    """What was captured went back, and the rest is still on hold."""
    return _done(_refund(_done(_capture(authorized(provider=PAYPAL), 5))))


def _expired_under(asked: Payment) -> Payment:
    """The hold has ended, and what became of the capture is not known yet."""
    assert asked.hold is not None
    return replace(asked, hold=replace(asked.hold, ended=HoldEnd.EXPIRED))


def test_an_authorization_holds_the_money_and_captures_nothing() -> None:
    held = authorized()
    assert (held.status, held.authorized, held.captured) == (Status.AUTHORIZED, 1999, 0)
    assert held.capturable == 1999
    assert held.hold == Hold(NOW + timedelta(days=7))


def test_what_is_asked_for_is_reserved_until_it_is_done() -> None:
    asked = _capture(authorized(provider=PAYPAL), 600)
    assert (asked.captured, asked.capture_reserved, asked.capturable) == (0, 600, 1399)
    done = _done(asked)
    assert (done.captured, done.capture_reserved, done.capturable) == (600, 0, 1399)
    assert done.status is Status.PARTIALLY_CAPTURED
    whole = _done(_capture(done))
    assert (whole.captured, whole.capturable) == (1999, 0)
    assert whole.status is Status.CAPTURED
    assert whole.hold is not None and whole.hold.ended is HoldEnd.CAPTURED


@pytest.mark.parametrize("state", ["unknown", "review", "dead"])
def test_what_may_yet_move_keeps_its_reservation(state: str) -> None:
    asked = _refund(captured(), 60)
    stuck = replace(asked.operations[-1], state=State(state))
    open_ = replace(asked, operations=(*asked.operations[:-1], stuck))
    assert (open_.refund_reserved, open_.refundable(open_.first)) == (60, 1939)


def test_what_was_refused_gives_its_reservation_back() -> None:
    asked = _refund(captured(), 60)
    refused = _refused(asked)
    assert (refused.refunded, refused.refund_reserved) == (0, 0)
    assert refused.refundable(refused.first) == 1999
    assert refused.status is Status.CAPTURED


def test_stripe_releases_what_a_capture_leaves() -> None:
    asked = _capture(authorized(), 600)
    assert asked.operations[-1].final
    assert asked.capturable == 0, "no second capture while one that ends it is open"
    done = _done(asked)
    assert (done.status, done.captured) == (Status.CAPTURED, 600)


def test_a_final_capture_that_failed_leaves_the_rest_to_capture() -> None:
    failed = _refused(_capture(authorized(), 600))
    assert (failed.status, failed.capturable) == (Status.AUTHORIZED, 1999)


def test_paypal_releases_the_rest_where_it_is_told_to() -> None:
    done = _done(_capture(authorized(provider=PAYPAL), 600, final=True))
    assert (done.status, done.capturable) == (Status.CAPTURED, 0)


def test_no_capture_releases_what_another_one_may_still_take() -> None:
    part = _capture(authorized(provider=PAYPAL), 600)
    with pytest.raises(Conflict) as refused:
        _capture(part, 600, final=True)
    assert refused.value.why == "capture_under_way"
    rest = _capture(part)
    assert not rest.operations[-1].final, "it may be carried out before the first"
    done = _next_done(_next_done(rest))
    assert (done.status, done.captured) == (Status.CAPTURED, 1999)
    assert done.hold is not None and done.hold.ended is HoldEnd.CAPTURED


@pytest.mark.parametrize(
    ("verdict", "end", "status"),
    [
        (Verdict.EXPIRED, HoldEnd.EXPIRED, Status.EXPIRED),
        (Verdict.CANCELED, HoldEnd.VOIDED, Status.VOIDED),
    ],
)
def test_a_capture_learns_that_the_hold_has_ended(
    verdict: Verdict, end: HoldEnd, status: Status
) -> None:
    late = _refused(_capture(authorized()), verdict)
    assert late.hold is not None and late.hold.ended is end
    assert (late.status, late.capturable) == (status, 0)


def test_more_than_is_left_cannot_be_captured() -> None:
    held = authorized(provider=PAYPAL)
    with pytest.raises(Conflict, match="19.99 USD can be captured") as refused:
        _capture(held, 2000)
    assert refused.value.why == "amount_exceeds_hold"
    with pytest.raises(Conflict, match="7.99 USD"):
        _capture(_capture(held, 1200), 800)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (captured(), "captured with its charge"),
        (_done(_capture(authorized())), "is captured"),
        (_done(_void(authorized())), "is voided"),
        (_capture(authorized()), "captured or about to be"),
        (
            payment(asked=authorized().submission),
            "the authorization has not succeeded",
        ),
    ],
)
def test_what_is_not_on_hold_cannot_be_captured(given: Payment, words: str) -> None:
    with pytest.raises(Conflict, match=words) as refused:
        _capture(given)
    assert refused.value.why == "nothing_to_capture"


def test_a_void_releases_what_is_on_hold() -> None:
    asked = _void(authorized())
    assert (asked.operations[-1].amount, asked.capturable) == (1999, 0)
    done = _done(asked)
    assert (done.status, done.captured) == (Status.VOIDED, 0)
    assert done.settled


def test_a_void_after_a_capture_of_a_part_leaves_that_part() -> None:
    part = _done(_capture(authorized(provider=PAYPAL), 600))
    done = _done(_void(part))
    assert (done.status, done.captured, done.capturable) == (Status.CAPTURED, 600, 0)


def test_a_void_that_came_too_late_leaves_the_hold_to_what_ended_it() -> None:
    late = _refused(_void(authorized()), Verdict.EXPIRED)
    assert late.status is Status.EXPIRED


def test_of_a_capture_and_a_void_the_first_wins() -> None:
    with pytest.raises(Conflict) as refused:
        _void(_capture(authorized(provider=PAYPAL), 5))
    assert refused.value.why == "capture_under_way"
    with pytest.raises(Conflict):
        _capture(_void(authorized()))
    with pytest.raises(Conflict):
        _void(_void(authorized()))


@pytest.mark.parametrize("given", [captured(), _done(_capture(authorized()))])
def test_what_is_captured_cannot_be_voided(given: Payment) -> None:
    with pytest.raises(Conflict) as refused:
        _void(given)
    assert refused.value.why == "nothing_to_void"


def test_what_was_not_sent_yet_is_called_off_without_the_provider() -> None:
    asked = submission(execute_at=NOW + timedelta(days=1))
    off = _void(payment(asked=asked))
    assert (off.status, off.due_at, off.settled) == (Status.CANCELED, None, True)
    assert off.operations[-1].state is State.SUCCEEDED


def test_what_is_being_sent_is_not_called_off() -> None:
    with pytest.raises(Conflict, match="about to be"):
        _void(sending(payment()))


def test_refunds_of_parts_end_with_the_whole() -> None:
    part = _done(_refund(captured(), 600))
    assert (part.status, part.refunded) == (Status.PARTIALLY_REFUNDED, 600)
    whole = _done(_refund(part))
    assert (whole.status, whole.refunded) == (Status.REFUNDED, 1999)
    with pytest.raises(Conflict) as refused:
        _refund(whole)
    assert refused.value.why == "nothing_to_refund"


def test_more_than_is_left_cannot_be_refunded() -> None:
    paid = captured()
    with pytest.raises(Conflict, match="19.99 USD can be refunded") as refused:
        _refund(paid, 2000)
    assert refused.value.why == "amount_exceeds_captured"
    with pytest.raises(Conflict, match="7.99 USD"):
        _refund(_refund(paid, 1200), 800)


def test_a_refund_is_of_the_first_capture_that_has_enough_or_of_the_one_named() -> None:
    part = _done(_capture(authorized(provider=PAYPAL), 600))
    both = _done(_capture(part))
    first, second = both.operations[1:3]
    assert _refund(both, 500).operations[-1].target == first.id
    assert _refund(both, 700).operations[-1].target == second.id
    assert _refund(both, 500, of=second.id).operations[-1].target == second.id
    with pytest.raises(Conflict, match="13.99 USD can be refunded of one capture.*op"):
        _refund(both, 1999)
    with pytest.raises(Conflict):
        _refund(both, of=both.first.id)
    with pytest.raises(PaymentNotFound):
        _refund(both, of="op_none")


def test_all_that_is_left_of_several_captures_is_refunded_one_by_one() -> None:
    part = _done(_capture(authorized(provider=PAYPAL), 600))
    both = _done(_capture(part))
    first, second = both.operations[1:3]
    with pytest.raises(Conflict, match="name one of them as operation") as refused:
        _refund(both)
    assert refused.value.why == "several_captures"
    one = _refund(both, of=first.id)
    assert (one.operations[-1].target, one.operations[-1].amount) == (first.id, 600)
    rest = _refund(one)
    assert (rest.operations[-1].target, rest.operations[-1].amount) == (second.id, 1399)


def test_what_is_still_held_after_a_full_refund_is_not_all_refunded() -> None:
    part = _done(_capture(authorized(provider=PAYPAL), 600))
    assert _done(_refund(part)).status is Status.PARTIALLY_REFUNDED


def test_a_payment_has_a_bounded_number_of_operations() -> None:
    paid = captured()
    for _ in range(MAX_OPERATIONS - 1):
        paid = _refund(paid, 1)
    with pytest.raises(Conflict) as refused:
        _refund(paid, 1)
    assert refused.value.why == "too_many_operations"


@pytest.mark.parametrize(
    ("given", "unfinished", "paid"),
    [
        (payment(), True, True),
        (authorized(), True, True),
        (_done(_capture(authorized(provider=PAYPAL), 5)), True, True),
        (_refunded_in_part(), True, True),
        (_expired_under(_capture(authorized())), True, True),
        (captured(), False, True),
        (_done(_refund(captured())), False, False),
        (_done(_void(authorized())), False, False),
        (stored(settle(sending(payment()), DECLINE, now=NOW, jitter=0)), False, False),
    ],
)
def test_a_payment_guards_its_reference_while_it_may_move_money(
    given: Payment, unfinished: bool, paid: bool
) -> None:
    def guarding(guard: Guard, reference: str | None = "r") -> bool:
        asked = replace(given.submission, guard=guard, reference=reference)
        return replace(given, submission=asked).guarding

    assert guarding(Guard.UNFINISHED) is unfinished
    assert guarding(Guard.PAID) is paid
    assert not guarding(Guard.NONE)
    assert not guarding(Guard.PAID, None)


def test_the_operation_that_a_key_made_is_found() -> None:
    paid = _refund(captured(), 5)
    assert paid.made_by("op_1") == paid.operations[-1]
    assert paid.made_by("nobodys") is None


def test_stripe_can_not_be_told_to_keep_the_rest() -> None:
    with pytest.raises(Conflict) as refused:
        _capture(authorized(), 600, final=False)
    assert refused.value.why == "releases_the_rest"
    assert _capture(authorized(), final=False).operations[-1].final, "nothing is left"
    part = _capture(authorized(provider=PAYPAL), 600, final=False)
    assert not part.operations[-1].final
