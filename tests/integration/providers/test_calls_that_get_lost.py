"""Tests of both adapters with lost calls and lost answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.errors import NotSent, OutcomeUnknown
from domain.payments.answer import Verdict
from domain.payments.submission import ProviderName
from tests.support.provider_accounts import MakeAccount
from tests.support.recording_server import unreachable_port, untrusted_server
from tests.support.simulator_process import eventually


def test_a_request_without_a_connection_was_not_sent(
    make_account: MakeAccount,
) -> None:
    with unreachable_port() as url:
        account = make_account(url, timeout=(0.2, 10.0))
        with pytest.raises(NotSent):
            account.provider.send(account.with_recorded_send(account.new()))


def test_a_request_to_an_untrusted_certificate_was_not_sent(
    make_account: MakeAccount, tmp_path: Path
) -> None:
    with untrusted_server(tmp_path) as url:
        account = make_account(url)
        with pytest.raises(NotSent):
            account.provider.send(account.with_recorded_send(account.new()))


def test_the_same_key_while_the_first_request_runs_is_in_flight(
    make_account: MakeAccount,
) -> None:
    account = make_account(timeout=(2.0, 0.2))
    account.simulator.arm("delay", seconds=30)
    claimed = account.with_recorded_send(account.new())
    with pytest.raises(OutcomeUnknown) as timed_out:
        account.provider.send(claimed)
    with pytest.raises(OutcomeUnknown) as busy:
        account.provider.send(claimed)
    stripe = account.name is ProviderName.STRIPE
    assert timed_out.value.detail == "no_answer"
    assert busy.value.detail == ("idempotency_key_in_use" if stripe else "in_flight")
    account.simulator.heal()
    eventually(
        lambda: len(account.moved_amounts(claimed)) == 1, "what was sent is carried out"
    )
    assert account.provider.send(claimed).verdict is Verdict.SUCCEEDED
    assert len(account.moved_amounts(claimed)) == 1
