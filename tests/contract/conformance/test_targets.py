"""The targets of the conformance suite, which never moves real money."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.conformance_targets import (
    PAYPAL_BASE,
    STRIPE_BASE,
    PayPalAt,
    StripeAt,
    paypal_named,
    stripe_named,
)
from tests.support.simulator_process import simulator

MERCHANT = {
    "PAYPAL_SANDBOX_CLIENT_ID": "client",
    "PAYPAL_SANDBOX_CLIENT_SECRET": "secret",
}
#: Seconds the suite may take in a process of its own.
SUITE_TIMEOUT = 120


def test_an_environment_without_credentials_selects_the_simulators() -> None:
    assert stripe_named({}) is None and paypal_named({}) is None


def test_credentials_alone_select_the_providers_own_test_environment() -> None:
    named = stripe_named({"STRIPE_TEST_SECRET_KEY": "sk_test_x"})
    assert named == StripeAt(STRIPE_BASE, "sk_test_x")
    assert paypal_named(MERCHANT) == PayPalAt(PAYPAL_BASE, "client", "secret", None)
    wallet = MERCHANT | {"PAYPAL_SANDBOX_VAULT_ID": "saved"}
    assert paypal_named(wallet) == PayPalAt(PAYPAL_BASE, "client", "secret", "saved")


@pytest.mark.parametrize("host", ["api.paypal.com", "api-m.paypal.com"])
def test_real_money_is_never_moved(host: str) -> None:
    with pytest.raises(ValueError, match="test mode"):
        stripe_named({"STRIPE_TEST_SECRET_KEY": "sk_live_x"})
    with pytest.raises(ValueError, match="live address"):
        paypal_named(MERCHANT | {"PAYPAL_SANDBOX_API_BASE": f"https://{host}"})
    with pytest.raises(ValueError, match="SECRET is missing"):
        paypal_named({"PAYPAL_SANDBOX_CLIENT_ID": "client"})


def test_the_suite_runs_at_the_addresses_in_the_environment() -> None:
    with simulator("stripe") as stripe, simulator("paypal") as paypal:
        environ = os.environ | {
            "PAYPAL_SANDBOX_VAULT_ID": "",
            "STRIPE_TEST_SECRET_KEY": "sk_test_of_the_suite",
            "STRIPE_TEST_API_BASE": stripe.url,
            "PAYPAL_SANDBOX_CLIENT_ID": "client-of-the-suite",
            "PAYPAL_SANDBOX_CLIENT_SECRET": "secret",
            "PAYPAL_SANDBOX_API_BASE": paypal.url,
        }
        options = ("-q", "-rs", "-p", "no:cacheprovider")
        here = "tests/contract/conformance"
        tests = (
            f"{here}/test_stripe_conformance.py",
            f"{here}/test_paypal_conformance.py",
        )
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests],
            env=environ,
            capture_output=True,
            text=True,
            timeout=SUITE_TIMEOUT,
        )
        assert done.returncode == 0, done.stdout
        assert "only a simulator" in done.stdout
        assert stripe.movements(kind="charge") and not paypal.movements()
