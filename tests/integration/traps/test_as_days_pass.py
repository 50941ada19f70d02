"""Tests of outcomes that are decided later, by the payer, the bank or the calendar."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import requests

from domain.api_keys import Role
from domain.payments.operation import ABSENCE_PROOF_DELAY
from domain.payments.states import State, Status
from domain.retry import LOOKUP
from tests.support.running_web import RunningWeb
from tests.support.workbench import CHARGES, Workbench

DAY = timedelta(days=1)
#: Longer than the longest wait between two polls.
POLLED = timedelta(hours=2)


def test_paypal_201_with_a_declined_capture_is_no_success(bench: Workbench) -> None:
    payment_id = bench.pay("paypal", payment_method="vault_capture_declined")
    assert bench.work(payment_id).status is Status.FAILED
    assert bench.list_movements(payment_id) == []


def test_paypal_201_with_a_pending_capture_is_no_success(bench: Workbench) -> None:
    payment_id = bench.pay("paypal", payment_method="vault_pending")
    waiting = bench.work(payment_id)
    assert (waiting.status, waiting.captured) == (Status.PROCESSING, 0)
    assert "PayPal" in (waiting.first_operation.waiting_for or "")
    bench.pass_time(2 * DAY)
    assert bench.work(payment_id).status is Status.CAPTURED
    assert bench.list_movements(payment_id) == [("charge", 1999)]


@pytest.mark.parametrize("capture", ["automatic", "manual"])
def test_an_approved_order_is_captured_without_the_browsers_return(
    bench: Workbench, capture: str
) -> None:
    payment_id = _waits_for_approval(bench, capture)
    _approves(bench, payment_id)
    bench.pass_time(POLLED)
    ended = bench.work(payment_id).status
    kind = "charge" if capture == "automatic" else "authorize"
    assert ended is (Status.CAPTURED if kind == "charge" else Status.AUTHORIZED)
    assert bench.list_movements(payment_id) == [(kind, 1999)]
    assert bench.fetch(payment_id)["next_action"] is None


def test_an_approved_order_with_a_lost_answer_is_captured_once(
    bench: Workbench,
) -> None:
    payment_id = _waits_for_approval(bench)
    _approves(bench, payment_id)
    bench.lose_answer("paypal")
    bench.pass_time(POLLED)
    assert bench.work(payment_id).status is Status.CAPTURED
    assert bench.list_movements(payment_id) == [("charge", 1999)]


def test_an_approved_order_whose_capture_never_arrived_expires(
    bench: Workbench,
) -> None:
    payment_id = _waits_for_approval(bench)
    _approves(bench, payment_id)
    bench.step(payment_id)
    bench.paypal.arm(do="drop", match={"method": "POST", "path": CHARGES["paypal"]})
    assert bench.step(payment_id).first_operation.state is State.UNKNOWN
    bench.pass_time(timedelta(hours=3, minutes=1))
    assert (
        bench.work(payment_id).first_operation.state is State.UNKNOWN
    ), "it may be on its way"
    bench.pass_time(ABSENCE_PROOF_DELAY)
    assert bench.work(payment_id).status is Status.EXPIRED
    assert bench.list_movements(payment_id) == []


def test_an_order_forgotten_by_paypal_proves_nothing_by_itself(
    bench: Workbench,
) -> None:
    payment_id = _waits_for_approval(bench)
    _approves(bench, payment_id)
    bench.step(payment_id)
    bench.paypal.arm(do="drop", match={"method": "POST", "path": CHARGES["paypal"]})
    assert bench.step(payment_id).first_operation.state is State.UNKNOWN
    bench.pass_time(timedelta(hours=6))
    assert bench.step(payment_id).first_operation.state is State.UNKNOWN
    assert bench.event_types(payment_id)[-1] == "lookup.answered"
    for _ in range(LOOKUP.min_tries):
        bench.pass_time(DAY)
        state = bench.step(payment_id).first_operation.state
        if state is State.REVIEW:
            break
    assert state is State.REVIEW


@pytest.mark.parametrize("capture", ["automatic", "manual"])
def test_an_order_with_a_lost_answer_still_asks_its_payer(
    bench: Workbench, capture: str
) -> None:
    bench.lose_answer("paypal")
    payment_id = _waits_for_approval(bench, capture)
    assert bench.event_types(payment_id).count("attempt.sent") == 2
    _approves(bench, payment_id)
    bench.pass_time(POLLED)
    kind = "charge" if capture == "automatic" else "authorize"
    assert bench.work(payment_id).first_operation.moved == 1999
    assert bench.list_movements(payment_id) == [(kind, 1999)]


def test_an_unapproved_order_expires(bench: Workbench) -> None:
    payment_id = _waits_for_approval(bench)
    bench.pass_time(timedelta(hours=4))
    assert bench.work(payment_id).status is Status.EXPIRED
    assert bench.list_movements(payment_id) == []


@pytest.mark.parametrize(
    ("outcome", "status"), [("succeed", Status.CAPTURED), ("fail", Status.FAILED)]
)
def test_a_3d_secure_payment_ends_without_the_browsers_return(
    bench: Workbench, outcome: str, status: Status
) -> None:
    payment_id = bench.pay(
        payment_method="pm_card_authenticationRequired",
        return_url="https://shop.example/back",
    )
    assert bench.work(payment_id).status is Status.REQUIRES_ACTION
    page = bench.fetch(payment_id)["next_action"]["url"]
    assert requests.post(page, json={"outcome": outcome}, timeout=10).ok
    bench.pass_time(POLLED)
    assert bench.work(payment_id).status is status
    moved = [("charge", 1999)] if status is Status.CAPTURED else []
    assert bench.list_movements(payment_id) == moved


def test_a_3d_secure_payment_without_a_return_url_has_advice_and_can_be_voided(
    bench: Workbench,
) -> None:
    payment_id = bench.pay(payment_method="pm_card_authenticationRequired")
    assert bench.work(payment_id).status is Status.REQUIRES_ACTION
    shown = bench.fetch(payment_id)
    assert shown["next_action"] is None
    assert shown["last_error"]["code"] == "return_url_missing"
    assert bench.request(payment_id, "void").status_code == 202
    assert bench.work(payment_id).status is Status.CANCELED
    assert bench.list_movements(payment_id) == []


def test_a_voucher_shows_its_page_and_is_paid_days_later(bench: Workbench) -> None:
    """A voucher needs no return_url."""
    payment_id = bench.pay(payment_method="pm_oxxo", currency="MXN")
    waiting = bench.work(payment_id)
    assert waiting.status is Status.REQUIRES_ACTION
    shown = bench.fetch(payment_id)
    intent = waiting.refs["payment_intent"]
    assert shown["next_action"] == {
        "type": "instructions",
        "url": f"https://payments.stripe.com/oxxo/voucher/{intent}",
    }
    assert shown["last_error"] is None
    _end_voucher(bench, payment_id, "succeed")
    assert bench.stored(payment_id).status is Status.CAPTURED
    assert bench.fetch(payment_id)["next_action"] is None
    assert bench.list_movements(payment_id) == [("charge", 1999)]


def test_an_expired_voucher_expires_its_payment(bench: Workbench) -> None:
    payment_id = bench.pay(payment_method="pm_oxxo", currency="MXN")
    bench.work(payment_id)
    _end_voucher(bench, payment_id, "fail")
    shown = bench.fetch(payment_id)
    assert (shown["status"], shown["next_action"]) == ("expired", None)
    error = shown["last_error"]
    assert (error["code"], error["retryable"]) == ("instructions_expired", True)
    assert shown["operations"][0]["state"] == "expired"
    assert bench.list_movements(payment_id) == []


def _end_voucher(bench: Workbench, payment_id: str, outcome: str) -> None:
    """Two days later the payer has paid, or the voucher has expired."""
    bench.pass_time(2 * DAY)
    intent = bench.stored(payment_id).refs["payment_intent"]
    paying = f"{bench.stripe.url}/_stripe/authorize/{intent}"
    assert requests.post(paying, json={"outcome": outcome}, timeout=10).ok
    bench.pass_time(DAY)
    bench.work(payment_id)


def test_a_payment_without_its_payer_can_be_voided(bench: Workbench) -> None:
    payment_id = bench.pay(
        payment_method="pm_card_authenticationRequired",
        return_url="https://shop.example/back",
    )
    page = bench.work(payment_id).next_action
    assert page is not None
    assert bench.request(payment_id, "void").status_code == 202
    assert bench.request(payment_id, "void").json()["reason"] == "void_under_way"
    assert bench.work(payment_id).status is Status.CANCELED
    requests.post(page.url, json={"outcome": "succeed"}, timeout=10)
    assert bench.list_movements(payment_id) == []


def test_a_payer_who_agrees_before_the_void_has_paid(bench: Workbench) -> None:
    payment_id = bench.pay(
        payment_method="pm_card_authenticationRequired",
        return_url="https://shop.example/back",
    )
    page = bench.work(payment_id).next_action
    assert page is not None
    assert bench.request(payment_id, "void").status_code == 202
    assert requests.post(page.url, json={"outcome": "succeed"}, timeout=10).ok
    ended = bench.work(payment_id)
    assert ended.operations[-1].state is State.DECLINED
    assert ended.status is Status.CAPTURED, "its charge is looked up at once"
    assert bench.list_movements(payment_id) == [("charge", 1999)]


def test_a_payment_being_authenticated_during_a_void_is_looked_up_at_once(
    bench: Workbench,
) -> None:
    """The void needs review: the intent is neither paid nor cancelable."""
    payment_id = bench.pay(
        payment_method="pm_card_authenticationRequired",
        return_url="https://shop.example/back",
    )
    intent = bench.work(payment_id).refs["payment_intent"]
    assert bench.request(payment_id, "void").status_code == 202
    fields = {"status": "processing", "next_action": None}
    wanted = {"do": "overwrite", "id": intent, "fields": fields}
    assert bench.stripe.post("/_drift", wanted).status_code == 201
    ended = bench.work(payment_id)
    assert ended.operations[-1].state is State.REVIEW
    assert (ended.first_operation.state, ended.next_action) == (State.PENDING, None)


def test_a_void_that_is_refused_leaves_the_payer_their_page(bench: Workbench) -> None:
    payment_id = bench.pay(
        payment_method="pm_card_authenticationRequired",
        return_url="https://shop.example/back",
    )
    page = bench.work(payment_id).next_action
    assert bench.request(payment_id, "void").status_code == 202
    refusal = {"error": {"type": "invalid_request_error", "message": "No."}}
    bench.stripe.arm(
        do="answer",
        status=400,
        body=refusal,
        match={"method": "POST", "path": "/v1/payment_intents"},
    )
    refused = bench.step(payment_id)
    assert refused.operations[-1].state is State.REJECTED
    looked_up = bench.step(payment_id)
    assert bench.event_types(payment_id)[-1] == "lookup.answered"
    for one in (refused, looked_up):
        assert (one.status, one.next_action) == (Status.REQUIRES_ACTION, page)


@pytest.mark.parametrize("agrees", [False, True])
def test_a_voided_order_is_never_captured(bench: Workbench, agrees: bool) -> None:
    payment_id = _waits_for_approval(bench)
    page = bench.fetch(payment_id)["next_action"]["url"]
    assert bench.request(payment_id, "void").status_code == 202
    assert bench.fetch(payment_id)["status"] == "canceled"
    if agrees:
        requests.post(
            page, data={"outcome": "approve"}, allow_redirects=False, timeout=10
        )
    bench.pass_time(POLLED)
    assert bench.work(payment_id).status is Status.CANCELED
    assert bench.list_movements(payment_id) == []


def test_a_bank_debit_is_pending_for_days(bench: Workbench) -> None:
    payment_id = bench.pay(payment_method="pm_usBankAccount_success")
    waiting = bench.work(payment_id)
    assert (waiting.first_operation.state, waiting.captured) == (State.PENDING, 0)
    bench.pass_time(5 * DAY)
    assert bench.work(payment_id).status is Status.CAPTURED
    assert bench.list_movements(payment_id) == [("charge", 1999)]


def test_a_refund_of_a_charge_that_was_resolved_without_a_reference_is_refused(
    bench: Workbench, web: RunningWeb
) -> None:
    payment_id = bench.pay("paypal")
    path = {"path": "/v2/checkout/orders"}
    bench.paypal.arm(do="replay_500", when="after", match=path)
    review = bench.work(payment_id)
    assert review.first_operation.state is State.REVIEW
    [row] = bench.paypal.movements(kind="charge")
    operator = web.client(Role.OPERATOR)

    def resolve(**found: object) -> requests.Response:
        body = {
            "operation": review.first_operation.id,
            "as": "succeeded",
            "reason": "seen there",
        }
        where = f"/v1/operations/payments/{payment_id}/resolve"
        text = json.dumps({**body, **found})
        return operator.send("POST", where, text, Content_Type="application/json")

    done = resolve(amount=1500)
    assert done.status_code == 200, done.text
    [shown] = done.json()["operations"]
    assert (shown["amount"], done.json()["amount_captured"]) == (1500, 1500)
    before = bench.stored(payment_id)
    refused = bench.request(payment_id, "refunds")
    assert refused.status_code == 409
    problem = refused.json()
    assert problem["reason"] == "provider_reference_unknown"
    assert review.first_operation.id in problem["detail"]
    assert bench.stored(payment_id) == before
    assert resolve(provider_reference=row["id"], amount=1499).status_code == 422
    named = resolve(provider_reference=row["id"])
    assert named.status_code == 200, named.text
    assert bench.request(payment_id, "refunds").status_code == 202
    after = bench.work(payment_id)
    assert (after.status, after.refunded) == (Status.REFUNDED, 1500)
    assert [one["amount"] for one in bench.paypal.movements(kind="refund")] == [1500]


def test_a_charge_resolved_with_a_reference_can_be_refunded(
    bench: Workbench, web: RunningWeb
) -> None:
    """PayPal took the money by an order whose id is unknown to us."""
    payment_id = bench.pay("paypal")
    path = {"path": "/v2/checkout/orders"}
    bench.paypal.arm(do="replay_500", when="after", match=path)
    review = bench.work(payment_id)
    assert review.first_operation.state is State.REVIEW
    [row] = bench.paypal.movements(kind="charge")
    operator = web.client(Role.OPERATOR)

    def resolve(**found: object) -> requests.Response:
        body = {
            "operation": review.first_operation.id,
            "as": "succeeded",
            "reason": "seen there",
        }
        where = f"/v1/operations/payments/{payment_id}/resolve"
        text = json.dumps({**body, **found})
        return operator.send("POST", where, text, Content_Type="application/json")

    for wrong in (
        {"provider_reference": "pi_3NirD82eZvKYlo2C"},
        {"provider_reference": row["id"].lower()},
        {"amount": 2000},
        {"amount": 0},
        {"as": "declined", "provider_reference": row["id"]},
    ):
        refused = resolve(**wrong)
        assert refused.status_code == 422, refused.text
    assert bench.stored(payment_id) == review
    done = resolve(provider_reference=row["id"], amount=1999)
    assert done.status_code == 200, done.text
    assert done.json()["provider_refs"] == {"capture": row["id"]}
    events = bench.shop.get(f"/v1/payments/{payment_id}/events").json()["data"]
    data = events[-1]["data"]
    assert (data["ref"], data["amount"]) == (row["id"], 1999)
    assert (data["by"], data["reason"]) == (operator.key.id, "seen there")
    assert bench.request(payment_id, "refunds", amount=700).status_code == 202
    after = bench.work(payment_id)
    assert (after.refunded, after.operations[1].state) == (700, State.SUCCEEDED)
    assert [one["amount"] for one in bench.paypal.movements(kind="refund")] == [700]


def test_a_payer_action_answered_to_an_unknown_send_starts_no_new_attempt(
    bench: Workbench,
) -> None:
    payment_id = bench.pay("paypal")
    path = {"method": "POST", "path": "/v2/checkout/orders"}
    bench.paypal.arm(do="replay_500", when="after", match=path)
    link = {"rel": "payer-action", "href": "https://paypal.test/checkoutnow?token=B"}
    body = {
        "name": "UNPROCESSABLE_ENTITY",
        "details": [{"issue": "PAYER_ACTION_REQUIRED"}],
        "links": [link],
    }
    bench.paypal.arm(do="answer", status=422, body=body, match=path)
    assert bench.work(payment_id).first_operation.state is State.REVIEW
    assert bench.list_movements(payment_id) == [("charge", 1999)]


def test_a_refund_that_fails_later_is_declined(bench: Workbench) -> None:
    payment_id = bench.complete_payment("paypal", payment_method="vault_refund_failed")
    assert bench.request(payment_id, "refunds").status_code == 202
    assert bench.work(payment_id).operations[-1].state is State.PENDING
    assert bench.request(payment_id, "refunds").status_code == 409, "it is reserved"
    bench.pass_time(4 * DAY)
    after = bench.work(payment_id)
    assert after.operations[-1].state is State.DECLINED
    assert (after.status, after.refunded) == (Status.CAPTURED, 0)
    assert bench.request(payment_id, "refunds").status_code == 202
    assert [kind for kind, _ in bench.list_movements(payment_id)] == ["charge"]


@pytest.mark.parametrize(
    ("name", "days", "warned"), [("stripe", 7, [6]), ("paypal", 29, [3, 28])]
)
def test_an_authorization_expires_after_warnings(
    bench: Workbench, name: str, days: int, warned: list[int]
) -> None:
    """PayPal's also has a warning before the end of the days it honours."""
    payment_id, warning_days = (
        bench.complete_payment(name, capture="manual"),
        list[int](),
    )
    for day in range(1, days):
        bench.pass_time(DAY)
        bench.work(payment_id)
        warnings = bench.event_types(payment_id).count("authorization.expiring")
        warning_days += [day] * (warnings - len(warning_days))
    bench.pass_time(timedelta(hours=1))
    assert bench.work(payment_id).status is Status.AUTHORIZED
    warnings = bench.event_types(payment_id).count("authorization.expiring")
    last_day = [days - 1] * (warnings - len(warning_days))
    assert warning_days + last_day == warned
    bench.pass_time(DAY)
    assert bench.work(payment_id).status is Status.EXPIRED
    assert bench.event_types(payment_id)[-1] == "authorization.ended"
    assert bench.request(payment_id, "captures").status_code == 409


def _waits_for_approval(bench: Workbench, capture: str = "automatic") -> str:
    payment_id = bench.pay(
        "paypal",
        payment_method=None,
        return_url="https://shop.example/back",
        capture=capture,
    )
    assert bench.work(payment_id).status is Status.REQUIRES_ACTION
    return payment_id


def _approves(bench: Workbench, payment_id: str) -> None:
    """Approves as the payer, who then closes the browser."""
    page = bench.fetch(payment_id)["next_action"]["url"]
    agreed = requests.post(
        page, data={"outcome": "approve"}, allow_redirects=False, timeout=10
    )
    assert agreed.status_code == 302
