"""Every change of a Stripe object sends its own event with the whole object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
import stripe

from tests.support.simulator_process import PATIENCE, Simulator, pay_by_card

DAY = 86400
Client = stripe.StripeClient


def event_types(client: Client) -> list[str]:
    """Return the types of the account's events, oldest first."""
    events = client.v1.events.list({"limit": 100}).data
    return [str(event.type) for event in reversed(events)]


def charge(client: Client, simulator: Simulator) -> None:
    pay_by_card(client)


def decline(client: Client, simulator: Simulator) -> None:
    with pytest.raises(stripe.CardError):
        pay_by_card(client, "pm_card_chargeDeclined")


def hold_and_capture(client: Client, simulator: Simulator) -> None:
    intent = pay_by_card(client, capture_method="manual")
    client.v1.payment_intents.capture(intent.id)


def hold_and_cancel(client: Client, simulator: Simulator) -> None:
    intent = pay_by_card(client, capture_method="manual")
    client.v1.payment_intents.cancel(intent.id)


def hold_and_let_lapse(client: Client, simulator: Simulator) -> None:
    pay_by_card(client, capture_method="manual")
    simulator.advance(7 * DAY + 1)


def debit_a_bank(client: Client, simulator: Simulator) -> None:
    pay_by_card(client, "pm_usBankAccount")
    simulator.advance(4 * DAY + 1)


def debit_an_empty_bank_account(client: Client, simulator: Simulator) -> None:
    pay_by_card(client, "pm_usBankAccount_insufficientFunds")
    simulator.advance(4 * DAY + 1)


def _authenticate(client: Client, outcome: str) -> None:
    intent: Any = pay_by_card(client, "pm_card_authenticationRequired")
    url = intent.next_action.redirect_to_url.url
    requests.post(url, json={"outcome": outcome}, timeout=PATIENCE)


def authenticate(client: Client, simulator: Simulator) -> None:
    _authenticate(client, "succeed")


def fail_to_authenticate(client: Client, simulator: Simulator) -> None:
    _authenticate(client, "fail")


def _refund(client: Client, simulator: Simulator, method: str) -> None:
    intent = pay_by_card(client, method)
    client.v1.refunds.create({"payment_intent": intent.id})
    simulator.advance(DAY + 1)


def refund(client: Client, simulator: Simulator) -> None:
    _refund(client, simulator, "pm_card_visa")


def refund_slowly(client: Client, simulator: Simulator) -> None:
    _refund(client, simulator, "pm_card_pendingRefund")


def refund_in_vain(client: Client, simulator: Simulator) -> None:
    _refund(client, simulator, "pm_card_refundFail")


CREATED = "payment_intent.created"
CHARGED = [CREATED, "charge.succeeded", "payment_intent.succeeded"]
HELD = [CREATED, "charge.succeeded", "payment_intent.amount_capturable_updated"]
DEBITED = [CREATED, "charge.pending", "payment_intent.processing"]
FAILED = ["charge.failed", "payment_intent.payment_failed"]
REFUNDED = [*CHARGED, "refund.created", "charge.refunded"]
UPDATED = ["refund.updated", "charge.refund.updated"]


@pytest.mark.parametrize(
    ("happens", "events"),
    [
        (charge, CHARGED),
        (decline, [CREATED, *FAILED]),
        (hold_and_capture, [*HELD, "charge.captured", "payment_intent.succeeded"]),
        (hold_and_cancel, [*HELD, "payment_intent.canceled"]),
        (hold_and_let_lapse, [*HELD, "charge.expired", "payment_intent.canceled"]),
        (debit_a_bank, [*DEBITED, *CHARGED[1:]]),
        (debit_an_empty_bank_account, [*DEBITED, *FAILED]),
        (authenticate, [CREATED, "payment_intent.requires_action", *CHARGED[1:]]),
        (
            fail_to_authenticate,
            [CREATED, "payment_intent.requires_action", FAILED[1]],
        ),
        (refund, REFUNDED),
        (refund_slowly, [*REFUNDED, *UPDATED]),
        (refund_in_vain, [*REFUNDED, *UPDATED, "refund.failed"]),
    ],
)
def test_every_change_sends_its_events_in_order(
    stripe_client: Client,
    stripe_simulator: Simulator,
    happens: Callable[[Client, Simulator], None],
    events: list[str],
) -> None:
    happens(stripe_client, stripe_simulator)
    assert event_types(stripe_client) == events


def test_an_event_holds_the_object_as_it_was_then(
    stripe_client: Client, stripe_simulator: Simulator
) -> None:
    hold_and_capture(stripe_client, stripe_simulator)
    events = stripe_client.v1.events.list({"types": [HELD[-1], CHARGED[-1]]}).data
    shown = [event.to_dict()["data"]["object"] for event in reversed(events)]
    assert [(each["status"], each["amount_received"]) for each in shown] == [
        ("requires_capture", 0),
        ("succeeded", 1999),
    ]
    now = stripe_client.v1.payment_intents.retrieve(shown[0]["id"])
    assert set(now.to_dict()) == set(shown[0])
