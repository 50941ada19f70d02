"""What an answer does to its account's breaker: a worker with real ones, over HTTP."""

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
from tests.support.answer_rows import EDGE, REST, Row, arm
from tests.support.workbench import CHARGES, Workbench

_ROWS: Final = {"stripe": ERRORS, "paypal": ANSWERS}
REFUSED: Final = [("stripe", "AuthenticationError"), ("paypal", "401")]
KIND_REFUSED: Final = [
    ("stripe", "PermissionError"),
    ("stripe", "PermissionError, no code"),
    ("paypal", "403"),
]
#: Of somebody between us and the provider.
PAGES: Final = [
    ("stripe", "a 401 that is a page"),
    ("stripe", "a 403 that is a page"),
    ("paypal", "a 401 that is a page"),
    ("paypal", "a 403 that is a page"),
]
#: What the provider says to a call that the credentials have no right to.
NO_RIGHT: Final = {
    "stripe": {"error": {"type": "invalid_request_error", "message": "No permission."}},
    "paypal": {"name": "NOT_AUTHORIZED", "message": "Insufficient permissions."},
}
#: Jobs, the start of the path that each is sent to, and the kind that it is.
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
def gated(bench: Workbench, redis_database: str) -> Iterator[Workbench]:
    """The bench with a worker whom breakers stop, all of them closed at first."""
    settings = replace(bench.settings, redis_url=redis_database)
    with ExitStack() as stack:
        services = container.create_worker_services(settings)
        stack.callback(services.database.client.close)
        for pool in services.attempt_context.executors.values():
            stack.callback(pool.shutdown)
        stack.callback(bench.database.circuit_breakers.delete_many, {})
        tools = replace(services.attempt_context, clock=bench.now, jitter=lambda: 1.0)
        yield replace(bench, tools=tools)


@pytest.mark.parametrize(("provider", "words"), REFUSED)
def test_refused_credentials_spend_no_attempt_and_open_the_accounts_gate(
    gated: Workbench, provider: str, words: str
) -> None:
    row, other = _ROWS[provider][words], gated.pay(provider)
    assert _refused(gated, provider, row) == (State.RETRYING, 0)
    gate = _gate(gated, provider)
    assert (gate.is_open, gate.trip_reason) == (True, TripReason.MISCONFIGURED)
    assert row.error is not None and row.error in gate.reason
    _is_put_off(gated, other)


@pytest.mark.parametrize(("provider", "words"), KIND_REFUSED)
def test_a_refused_kind_of_call_spends_no_attempt_and_stops_that_kind_alone(
    gated: Workbench, provider: str, words: str
) -> None:
    row, other = _ROWS[provider][words], gated.pay(provider)
    paid = gated.paid(provider)
    assert gated.ask(paid, "refunds").status_code == 202
    assert _refused(gated, provider, row) == (State.RETRYING, 0)
    gate = _gate(gated, breaker_name(provider, CallKind.CHARGES))
    assert (gate.is_open, gate.trip_reason) == (True, TripReason.MISCONFIGURED)
    assert row.error is not None and row.error in gate.reason
    assert not _gate(gated, provider).is_open
    _is_put_off(gated, other)
    assert gated.step(paid).operations[-1].state is State.SUCCEEDED


@pytest.mark.parametrize(("provider", "job"), JOBS)
def test_a_refusal_of_one_job_leaves_charges_going_and_its_gate_to_another_one(
    gated: Workbench, provider: str, job: str
) -> None:
    path, kind = JOBS[provider, job]
    name = breaker_name(provider, kind)
    first, second = (_asked(gated, provider, job) for _ in range(2))
    gated.at(provider).arm(
        do="answer",
        status=403,
        body=NO_RIGHT[provider],
        times=50,
        match={"method": "POST", "path": path},
    )
    refused = gated.step(first).operations[-1]
    assert (refused.state, refused.attempts) == (State.RETRYING, 0)
    assert _gate(gated, name).is_open and not _gate(gated, provider).is_open
    # The other one waits, and says for what; nothing of it is sent.
    sent = gated.calls(provider, "POST")
    assert gated.step(second).operations[-1].state is State.QUEUED
    assert gated.calls(provider, "POST") == sent
    assert processes.wait_until(lambda: _waits_for(gated, second, name), seconds=5)
    assert gated.step(gated.pay(provider)).first_operation.state is State.SUCCEEDED
    # The one that was refused is no probe; the other one is, once it is due.
    gated.at(provider).heal()
    _probe_is_due(gated, name)

    def is_probed() -> bool:
        assert gated.step(first).operations[-1].state is State.RETRYING
        return gated.step(second).operations[-1].state is State.SUCCEEDED

    assert processes.wait_until(is_probed, seconds=10)
    assert not _gate(gated, name).is_open
    assert gated.step(first).operations[-1].state is State.SUCCEEDED


@pytest.mark.parametrize("provider", ["stripe", "paypal"])
def test_an_operation_that_alone_is_refused_again_and_again_stops_no_other(
    gated: Workbench, provider: str
) -> None:
    name = breaker_name(provider, CallKind.CHARGES)
    charges = {"method": "POST", "path": CHARGES[provider]}
    said = {"status": 403, "body": NO_RIGHT[provider], "match": charges}
    first = gated.pay(provider)
    gated.at(provider).arm(do="answer", **said)
    gated.step(first)
    assert _gate(gated, name).is_open
    _probe_is_due(gated, name)
    second = gated.pay(provider)
    assert processes.wait_until(
        lambda: gated.step(second).first_operation.state is State.SUCCEEDED, seconds=10
    )
    for _ in range(3):
        gated.at(provider).arm(do="answer", **said)
        assert gated.step(first).first_operation.state is State.RETRYING
        assert not _gate(gated, name).is_open
        assert gated.step(gated.pay(provider)).first_operation.state is State.SUCCEEDED


