"""Drifts of the books, the API after them, and impossible drifts."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import stripe

from tests.support.simulator_process import (
    PayPalCaller,
    Simulator,
    captures_of,
    new_key,
    pay_by_card,
    simulator,
)


@pytest.fixture(scope="module")
def drifting() -> Iterator[dict[str, Simulator]]:
    """Simulators of this module's own."""
    with simulator("stripe") as first, simulator("paypal") as second:
        yield {"stripe": first, "paypal": second}


def drift(one: Simulator, **fields: object) -> str:
    """Plants a drift and returns the id of its object."""
    answer = one.post("/_drift", fields)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_stripes_books_drift(drifting: dict[str, Simulator]) -> None:
    simulated = drifting["stripe"]
    client = stripe.StripeClient(
        f"sk_test_{uuid.uuid4().hex}", base_addresses={"api": simulated.url}
    )
    paid = pay_by_card(client)
    refund = client.v1.refunds.create({"payment_intent": paid.id, "amount": 500})

    unknown = drift(simulated, do="unknown_charge", amount=77)
    assert client.v1.charges.retrieve(unknown).amount_captured == 77

    changed = drift(simulated, do="change_amount", id=paid.id, amount=2099)
    assert changed == paid.latest_charge
    assert client.v1.payment_intents.retrieve(paid.id).amount_received == 2099

    lines = client.v1.balance_transactions.list()
    assert [line.amount for line in lines.data] == [77, -500, 2099]
    assert drift(simulated, do="lose_refund") == refund.id
    assert client.v1.refunds.list({"payment_intent": paid.id}).data == []
    lines = client.v1.balance_transactions.list()
    assert [line.amount for line in lines.data] == [77, 2099]
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.retrieve(refund.id)


def test_paypals_books_drift(drifting: dict[str, Simulator]) -> None:
    simulated = drifting["paypal"]
    caller = PayPalCaller(simulated)
    order = caller.order().json()
    capture = f"/v2/payments/captures/{captures_of(order)[0]['id']}"
    refund = caller.call("POST", f"{capture}/refund", {}, key=new_key()).json()["id"]

    unknown = drift(simulated, do="unknown_charge", amount=77)
    read = caller.call("GET", f"/v2/payments/captures/{unknown}").json()
    assert read["amount"]["value"] == "0.77"

    drift(simulated, do="change_amount", id=order["id"], amount=2099)
    assert caller.call("GET", capture).json()["amount"]["value"] == "20.99"

    assert drift(simulated, do="lose_refund", id=refund) == refund
    assert caller.call("GET", f"/v2/payments/refunds/{refund}").status_code == 404
    assert caller.call("GET", capture).json()["status"] == "COMPLETED"


@pytest.mark.parametrize("name", ["stripe", "paypal"])
@pytest.mark.parametrize(
    "fields",
    [
        [],
        {"do": "steal"},
        {"do": "unknown_charge"},
        {"do": "unknown_charge", "amount": 0},
        {"do": "change_amount", "id": "none", "amount": 1},
        {"do": "change_amount", "id": 7, "amount": 1},
        {"do": "lose_refund", "id": "none"},
    ],
)
def test_an_impossible_drift_is_refused_and_changes_nothing(
    drifting: dict[str, Simulator], name: str, fields: object
) -> None:
    before = drifting[name].get("/_ledger")
    answer = drifting[name].post("/_drift", fields)
    assert answer.status_code == 400 and answer.json()["error"]
    assert drifting[name].get("/_ledger") == before


def test_stripes_lists_are_never_late(drifting: dict[str, Simulator]) -> None:
    late = drifting["stripe"].post("/_drift", {"do": "report_late", "seconds": 1})
    assert late.status_code == 400
