"""Tests of calls that fail: money moves once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta

import pytest

from application import attempt
from domain.payments.states import State, Status
from tests.support.killed_worker import BOUNDARIES
from tests.support.workbench import Workbench, worker

#: The boundary where a worker dies before it stores the answer.
_UNSTORED = BOUNDARIES.index("before the settle")
#: Rounds of a race.
ROUNDS = 10


def test_a_charge_with_a_lost_answer_is_made_once(
    bench: Workbench, provider: str
) -> None:
    payment_id = bench.pay(provider)
    bench.lose_answer(provider)
    assert bench.work(payment_id).status is Status.CAPTURED
    assert bench.list_movements(payment_id) == [("charge", 1999)]
    assert bench.event_types(payment_id).count("attempt.sent") == 2


@pytest.mark.parametrize("boundary", range(len(BOUNDARIES)), ids=BOUNDARIES)
def test_worker_killed_around_any_write_or_send_charges_once(
    bench: Workbench, provider: str, boundary: int
) -> None:
    payment_id = bench.pay(provider)
    assert _worker_that_dies(bench, payment_id, boundary) == -signal.SIGKILL
    assert bench.work(payment_id).status is Status.CAPTURED
    assert bench.list_movements(payment_id) == [("charge", 1999)]


def test_a_worker_without_a_deadly_boundary_survives(bench: Workbench) -> None:
    payment_id = bench.pay()
    assert _worker_that_dies(bench, payment_id, len(BOUNDARIES)) == 0
    assert bench.stored(payment_id).status is Status.CAPTURED


def _worker_that_dies(bench: Workbench, payment_id: str, boundary: int) -> int:
    module = "tests.support.killed_worker"
    return subprocess.run(
        [sys.executable, "-m", module, payment_id, str(boundary)],
        env={**os.environ, **bench.settings.environment()},
        timeout=60,
        check=False,
    ).returncode


def test_a_message_delivered_twice_at_once_charges_once(
    bench: Workbench, provider: str
) -> None:
    with ExitStack() as stack:
        workers = [bench.context, worker(bench.settings, stack)]
        threads = stack.enter_context(ThreadPoolExecutor(2))
        for _ in range(ROUNDS):
            payment_id, start = bench.pay(provider), threading.Barrier(2)

            def run(context: attempt.AttemptContext) -> int:
                start.wait(10)
                return sum(map(len, attempt.run([payment_id], context)))

            assert sum(threads.map(run, workers)) == 1
            assert bench.event_types(payment_id).count("attempt.sent") == 1
            assert bench.list_movements(payment_id) == [("charge", 1999)]
    assert bench.calls(provider, "POST") == ROUNDS


#: How long providers keep a key after its first send; it is not sent again later.
STRIPES_DAY, PAYPALS_HOURS = timedelta(hours=24), timedelta(hours=6)
PAYPALS_45_DAYS = timedelta(days=45)


@pytest.mark.parametrize("passed", [STRIPES_DAY, timedelta(hours=25)])
def test_a_stripe_key_past_its_window_is_resolved_by_a_lookup(
    bench: Workbench, passed: timedelta
) -> None:
    payment_id = bench.pay()
    assert _worker_that_dies(bench, payment_id, _UNSTORED) == -signal.SIGKILL
    sent = bench.calls("stripe", "POST")
    bench.pass_time(passed)
    assert bench.work(payment_id).status is Status.CAPTURED
    assert bench.calls("stripe", "POST") == sent
    assert bench.list_movements(payment_id) == [("charge", 1999)]


@pytest.mark.parametrize("passed", [PAYPALS_HOURS, timedelta(hours=7)])
def test_a_paypal_key_past_its_window_needs_manual_review(
    bench: Workbench, passed: timedelta
) -> None:
    payment_id = bench.pay("paypal")
    assert _worker_that_dies(bench, payment_id, _UNSTORED) == -signal.SIGKILL
    sent = bench.calls("paypal", "POST")
    bench.pass_time(passed)
    payment = bench.work(payment_id)
    # PayPal cannot list orders, and the order's id is unknown: an operator decides.
    assert payment.first_operation.state is State.REVIEW
    assert bench.calls("paypal", "POST") == sent
    assert bench.list_movements(payment_id) == [("charge", 1999)]


def test_a_window_counts_from_the_first_send_however_often_it_is_sent(
    bench: Workbench, provider: str
) -> None:
    payment_id = bench.pay(provider)
    bench.lose_answer(provider)
    assert bench.step(payment_id).first_operation.state is State.UNKNOWN
    half = (STRIPES_DAY if provider == "stripe" else PAYPALS_HOURS) / 2
    bench.pass_time(half)
    bench.lose_answer(provider)
    assert bench.step(payment_id).first_operation.state is State.UNKNOWN
    sent = bench.calls(provider, "POST")
    bench.pass_time(half)
    bench.work(payment_id)
    assert bench.calls(provider, "POST") == sent == 2
    assert bench.list_movements(payment_id) == [("charge", 1999)]


def test_paypal_keeps_the_key_of_a_refund_for_45_days(bench: Workbench) -> None:
    payment_id = bench.complete_payment("paypal")
    bench.lose_answer("paypal", "/v2/payments/captures")
    assert bench.request(payment_id, "refunds").status_code == 202
    assert bench.step(payment_id).operations[-1].state is State.UNKNOWN
    sent = bench.calls("paypal", "POST")
    bench.pass_time(PAYPALS_45_DAYS)
    assert bench.work(payment_id).status is Status.REFUNDED
    assert bench.calls("paypal", "POST") == sent
    assert bench.list_movements(payment_id) == [("charge", 1999), ("refund", 1999)]


def test_a_replayed_500_is_resolved_by_a_lookup(bench: Workbench) -> None:
    payment_id = bench.pay()
    bench.stripe.arm(
        do="replay_500", when="after", match={"path": "/v1/payment_intents"}
    )
    assert bench.work(payment_id).status is Status.CAPTURED
    assert bench.calls("stripe", "POST") == 2, "the send and its replay"
    assert bench.event_types(payment_id)[-2:] == ["lookup.sent", "lookup.answered"]
    assert bench.list_movements(payment_id) == [("charge", 1999)]
