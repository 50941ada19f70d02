"""Running simulators, healed after each test, and merchants of each test's own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import stripe

from tests.support.simulator_process import PayPalCaller, Receiver, Simulator, simulator


@pytest.fixture(scope="session")
def stripe_process() -> Iterator[Simulator]:
    """One simulated Stripe for all tests here."""
    with simulator("stripe") as running:
        yield running


@pytest.fixture(scope="session")
def paypal_process() -> Iterator[Simulator]:
    """One simulated PayPal for all tests here."""
    with simulator("paypal") as running:
        yield running


@pytest.fixture
def stripe_simulator(stripe_process: Simulator) -> Iterator[Simulator]:
    """The simulated Stripe, healed after the test."""
    yield stripe_process
    stripe_process.heal()


@pytest.fixture
def paypal_simulator(paypal_process: Simulator) -> Iterator[Simulator]:
    """The simulated PayPal, healed after the test."""
    yield paypal_process
    paypal_process.heal()


@pytest.fixture
def merchant() -> str:
    """A Stripe secret key of this test's own, and so an account of its own."""
    return f"sk_test_{uuid.uuid4().hex}"


@pytest.fixture
def paypal(paypal_simulator: Simulator) -> PayPalCaller:
    """A PayPal merchant of this test's own."""
    return PayPalCaller(paypal_simulator)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of webhooks."""
    running = Receiver()
    yield running
    running.close()


@pytest.fixture
def stripe_client(stripe_simulator: Simulator, merchant: str) -> stripe.StripeClient:
    """Stripe's SDK as it is, but for the address."""
    return stripe_simulator.stripe_sdk(merchant)
