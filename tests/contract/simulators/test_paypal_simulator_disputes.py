"""Disputes at the simulated PayPal: inquiries, claims and their money."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.simulator_process import (
    PayPalCaller,
    Receiver,
    captures_of,
    eventually,
    issue_of,
    new_key,
    simulator,
)

DISPUTES = "/v1/customer/disputes"


def open_dispute(paypal: PayPalCaller, **wanted: object) -> dict[str, Any]:
    """Open a dispute by the control call."""
    answer = paypal.simulator.post("/_disputes", wanted)
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def move_dispute(paypal: PayPalCaller, id: str, status: str) -> dict[str, Any]:
    """Move a dispute on by the control call."""
    answer = paypal.simulator.post(f"/_disputes/{id}", {"status": status})
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def test_a_claim_is_listed_and_read_with_its_capture(
    paypal: PayPalCaller,
) -> None:
    order = paypal.order(custom_id="op-1", invoice_id=new_key()).json()
    [capture] = captures_of(order)
    opened = open_dispute(paypal, capture=capture["id"])
    assert (opened["status"], opened["dispute_state"]) == (
        "WAITING_FOR_SELLER_RESPONSE",
        "REQUIRED_ACTION",
    )
    read = paypal.call("GET", f"{DISPUTES}/{opened['dispute_id']}").json()
    assert read == opened
    assert (read["reason"], read["dispute_life_cycle_stage"]) == (
        "UNAUTHORISED",
        "CHARGEBACK",
    )
    assert read["dispute_amount"] == {"currency_code": "USD", "value": "19.99"}
    [transaction] = read["disputed_transactions"]
    assert transaction["seller_transaction_id"] == capture["id"]
    assert transaction["custom"] == "op-1"
    assert "seller_response_due_date" in read
    listed = paypal.call("GET", DISPUTES).json()
    assert [each["dispute_id"] for each in listed["items"]] == [opened["dispute_id"]]
    stranger = PayPalCaller(paypal.simulator)
    assert stranger.call("GET", DISPUTES).json()["items"] == []
    path = f"{DISPUTES}/{opened['dispute_id']}"
    assert stranger.call("GET", path).status_code == 404


@pytest.mark.parametrize(
    ("status", "outcome", "kinds", "capture_status"),
    [
        ("won", "RESOLVED_SELLER_FAVOUR", [], "COMPLETED"),
        ("lost", "RESOLVED_BUYER_FAVOUR", ["withdraw"], "REFUNDED"),
    ],
)
def test_only_a_lost_dispute_takes_the_money_by_a_reversal(
    paypal: PayPalCaller,
    status: str,
    outcome: str,
    kinds: list[str],
    capture_status: str,
) -> None:
    [capture] = captures_of(paypal.order().json())
    id = open_dispute(paypal, capture=capture["id"])["dispute_id"]
    path = f"/v2/payments/captures/{capture['id']}"
    refused = paypal.call("POST", f"{path}/refund", key=new_key())
    assert issue_of(refused) == "REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK"
    assert move_dispute(paypal, id, "UNDER_REVIEW")["status"] == "UNDER_REVIEW"
    moved = move_dispute(paypal, id, status)
    assert moved["status"] == "RESOLVED"
    assert moved["dispute_outcome"]["outcome_code"] == outcome
    assert [row["kind"] for row in paypal.simulator.movements(id=id)] == kinds
    assert paypal.call("GET", path).json()["status"] == capture_status
    again = paypal.simulator.post(f"/_disputes/{id}", {"status": "won"})
    assert again.status_code == 400 and "after RESOLVED" in again.json()["error"]


def test_an_inquiry_becomes_a_claim(paypal: PayPalCaller) -> None:
    [capture] = captures_of(paypal.order().json())
    opened = open_dispute(
        paypal,
        capture=capture["id"],
        status="OPEN",
        reason="MERCHANDISE_OR_SERVICE_NOT_RECEIVED",
    )
    assert opened["dispute_life_cycle_stage"] == "INQUIRY"
    moved = move_dispute(paypal, opened["dispute_id"], "WAITING_FOR_SELLER_RESPONSE")
    assert moved["dispute_life_cycle_stage"] == "CHARGEBACK"


def test_disputes_are_paged_newest_first_and_found_by_their_capture(
    paypal: PayPalCaller,
) -> None:
    captures = [captures_of(paypal.order().json())[0]["id"] for _ in range(3)]
    ids = [open_dispute(paypal, capture=each)["dispute_id"] for each in captures]
    first = paypal.call("GET", f"{DISPUTES}?page_size=2").json()
    assert [each["dispute_id"] for each in first["items"]] == ids[:0:-1]
    [following] = [each["href"] for each in first["links"] if each["rel"] == "next"]
    rest = paypal.call("GET", following.removeprefix(paypal.simulator.url)).json()
    assert [each["dispute_id"] for each in rest["items"]] == ids[:1]
    query = f"?disputed_transaction_id={captures[1]}"
    found = paypal.call("GET", DISPUTES + query).json()
    assert [each["dispute_id"] for each in found["items"]] == [ids[1]]
    for wrong in ("page_size=0", "start_time=soon", "next_page_token=none"):
        assert paypal.call("GET", f"{DISPUTES}?{wrong}").status_code == 400


def test_a_capture_is_disputed_once_and_only_when_it_holds_money(
    paypal: PayPalCaller,
) -> None:
    [pending] = captures_of(paypal.order("vault_pending").json())
    [capture] = captures_of(paypal.order().json())
    open_dispute(paypal, capture=capture["id"])
    for body, word in (
        ({"capture": pending["id"]}, "holds no money"),
        ({"capture": capture["id"]}, "disputed already"),
        ({}, "must name a capture"),
    ):
        answer = paypal.simulator.post("/_disputes", body)
        assert answer.status_code == 400 and word in answer.json()["error"]


def test_every_step_of_a_dispute_sends_an_event(receiver: Receiver) -> None:
    with simulator("paypal", "--webhook-url", receiver.url) as running:
        paypal = PayPalCaller(running)
        [capture] = captures_of(paypal.order().json())
        id = open_dispute(paypal, capture=capture["id"])["dispute_id"]
        move_dispute(paypal, id, "UNDER_REVIEW")
        move_dispute(paypal, id, "lost")
        expected = {
            "CUSTOMER.DISPUTE.CREATED",
            "CUSTOMER.DISPUTE.UPDATED",
            "CUSTOMER.DISPUTE.RESOLVED",
            "PAYMENT.CAPTURE.REVERSED",
        }
        eventually(lambda: expected <= set(receiver.types()), "all steps arrive")
        events = [json.loads(body) for _, body in receiver.received]
        [created] = [e for e in events if e["event_type"] == "CUSTOMER.DISPUTE.CREATED"]
        assert created["resource_type"] == "dispute"
        assert created["resource"]["dispute_id"] == id
        [reversal] = [
            e for e in events if e["event_type"] == "PAYMENT.CAPTURE.REVERSED"
        ]
        assert reversal["resource_type"] == "refund"
        path = f"/v2/payments/refunds/{reversal['resource']['id']}"
        assert paypal.call("GET", path).json() == reversal["resource"]


def test_a_dispute_withdrawn_by_the_payer_moves_no_money(paypal: PayPalCaller) -> None:
    [capture] = captures_of(paypal.order().json())
    id = open_dispute(paypal, capture=capture["id"], status="OPEN")["dispute_id"]
    moved = move_dispute(paypal, id, "canceled")
    assert moved["dispute_outcome"] == {"outcome_code": "CANCELED_BY_BUYER"}
    assert paypal.simulator.movements(id=id) == []


def test_a_reversal_without_a_dispute_is_in_the_ledger_and_in_the_reports(
    paypal: PayPalCaller,
) -> None:
    [capture] = captures_of(paypal.order().json())
    answer = paypal.simulator.post("/_reversals", {"capture": capture["id"]})
    assert answer.status_code == 201, answer.text
    taken = answer.json()
    [row] = paypal.simulator.movements(id=taken["id"])
    assert (row["kind"], row["amount"]) == ("withdraw", 1999)
    # An earlier test may have moved the simulator's clock.
    now = datetime.fromisoformat(row["at"])
    query = urlencode(
        {
            "start_date": (now - timedelta(hours=1)).isoformat(timespec="seconds"),
            "end_date": (now + timedelta(hours=1)).isoformat(timespec="seconds"),
        }
    )
    listed = paypal.call("GET", f"/v1/reporting/transactions?{query}").json()
    infos = [one["transaction_info"] for one in listed["transaction_details"]]
    [info] = [one for one in infos if one["transaction_id"] == taken["id"]]
    assert info["transaction_event_code"] == "T1106"
    assert info["paypal_reference_id"] == capture["id"]
    again = paypal.simulator.post("/_reversals", {"capture": capture["id"]})
    assert again.status_code == 400 and "holds no money" in again.json()["error"]
