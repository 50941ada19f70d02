"""The cost of a provider's outage: failed calls until the breaker opens, and probes."""

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
#: More than all workers can have in progress when the breaker opens.
COUNT = 300


@pytest.fixture
def away() -> Iterator[Simulator]:
    """A new simulator of Stripe."""
    with simulator("stripe") as running:
        yield running


def breaker_of(settings: Settings, provider: ProviderName) -> CircuitBreaker:
    """The stored breaker."""
    database = container.open_database(settings)
    try:
        return MongoBreakerStore(database).load_all()[provider]
    finally:
        database.client.close()


def test_an_outage_fails_some_calls_and_the_other_payments_wait(
    settings: Settings, away: Simulator
) -> None:
    settings = replace(settings, stripe_api_base=away.url)
    initialise(settings)
    with fleet(settings, with_admission=True) as workers:
        ids = submitted(workers[0].store, COUNT)
        away.arm(do="refuse", seconds=5)
        work_off(ids, workers)
        found = [workers[0].store.get(SHOP, one) for one in ids]
        breaker = breaker_of(settings, STRIPE)
    assert {one.status for one in found if one} == {Status.CAPTURED}
    assert len(away.movements()) == COUNT
    attempts = [one.operations[0].attempts for one in found if one]
    assert sum(one == 1 for one in attempts) > COUNT / 4, "most payments never failed"
    assert [one.state for one in breaker.changes][:1] == ["open"]
    assert not breaker.is_open


def test_wrong_credentials_cost_no_attempt_and_open_the_breaker(
    settings: Settings,
) -> None:
    settings = replace(settings, paypal_client_secret="wrong")
    initialise(settings)
    with fleet(settings, with_admission=True) as workers:
        ids = submitted(workers[0].store, 3, PAYPAL)
        for one, tools in zip(ids, workers, strict=False):
            list(attempt.run([one], tools))
        found = [workers[0].store.get(SHOP, one) for one in ids]
        breaker = breaker_of(settings, PAYPAL)
    stored = [
        (one.operations[0].state, one.operations[0].attempts) for one in found if one
    ]
    assert stored == [(State.RETRYING, 0), (State.QUEUED, 0), (State.QUEUED, 0)]
    assert breaker.is_open and breaker.trip_reason == "misconfigured"
