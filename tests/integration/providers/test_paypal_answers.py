"""Tests of the answers parsed from PayPal's orders."""

from __future__ import annotations

from typing import Any

import pytest

from domain.errors import OutcomeUnknown
from domain.money import Money
from domain.payments.answer import NextAction, Verdict
from providers.paypal.adapter import PayPal
from tests.suites.accounts import a_payment, written_down
from tests.support.simulator_control import Simulator

DEBUG_ID = {"PayPal-Debug-Id": "f0canned"}


def capture(status: str, **fields: Any) -> dict[str, Any]:
    """A capture of 19.99 USD."""
    amount = {"currency_code": "USD", "value": "19.99"}
    return {"id": "2CAPTURE", "status": status, "amount": amount, **fields}


def order(status: str, *captures: object, **fields: Any) -> dict[str, Any]:
    """An order of one purchase unit with its captures."""
    unit: dict[str, Any] = {"reference_id": "default"}
    if captures:
        unit["payments"] = {"captures": list(captures)}
    return {"id": "1ORDER", "status": status, "purchase_units": [unit], **fields}


def test_a_captured_order_says_what_moved_and_where(
    paypal: PayPal, paypal_simulator: Simulator
) -> None:
    payment = written_down(paypal, a_payment(method="vault_ok"))
    answer = paypal.send(payment)
    [row] = paypal_simulator.movements(payment)
    ours = {"custom_id": payment.id, "invoice_id": payment.first_operation.id}
    assert answer.verdict is Verdict.SUCCEEDED
    assert answer.moved == Money(1999, "USD")
    assert answer.refs["capture"] == row["id"]
    assert set(answer.refs) == {"order", "capture"}
    assert (answer.request_id or "").startswith("f")
    assert (answer.failure, answer.next_action, answer.waiting_for) == (None,) * 3
    assert (row["kind"], row["amount"], row["currency"]) == ("charge", 1999, "USD")
    assert row["metadata"] == ours


def test_an_order_without_a_token_names_the_page_where_the_payer_approves_it(
    paypal: PayPal, paypal_simulator: Simulator
) -> None:
    payment = written_down(
        paypal, a_payment(method=None, return_url="https://shop.test/back")
    )
    answer = paypal.send(payment)
    assert answer.verdict is Verdict.ACTION_REQUIRED
    page = f"{paypal_simulator.url}/checkoutnow?token={answer.refs['order']}"
    assert answer.next_action == NextAction(page)
    assert answer.waiting_for == "the payer to approve the order"
    assert paypal_simulator.movements(payment) == []


def test_a_capture_under_review_is_pending_with_its_reason(
    paypal: PayPal, paypal_simulator: Simulator
) -> None:
    payment = written_down(paypal, a_payment(method="vault_pending"))
    answer = paypal.send(payment)
    assert answer.verdict is Verdict.PENDING
    assert answer.moved is None
    assert "PENDING_REVIEW" in (answer.waiting_for or "")
    assert set(answer.refs) == {"order", "capture"}
    assert paypal_simulator.movements(payment) == []


def test_a_completed_order_whose_capture_was_declined_is_declined(
    paypal: PayPal, paypal_simulator: Simulator
) -> None:
    payment = written_down(paypal, a_payment(method="vault_capture_declined"))
    answer = paypal.send(payment)
    assert answer.verdict is Verdict.DECLINED
    assert answer.moved is None
    assert answer.failure is not None
    assert answer.failure.code == "capture_declined"
    assert answer.failure.provider_request_id == answer.request_id
    assert paypal_simulator.movements(payment) == []


@pytest.mark.parametrize("rel", ["approve", "payer-action"])
def test_either_link_that_paypal_has_for_it_leads_the_payer(
    paypal: PayPal, paypal_simulator: Simulator, rel: str
) -> None:
    links = [
        {"rel": "self", "href": "https://api.paypal.test/1ORDER"},
        {"rel": rel, "href": "https://paypal.test/pay"},
    ]
    paypal_simulator.arm_answer(201, order("CREATED", links=links))
    answer = paypal.send(written_down(paypal, a_payment(method=None)))
    assert answer.next_action == NextAction("https://paypal.test/pay")


