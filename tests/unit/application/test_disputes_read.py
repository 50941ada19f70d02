"""Reads of a dispute at its account, through its breaker, with retries."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from application import disputes as use_case
from application.webhooks import handle
from domain.account import Account
from domain.circuit_breaker import ProviderHealth, assess_health
from domain.errors import (
    Misconfigured,
    NotAuthorized,
    NotExecuted,
    OutcomeUnknown,
    PaymentNotFound,
    ProviderError,
)
from domain.payments.dispute import DisputeState, DisputeUpdate
from domain.webhooks import WebhookStatus
from tests.suites.samples import insert_all, NOW, payment
from tests.support.disputed_payment import HINT, OWN, STRIPE, Bench
from tests.support.memory_disputes import MemoryDisputes


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_dispute_of_a_merchants_account_is_read_through_its_breaker() -> None:
    bench, stored = Bench(), Account("acct_1", STRIPE)
    [paid] = insert_all(bench.store, [replace(payment(2), account=stored)])
    bench.show(DisputeState.LOST, of=paid.id)
    asked: list[Account] = []

    def disputes(account: Account) -> MemoryDisputes:
        asked.append(account)
        return bench.disputes

    dispute_context = replace(bench.dispute_context, disputes=disputes)
    followed = use_case.sync_dispute(DisputeUpdate(stored, HINT.ref), dispute_context)
    assert followed is not None and [one.id for one in followed.disputes] == ["dp_1"]
    assert asked == [stored, stored]
    assert bench.admission.recorded_accounts == {"acct_1"}
    with pytest.raises(PaymentNotFound):
        use_case.sync_dispute(HINT, dispute_context)


def test_dispute_of_an_unreadable_account_is_retried_later(bench: Bench) -> None:
    def disputes(account: Account) -> MemoryDisputes:
        raise NotExecuted("credentials_unavailable")

    dispute_context = replace(bench.dispute_context, disputes=disputes)
    with pytest.raises(NotExecuted) as raised:
        use_case.sync_dispute(HINT, dispute_context)
    assert raised.value.detail == "credentials_unavailable"


def test_unreadable_dispute_is_retried_for_days_and_then_reported(bench: Bench) -> None:
    bench.disputes.raises = OutcomeUnknown("no_answer")
    name, waits = bench.webhook(), list[timedelta]()
    while True:
        [tried] = handle([name], bench.webhook_context)
        if tried.due_at is None:
            break
        waits.append(tried.due_at - bench.now)
        bench.now = tried.due_at
    assert waits == sorted(waits)
    assert bench.now - NOW > timedelta(days=3)
    assert bench.status() is WebhookStatus.UNREADABLE
    bench.disputes.raises = None
    bench.inbox.reprocess([name], now=bench.now)
    handle([name], bench.webhook_context)
    assert bench.status() is WebhookStatus.HANDLED


def test_open_breaker_stops_the_read_of_a_dispute(bench: Bench) -> None:
    bench.admission.granted = 0
    [waits] = handle([bench.webhook()], bench.webhook_context)
    assert (waits.due_at, bench.disputes.reads) == (bench.now + timedelta(seconds=5), 0)
    assert bench.admission.outcomes == [] and bench.slept == []


def test_a_read_at_the_accounts_limit_waits_for_its_turn(bench: Bench) -> None:
    bench.admission.delays = {OWN.id: 0.25}
    handle([bench.webhook()], bench.webhook_context)
    assert bench.slept == [0.25] * bench.disputes.reads == [0.25, 0.25]
    assert bench.status() is WebhookStatus.HANDLED


@pytest.mark.parametrize(
    ("error", "sign"),
    [
        (Misconfigured("bad_key"), ProviderHealth.UNRELATED),
        (NotAuthorized("no_right"), ProviderHealth.KIND_REFUSED),
        (OutcomeUnknown("no_answer"), ProviderHealth.UNRELATED),
        (NotExecuted("rate_limited"), ProviderHealth.BUSY),
    ],
)
def test_a_failed_read_slows_an_account_down_and_never_stops_it(
    bench: Bench, error: ProviderError, sign: ProviderHealth
) -> None:
    bench.disputes.raises = error
    handle([bench.webhook()], bench.webhook_context)
    assert [assess_health(one) for one in bench.admission.outcomes] == [sign]


def test_successful_read_is_recorded_as_healthy(bench: Bench) -> None:
    handle([bench.webhook()], bench.webhook_context)
    assert {assess_health(one) for one in bench.admission.outcomes} == {
        ProviderHealth.HEALTHY
    }
