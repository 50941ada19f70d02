"""What an answer does to its account's gate: a worker with real ones, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import pytest

from domain.breaker import Gate, Why
from domain.states import State
from persistence.breakers import MongoBreakers
from runtime import container
from tests.integration.answers.saying import REST, Row, arm
from tests.integration.answers.test_paypal_answers import (
    ANSWERS,
    NOT_PERMITTED as NOT_AT_PAYPAL,
)
from tests.integration.answers.test_stripe_errors import (
    ERRORS,
    NOT_PERMITTED as NOT_AT_STRIPE,
)
from tests.integration.traps.workbench import Workbench

_ROWS: Final = {"stripe": ERRORS, "paypal": ANSWERS}
REFUSED: Final = [
    ("stripe", "AuthenticationError"),
    ("stripe", "PermissionError"),
    ("paypal", "401"),
    ("paypal", "403"),
]
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
    """The bench with a worker whom gates stop, all of them closed at first."""
    settings = replace(bench.settings, redis_url=redis_database)
    with ExitStack() as stack:
        services = container.worker_services(settings)
        stack.callback(services.database.client.close)
        for pool in services.tools.calls.values():
            stack.callback(pool.shutdown)
        stack.callback(bench.database.gates.delete_many, {})
        tools = replace(services.tools, clock=bench.now, jitter=lambda: 1.0)
        yield replace(bench, tools=tools)


@pytest.mark.parametrize(("provider", "words"), REFUSED)
def test_refused_credentials_spend_no_attempt_and_open_the_accounts_gate(
    gated: Workbench, provider: str, words: str
) -> None:
    row, other = _ROWS[provider][words], gated.pay(provider)
    assert _refused(gated, provider, row) == (State.RETRYING, 0)
    gate = _gate(gated, provider)
    assert (gate.is_open, gate.why) == (True, Why.MISCONFIGURED)
    assert row.error is not None and row.error in gate.reason
    _is_put_off(gated, other)


@pytest.mark.parametrize(("provider", "words"), NOT_PERMITTED)
def test_a_403_about_one_request_spends_no_attempt_and_opens_no_gate(
    gated: Workbench, provider: str, words: str
) -> None:
    row, other = _ROWS[provider][words], gated.pay(provider)
    assert _refused(gated, provider, row) == (State.RETRYING, 0)
    assert not _gate(gated, provider).is_open
    assert gated.step(other).first.state is State.SUCCEEDED
    assert gated.moved(other) == [("charge", 1999)]


@pytest.mark.parametrize(("provider", "words"), TOO_MUCH)
def test_an_account_with_too_many_calls_gets_none_for_as_long_as_it_asks(
    gated: Workbench, provider: str, words: str
) -> None:
    row, other = _ROWS[provider][words], gated.pay(provider)
    began = gated.now()
    assert _refused(gated, provider, row) == (State.RETRYING, 1)
    assert not _gate(gated, provider).is_open
    due_at = _is_put_off(gated, other)
    # By MongoDB's clock and by Redis's, both of this machine.
    assert due_at >= began + timedelta(seconds=REST - 1)


def _refused(gated: Workbench, provider: str, row: Row) -> tuple[State, int]:
    """What becomes of a payment that is answered so, and the attempts that it spent."""
    payment_id = gated.pay(provider)
    arm(gated, provider, row)
    began = gated.now()
    refused = gated.step(payment_id).first
    assert refused.error == row.error
    # The gate asks for all: who was refused is not the first in line again.
    if refused.attempts == 0:
        assert refused.due_at and refused.due_at >= began + timedelta(minutes=1)
    return refused.state, refused.attempts


def _gate(gated: Workbench, account: str) -> Gate:
    return MongoBreakers(gated.database).gates()[account]


def _is_put_off(gated: Workbench, payment_id: str) -> datetime:
    """Nothing is sent for it; when it is looked at again."""
    provider = gated.stored(payment_id).provider
    called = gated.calls(provider, "POST")
    waiting = gated.step(payment_id).first
    assert (waiting.state, waiting.attempts) == (State.QUEUED, 0)
    assert gated.calls(provider, "POST") == called
    # Of the document: what stops before a gate is written to no operation.
    stored = gated.database.payments.find_one({"_id": payment_id})
    assert stored is not None and isinstance(stored["due_at"], datetime)
    return stored["due_at"]
