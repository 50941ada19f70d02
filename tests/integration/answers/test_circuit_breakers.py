"""Tests of the effect of answers on circuit breakers, with a real worker over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import pytest
from redis import Redis

from domain.circuit_breaker import (
    MIN_FAILURES,
    CallKind,
    CircuitBreaker,
    TripReason,
    breaker_name,
)
from domain.payments.states import State
from persistence.circuit_breakers import MongoBreakerStore
from persistence.redis_limiter import MAX_RETRY_IN
from runtime import container, processes
from tests.integration.answers.test_paypal_answers import (
    ANSWERS,
    NOT_PERMITTED as NOT_AT_PAYPAL,
)
from tests.integration.answers.test_stripe_errors import (
    ERRORS,
    NOT_PERMITTED as NOT_AT_STRIPE,
)
from tests.support.answer_rows import EDGE, RETRY_AFTER, Row, arm
from tests.support.workbench import CHARGES, Workbench

_ROWS: Final = {"stripe": ERRORS, "paypal": ANSWERS}
REFUSED: Final = [("stripe", "AuthenticationError"), ("paypal", "401")]
KIND_REFUSED: Final = [
    ("stripe", "PermissionError"),
    ("stripe", "PermissionError, no code"),
    ("paypal", "403"),
]
#: Error pages of a proxy or another server.
PAGES: Final = [
    ("stripe", "a 401 that is a page"),
    ("stripe", "a 403 that is a page"),
    ("paypal", "a 401 that is a page"),
    ("paypal", "a 403 that is a page"),
]
#: The provider's answer to a call without permission.
NO_RIGHT: Final = {
    "stripe": {"error": {"type": "invalid_request_error", "message": "No permission."}},
    "paypal": {"name": "NOT_AUTHORIZED", "message": "Insufficient permissions."},
}
#: Follow-ups, the beginning of their path, and their kind of call.
JOBS: Final = {
    ("stripe", "refunds"): ("/v1/refunds", CallKind.REFUNDS),
    ("stripe", "captures"): ("/v1/payment_intents/", CallKind.CAPTURES),
    ("stripe", "void"): ("/v1/payment_intents/", CallKind.VOIDS),
    ("paypal", "refunds"): ("/v2/payments/captures/", CallKind.REFUNDS),
    ("paypal", "captures"): ("/v2/payments/authorizations/", CallKind.CAPTURES),
    ("paypal", "void"): ("/v2/payments/authorizations/", CallKind.VOIDS),
}
NOT_PERMITTED: Final = [
    *(("stripe", code) for code in NOT_AT_STRIPE),
    *(("paypal", issue) for issue in NOT_AT_PAYPAL),
]
TOO_MUCH: Final = [
    ("stripe", "RateLimitError"),
    ("stripe", "lock_timeout"),
    ("paypal", "429"),
]


@pytest.fixture
def guarded(bench: Workbench, redis_database: str) -> Iterator[Workbench]:
    """The bench with a worker that obeys circuit breakers; all are closed at first."""
    settings = replace(bench.settings, redis_url=redis_database)
    with ExitStack() as stack:
        services = container.create_worker_services(settings)
        stack.callback(services.database.client.close)
        for pool in services.attempt_context.executors.values():
            stack.callback(pool.shutdown)
        stack.callback(bench.database.circuit_breakers.delete_many, {})
        tools = replace(services.attempt_context, clock=bench.now, jitter=lambda: 1.0)
        yield replace(bench, context=tools)


@pytest.mark.parametrize(("provider", "words"), REFUSED)
def test_refused_credentials_spend_no_attempt_and_open_the_accounts_breaker(
    guarded: Workbench, provider: str, words: str
) -> None:
    row, other = _ROWS[provider][words], guarded.pay(provider)
    assert _refused(guarded, provider, row) == (State.RETRYING, 0)
    breaker = _breaker(guarded, provider)
    assert (breaker.is_open, breaker.trip_reason) == (True, TripReason.MISCONFIGURED)
    assert row.error is not None and row.error in breaker.reason
    _is_put_off(guarded, other)


@pytest.mark.parametrize(("provider", "words"), KIND_REFUSED)
def test_a_refused_kind_of_call_spends_no_attempt_and_opens_its_breaker_alone(
    guarded: Workbench, provider: str, words: str
) -> None:
    row, other = _ROWS[provider][words], guarded.pay(provider)
    paid = guarded.complete_payment(provider)
    assert guarded.request(paid, "refunds").status_code == 202
    assert _refused(guarded, provider, row) == (State.RETRYING, 0)
    breaker = _breaker(guarded, breaker_name(provider, CallKind.CHARGES))
    assert (breaker.is_open, breaker.trip_reason) == (True, TripReason.MISCONFIGURED)
    assert row.error is not None and row.error in breaker.reason
    assert not _breaker(guarded, provider).is_open
    _is_put_off(guarded, other)
    assert guarded.step(paid).operations[-1].state is State.SUCCEEDED


@pytest.mark.parametrize(("provider", "job"), JOBS)
def test_a_refused_kind_of_follow_up_opens_its_breaker_and_leaves_charges_running(
    guarded: Workbench, provider: str, job: str
) -> None:
    path, kind = JOBS[provider, job]
    name = breaker_name(provider, kind)
    first, second = (_request(guarded, provider, job) for _ in range(2))
    guarded.simulator(provider).arm(
        do="answer",
        status=403,
        body=NO_RIGHT[provider],
        times=50,
        match={"method": "POST", "path": path},
    )
    refused = guarded.step(first).operations[-1]
    assert (refused.state, refused.attempts) == (State.RETRYING, 0)
    assert _breaker(guarded, name).is_open and not _breaker(guarded, provider).is_open
    # The second operation waits for the breaker; it is not sent.
    sent = guarded.calls(provider, "POST")
    assert guarded.step(second).operations[-1].state is State.QUEUED
    assert guarded.calls(provider, "POST") == sent
    assert processes.wait_until(lambda: _waits_for(guarded, second, name), seconds=5)
    assert guarded.step(guarded.pay(provider)).first_operation.state is State.SUCCEEDED
    # The refused operation is not the probe; the second one is, once it is due.
    guarded.simulator(provider).heal()
    _probe_is_due(guarded, name)

    def is_probed() -> bool:
        assert guarded.step(first).operations[-1].state is State.RETRYING
        return guarded.step(second).operations[-1].state is State.SUCCEEDED

    assert processes.wait_until(is_probed, seconds=10)
    assert not _breaker(guarded, name).is_open
    assert guarded.step(first).operations[-1].state is State.SUCCEEDED


@pytest.mark.parametrize("provider", ["stripe", "paypal"])
def test_an_operation_refused_repeatedly_does_not_stop_others(
    guarded: Workbench, provider: str
) -> None:
    name = breaker_name(provider, CallKind.CHARGES)
    charges = {"method": "POST", "path": CHARGES[provider]}
    said = {"status": 403, "body": NO_RIGHT[provider], "match": charges}
    first = guarded.pay(provider)
    guarded.simulator(provider).arm(do="answer", **said)
    guarded.step(first)
    assert _breaker(guarded, name).is_open
    _probe_is_due(guarded, name)
    second = guarded.pay(provider)
    assert processes.wait_until(
        lambda: guarded.step(second).first_operation.state is State.SUCCEEDED,
        seconds=10,
    )
    for _ in range(3):
        guarded.simulator(provider).arm(do="answer", **said)
        assert guarded.step(first).first_operation.state is State.RETRYING
        assert not _breaker(guarded, name).is_open
        assert (
            guarded.step(guarded.pay(provider)).first_operation.state is State.SUCCEEDED
        )


@pytest.mark.parametrize(("provider", "words"), PAGES)
def test_a_refusal_by_another_server_is_an_outage(
    guarded: Workbench, provider: str, words: str
) -> None:
    row = _ROWS[provider][words]
    assert _refused(guarded, provider, row) == (State.UNKNOWN, 1)
    assert not any(one.is_open for one in _breakers(guarded).values())
    for _ in range(MIN_FAILURES - 1):
        _refused(guarded, provider, row)
    assert _breaker(guarded, provider).trip_reason is TripReason.FAILING


def test_a_page_in_place_of_a_token_is_an_outage(guarded: Workbench) -> None:
    match = {"method": "POST", "path": "/v1/oauth2/token"}
    payment_id = guarded.pay("paypal")
    # Its current token is no longer accepted.
    orders = {"method": "POST", "path": "/v2/"}
    guarded.paypal.arm(do="answer", status=401, body={"name": "GONE"}, match=orders)
    guarded.paypal.arm(do="answer", status=403, body=EDGE, match=match)
    refused = guarded.step(payment_id).first_operation
    assert (refused.state, refused.error) == (State.RETRYING, "token_unavailable")
    assert not any(one.is_open for one in _breakers(guarded).values())


@pytest.mark.parametrize(("provider", "words"), NOT_PERMITTED)
def test_a_403_about_one_request_spends_no_attempt_and_opens_no_breaker(
    guarded: Workbench, provider: str, words: str
) -> None:
    row, other = _ROWS[provider][words], guarded.pay(provider)
    assert _refused(guarded, provider, row) == (State.RETRYING, 0)
    assert not _breaker(guarded, provider).is_open
    assert guarded.step(other).first_operation.state is State.SUCCEEDED
    assert guarded.list_movements(other) == [("charge", 1999)]


@pytest.mark.parametrize(("provider", "words"), TOO_MUCH)
def test_a_rate_limited_account_is_paused_for_the_requested_time(
    guarded: Workbench, redis_database: str, provider: str, words: str
) -> None:
    row, other = _ROWS[provider][words], guarded.pay(provider)
    began = guarded.now()
    assert _refused(guarded, provider, row) == (State.RETRYING, 1)
    assert not _breaker(guarded, provider).is_open
    # Redis has the pause, and delays a payment by at most MAX_RETRY_IN at a time.
    with Redis.from_url(redis_database) as redis:
        paused = redis.pttl(f"payments:limit:{provider}:paused")
    assert paused >= (RETRY_AFTER - 1) * 1000
    due_at = _is_put_off(guarded, other)
    # By MongoDB's clock and by Redis's, both of this machine.
    assert due_at >= began + timedelta(seconds=MAX_RETRY_IN)
    _is_put_off(guarded, other)


def _refused(guarded: Workbench, provider: str, row: Row) -> tuple[State, int]:
    """The state of a payment after this answer, and its number of attempts."""
    payment_id = guarded.pay(provider)
    arm(guarded, provider, row)
    began = guarded.now()
    refused = guarded.step(payment_id).first_operation
    assert refused.error == row.error
    # The refused operation is postponed, so that another one is the probe.
    if refused.attempts == 0:
        assert refused.due_at and refused.due_at >= began + timedelta(minutes=1)
    return refused.state, refused.attempts


def _breakers(guarded: Workbench) -> Mapping[str, CircuitBreaker]:
    return MongoBreakerStore(guarded.database).load_all()


def _breaker(guarded: Workbench, name: str) -> CircuitBreaker:
    return _breakers(guarded).get(name, CircuitBreaker(name))


def _request(guarded: Workbench, provider: str, job: str) -> str:
    """The id of a payment with such a follow-up."""
    fields = {} if job == "refunds" else {"capture": "manual"}
    payment_id = guarded.complete_payment(provider, **fields)
    assert guarded.request(payment_id, job).status_code == 202
    return payment_id


def _waits_for(guarded: Workbench, payment_id: str, name: str) -> bool:
    """Whether the API shows that the last operation waits for that breaker."""
    waits = guarded.fetch(payment_id)["operations"][-1]["waiting_for"]
    return bool(
        waits == f"the circuit breaker of {CircuitBreaker(name).subject} to close"
    )


def _probe_is_due(guarded: Workbench, name: str) -> None:
    """Makes the breaker's probe due; the worker reads it within a second."""
    guarded.database.circuit_breakers.update_one(
        {"_id": name}, [{"$set": {"probe_at": {"$subtract": ["$$NOW", 1000]}}}]
    )


def _is_put_off(guarded: Workbench, payment_id: str) -> datetime:
    """Asserts that nothing is sent for the payment; returns its ``due_at``."""
    provider = guarded.stored(payment_id).provider
    called = guarded.calls(provider, "POST")
    waiting = guarded.step(payment_id).first_operation
    assert (waiting.state, waiting.attempts) == (State.QUEUED, 0)
    assert guarded.calls(provider, "POST") == called
    # Only the document has this time: a breaker's wait is not part of the operation.
    stored = guarded.database.payments.find_one({"_id": payment_id})
    assert stored is not None and isinstance(stored["due_at"], datetime)
    return stored["due_at"]
