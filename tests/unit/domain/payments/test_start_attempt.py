"""The record before a call, and states without a next send."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest

from domain.errors import (
    IllegalTransition,
    OutcomeUnknown,
    PaymentNotFound,
)
from domain.payments.answer import Answer, Verdict
from domain.payments.settle import settle
from domain.payments.operation import Kind
from domain.payments.payment import Payment
from domain.payments.start_attempt import expire_claim, record_send
from domain.payments.states import State
from domain.payments.submission import ProviderName
from domain.payments.apply_answer import escalate
from domain.provider_rules import RULES
from tests.suites.samples import DECLINE, NOW, PRICE, payment, sending

WINDOW: Final = RULES[ProviderName.STRIPE].key_windows[Kind.CHARGE]


def _running() -> Payment:
    return sending(payment())


def _unknown() -> Payment:
    return settle(_running(), OutcomeUnknown("timeout"), now=NOW, jitter=1.0)


PAID: Final = Answer(Verdict.SUCCEEDED, PRICE, {"payment_intent": "pi_1"})


def test_a_send_is_recorded_with_its_key_body_and_window() -> None:
    sent = sending(payment(), now=NOW, body='{"a": 1}')
    send = sent.first_operation.send
    assert send is not None
    assert (send.key, send.body) == (f"{sent.first_operation.id}-1", '{"a": 1}')
    assert (send.first_at, send.window_ends_at) == (NOW, NOW + WINDOW)
    assert sent.first_operation.state is State.RUNNING
    assert (sent.first_operation.attempts, sent.first_operation.started_at) == (1, NOW)
    assert sent.pending_events[-1].data == {
        "operation": sent.first_operation.id,
        "from": "queued",
        "to": "running",
        "attempt": 1,
        "provider_key": send.key,
    }


def test_dead_worker_leaves_the_outcome_unknown() -> None:
    running = _running()
    unknown = expire_claim(running, now=NOW)
    assert unknown.first_operation.state is State.UNKNOWN
    assert unknown.first_operation.send == running.first_operation.send
    assert unknown.pending_events[-1].type == "lease.expired"


def test_a_resend_is_safe_until_the_window_ends() -> None:
    unknown = _unknown()
    end = NOW + WINDOW
    assert not unknown.first_operation.needs_lookup(now=end - timedelta(microseconds=1))
    assert unknown.first_operation.needs_lookup(now=end)
    with pytest.raises(IllegalTransition):
        sending(unknown, now=end)


def test_a_resend_does_not_move_the_window() -> None:
    resent = sending(_unknown(), now=NOW + timedelta(hours=20))
    assert resent.first_operation.send is not None
    assert resent.first_operation.send.window_ends_at == NOW + WINDOW


def test_only_an_unknown_operation_has_a_window() -> None:
    much_later = NOW + timedelta(days=100)
    assert not payment().first_operation.needs_lookup(now=much_later)
    assert not _running().first_operation.needs_lookup(now=much_later)


def test_ended_operation_is_neither_sent_again_nor_escalated() -> None:
    done = settle(_running(), PAID, now=NOW, jitter=0)
    with pytest.raises(IllegalTransition):
        record_send(done, done.first_operation, "{}", now=NOW)
    with pytest.raises(IllegalTransition):
        escalate(done, done.first_operation, "why", now=NOW)
    with pytest.raises(PaymentNotFound):
        settle(done, DECLINE, now=NOW, jitter=0)


def test_payment_without_a_claim_expires_without_an_event() -> None:
    assert expire_claim(payment(), now=NOW) == payment()


@pytest.mark.parametrize(
    ("kind", "window"),
    [
        (Kind.CHARGE, timedelta(hours=5)),
        (Kind.AUTHORIZE, timedelta(hours=5)),
        (Kind.CAPTURE, timedelta(days=44, hours=23)),
        (Kind.REFUND, timedelta(days=44, hours=23)),
    ],
)
def test_paypal_remembers_orders_for_hours_and_payments_for_weeks(
    kind: Kind, window: timedelta
) -> None:
    assert RULES[ProviderName.PAYPAL].key_windows[kind] == window
    assert RULES[ProviderName.STRIPE].key_windows[kind] == timedelta(hours=23)
