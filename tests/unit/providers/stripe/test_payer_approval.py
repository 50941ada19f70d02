"""Tests of off-session payments whose bank asks for the payer."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from domain.payments.answer import Answer, Failure, Verdict
from domain.payments.operation import ClaimAction
from domain.payments.payment import Payment
from domain.payments.start_attempt import start_lookup
from domain.payments.states import State
from providers.stripe.requests import require_payer_action
from tests.suites.samples import NOW, payment, sending, submission

REFS: Final = {"payment_intent": "pi_1"}
DECLINED: Final = Answer(
    Verdict.ACTION_REQUIRED,
    refs=REFS,
    failure=Failure("authentication_required", "The bank wants the payer."),
    waiting_for="the payer to authenticate",
)


def _asked(
    state: State = State.QUEUED,
    act: ClaimAction = ClaimAction.SEND,
    *,
    approved: bool = False,
    return_url: str | None = "https://shop.example/back",
) -> Payment:
    """An off-session charge that a worker has claimed."""
    asked = replace(
        submission(), off_session=True, customer="cus_ann", return_url=return_url
    )
    new = payment(submitted=asked)
    first = replace(new.first_operation, state=state, approved=approved)
    given = replace(new, operations=(first,))
    if act is ClaimAction.SEND:
        return sending(given)
    return start_lookup(given, first, now=NOW)


@pytest.mark.parametrize(
    ("state", "act", "approved"),
    [
        (State.QUEUED, ClaimAction.SEND, False),
        (State.UNKNOWN, ClaimAction.SEND, False),
        (State.UNKNOWN, ClaimAction.LOOKUP, False),
        (State.UNKNOWN, ClaimAction.LOOKUP, True),
    ],
)
def test_a_decline_of_the_first_request_requires_the_payer(
    state: State, act: ClaimAction, approved: bool
) -> None:
    """The lookup finds that the second request never arrived."""
    given = _asked(state, act, approved=approved)
    assert require_payer_action(given, DECLINED).verdict is Verdict.APPROVED


def test_a_card_declined_with_its_payer_present_is_not_tried_again() -> None:
    assert require_payer_action(_asked(approved=True), DECLINED) == DECLINED
    polled = _asked(State.REQUIRES_ACTION, ClaimAction.LOOKUP)
    assert require_payer_action(polled, DECLINED) == DECLINED


def test_a_decline_without_an_intent_is_not_confirmed() -> None:
    nameless = replace(DECLINED, refs={})
    assert require_payer_action(_asked(), nameless).verdict is Verdict.ACTION_REQUIRED


def test_a_payment_without_a_return_url_has_advice() -> None:
    seen = require_payer_action(_asked(return_url=None), DECLINED)
    assert seen.verdict is Verdict.ACTION_REQUIRED
    assert "return_url" in (seen.waiting_for or "")
