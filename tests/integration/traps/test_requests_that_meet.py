"""Tests of a shop's requests that are repeated, concurrent or late."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from domain.payments.states import State, Status
from tests.support.workbench import Workbench

#: Rounds of a race. Concurrent refunds over the amount have tests of their own, which
#: can run a thousand rounds.
ROUNDS = 10


@pytest.mark.parametrize("named", [False, True])
def test_two_identical_requests_at_once_make_one_payment(
    bench: Workbench, named: bool
) -> None:
    """Runs also without a reference, which would block the second payment as well."""
    before = bench.database.payments.count_documents({})
    with ThreadPoolExecutor(2) as threads:
        for number in range(ROUNDS):
            key = f"{named}-{number}"
            same = {"key": key, "reference": f"order-{key}" if named else None}
            answers = list(threads.map(lambda _: bench.submit(**same), range(2)))
            assert [one.status_code for one in answers] == [202, 202]
            assert len({one.json()["id"] for one in answers}) == 1
    assert bench.database.payments.count_documents({}) == before + ROUNDS


def test_a_key_with_a_second_body_is_refused(bench: Workbench) -> None:
    payment_id = bench.pay(key="k", reference="order-1")
    refused = bench.submit(key="k", reference="order-1", amount=2000)
    assert refused.status_code == 422
    assert refused.json()["code"] == "idempotency_key_reused"
    assert bench.fetch(payment_id)["amount"] == 1999


def test_the_same_reference_is_refused_while_its_first_payment_is_unknown(
    bench: Workbench, provider: str
) -> None:
    payment_id = bench.pay(provider, reference="order-2")
    bench.lose_answer(provider)
    assert bench.step(payment_id).first_operation.state is State.UNKNOWN
    refused = bench.submit(provider, reference="order-2")
    assert refused.status_code == 409
    assert refused.json()["code"] == "reference_in_progress"
    assert refused.json()["payment"] == payment_id
    assert bench.work(payment_id).status is Status.CAPTURED
    assert bench.submit(provider, reference="order-2").status_code == 202
    assert bench.list_movements(payment_id) == [("charge", 1999)]


def test_two_equal_partial_refunds_with_two_keys_are_both_made(
    bench: Workbench, provider: str
) -> None:
    payment_id = bench.complete_payment(provider)
    for _ in range(2):
        assert bench.request(payment_id, "refunds", amount=500).status_code == 202
    assert bench.work(payment_id).refunded == 1000
    assert bench.list_movements(payment_id)[1:] == [("refund", 500)] * 2


def test_a_retried_partial_refund_is_made_once(bench: Workbench, provider: str) -> None:
    payment_id = bench.complete_payment(provider)
    bench.lose_answer(provider, "/v1/refunds" if provider == "stripe" else "/v2/")
    for _ in range(2):
        asked = bench.request(payment_id, "refunds", key="back", amount=500)
        assert asked.status_code == 202
        assert bench.work(payment_id).refunded == 500
    assert bench.list_movements(payment_id)[1:] == [("refund", 500)]


def test_a_capture_and_a_void_at_once_have_one_winner(
    bench: Workbench, provider: str
) -> None:
    with ThreadPoolExecutor(2) as threads:
        for _ in range(ROUNDS):
            payment_id = bench.complete_payment(provider, capture="manual")
            jobs = ("captures", "void")
            answers = threads.map(lambda job: bench.request(payment_id, job), jobs)
            codes = dict(zip(jobs, (one.status_code for one in answers), strict=True))
            assert sorted(codes.values()) == [202, 409]
            ended = bench.work(payment_id).status
            won = "captures" if ended is Status.CAPTURED else "void"
            assert codes[won] == 202 and ended in (Status.CAPTURED, Status.VOIDED)
            kinds = [kind for kind, _ in bench.list_movements(payment_id)]
            assert kinds == ["authorize", "capture" if won == "captures" else "void"]
