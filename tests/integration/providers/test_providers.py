"""Runs the Provider suite on both adapters, over HTTP to the simulators."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from application.ports.provider import Provider
from domain.errors import NotExecuted, OutcomeUnknown, ProviderError
from domain.payments.operation import Kind
from domain.payments.submission import ProviderName
from tests.suites.provider import ProviderSuite, every_kind
from tests.suites.provider_follow_ups import FollowUpSuite
from tests.support.answer_rows import TOKEN
from tests.support.provider_accounts import Account, MakeAccount
from tests.support.recording_server import refusing_port


@pytest.fixture
def away(make_account: MakeAccount) -> Iterator[Provider]:
    """The adapter at an address where no server listens."""
    with refusing_port() as url:
        yield make_account(url).provider


class TestProviders(ProviderSuite):
    """The suite of all implementers."""


class TestFollowUps(FollowUpSuite):
    """The suite of all implementers."""


@every_kind
def test_the_ledger_names_the_operation_and_the_answer_names_the_call(
    account: Account, kind: Kind
) -> None:
    claimed = account.with_recorded_send(account.due(kind))
    assert account.provider.send(claimed).request_id
    rows = account.simulator.movements(claimed)
    [row] = [
        row for row in rows if row["key"] == claimed.claimed_operation.provider_key
    ]
    # Both providers void the authorization itself.
    named = claimed.first_operation if kind is Kind.VOID else claimed.claimed_operation
    assert {claimed.id, named.id} <= set(row["metadata"].values())


@pytest.mark.parametrize("status", [401, 403, 409, 429, 500])
def test_an_error_does_not_quote_the_answer(account: Account, status: int) -> None:
    text = f"It is {TOKEN} that failed."
    body = {
        "error": {"type": "invalid_request_error", "message": text},
        "name": "NAMED",
        "message": text,
    }
    # PayPal is called again after a 401.
    account.simulator.arm("answer", status=status, body=body, times=2)
    with pytest.raises(ProviderError) as caught:
        account.provider.send(account.with_recorded_send(account.new()))
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


@every_kind
def test_a_failed_lookup_proves_nothing(account: Account, kind: Kind) -> None:
    payment = account.execute(account.due(kind))
    everything = {"method": "GET", "path": account.simulator.root}
    account.simulator.arm("answer", status=503, body="{}", match=everything)
    with pytest.raises(OutcomeUnknown):
        account.look_up(payment)
    missing = {"name": "RESOURCE_NOT_FOUND", "error": {"message": "No such thing."}}
    account.simulator.arm("answer", status=404, body=missing, match=everything)
    with pytest.raises(OutcomeUnknown):
        account.look_up(payment)
    account.simulator.arm("rate_limit", match=everything)
    with pytest.raises(NotExecuted):
        account.look_up(payment)


def test_a_hold_ends_after_a_week_at_stripe_and_29_days_at_paypal(
    account: Account,
) -> None:
    hold = account.held().hold
    assert hold is not None and hold.expires_at is not None
    days = (hold.expires_at - datetime.now(UTC)) / timedelta(days=1)
    if account.name is ProviderName.STRIPE:
        assert days == pytest.approx(7, abs=1)
        assert hold.honored_until is None
        return
    assert days == pytest.approx(29, abs=1)
    assert hold.honored_until is not None
    honored = hold.honored_until - datetime.now(UTC)
    assert honored / timedelta(days=1) == pytest.approx(3, abs=0.1)
