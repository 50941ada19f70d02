"""Simulators for the tests of a module; each test has accounts of its own there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from domain.submission import ProviderName
from tests.contract.simulators.simulator_process import Simulator
from tests.contract.simulators.simulator_process import simulators as both
from tests.integration.reconciliation.shop import PAYPAL, STRIPE


@pytest.fixture(scope="module")
def simulators() -> Iterator[dict[ProviderName, Simulator]]:
    """Both simulators, for this module alone: their books are made to drift."""
    with both() as (stripe, paypal):
        yield {STRIPE: stripe, PAYPAL: paypal}
