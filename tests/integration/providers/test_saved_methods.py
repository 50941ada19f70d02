"""Tests of payment methods that are saved by a payment and charged again."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest
import requests
import stripe as sdk

from domain.payments.answer import Verdict
from domain.payments.settle import settle
from domain.payments.payment import Payment
from domain.payments.start_attempt import start_lookup
from domain.payments.states import State
from domain.payments.submission import CaptureMethod, FutureUsage
from providers.stripe.adapter import Stripe
from tests.suites.accounts import a_payment
from tests.support.provider_accounts import PAYPAL_METHODS, STRIPE_METHODS, Account
from tests.support.provider_clients import stripe_client
from tests.support.simulator_control import Calls, MakePayPal, Simulator

BACK = "https://shop.example/back"
OFF = FutureUsage.OFF_SESSION
#: A card that needs authentication for every charge.
SECURE = "pm_card_authenticationRequired"
KEY = "sk_test_saved_methods"


@pytest.fixture
def at_stripe(stripe_simulator: Simulator, calls: Calls) -> Account:
    """An account at Stripe, with its key."""
    adapter = Stripe(stripe_client(stripe_simulator.url, calls, secret=KEY))
    return Account(adapter, STRIPE_METHODS, stripe_simulator)


@pytest.fixture
def ann(stripe_simulator: Simulator) -> str:
    """The shop's customer at Stripe."""
    client = sdk.StripeClient(KEY, base_addresses={"api": stripe_simulator.url})
    return client.v1.customers.create({"email": "ann@example.com"}).id


@pytest.fixture
def at_paypal(make_paypal: MakePayPal, paypal_simulator: Simulator) -> Account:
    """An account at PayPal."""
    return Account(make_paypal(paypal_simulator.url), PAYPAL_METHODS, paypal_simulator)


def acts(payment: Payment, **form: str) -> None:
    """Completes the payer's page of the payment."""
    assert payment.next_action is not None
    requests.post(payment.next_action.url, data=form, allow_redirects=False, timeout=10)


def apply_lookup(account: Account, payment: Payment) -> Payment:
    """The payment after a lookup of its first operation."""
    now = datetime.now(UTC)
    claimed = start_lookup(payment, payment.first_operation, now=now)
    answer = account.provider.look_up(claimed)
    return settle(claimed, answer, now=now + timedelta(seconds=1), jitter=0)


@pytest.mark.parametrize("when", list(CaptureMethod))
def test_a_saved_card_pays_again_off_session(
    at_stripe: Account, ann: str, when: CaptureMethod
) -> None:
    first = at_stripe.execute(
        a_payment(customer=ann, setup_future_usage=OFF, capture=when)
    )
    saved = first.saved_method
    assert saved is not None and saved.id.startswith("pm_1") and saved.customer == ann
    for _ in range(2):
        again = at_stripe.execute(
            a_payment(method=saved.id, customer=ann, off_session=True)
        )
        assert again.first_operation.state is State.SUCCEEDED
        assert again.saved_method is None
        assert at_stripe.moved_amounts(again) == [1999]


def test_a_card_is_saved_only_on_request(at_stripe: Account, ann: str) -> None:
    assert at_stripe.execute(a_payment(customer=ann)).saved_method is None
    declined = a_payment(
        method="pm_card_chargeDeclined", customer=ann, setup_future_usage=OFF
    )
    assert at_stripe.execute(declined).saved_method is None


def test_a_confirmed_card_is_saved_by_the_lookup_that_finds_it(
    at_stripe: Account, ann: str
) -> None:
    waiting = at_stripe.execute(
        a_payment(
            method="pm_card_authenticationRequiredOnSetup",
            customer=ann,
            setup_future_usage=OFF,
            return_url=BACK,
        )
    )
    assert (waiting.first_operation.state, waiting.saved_method) == (
        State.REQUIRES_ACTION,
        None,
    )
    acts(waiting, outcome="succeed")
    paid = apply_lookup(at_stripe, waiting)
    assert paid.saved_method is not None
    again = at_stripe.execute(
        a_payment(method=paid.saved_method.id, customer=ann, off_session=True)
    )
    assert at_stripe.moved_amounts(again) == [1999]


def test_a_payer_who_fails_to_authenticate_pays_nothing(
    at_stripe: Account, ann: str
) -> None:
    asked = a_payment(method=SECURE, customer=ann, off_session=True, return_url=BACK)
    waiting = at_stripe.execute(at_stripe.execute(asked))
    acts(waiting, outcome="fail")
    failed = apply_lookup(at_stripe, waiting)
    assert failed.first_operation.state is State.DECLINED
    assert at_stripe.simulator.movements(failed) == []


@pytest.mark.parametrize("lost", ["first", "second"])
def test_a_lost_request_for_the_payer_is_found_by_repeating_it(
    at_stripe: Account, ann: str, lost: str
) -> None:
    payment = a_payment(method=SECURE, customer=ann, off_session=True, return_url=BACK)
    if lost == "second":
        payment = at_stripe.execute(payment)
    at_stripe.simulator.arm("commit_then_drop")
    unknown = at_stripe.execute(payment)
    assert unknown.first_operation.state is State.UNKNOWN
    if lost == "second":
        assert (
            apply_lookup(at_stripe, unknown).first_operation.state
            is State.REQUIRES_ACTION
        )
    found = at_stripe.execute(unknown)
    waiting = at_stripe.execute(found) if lost == "first" else found
    assert waiting.next_action is not None


def test_a_payment_without_a_return_url_shows_why_it_waits(
    at_stripe: Account, ann: str
) -> None:
    stuck = at_stripe.execute(a_payment(method=SECURE, customer=ann, off_session=True))
    assert stuck.first_operation.state is State.REQUIRES_ACTION
    assert "return_url" in (stuck.first_operation.waiting_for or "")
    assert stuck.last_error is not None
    assert stuck.last_error.code == "authentication_required"
    assert at_stripe.look_up(stuck).verdict is Verdict.ACTION_REQUIRED


@pytest.mark.parametrize("when", list(CaptureMethod))
def test_a_saved_wallet_pays_again_without_its_payer(
    at_paypal: Account, when: CaptureMethod
) -> None:
    asked = a_payment(
        method=None,
        setup_future_usage=OFF,
        customer="payer42",
        return_url=BACK,
        capture=when,
    )
    waiting = at_paypal.execute(asked)
    assert (waiting.first_operation.state, waiting.saved_method) == (
        State.REQUIRES_ACTION,
        None,
    )
    acts(waiting, outcome="approve")
    paid = at_paypal.execute(apply_lookup(at_paypal, waiting))
    saved = paid.saved_method
    assert saved is not None and saved.customer == "payer42"
    assert at_paypal.look_up(paid, paid.first_operation).saved_method == saved
    again = at_paypal.execute(a_payment(method=saved.id, off_session=True))
    assert again.first_operation.state is State.SUCCEEDED
    assert at_paypal.moved_amounts(again) == [1999]


def test_a_token_is_on_no_timeline_and_in_no_log(
    at_stripe: Account, ann: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="providers"):
        paid = at_stripe.execute(a_payment(customer=ann, setup_future_usage=OFF))
    assert paid.saved_method is not None
    timeline = str([dict(event.data) for event in paid.pending_events])
    for token in (paid.saved_method.id, ann):
        assert token not in timeline and token not in caplog.text