@pytest.mark.parametrize(("provider", "words"), PAGES)
def test_a_refusal_that_is_not_the_providers_is_an_outage(
    gated: Workbench, provider: str, words: str
) -> None:
    row = _ROWS[provider][words]
    assert _refused(gated, provider, row) == (State.UNKNOWN, 1)
    assert not any(one.is_open for one in _gates(gated).values())
    for _ in range(MIN_FAILURES - 1):
        _refused(gated, provider, row)
    assert _gate(gated, provider).trip_reason is TripReason.FAILING


def test_a_page_in_the_place_of_a_token_is_an_outage(gated: Workbench) -> None:
    match = {"method": "POST", "path": "/v1/oauth2/token"}
    payment_id = gated.pay("paypal")
    # The token that it has is taken no more.
    orders = {"method": "POST", "path": "/v2/"}
    gated.paypal.arm(do="answer", status=401, body={"name": "GONE"}, match=orders)
    gated.paypal.arm(do="answer", status=403, body=EDGE, match=match)
    refused = gated.step(payment_id).first_operation
    assert (refused.state, refused.error) == (State.RETRYING, "token_unavailable")
    assert not any(one.is_open for one in _gates(gated).values())


@pytest.mark.parametrize(("provider", "words"), NOT_PERMITTED)
def test_a_403_about_one_request_spends_no_attempt_and_opens_no_gate(
    gated: Workbench, provider: str, words: str
) -> None:
    row, other = _ROWS[provider][words], gated.pay(provider)
    assert _refused(gated, provider, row) == (State.RETRYING, 0)
    assert not _gate(gated, provider).is_open
    assert gated.step(other).first_operation.state is State.SUCCEEDED
    assert gated.moved(other) == [("charge", 1999)]


@pytest.mark.parametrize(("provider", "words"), TOO_MUCH)
def test_an_account_with_too_many_calls_gets_none_for_as_long_as_it_asks(
    gated: Workbench, redis_database: str, provider: str, words: str
) -> None:
    row, other = _ROWS[provider][words], gated.pay(provider)
    began = gated.now()
    assert _refused(gated, provider, row) == (State.RETRYING, 1)
    assert not _gate(gated, provider).is_open
    # Redis keeps the pause, and postpones a payment for so long at most each time.
    with Redis.from_url(redis_database) as redis:
        paused = redis.pttl(f"payments:limit:{provider}:paused")
    assert paused >= (REST - 1) * 1000
    due_at = _is_put_off(gated, other)
    # By MongoDB's clock and by Redis's, both of this machine.
    assert due_at >= began + timedelta(seconds=MAX_RETRY_IN)
    _is_put_off(gated, other)


def _refused(gated: Workbench, provider: str, row: Row) -> tuple[State, int]:
    """What becomes of a payment that is answered so, and the attempts that it spent."""
    payment_id = gated.pay(provider)
    arm(gated, provider, row)
    began = gated.now()
    refused = gated.step(payment_id).first_operation
    assert refused.error == row.error
    # The breaker asks for all: the refused one is not the first in line again.
    if refused.attempts == 0:
        assert refused.due_at and refused.due_at >= began + timedelta(minutes=1)
    return refused.state, refused.attempts


def _gates(gated: Workbench) -> Mapping[str, CircuitBreaker]:
    return MongoBreakerStore(gated.database).load_all()


def _gate(gated: Workbench, name: str) -> CircuitBreaker:
    return _gates(gated).get(name, CircuitBreaker(name))


def _asked(gated: Workbench, provider: str, job: str) -> str:
    """The id of a payment of which such a job is asked."""
    fields = {} if job == "refunds" else {"capture": "manual"}
    payment_id = gated.paid(provider, **fields)
    assert gated.ask(payment_id, job).status_code == 202
    return payment_id


def _waits_for(gated: Workbench, payment_id: str, name: str) -> bool:
    """Whether the shop reads that the last operation waits for that breaker."""
    waits = gated.shown(payment_id)["operations"][-1]["waiting_for"]
    return bool(
        waits == f"the circuit breaker of {CircuitBreaker(name).subject} to close"
    )


def _probe_is_due(gated: Workbench, name: str) -> None:
    """Has a probe of the breaker be due; the worker follows in a second."""
    gated.database.circuit_breakers.update_one(
        {"_id": name}, [{"$set": {"probe_at": {"$subtract": ["$$NOW", 1000]}}}]
    )


def _is_put_off(gated: Workbench, payment_id: str) -> datetime:
    """Nothing is sent for it; when it is looked at again."""
    provider = gated.stored(payment_id).provider
    called = gated.calls(provider, "POST")
    waiting = gated.step(payment_id).first_operation
    assert (waiting.state, waiting.attempts) == (State.QUEUED, 0)
    assert gated.calls(provider, "POST") == called
    # Of the document: what stops before a breaker is written to no operation.
    stored = gated.database.payments.find_one({"_id": payment_id})
    assert stored is not None and isinstance(stored["due_at"], datetime)
    return stored["due_at"]
