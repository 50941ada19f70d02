"""What a provider's outage costs: calls that fail until the breaker opens, and
probes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from application import attempt
from domain.circuit_breaker import CircuitBreaker
from domain.payments.states import State, Status
from domain.payments.submission import ProviderName
from local_stack.initialise import initialise
from persistence.circuit_breakers import MongoBreakerStore
from runtime import container
from runtime.settings import Settings
from tests.suites.samples import SHOP
from tests.support.simulator_process import Simulator, simulator
from tests.support.worker_processes import fleet, submitted, work_off

STRIPE, PAYPAL = ProviderName.STRIPE, ProviderName.PAYPAL
#: More than all workers can have under way when the breaker opens.
COUNT = 300


@pytest.fixture
def away() -> Iterator[Simulator]:
    """A Stripe of this test's own."""
    with simulator("stripe") as running:
        yield running


def gate_of(settings: Settings, provider: ProviderName) -> CircuitBreaker:
    """The breaker as the database has it."""
    database = container.open_database(settings)
    try:
        return MongoBreakerStore(database).load_all()[provider]
    finally:
        database.client.close()


def test_an_outage_is_met_by_some_and_waited_for_by_the_others(
    settings: Settings, away: Simulator
) -> None:
    settings = replace(settings, stripe_api_base=away.url)
    initialise(settings)
    with fleet(settings, gated=True) as workers:
        ids = submitted(workers[0].store, COUNT)
        away.arm(do="refuse", seconds=5)
        work_off(ids, workers)
        found = [workers[0].store.get(SHOP, one) for one in ids]
        gate = gate_of(settings, STRIPE)
    assert {one.status for one in found if one} == {Status.CAPTURED}
    assert len(away.movements()) == COUNT
    attempts = [one.operations[0].attempts for one in found if one]
    assert sum(one == 1 for one in attempts) > COUNT / 4, "these never met the outage"
    assert [one.state for one in gate.changes][:1] == ["open"]
    assert not gate.is_open


def test_wrong_credentials_cost_no_attempt_and_park_the_account(
    settings: Settings,
) -> None:
    settings = replace(settings, paypal_client_secret="wrong")
    initialise(settings)
    with fleet(settings, gated=True) as workers:
        ids = submitted(workers[0].store, 3, PAYPAL)
        for one, tools in zip(ids, workers, strict=False):
            list(attempt.run([one], tools))
        found = [workers[0].store.get(SHOP, one) for one in ids]
        gate = gate_of(settings, PAYPAL)
    told = [
        (one.operations[0].state, one.operations[0].attempts) for one in found if one
    ]
    assert told == [(State.RETRYING, 0), (State.QUEUED, 0), (State.QUEUED, 0)]
    assert gate.is_open and gate.trip_reason == "misconfigured"
