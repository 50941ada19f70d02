"""Fixtures: adapters to the simulators, directly and by a recording server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from providers.http import TIMEOUT, Timeout
from providers.paypal.adapter import PayPal
from providers.stripe.adapter import Stripe
from tests.support.provider_accounts import (
    PAYPAL_METHODS,
    STRIPE_METHODS,
    Account,
    MakeAccount,
)
from tests.support.provider_clients import paypal_api, stripe_client
from tests.support.recording_server import Wire
from tests.support.simulator_control import Calls, MakePayPal, MakeStripe, Simulator


@pytest.fixture
def stripe_simulator(stripe_url: str) -> Iterator[Simulator]:
    """The simulated Stripe, healed after the test."""
    simulator = Simulator(stripe_url, "/v1/")
    yield simulator
    simulator.heal()


@pytest.fixture
def paypal_simulator(paypal_url: str) -> Iterator[Simulator]:
    """The simulated PayPal, healed after the test."""
    simulator = Simulator(paypal_url, "/v2/")
    yield simulator
    simulator.heal()


@pytest.fixture
def calls() -> Calls:
    """The calls that the adapters of this test report."""
    return Calls()


@pytest.fixture
def make_stripe(calls: Calls) -> MakeStripe:
    """Makes a Stripe adapter for a base URL."""

    def make(api_base: str, *, timeout: Timeout = TIMEOUT) -> Stripe:
        return Stripe(stripe_client(api_base, calls, timeout=timeout))

    return make


@pytest.fixture
def make_paypal(calls: Calls) -> MakePayPal:
    """Makes a PayPal adapter for a base URL."""

    def make(
        api_base: str, *, timeout: Timeout = TIMEOUT, secret: str = "paypal-secret"
    ) -> PayPal:
        return PayPal(paypal_api(api_base, calls, secret=secret, timeout=timeout))

    return make


@pytest.fixture
def stripe(make_stripe: MakeStripe, stripe_simulator: Simulator) -> Stripe:
    """A Stripe adapter to the simulator."""
    return make_stripe(stripe_simulator.url)


@pytest.fixture
def paypal(make_paypal: MakePayPal, paypal_simulator: Simulator) -> PayPal:
    """A PayPal adapter to the simulator."""
    return make_paypal(paypal_simulator.url)


@pytest.fixture(params=["stripe", "paypal"])
def make_account(request: pytest.FixtureRequest) -> MakeAccount:
    """Makes an account, at each provider in turn."""
    simulator = request.getfixturevalue(f"{request.param}_simulator")
    make_adapter = request.getfixturevalue(f"make_{request.param}")
    methods = STRIPE_METHODS if request.param == "stripe" else PAYPAL_METHODS

    def make(api_base: str | None = None, *, timeout: Timeout = TIMEOUT) -> Account:
        adapter = make_adapter(api_base or simulator.url, timeout=timeout)
        return Account(adapter, methods, simulator)

    return make


@pytest.fixture
def account(make_account: MakeAccount) -> Account:
    """An account at each provider in turn."""
    return make_account()


@pytest.fixture
def stripe_wire(stripe_simulator: Simulator) -> Iterator[Wire]:
    """A recording server in front of the simulated Stripe."""
    wire = Wire(stripe_simulator.url)
    yield wire
    wire.close()


@pytest.fixture
def paypal_wire(paypal_simulator: Simulator) -> Iterator[Wire]:
    """A recording server in front of the simulated PayPal."""
    wire = Wire(paypal_simulator.url)
    yield wire
    wire.close()