@pytest.mark.parametrize(
    ("status", "verdict", "moved"),
    [
        ("COMPLETED", Verdict.SUCCEEDED, Money(1999, "USD")),
        ("PENDING", Verdict.PENDING, None),
        ("DECLINED", Verdict.DECLINED, None),
    ],
)
@pytest.mark.parametrize("details", [{}, {"status_details": None}])
def test_a_capture_that_gives_no_reason_is_read_all_the_same(
    paypal: PayPal,
    paypal_simulator: Simulator,
    status: str,
    verdict: Verdict,
    moved: Money | None,
    details: dict[str, Any],
) -> None:
    said = order("COMPLETED", capture(status, **details))
    paypal_simulator.arm_answer(201, said, DEBUG_ID)
    answer = paypal.send(written_down(paypal, a_payment(method="vault_ok")))
    assert answer.verdict is verdict
    assert answer.moved == moved
    assert answer.refs == {"order": "1ORDER", "capture": "2CAPTURE"}
    assert answer.request_id == "f0canned"


def test_the_reason_of_a_declined_capture_is_kept_in_small_letters_as_all_codes_are(
    paypal: PayPal, paypal_simulator: Simulator
) -> None:
    declined = capture("DECLINED", status_details={"reason": "DECLINED_BY_RISK"})
    paypal_simulator.arm_answer(201, order("COMPLETED", declined))
    answer = paypal.send(written_down(paypal, a_payment(method="vault_ok")))
    assert answer.failure is not None
    assert answer.failure.decline_code == "declined_by_risk"


@pytest.mark.parametrize(
    "said", [order("LEVITATING"), order("COMPLETED", capture("LEVITATING"))]
)
def test_an_unrecognized_status_is_neither_success_nor_failure(
    paypal: PayPal, paypal_simulator: Simulator, said: object
) -> None:
    paypal_simulator.arm_answer(201, said, DEBUG_ID)
    with pytest.raises(OutcomeUnknown) as caught:
        paypal.send(written_down(paypal, a_payment(method="vault_ok")))
    assert caught.value.detail == "unrecognised_status"
    assert caught.value.request_id == "f0canned"


@pytest.mark.parametrize(
    "said",
    [
        "<html>OK</html>",
        "",
        "null",
        "[]",
        "{}",
        {"id": "1ORDER", "status": "COMPLETED"},
        order("COMPLETED"),
        order("COMPLETED", "not an object"),
        order("COMPLETED", {"id": "2CAPTURE", "status": "COMPLETED"}),
        order("COMPLETED", capture("COMPLETED", amount={"value": "19.99"})),
        order(
            "COMPLETED",
            capture("COMPLETED", amount={"value": "1,99", "currency_code": "USD"}),
        ),
        order(
            "COMPLETED",
            capture("COMPLETED", amount={"value": "19.999", "currency_code": "USD"}),
        ),
        order(
            "COMPLETED",
            capture("COMPLETED", amount={"value": 19.99, "currency_code": "USD"}),
        ),
        order("COMPLETED", capture("DECLINED", status_details="none")),
        order("CREATED", links=[{"rel": "approve"}]),
        order("CREATED", links="none"),
        {**order("COMPLETED"), "purchase_units": []},
    ],
)
def test_a_success_that_can_not_be_read_leaves_the_outcome_unknown(
    paypal: PayPal, paypal_simulator: Simulator, said: object
) -> None:
    paypal_simulator.arm_answer(201, said)
    payment = written_down(paypal, a_payment(method="vault_ok"))
    with pytest.raises(OutcomeUnknown) as caught:
        paypal.send(payment)
    assert caught.value.detail == "malformed_answer"
    assert paypal.send(payment).verdict is Verdict.SUCCEEDED
    assert len(paypal_simulator.movements(payment)) == 1
