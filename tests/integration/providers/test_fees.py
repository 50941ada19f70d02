"""Tests of the fees in providers' answers and objects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from domain.money import Fee, Money
from domain.payments.answer import Verdict
from domain.payments.states import State
from domain.payments.submission import CaptureMethod
from providers.stripe.adapter import Stripe
from tests.suites.accounts import a_payment, capture, refund, void, with_recorded_send
from tests.support.provider_accounts import Account
from tests.support.simulator_control import Simulator


def test_a_lookup_gives_the_same_fee_as_the_charge(account: Account) -> None:
    paid = account.charged()
    assert paid.first_operation.fee is not None
    assert 0 < paid.first_operation.fee.minor < 300
    assert paid.first_operation.fee.currency == "USD"
    assert account.look_up(paid).fee == paid.first_operation.fee


def test_an_authorization_has_no_fee_and_its_capture_has_one(account: Account) -> None:
    held = account.held()
    assert held.first_operation.fee is None
    done = account.execute(capture(held, 700, final=True))
    fee = done.operations[-1].fee
    assert fee is not None and fee.minor > 0
    assert account.look_up(done).fee == fee
    assert account.look_up(done, done.first_operation).fee is None
    assert account.execute(void(account.held())).fee is None


def test_a_refund_has_the_returned_fee(account: Account) -> None:
    back = account.execute(refund(account.charged(), 700))
    assert back.operations[-1].fee == Fee(0, "USD")
    assert account.look_up(back).fee == Fee(0, "USD")
    assert back.fee == back.first_operation.fee


def test_a_refund_whose_answer_was_lost_is_found_with_its_fee(
    account: Account,
) -> None:
    account.simulator.arm("commit_then_drop")
    charged = account.charged()
    assert charged.first_operation.state is State.UNKNOWN
    paid = account.execute(replace(charged, claim=None))
    account.simulator.arm("commit_then_drop")
    lost = account.execute(refund(paid))
    assert lost.operations[-1].state is State.UNKNOWN
    assert account.look_up(lost).fee == Fee(0, "USD")


def test_an_unfinished_operation_has_no_fee(account: Account) -> None:
    pending = account.execute(refund(account.charged("refunds later"), 700))
    assert pending.operations[-1].state is State.PENDING
    assert pending.operations[-1].fee is None


def canned(line: object) -> dict[str, Any]:
    """A successful intent and its balance transaction."""
    return {
        "id": "pi_3canned",
        "object": "payment_intent",
        "amount": 1999,
        "amount_received": 1999,
        "currency": "usd",
        "status": "succeeded",
        "latest_charge": {
            "id": "ch_3canned",
            "object": "charge",
            "currency": "usd",
            "balance_transaction": line,
        },
    }


@pytest.mark.parametrize(
    ("line", "fee"),
    [
        (None, None),
        ("txn_1", None),
        ({"object": "balance_transaction", "fee": "many", "currency": "usd"}, None),
        ({"object": "balance_transaction", "fee": 81, "currency": "xyz"}, None),
        ({"object": "balance_transaction"}, None),
        (
            {"object": "balance_transaction", "fee": 81, "currency": "eur"},
            Fee(81, "EUR"),
        ),
    ],
)
@pytest.mark.parametrize("when", list(CaptureMethod))
def test_a_malformed_fee_is_omitted_from_a_successful_charge(
    stripe: Stripe,
    stripe_simulator: Simulator,
    line: object,
    fee: Fee | None,
    when: CaptureMethod,
) -> None:
    stripe_simulator.arm_answer(200, canned(line))
    answer = stripe.send(with_recorded_send(stripe, a_payment(capture=when)))
    assert (answer.verdict, answer.moved) == (Verdict.SUCCEEDED, Money(1999, "USD"))
    assert answer.fee == (fee if when is CaptureMethod.AUTOMATIC else None)
