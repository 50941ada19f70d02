"""Customers and saved payment methods at the simulated Stripe, by Stripe's own SDK."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import stripe

from tests.support.simulator_process import PATIENCE, Simulator, pay_by_card


def customer(client: stripe.StripeClient, **params: Any) -> str:
    """Make a customer and return its id."""
    wanted: Any = {"email": "ada@example.com", "name": "Ada", **params}
    return client.v1.customers.create(wanted).id


def method_of(intent: stripe.PaymentIntent) -> str:
    """Return the id of the method that an intent was paid with."""
    assert isinstance(intent.payment_method, str)
    return intent.payment_method


def test_a_method_saved_by_a_payment_pays_again_off_session(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    ada = customer(stripe_client)
    first = pay_by_card(stripe_client, customer=ada, setup_future_usage="off_session")
    saved = stripe_client.v1.payment_methods.retrieve(method_of(first))
    assert (saved.customer, saved.type) == (ada, "card")
    listed = stripe_client.v1.payment_methods.list({"customer": ada, "type": "card"})
    assert [each.id for each in listed.data] == [saved.id]
    for _ in range(2):
        again = pay_by_card(stripe_client, saved.id, customer=ada, off_session=True)
        assert (again.status, again.payment_method) == ("succeeded", saved.id)
        assert len(stripe_simulator.movements(id=again.id)) == 1


def test_an_unsaved_method_pays_once(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    used = method_of(pay_by_card(stripe_client))
    moved = len(stripe_simulator.movements())
    with pytest.raises(stripe.InvalidRequestError, match="previously used") as caught:
        pay_by_card(stripe_client, used)
    assert caught.value.code == "payment_method_unexpected_state"
    with pytest.raises(stripe.InvalidRequestError, match="previously used"):
        stripe_client.v1.payment_methods.attach(
            used, {"customer": customer(stripe_client)}
        )
    assert len(stripe_simulator.movements()) == moved


def test_a_method_saved_without_a_customer_can_still_be_attached(
    stripe_client: stripe.StripeClient,
) -> None:
    used = method_of(pay_by_card(stripe_client, setup_future_usage="off_session"))
    ada = customer(stripe_client)
    attached = stripe_client.v1.payment_methods.attach(used, {"customer": ada})
    assert (attached.id, attached.customer) == (used, ada)
    again = pay_by_card(stripe_client, used, customer=ada, off_session=True)
    assert again.status == "succeeded"


def test_a_saved_method_belongs_to_its_customer_until_it_is_detached(
    stripe_client: stripe.StripeClient,
) -> None:
    ada, other = customer(stripe_client), customer(stripe_client, name="Bert")
    saved = stripe_client.v1.payment_methods.attach("pm_card_visa", {"customer": ada})
    with pytest.raises(stripe.InvalidRequestError, match="belongs to a Customer"):
        pay_by_card(stripe_client, saved.id)
    with pytest.raises(stripe.InvalidRequestError, match="does not belong"):
        pay_by_card(stripe_client, saved.id, customer=other)
    with pytest.raises(stripe.InvalidRequestError, match="already been attached"):
        stripe_client.v1.payment_methods.attach(saved.id, {"customer": other})
    assert stripe_client.v1.payment_methods.detach(saved.id).customer is None
    assert stripe_client.v1.payment_methods.list({"customer": ada}).data == []
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
        pay_by_card(stripe_client, saved.id, customer=ada)


def test_a_card_that_always_wants_authentication_is_declined_off_session(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    ada = customer(stripe_client)
    saved = stripe_client.v1.payment_methods.attach(
        "pm_card_authenticationRequired", {"customer": ada}
    )
    with pytest.raises(stripe.CardError) as caught:
        pay_by_card(stripe_client, saved.id, customer=ada, off_session=True)
    error: Any = caught.value.error
    assert (error.code, error.decline_code) == ("authentication_required",) * 2
    assert error.payment_method.id == saved.id
    assert stripe_simulator.movements(id=error.payment_intent.id) == []
    # The payer comes back, authenticates, and the same method pays.
    intent: Any = stripe_client.v1.payment_intents.confirm(
        error.payment_intent.id,
        {"payment_method": saved.id, "return_url": "https://shop.example/done"},
    )
    assert intent.status == "requires_action"


def test_a_card_that_was_authenticated_while_it_was_saved_pays_off_session(
    stripe_client: stripe.StripeClient,
) -> None:
    ada = customer(stripe_client)
    intent: Any = pay_by_card(
        stripe_client,
        "pm_card_authenticationRequiredOnSetup",
        customer=ada,
        setup_future_usage="off_session",
    )
    assert intent.status == "requires_action"
    saved = method_of(intent)
    with pytest.raises(stripe.InvalidRequestError):
        pay_by_card(stripe_client, saved, off_session=True, customer="cus_nobody")
    requests.post(
        intent.next_action.redirect_to_url.url,
        json={"outcome": "succeed"},
        timeout=PATIENCE,
    )
    again = pay_by_card(stripe_client, saved, customer=ada, off_session=True)
    assert again.status == "succeeded"


def test_customers_are_read_and_listed_and_send_events(
    stripe_client: stripe.StripeClient, stripe_simulator: Simulator
) -> None:
    ada = customer(stripe_client, metadata={"shop": "7"}, payment_method="pm_card_visa")
    read = stripe_client.v1.customers.retrieve(ada)
    assert (read.email, read.name) == ("ada@example.com", "Ada")
    assert read.metadata is not None and read.metadata["shop"] == "7"
    bert = customer(stripe_client, email="bert@example.com")
    assert [each.id for each in stripe_client.v1.customers.list().data] == [bert, ada]
    found = stripe_client.v1.customers.list({"email": "ada@example.com"}).data
    assert [each.id for each in found] == [ada]
    types = [event.type for event in stripe_client.v1.events.list().data]
    assert types == ["customer.created", "payment_method.attached", "customer.created"]
    with pytest.raises(stripe.InvalidRequestError) as caught:
        pay_by_card(stripe_client, customer="cus_nobody")
    assert (caught.value.code, caught.value.param) == ("resource_missing", "customer")
    stranger = stripe_simulator.stripe_sdk("sk_test_stranger")
    with pytest.raises(stripe.InvalidRequestError):
        stranger.v1.customers.retrieve(ada)
