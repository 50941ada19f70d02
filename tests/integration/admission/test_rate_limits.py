"""Workers share an account and stay below its rate limit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from domain.payments.states import Status
from local_stack.initialise import initialise
from runtime.settings import Settings
from tests.suites.samples import SHOP
from tests.support.simulator_process import Simulator, simulator
from tests.support.worker_processes import fleet, submitted, work_off

#: Calls a second per account at the simulator: fewer than workers make even on a busy
#: machine.
LIMIT = 20
#: Payments: six seconds' worth.
COUNT = 6 * LIMIT


@pytest.fixture
def limited() -> Iterator[Simulator]:
    """A simulator with a limit of LIMIT calls a second per account."""
    with simulator("stripe", "--rate-limit", str(LIMIT)) as running:
        yield running


def answered(simulated: Simulator, status: str) -> float:
    """The number of API calls answered with ``status``."""
    text = requests.get(f"{simulated.url}/metrics", timeout=10).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "simulator_requests_total"
        and sample.labels["status"] == status
    )


@pytest.mark.parametrize("gated", [True, False])
def test_several_workers_stay_below_an_accounts_limit_and_everything_is_paid(
    settings: Settings, limited: Simulator, gated: bool
) -> None:
    settings = replace(settings, stripe_api_base=limited.url, stripe_rate=LIMIT)
    initialise(settings)
    with fleet(settings, with_admission=gated) as workers:
        began = time.monotonic()
        ids = submitted(workers[0].store, COUNT)
        work_off(ids, workers)
        seconds = time.monotonic() - began
        found = [workers[0].store.get(SHOP, one) for one in ids]
    assert {one.status for one in found if one} == {Status.CAPTURED}
    assert len(limited.movements()) == COUNT
    refused = answered(limited, "429")
    if gated:
        assert refused <= COUNT / 100
        assert seconds >= COUNT / LIMIT - 1, "a bucket holds one second's calls"
    else:
        assert refused > COUNT / 10, "without admission control they exceed the limit"
