"""When a payment is rerouted to the next account, and when it stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from domain.account import Account
from domain.errors import (
    LookupRequired,
    Misconfigured,
    NeedsReview,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
    ProviderError,
)
from domain.money import Money
from domain.payments.answer import Answer, Failure, NextAction, Verdict
from domain.payments.settle import settle
from domain.payments.payment import Payment
from domain.payments.routing import BREAKER_OPEN, reroute_around_outage
from domain.payments.start_attempt import expire_claim
from domain.payments.states import State
from domain.payments.submission import ProviderName
from tests.suites.samples import DECLINE, NOW, payment, sending, stored, submission

STRIPE, PAYPAL = ProviderName.STRIPE, ProviderName.PAYPAL
ONE, TWO = Account("acct_1", STRIPE), Account("acct_2", STRIPE)
THREE = Account("acct_3", PAYPAL)
LATER: Final = NOW + timedelta(seconds=1)
CODES: Final = ("insufficient_funds", "do_not_honor")


def routed_payment(*route: Account, provider: ProviderName | None = None) -> Payment:
    """A payment at ONE with the further ``route``, by default TWO."""
    return payment(
        submitted=submission(provider=provider),
        account=ONE,
        route=route or (TWO,),
        routes_on=CODES,
    )


def answered(here: Payment, outcome: Answer | ProviderError) -> Payment:
    """The payment after a send with this ``outcome``."""
    return settle(stored(sending(here)), outcome, now=LATER, jitter=0.5)


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        (NotSent(), "not_sent"),
        (Misconfigured("token_refused"), "token_refused"),
        (DECLINE, "insufficient_funds"),
        (
            Answer(Verdict.DECLINED, failure=Failure("do_not_honor", "No.")),
            "do_not_honor",
        ),
    ],
)
def test_payment_refused_by_an_account_is_rerouted(
    outcome: Answer | ProviderError, why: str
) -> None:
    here = routed_payment(TWO, THREE)
    after = answered(here, outcome)
    assert (after.account, after.route) == (TWO, (THREE,))
    first = after.first_operation
    assert (first.state, first.due_at, first.send) == (State.QUEUED, LATER, None)
    assert (
        first.provider_key != here.first_operation.provider_key
        and not first.refs
        and first.error == why
    )
    assert after.last_error is None and after.claim is None
    event, routed = after.pending_events
    assert event.type == "attempt.answered" and event.data["to"] == "queued"
    assert routed.type == "payment.routed"
    assert (routed.data["from_account"], routed.data["to_account"]) == (ONE.id, TWO.id)
    assert routed.data["reason"] == why


def test_rerouted_decline_is_on_the_timeline() -> None:
    event = answered(routed_payment(), DECLINE).pending_events[0]
    assert event.data["answer"] == "declined"
    assert event.data["code"] == "insufficient_funds"
    assert event.data["provider_request_id"] == "req_declined"


def test_refused_credentials_spend_no_attempt() -> None:
    assert answered(routed_payment(), Misconfigured()).first_operation.attempts == 0
    assert answered(routed_payment(), NotSent()).first_operation.attempts == 1


@pytest.mark.parametrize(
    "outcome",
    [
        NotSent("worker_stopping"),
        NotSent("claim_too_old"),
        NotExecuted("rate_limited"),
        OutcomeUnknown("no_answer"),
        LookupRequired("repeated_500"),
        NeedsReview("odd"),
        Answer(Verdict.DECLINED),
        Answer(Verdict.DECLINED, failure=Failure("expired_card", "No.")),
        Answer(Verdict.REJECTED, failure=Failure("do_not_honor", "No.")),
        Answer(Verdict.PENDING, refs={"payment_intent": "pi_1"}),
        Answer(Verdict.ACTION_REQUIRED, next_action=NextAction("https://bank.test")),
        Answer(Verdict.SUCCEEDED, Money(1999, "USD")),
    ],
)
def test_other_answers_of_an_account_do_not_reroute(
    outcome: Answer | ProviderError,
) -> None:
    after = answered(routed_payment(), outcome)
    assert (after.account, after.route) == (ONE, (TWO,))
    assert all(event.type != "payment.routed" for event in after.pending_events)


@pytest.mark.parametrize("outcome", [NotSent(), Misconfigured(), DECLINE])
def test_last_account_of_a_route_reroutes_nothing(
    outcome: Answer | ProviderError,
) -> None:
    last = replace(routed_payment(), route=())
    plain = replace(last, routes_on=())
    assert answered(last, outcome).operations == answered(plain, outcome).operations


@pytest.mark.parametrize("outcome", [NotSent(), Misconfigured(), DECLINE])
def test_unknown_operation_is_never_rerouted(outcome: Answer | ProviderError) -> None:
    lost = answered(routed_payment(), OutcomeUnknown("no_answer"))
    again = settle(stored(sending(stored(lost))), outcome, now=LATER, jitter=0.5)
    assert again.account == ONE
    dead = expire_claim(stored(sending(routed_payment())), now=LATER)
    again = settle(stored(sending(stored(dead))), outcome, now=LATER, jitter=0.5)
    assert again.account == ONE


def test_unsent_payment_is_rerouted_at_an_open_breaker() -> None:
    routed = reroute_around_outage(routed_payment(TWO, THREE), now=LATER)
    assert routed is not None
    assert (routed.account, routed.route) == (TWO, (THREE,))
    assert routed.pending_events[-1].data["reason"] == BREAKER_OPEN
    further = reroute_around_outage(routed, now=LATER)
    assert further is not None and further.account == THREE
    assert reroute_around_outage(further, now=LATER) is None


def test_payment_proven_not_executed_is_rerouted_at_an_open_breaker() -> None:
    busy = stored(answered(routed_payment(), NotExecuted("rate_limited")))
    assert busy.first_operation.state is State.RETRYING
    routed = reroute_around_outage(busy, now=LATER)
    assert routed is not None and routed.account == TWO
    assert routed.first_operation.state is State.QUEUED


@pytest.mark.parametrize(
    "outcome",
    [
        OutcomeUnknown("no_answer"),
        LookupRequired("repeated_500"),
        Answer(Verdict.PENDING, refs={"payment_intent": "pi_1"}),
        Answer(Verdict.ACTION_REQUIRED, next_action=NextAction("https://bank.test")),
        Answer(Verdict.APPROVED, refs={"order": "5O1"}),
        Answer(Verdict.SUCCEEDED, Money(1999, "USD"), {"payment_intent": "pi_1"}),
        NeedsReview("odd"),
    ],
)
def test_payment_that_an_account_may_have_waits_at_an_open_breaker(
    outcome: Answer | ProviderError,
) -> None:
    assert (
        reroute_around_outage(stored(answered(routed_payment(), outcome)), now=LATER)
        is None
    )


def test_a_recorded_send_without_an_answer_waits() -> None:
    assert reroute_around_outage(stored(sending(routed_payment())), now=LATER) is None


def test_payment_with_a_due_lookup_is_not_rerouted() -> None:
    here = routed_payment()
    event = replace(here.first_operation, lookups_since=NOW)
    assert reroute_around_outage(replace(here, operations=(event,)), now=LATER) is None
    seen = replace(here.first_operation, refs={"payment_intent": "pi_1"})
    assert reroute_around_outage(replace(here, operations=(seen,)), now=LATER) is None


def test_payment_with_possibly_two_orders_is_not_rerouted() -> None:
    here = routed_payment()
    assert reroute_around_outage(here, now=LATER) is not None
    duplicates = replace(here.first_operation, may_have_duplicate_order=True)
    assert (
        reroute_around_outage(replace(here, operations=(duplicates,)), now=LATER)
        is None
    )
