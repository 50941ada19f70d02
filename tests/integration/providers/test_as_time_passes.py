"""Tests of lookups days later, at simulators whose clock the tests move."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from domain.errors import LookupRequired
from domain.money import Money
from domain.payments.answer import Verdict
from domain.payments.settle import settle
from domain.payments.operation import Kind
from domain.payments.start_attempt import start_lookup
from domain.payments.states import State
from domain.payments.submission import ProviderName
from tests.suites.accounts import capture, refund, void
from tests.support.provider_accounts import PAYPAL_METHODS, STRIPE_METHODS, Account
from tests.support.simulator_control import MakePayPal, MakeStripe, Simulator
from tests.support.simulator_process import simulator

#: Seconds until every hold has expired: PayPal's is the longest, 29 days.
HOLD = 30 * 86400
#: Seconds until every refund has ended: PayPal's takes three days.
REFUND = 4 * 86400


@pytest.fixture(scope="module", params=["stripe", "paypal"])
def ageing(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    """A simulator whose clock the tests move."""
    with simulator(request.param) as running:
        yield Simulator(running.url, "/v1/" if request.param == "stripe" else "/v2/")


@pytest.fixture
def account(
    ageing: Simulator, make_stripe: MakeStripe, make_paypal: MakePayPal
) -> Account:
    """An account at the simulator."""
    if ageing.root == "/v1/":
        return Account(make_stripe(ageing.url), STRIPE_METHODS, ageing)
    return Account(make_paypal(ageing.url), PAYPAL_METHODS, ageing)


def test_a_pending_refund_succeeds_later(account: Account) -> None:
    payment = account.execute(refund(account.charged("refunds later"), 700))
    last = payment.operations[-1]
    assert last.state is State.PENDING
    assert last.waiting_for
    seen = account.look_up(payment)
    assert (seen.verdict, seen.moved) == (Verdict.PENDING, None)
    assert account.moved_amounts(payment) == []
    account.simulator.advance(REFUND)
    seen = account.look_up(payment)
    assert (seen.verdict, seen.moved) == (Verdict.SUCCEEDED, Money(700, "USD"))
    assert account.moved_amounts(payment) == [700]


def test_a_refund_that_fails_later_is_a_failure_and_can_be_repeated(
    account: Account,
) -> None:
    payment = account.execute(refund(account.charged("refunds never")))
    # At first Stripe reports success, PayPal a pending refund.
    early = {ProviderName.STRIPE: State.SUCCEEDED, ProviderName.PAYPAL: State.PENDING}
    assert payment.operations[-1].state is early[account.name]
    account.simulator.advance(REFUND)
    seen = account.look_up(payment)
    assert seen.verdict is Verdict.DECLINED
    assert seen.failure is not None
    assert seen.failure.code == "refund_failed"
    assert seen.failure.retryable
    asked = start_lookup(payment, payment.operations[-1], now=payment.updated_at)
    after = settle(asked, seen, now=payment.updated_at, jitter=0)
    assert (after.refunded, after.refundable_amount(after.first_operation)) == (0, 1999)
    assert account.moved_amounts(payment) == []


def test_every_operation_on_an_ended_hold_finds_it_expired(
    account: Account,
) -> None:
    payment = account.held()
    account.simulator.advance(HOLD)
    assert account.look_up(payment, payment.first_operation).verdict is Verdict.EXPIRED
    for late in (capture(payment), void(payment)):
        claimed = account.with_recorded_send(late)
        if account.name is ProviderName.STRIPE:
            with pytest.raises(LookupRequired):
                account.provider.send(claimed)
        else:
            assert account.provider.send(claimed).verdict is Verdict.EXPIRED
        assert account.look_up(account.send(claimed)).verdict is Verdict.EXPIRED
        assert account.moved_amounts(late) == []


@pytest.mark.parametrize("kind", [Kind.CAPTURE, Kind.REFUND])
def test_an_operation_is_found_after_its_key_was_forgotten(
    account: Account, kind: Kind
) -> None:
    payment = account.due(kind)
    account.simulator.arm("commit_then_drop")
    unheard = account.execute(payment)
    account.simulator.advance(HOLD * 2)
    seen = account.look_up(unheard)
    assert (seen.verdict, seen.moved) == (Verdict.SUCCEEDED, Money(1999, "USD"))
    assert account.moved_amounts(unheard) == [1999]
