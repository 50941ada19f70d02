"""Refusals by an operator that are corrected to successes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import pytest

from domain.errors import Conflict, NeedsReview
from domain.payments.answer import Answer, Verdict
from domain.payments.settle import settle
from domain.payments.follow_ups import capture, refund, void
from domain.payments.operation import HoldEnd
from domain.payments.operator_actions import Evidence, Intervention, resolve_operation
from domain.payments.payment import Payment
from domain.payments.start_attempt import start_lookup
from domain.payments.states import State, Status
from domain.payments.submission import ProviderName
from tests.suites.samples import (
    NOW,
    PRICE,
    authorized,
    captured,
    origin,
    payment,
    sending,
    stored,
)

WHO: Final = Intervention("key_1", "the bank found it")
NO: Final = (Verdict.DECLINED, Verdict.CANCELED)


def _resolve_as_declined(
    given: Payment, verdict: Verdict = Verdict.CANCELED
) -> Payment:
    """The payment whose last operation was resolved as declined by an operator."""
    review = stored(settle(sending(given), NeedsReview("odd"), now=NOW, jitter=0))
    return stored(
        resolve_operation(
            review, review.operations[-1], Evidence(verdict), WHO, now=NOW
        )
    )


def _resolve_as_succeeded(given: Payment) -> Payment:
    last = given.operations[-1]
    return stored(
        resolve_operation(given, last, Evidence(Verdict.SUCCEEDED), WHO, now=NOW)
    )


def _request(given: Payment, ask: Callable[..., Payment], id: str = "op_2") -> Payment:
    return stored(ask(given, id=id, origin=origin(f"k-{id}"), now=NOW))


@pytest.mark.parametrize("verdict", NO)
def test_a_charge_corrected_to_a_success_is_captured(verdict: Verdict) -> None:
    given = _resolve_as_declined(payment(), verdict)
    assert given.first_operation.resolved_by_operator and given.captured == 0
    done = resolve_operation(
        given, given.first_operation, Evidence(Verdict.SUCCEEDED), WHO, now=NOW
    )
    assert (done.status, done.captured, done.last_error) == (
        *(Status.CAPTURED, 1999, None),
    )
    [event] = done.pending_events
    assert (event.type, event.data["from"], event.data["by"]) == (
        *("operation.corrected", verdict.value, "key_1"),
    )


def test_success_and_provider_refusal_cannot_be_corrected_by_an_operator() -> None:
    done = _resolve_as_succeeded(_resolve_as_declined(payment()))
    for verdict in NO:
        with pytest.raises(Conflict):
            resolve_operation(
                done, done.first_operation, Evidence(verdict), WHO, now=NOW
            )
    no = Answer(Verdict.CANCELED)
    theirs = stored(settle(sending(payment()), no, now=NOW, jitter=0))
    with pytest.raises(Conflict):
        resolve_operation(
            theirs, theirs.first_operation, Evidence(Verdict.SUCCEEDED), WHO, now=NOW
        )


def test_repeated_refusal_by_an_operator_is_refused() -> None:
    given = _resolve_as_declined(payment())
    with pytest.raises(Conflict):
        resolve_operation(
            given, given.first_operation, Evidence(Verdict.DECLINED), WHO, now=NOW
        )


def test_an_authorization_corrected_to_a_success_can_be_captured() -> None:
    held = authorized()
    fresh = replace(
        held.first_operation, state=State.QUEUED, moved=0, due_at=NOW, send=None
    )
    done = _resolve_as_succeeded(
        _resolve_as_declined(replace(held, operations=(fresh,), hold=None))
    )
    assert (done.status, done.capturable) == (Status.AUTHORIZED, 1999)


def test_a_void_corrected_to_a_success_ends_the_hold() -> None:
    done = _resolve_as_succeeded(_resolve_as_declined(_request(authorized(), void)))
    assert done.hold is not None and done.hold.ended is HoldEnd.VOIDED


def test_a_void_is_not_corrected_after_a_capture_of_its_amount() -> None:
    given = _resolve_as_declined(
        _request(authorized(provider=ProviderName.PAYPAL), void)
    )
    other = _request(given, partial(capture, amount=1200, final=False), "op_3")
    with pytest.raises(Conflict) as caught:
        resolve_operation(
            other, other.operations[1], Evidence(Verdict.SUCCEEDED), WHO, now=NOW
        )
    assert caught.value.reason == "not_enough_left"


def test_a_capture_is_corrected_only_within_the_rest_of_the_hold() -> None:
    part = partial(capture, amount=1200, final=False)
    given = _resolve_as_declined(
        _request(authorized(provider=ProviderName.PAYPAL), part)
    )
    assert _resolve_as_succeeded(given).captured == 1200
    other = _request(given, part, "op_3")
    with pytest.raises(Conflict) as caught:
        resolve_operation(
            other, other.operations[1], Evidence(Verdict.SUCCEEDED), WHO, now=NOW
        )
    assert caught.value.reason == "not_enough_left"


def test_a_refund_is_corrected_only_within_the_refundable_rest() -> None:
    part = partial(refund, amount=1200, target=None)
    given = _resolve_as_declined(_request(captured(), part))
    assert _resolve_as_succeeded(given).refunded == 1200
    other = _request(given, part, "op_3")
    with pytest.raises(Conflict):
        resolve_operation(
            other, other.operations[1], Evidence(Verdict.SUCCEEDED), WHO, now=NOW
        )


def test_later_answer_replaces_an_operators_evidence() -> None:
    given = _resolve_as_declined(payment())
    asked = stored(start_lookup(given, given.first_operation, now=NOW))
    seen = settle(asked, Answer(Verdict.SUCCEEDED, PRICE), now=NOW, jitter=0)
    assert (seen.first_operation.state, seen.first_operation.resolved_by_operator) == (
        State.SUCCEEDED,
        False,
    )


def test_an_authorization_corrected_by_a_lookup_is_on_hold_again() -> None:
    held = authorized()
    ended = replace(held.first_operation, state=State.CANCELED, moved=0)
    given = replace(held, operations=(ended,), hold=None)
    asked = stored(start_lookup(given, ended, now=NOW))
    seen = settle(asked, Answer(Verdict.SUCCEEDED, PRICE), now=NOW, jitter=0)
    assert (seen.status, seen.capturable) == (Status.AUTHORIZED, 1999)
