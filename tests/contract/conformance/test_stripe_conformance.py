"""Stripe's promises, tested by its own SDK at Stripe or at the simulator."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests
import stripe

from tests.support.conformance_targets import OnlySimulated, StripeAt, stripe_client
from tests.support.simulator_process import PATIENCE, eventually, new_key, pay_by_card

DAY = 86400
Client = stripe.StripeClient


def method_of(intent: stripe.PaymentIntent) -> str:
    """Return the id of the method that an intent was paid with."""
    assert isinstance(intent.payment_method, str)
    return intent.payment_method


def test_a_charge_succeeds_and_its_fee_and_net_add_up(stripe_sdk: Client) -> None:
    intent = pay_by_card(
        stripe_sdk,
        capture_method="automatic",
        metadata={"order": "7"},
        expand=["latest_charge.balance_transaction"],
    )
    assert (intent.status, intent.amount_received) == ("succeeded", 1999)
    assert intent.metadata["order"] == "7"
    charge: Any = intent.latest_charge
    assert charge.paid and charge.captured and not charge.disputed
    line = charge.balance_transaction
    assert line.net == line.amount - line.fee and line.fee > 0
    assert sum(detail.amount for detail in line.fee_details) == line.fee


def test_a_charge_moves_money_once(
    stripe_sdk: Client, only_at_simulated_stripe: OnlySimulated
) -> None:
    simulated = only_at_simulated_stripe("shows every movement of money")
    intent = pay_by_card(stripe_sdk)
    assert len(simulated.movements(id=intent.id)) == 1


@pytest.mark.parametrize(
    ("method", "code", "decline_code"),
    [
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        (
            "pm_card_visa_chargeDeclinedInsufficientFunds",
            "card_declined",
            "insufficient_funds",
        ),
        ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", None),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", None),
    ],
)
def test_a_decline_has_a_reason_and_leaves_the_intent_to_another_method(
    stripe_sdk: Client, method: str, code: str, decline_code: str | None
) -> None:
    with pytest.raises(stripe.CardError) as caught:
        pay_by_card(stripe_sdk, method)
    error: Any = caught.value.error
    assert caught.value.http_status == 402 and error.code == code
    assert decline_code in (None, error.decline_code)
    assert error.payment_intent.status == "requires_payment_method"
    again = stripe_sdk.v1.payment_intents.confirm(
        error.payment_intent.id,
        {"payment_method": "pm_card_visa", "return_url": "https://shop.example/done"},
    )
    assert again.status == "succeeded"


def test_a_card_that_wants_authentication_waits_for_its_payer(
    stripe_sdk: Client, only_at_simulated_stripe: OnlySimulated
) -> None:
    intent: Any = pay_by_card(stripe_sdk, "pm_card_authenticationRequired")
    assert intent.status == "requires_action"
    url = intent.next_action.redirect_to_url.url
    only_at_simulated_stripe("lets a program be the payer")
    requests.post(url, json={"outcome": "succeed"}, timeout=PATIENCE)
    read = stripe_sdk.v1.payment_intents.retrieve(intent.id)
    assert read.status == "succeeded"


def test_a_hold_is_captured_once_and_the_rest_is_released(stripe_sdk: Client) -> None:
    intent = pay_by_card(stripe_sdk, capture_method="manual", expand=["latest_charge"])
    assert (intent.status, intent.amount_capturable) == ("requires_capture", 1999)
    charge: Any = intent.latest_charge
    assert charge.payment_method_details.card.capture_before > time.time()
    with pytest.raises(stripe.InvalidRequestError):
        stripe_sdk.v1.payment_intents.capture(intent.id, {"amount_to_capture": 2000})
    captured = stripe_sdk.v1.payment_intents.capture(
        intent.id, {"amount_to_capture": 500}
    )
    assert (captured.status, captured.amount_received) == ("succeeded", 500)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stripe_sdk.v1.payment_intents.capture(intent.id)
    assert caught.value.code == "payment_intent_unexpected_state"


def test_a_capture_writes_its_metadata_and_a_refused_one_writes_none(
    stripe_sdk: Client,
) -> None:
    intent = pay_by_card(stripe_sdk, capture_method="manual", metadata={"order": "7"})
    with pytest.raises(stripe.InvalidRequestError):
        stripe_sdk.v1.payment_intents.capture(
            intent.id, {"amount_to_capture": 2000, "metadata": {"refused": "2000"}}
        )
    captured = stripe_sdk.v1.payment_intents.capture(
        intent.id, {"amount_to_capture": 500, "metadata": {"captured": "500"}}
    )
    assert captured.metadata.to_dict() == {"order": "7", "captured": "500"}


def test_a_hold_is_released_by_canceling_it(stripe_sdk: Client) -> None:
    intent = pay_by_card(stripe_sdk, capture_method="manual")
    canceled = stripe_sdk.v1.payment_intents.cancel(intent.id)
    assert (canceled.status, canceled.amount_capturable) == ("canceled", 0)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stripe_sdk.v1.payment_intents.capture(intent.id)
    assert caught.value.code == "payment_intent_unexpected_state"


def test_a_hold_lapses(
    stripe_sdk: Client, only_at_simulated_stripe: OnlySimulated
) -> None:
    simulated = only_at_simulated_stripe("moves its clock")
    intent = pay_by_card(stripe_sdk, capture_method="manual")
    simulated.advance(7 * DAY + 1)
    lapsed = stripe_sdk.v1.payment_intents.retrieve(intent.id)
    assert (lapsed.status, lapsed.cancellation_reason) == ("canceled", "automatic")


def test_a_hold_is_captured_in_parts_where_the_account_can(stripe_sdk: Client) -> None:
    intent = pay_by_card(
        stripe_sdk,
        capture_method="manual",
        payment_method_options={"card": {"request_multicapture": "if_available"}},
        expand=["latest_charge"],
    )
    charge: Any = intent.latest_charge
    if charge.payment_method_details.card.multicapture.status != "available":
        pytest.skip("this account cannot capture several times")
    part = stripe_sdk.v1.payment_intents.capture(
        intent.id, {"amount_to_capture": 500, "final_capture": False}
    )
    assert (part.status, part.amount_capturable) == ("requires_capture", 1499)
    last = stripe_sdk.v1.payment_intents.capture(intent.id, {"amount_to_capture": 700})
    assert (last.status, last.amount_received) == ("succeeded", 1200)


def test_refunds_never_exceed_the_charged_amount(stripe_sdk: Client) -> None:
    intent = pay_by_card(stripe_sdk)
    create = stripe_sdk.v1.refunds.create
    part = create({"payment_intent": intent.id, "amount": 1200})
    assert (part.status, part.amount) == ("succeeded", 1200)
    with pytest.raises(stripe.InvalidRequestError):
        create({"payment_intent": intent.id, "amount": 800})
    rest = create({"payment_intent": intent.id})
    assert rest.amount == 799
    with pytest.raises(stripe.InvalidRequestError) as caught:
        create({"payment_intent": intent.id})
    assert caught.value.code == "charge_already_refunded"
    listed = stripe_sdk.v1.refunds.list({"payment_intent": intent.id}).data
    assert {each.id for each in listed} == {part.id, rest.id}


def test_a_repeated_key_gets_the_first_answer_and_accepts_no_other_parameters(
    stripe_sdk: Client,
) -> None:
    params: Any = {"amount": 1999, "currency": "usd"}
    options: Any = {"idempotency_key": new_key()}
    create = stripe_sdk.v1.payment_intents.create
    first, again = create(params, options), create(params, options)
    assert first.id == again.id
    assert again.last_response is not None
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError):
        create(params | {"amount": 2000}, options)


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"amount": 1}, "amount", "amount_too_small"),
        ({"amount": 100_000_000}, "amount", "amount_too_large"),
        ({"payment_method": "pm_nobody"}, "payment_method", "resource_missing"),
        ({"customer": "cus_nobody"}, "customer", "resource_missing"),
        ({"nonsense": "1"}, "nonsense", "parameter_unknown"),
    ],
)
def test_a_wrong_parameter_is_named(
    stripe_sdk: Client, changes: dict[str, Any], param: str, code: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        pay_by_card(stripe_sdk, **changes)
    assert caught.value.http_status == 400
    assert (caught.value.param, caught.value.code) == (param, code)


def test_a_missing_object_is_not_found(stripe_sdk: Client) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stripe_sdk.v1.payment_intents.retrieve("pi_nobody")
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


def test_a_wrong_key_is_refused(stripe_at: StripeAt) -> None:
    stranger = stripe_client(StripeAt(stripe_at.base, "sk_live_nobody"))
    with pytest.raises(stripe.AuthenticationError):
        stranger.v1.payment_intents.list()


def test_yen_have_no_decimals(stripe_sdk: Client) -> None:
    intent = pay_by_card(stripe_sdk, currency="jpy", amount=1999)
    assert (intent.amount_received, intent.currency) == (1999, "jpy")


def test_lists_are_newest_first(stripe_sdk: Client) -> None:
    mark = new_key()
    made = [pay_by_card(stripe_sdk, metadata={"mark": mark}).id for _ in range(3)]
    listed = stripe_sdk.v1.payment_intents.list({"limit": 100}).data
    ours = [each.id for each in listed if each.metadata.to_dict().get("mark") == mark]
    assert ours == made[::-1]


def test_a_saved_method_pays_off_session_and_one_that_was_not_saved_pays_once(
    stripe_sdk: Client,
) -> None:
    ada = stripe_sdk.v1.customers.create({"email": "ada@example.com"}).id
    saved = method_of(
        pay_by_card(stripe_sdk, customer=ada, setup_future_usage="off_session")
    )
    again = pay_by_card(stripe_sdk, saved, customer=ada, off_session=True)
    assert again.status == "succeeded"
    listed = stripe_sdk.v1.payment_methods.list({"customer": ada}).data
    assert [each.id for each in listed] == [saved]
    once = method_of(pay_by_card(stripe_sdk))
    with pytest.raises(stripe.InvalidRequestError):
        pay_by_card(stripe_sdk, once)


def test_a_card_that_wants_authentication_is_declined_off_session(
    stripe_sdk: Client,
) -> None:
    ada = stripe_sdk.v1.customers.create({"email": "ada@example.com"}).id
    card = "pm_card_authenticationRequired"
    saved = stripe_sdk.v1.payment_methods.attach(card, {"customer": ada})
    with pytest.raises(stripe.CardError) as caught:
        pay_by_card(stripe_sdk, saved.id, customer=ada, off_session=True)
    assert caught.value.code == "authentication_required"


def test_a_dispute_takes_the_amount_and_a_fee(stripe_sdk: Client) -> None:
    intent = pay_by_card(stripe_sdk, "pm_card_createDispute")
    [dispute] = eventually(
        lambda: stripe_sdk.v1.disputes.list({"payment_intent": intent.id}).data,
        "the charge is disputed",
    )
    assert (dispute.amount, dispute.reason) == (1999, "fraudulent")
    assert dispute.status == "needs_response"
    charge = stripe_sdk.v1.charges.retrieve(str(dispute.charge))
    assert charge.disputed
    for line in dispute.balance_transactions:
        assert (line.amount, line.reporting_category) == (-1999, "dispute")
        assert line.fee > 0


def test_events_of_a_payment_have_all_of_its_fields(stripe_sdk: Client) -> None:
    intent = pay_by_card(stripe_sdk)

    def find_events() -> list[dict[str, Any]]:
        events = stripe_sdk.v1.events.list(
            {"type": "payment_intent.succeeded", "limit": 100}
        ).data
        shown = [event.to_dict()["data"]["object"] for event in events]
        return [each for each in shown if each["id"] == intent.id]

    [shown] = eventually(find_events, "the event is listed")
    assert (shown["status"], shown["amount_received"]) == ("succeeded", 1999)
