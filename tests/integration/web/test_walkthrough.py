"""One charge, traced through the code, against docs/walkthrough.md."""

from __future__ import annotations

import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

import pytest

from domain.payments.states import State
from runtime import container
from runtime.queue.wakeups import NEW_PAYMENTS, connect_redis
from tests.support.pages import (
    ROOT,
    Place,
    files_beside_walkthrough,
    files_of_walkthrough,
    stops,
)
from tests.support.running_web import prepared_web, stripe_payment
from tests.support.simulator_process import eventually
from tests.support.workbench import Workbench, workbench
from web.app import build
from workers import tasks

#: Packages that a charge may run through.
PRODUCT: Final = frozenset(
    "application domain persistence providers runtime web workers".split()
)
#: Files that a charge may run through once in a process, before the trace: a setting is
#: parsed, the broker is connected.
ONCE: Final = {"runtime/settings_checks.py", "runtime/queue/kombu_transport.py"}
#: The entry of our code in a process; its callers belong to a library.
ENTRIES: Final = ("PaymentRoutes.submit", "attempt_payments")


@dataclass
class Trace:
    """The called functions in their order, and the files above the stops."""

    stops: list[Place]
    ran: list[Place] = field(default_factory=list)
    above: set[str] = field(default_factory=set)

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """The callback of ``sys.setprofile``; coverage keeps its own tracer."""
        place = place_of(frame) if event == "call" else None
        if place is None:
            return
        self.ran.append(place)
        if place in self.stops:
            self.above.update(files_above(frame))

    @property
    def files(self) -> set[str]:
        """The files of all called functions."""
        return {place.file for place in self.ran}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Traces this thread, and those started meanwhile."""
        sys.setprofile(self)
        threading.setprofile(self)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)


def place_of(frame: FrameType) -> Place | None:
    """The function of a frame, if it belongs to the product."""
    path = Path(frame.f_code.co_filename)
    if not path.is_relative_to(ROOT):
        return None
    file = path.relative_to(ROOT)
    if file.parts[0] not in PRODUCT:
        return None
    return Place(str(file), frame.f_code.co_qualname)


def files_above(frame: FrameType | None) -> Iterator[str]:
    """The files of ours between the entry of the process and ``frame``."""
    while frame is not None:
        place = place_of(frame)
        if place is not None:
            yield place.file
            if place.name in ENTRIES:
                return
        frame = frame.f_back


@pytest.fixture(scope="module")
def bench(
    tmp_path_factory: pytest.TempPathFactory, mongo_url: str, redis_url: str
) -> Iterator[Workbench]:
    home = tmp_path_factory.mktemp("walkthrough")
    with prepared_web(home, mongo_url, redis_url) as web, workbench(web) as made:
        yield made


@pytest.fixture(scope="module")
def trace(bench: Workbench) -> Trace:
    """The first charge of a web process and a worker, whose caches are empty."""
    trace = Trace([stop.place for stop in stops()])
    web = container.create_web_services(bench.settings)
    worker = container.create_worker_services(bench.settings)
    client, redis = build(web).app.test_client(), connect_redis(bench.settings)
    headers = {
        "Authorization": f"Bearer {bench.shop.secret}",
        "Idempotency-Key": uuid.uuid4().hex,
    }
    try:
        with trace.running():
            answer = client.post("/v1/payments", json=stripe_payment(), headers=headers)
            assert answer.status_code == 202, answer.text
            payment_id = str(answer.get_json()["id"])
        eventually(lambda: redis.llen(NEW_PAYMENTS.queue), "a wake-up message")
        with trace.running():
            tasks.attempt_payments([payment_id], worker, urgent=True)
        operation = bench.stored(payment_id).first_operation
        assert operation.state is State.SUCCEEDED
        assert bench.list_movements(payment_id) == [("charge", 1999)]
    finally:
        web.database.client.close()
        worker.database.client.close()
        redis.close()
        for executor in worker.attempt_context.executors.values():
            executor.shutdown()
    return trace


def test_charge_passes_the_stops_in_the_order_of_the_page(trace: Trace) -> None:
    missing = [stop for stop in trace.stops if stop not in trace.ran]
    assert missing == []
    assert trace.stops == sorted(trace.stops, key=trace.ran.index)


def test_charge_runs_code_of_every_file_on_its_way(trace: Trace) -> None:
    assert files_of_walkthrough() - trace.files == set()


def test_page_names_every_file_above_a_stop(trace: Trace) -> None:
    assert trace.above - files_of_walkthrough() == set()


def test_page_lists_the_other_files_that_a_charge_runs_through(trace: Trace) -> None:
    assert trace.files - files_of_walkthrough() - files_beside_walkthrough() == set()
    assert files_beside_walkthrough() - trace.files <= ONCE
