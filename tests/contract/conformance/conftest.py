"""The providers' own clients, for the targets in the environment."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from tests.support.conformance_targets import (
    OnlySimulated,
    PayPalAt,
    StripeAt,
    paypal_client,
    paypal_named,
    stripe_client,
    stripe_named,
)
from tests.support.simulator_process import Simulator, simulator


@pytest.fixture(scope="session")
def simulated_stripe() -> Iterator[Simulator | None]:
    """A simulator of Stripe; None if the environment names an account."""
    if stripe_named(os.environ) is not None:
        yield None
        return
    with simulator("stripe") as running:
        yield running


@pytest.fixture
def stripe_at(simulated_stripe: Simulator | None) -> StripeAt:
    """The account that the suite runs at; each test has its own at a simulator."""
    named = stripe_named(os.environ)
    if named is not None:
        return named
    assert simulated_stripe is not None
    key = f"sk_test_{uuid.uuid4().hex}"
    return StripeAt(simulated_stripe.url, key, strict=True)


@pytest.fixture
def stripe_sdk(stripe_at: StripeAt) -> stripe.StripeClient:
    """Stripe's own SDK."""
    return stripe_client(stripe_at)


@pytest.fixture
def only_at_simulated_stripe(simulated_stripe: Simulator | None) -> OnlySimulated:
    """Skips the test outside the simulator."""
    return lambda ability: _only(simulated_stripe, ability)


@pytest.fixture(scope="session")
def simulated_paypal() -> Iterator[Simulator | None]:
    """A simulator of PayPal; None if the environment names a merchant."""
    if paypal_named(os.environ) is not None:
        yield None
        return
    with simulator("paypal") as running:
        yield running


@pytest.fixture
def paypal_at(simulated_paypal: Simulator | None) -> PayPalAt:
    """The merchant that the suite runs as; each test has its own at a simulator."""
    named = paypal_named(os.environ)
    if named is not None:
        return named
    assert simulated_paypal is not None
    client_id = f"sdk-{uuid.uuid4().hex}"
    return PayPalAt(simulated_paypal.url, client_id, "secret", "vault_ok", strict=True)


@pytest.fixture
def paypal_sdk(paypal_at: PayPalAt) -> Any:
    """PayPal's own Server SDK."""
    return paypal_client(paypal_at)


@pytest.fixture
def wallet(paypal_at: PayPalAt) -> str:
    """A saved wallet that pays without its payer."""
    if paypal_at.vault_id is None:
        pytest.skip(
            "PAYPAL_SANDBOX_VAULT_ID names no saved wallet, and only a simulator has "
            "one from the start"
        )
    return paypal_at.vault_id


@pytest.fixture
def only_at_simulated_paypal(simulated_paypal: Simulator | None) -> OnlySimulated:
    """Skips the test outside the simulator."""
    return lambda ability: _only(simulated_paypal, ability)


def _only(running: Simulator | None, ability: str) -> Simulator:
    if running is None:
        pytest.skip(f"only a simulator {ability}")
    return running
