"""Simulators for the tests of a module; each test has new accounts there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from domain.payments.submission import ProviderName
from tests.support.reconciliation_shop import PAYPAL, STRIPE
from tests.support.simulator_process import Simulator, simulators as both


@pytest.fixture(scope="module")
def simulators() -> Iterator[dict[ProviderName, Simulator]]:
    """Both simulators, for one module, because tests make their books drift."""
    with both() as (stripe, paypal):
        yield {STRIPE: stripe, PAYPAL: paypal}
