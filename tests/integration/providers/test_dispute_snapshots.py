"""Tests of dispute snapshots in every status, also those that no simulator has."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from domain.account import Account
from domain.errors import Misconfigured, OutcomeUnknown, ProviderError
from domain.payments.dispute import Dispute, DisputeState, DisputeUpdate
from domain.payments.submission import ProviderName
from providers.paypal.disputes import PayPalDisputeReader
from providers.stripe.disputes import StripeDisputeReader
from tests.support.provider_clients import paypal_api, stripe_client
from tests.support.simulator_process import (
    PayPalCaller,
    Simulator,
    captures_of,
    simulators,
)

NEEDS, REVIEW = DisputeState.NEEDS_RESPONSE, DisputeState.UNDER_REVIEW
WON, LOST, CLOSED = DisputeState.WON, DisputeState.LOST, DisputeState.CLOSED
PATH = "/v1/customer/disputes"
PAYMENT, OPERATION = f"pay_{1:026d}", f"op_{1:026d}"


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Simulator, Simulator]]:
    """Both simulators, for this module alone, because it arms answers."""
    with simulators() as pair:
        yield pair


def _unseen(call: str, status_class: str, seconds: float) -> None:
    """Observes nothing."""


class _Stripe:
    """A disputed charge at Stripe."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator, key = simulator, f"sk_test_{uuid.uuid4().hex}"
        self.disputes = StripeDisputeReader(
            stripe_client(simulator.url, _unseen, secret=key)
        )
        form = {"amount": "1999", "currency": "usd", "confirm": "true"}
        form |= {"payment_method": "pm_card_createDispute", "off_session": "true"}
        form |= {"metadata[payment]": PAYMENT, "metadata[operation]": OPERATION}
        paid = simulator.stripe("POST", "/v1/payment_intents", form, merchant=key)
        self.intent = paid.json()
        path = f"/v1/disputes?payment_intent={self.intent['id']}"
        listed = simulator.stripe("GET", path, merchant=key).json()
        [self.shown] = listed["data"]

    def read(self, **changes: Any) -> Dispute:
        """The snapshot of the dispute with these changes."""
        body = {**self.shown, "payment_intent": self.intent, **changes}
        self.simulator.arm(
            do="answer", status=200, body=body, match={"path": "/v1/disputes"}
        )
        try:
            reading = self.disputes.read(
                DisputeUpdate(Account.own(ProviderName.STRIPE), self.shown["id"])
            )
        finally:
            self.simulator.heal()
        assert reading.payment == (body["payment_intent"] and PAYMENT)
        return reading.dispute


class _PayPal:
    """A disputed capture at PayPal."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator, self.caller = simulator, PayPalCaller(simulator)
        self.disputes = PayPalDisputeReader(
            paypal_api(simulator.url, _unseen, client=self.caller.client)
        )
        invoice = f"op_{uuid.uuid4().hex[:26].upper()}"
        order = self.caller.order(custom_id=PAYMENT, invoice_id=invoice).json()
        [self.capture] = captures_of(order)
        opened = simulator.post("/_disputes", {"capture": self.capture["id"]})
        self.shown = opened.json()
        self.hint = DisputeUpdate(
            Account.own(ProviderName.PAYPAL), self.shown["dispute_id"]
        )

    def read(self, **changes: Any) -> Dispute:
        """The snapshot of the dispute with these changes."""
        body = {**self.shown, **changes}
        path = f"{PATH}/{self.hint.ref}"
        self.simulator.arm(do="answer", status=200, body=body, match={"path": path})
        try:
            reading = self.disputes.read(self.hint)
        finally:
            self.simulator.heal()
        assert reading.payment == PAYMENT
        assert reading.operations == (self.capture["invoice_id"],)
        return reading.dispute


@pytest.fixture(scope="module")
def stripe(both: tuple[Simulator, Simulator]) -> _Stripe:
    return _Stripe(both[0])


@pytest.fixture(scope="module")
def paypal(both: tuple[Simulator, Simulator]) -> _PayPal:
    return _PayPal(both[1])


@pytest.mark.parametrize(
    ("status", "state", "inquiry", "ends"),
    [
        ("warning_needs_response", NEEDS, True, False),
        ("warning_under_review", REVIEW, True, False),
        ("warning_closed", CLOSED, True, True),
        ("needs_response", NEEDS, False, False),
        ("under_review", REVIEW, False, False),
        ("won", WON, False, True),
        ("lost", LOST, False, True),
        ("prevented", CLOSED, False, True),
    ],
)
def test_every_stripe_status_has_its_state(
    stripe: _Stripe, status: str, state: DisputeState, inquiry: bool, ends: bool
) -> None:
    read = stripe.read(status=status)
    assert (read.state, read.inquiry) == (state, inquiry)
    assert read.outcome == (status if ends else None)
    assert (read.respond_by is not None) is (state is NEEDS)
    assert (read.ref, read.money.minor) == (stripe.shown["charge"], 1999)


def test_the_amount_withdrawn_by_stripe_is_the_sum_of_its_lines(
    stripe: _Stripe,
) -> None:
    [line] = stripe.shown["balance_transactions"]
    back = {**line, "id": "txn_back", "amount": 1999, "fee": 0, "net": 1999}
    assert stripe.read().withdrawn == 1999
    assert stripe.read(balance_transactions=[line, back]).withdrawn == 0
    assert stripe.read(balance_transactions=[]).withdrawn == 0


@pytest.mark.parametrize(
    ("lines", "withdrawn"),
    [
        ([("usd", -1999), ("usd", 1991)], 8),
        ([("eur", -3870), ("eur", 3862)], 0),
        ([("usd", -1999), ("eur", 1721)], 0),
        ([("eur", -1721)], 1999),
        ([("eur", -1721), ("eur", 0)], 1999),
        ([("usdc", -1721), ("usdc", 1700)], 0),
        ([("usd", 5)], 0),
        ([("usd", -1999), ("usd", -1999)], 1999),
    ],
)
def test_lines_in_two_currencies_are_summed_in_the_currency_of_the_payment(
    stripe: _Stripe, lines: list[tuple[str, int]], withdrawn: int
) -> None:
    [line] = stripe.shown["balance_transactions"]
    shown = [{**line, "currency": one, "amount": amount} for one, amount in lines]
    read = stripe.read(status="won", balance_transactions=shown)
    assert (read.state, read.withdrawn) == (WON, withdrawn)


def test_a_stripe_dispute_names_our_payment_only_by_its_intent(stripe: _Stripe) -> None:
    hint = DisputeUpdate(Account.own(ProviderName.STRIPE), stripe.shown["id"])
    reading = stripe.disputes.read(hint)
    assert (reading.payment, reading.operations) == (PAYMENT, (OPERATION,))
    assert stripe.read(payment_intent=None).operation is None


@pytest.mark.parametrize(
    ("changes", "state", "outcome"),
    [
        ({"status": "OPEN"}, NEEDS, None),
        ({"status": "WAITING_FOR_SELLER_RESPONSE"}, NEEDS, None),
        ({"status": "WAITING_FOR_BUYER_RESPONSE"}, REVIEW, None),
        ({"status": "UNDER_REVIEW"}, REVIEW, None),
        ({"status": "RESOLVED"}, CLOSED, "none"),
        *(
            ({"status": "RESOLVED", "dispute_outcome": {"outcome_code": code}}, *end)
            for code, end in {
                "RESOLVED_SELLER_FAVOUR": (WON, "resolved_seller_favour"),
                "RESOLVED_BUYER_FAVOUR": (LOST, "resolved_buyer_favour"),
                "RESOLVED_WITH_PAYOUT": (WON, "resolved_with_payout"),
                "ACCEPTED": (LOST, "accepted"),
                "DENIED": (WON, "denied"),
                "CANCELED_BY_BUYER": (CLOSED, "canceled_by_buyer"),
                "NONE": (CLOSED, "none"),
            }.items()
        ),
    ],
)
def test_every_paypal_status_has_its_state(
    paypal: _PayPal, changes: dict[str, Any], state: DisputeState, outcome: str | None
) -> None:
    read = paypal.read(**changes)
    assert (read.state, read.outcome) == (state, outcome)
    assert read.withdrawn == (1999 if state is LOST else 0)
    assert (read.respond_by is not None) is (state is NEEDS)
    assert (read.ref, read.reason) == (paypal.capture["id"], "unauthorised")


def test_the_amount_withdrawn_by_paypal_may_be_less_than_the_disputed_one(
    paypal: _PayPal,
) -> None:
    part = {"currency_code": "USD", "value": "5.00"}
    outcome = {"outcome_code": "RESOLVED_BUYER_FAVOUR", "amount_refunded": part}
    read = paypal.read(status="RESOLVED", dispute_outcome=outcome)
    assert (read.money.minor, read.withdrawn) == (1999, 500)


def _movement(type: str, value: str, currency: str = "USD", **more: str) -> Any:
    amount = {"currency_code": currency, "value": value}
    plain = {"party": "SELLER", "reason": "DISPUTE_SETTLEMENT"}
    return {**plain, "type": type, "amount": amount, **more}


@pytest.mark.parametrize(
    ("movements", "withdrawn"),
    [
        ([_movement("DEBIT", "19.99"), _movement("CREDIT", "19.91")], 8),
        ([_movement("DEBIT", "38.70", "EUR"), _movement("CREDIT", "38.62", "EUR")], 0),
        ([_movement("DEBIT", "19.99"), _movement("CREDIT", "17.21", "EUR")], 0),
        ([_movement("DEBIT", "17.21", "EUR")], 1999),
        ([_movement("DEBIT", "15.00", reason="CHARGEBACK_FEE")], 0),
        ([_movement("DEBIT", "19.99", party="BUYER")], 0),
    ],
)
@pytest.mark.parametrize("name", ["fund_movements", "money_movements"])
def test_the_amount_withdrawn_by_paypal_is_the_sum_of_its_movements(
    paypal: _PayPal, movements: list[Any], withdrawn: int, name: str
) -> None:
    ended = {"status": "RESOLVED", "dispute_outcome": {"outcome_code": "DENIED"}}
    read = paypal.read(**ended, **{name: movements})
    assert (read.state, read.withdrawn) == (WON, withdrawn)


def test_a_paypal_credit_in_another_currency_returns_the_whole_amount(
    paypal: _PayPal,
) -> None:
    euros = {"currency_code": "EUR", "value": "17.21"}
    outcome = {"outcome_code": "RESOLVED_BUYER_FAVOUR", "amount_refunded": euros}
    assert paypal.read(status="RESOLVED", dispute_outcome=outcome).withdrawn == 1999


def test_a_paypal_dispute_without_our_ids_uses_those_of_its_capture(
    paypal: _PayPal,
) -> None:
    [transaction] = paypal.shown["disputed_transactions"]
    bare = {name: transaction[name] for name in ("seller_transaction_id", "buyer")}
    assert paypal.read(disputed_transactions=[bare]).ref == paypal.capture["id"]


def test_an_unrecognized_stripe_dispute_status_is_not_read(stripe: _Stripe) -> None:
    with pytest.raises(OutcomeUnknown) as caught:
        stripe.read(status="charge_refunded")
    assert caught.value.detail == "unrecognised_status"


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "OTHER"},
        {"status": "RESOLVED", "dispute_outcome": {"outcome_code": "SPLIT"}},
    ],
)
def test_an_unrecognized_paypal_dispute_status_is_not_read(
    paypal: _PayPal, changes: dict[str, Any]
) -> None:
    with pytest.raises(OutcomeUnknown) as caught:
        paypal.read(**changes)
    assert caught.value.detail == "unrecognised_status"


@pytest.mark.parametrize("changes", [{"amount": "much"}, {"evidence_details": None}])
def test_a_malformed_dispute_is_not_read(
    stripe: _Stripe, changes: dict[str, Any]
) -> None:
    with pytest.raises(OutcomeUnknown) as caught:
        stripe.read(**changes)
    assert caught.value.detail == "malformed_answer"


def test_a_missing_dispute_or_reversal_is_an_error(
    stripe: _Stripe, paypal: _PayPal
) -> None:
    with pytest.raises(ProviderError):
        stripe.disputes.read(DisputeUpdate(Account.own(ProviderName.STRIPE), "dp_none"))
    with pytest.raises(ProviderError):
        paypal.disputes.read(
            DisputeUpdate(Account.own(ProviderName.PAYPAL), "PP-R/../none")
        )
    path = "/v2/payments/refunds"
    for body in (
        {"id": "re_1", "status": "FAILED", "links": []},
        {"id": "re_1", "status": "COMPLETED"},
    ):
        paypal.simulator.arm(do="answer", status=200, body=body, match={"path": path})
        with pytest.raises(OutcomeUnknown) as caught:
            paypal.disputes.read(
                DisputeUpdate(
                    Account.own(ProviderName.PAYPAL), "re_1", is_reversal=True
                )
            )
        assert caught.value.detail == "unrecognised_status"


def test_an_app_without_the_disputes_feature_is_not_permitted(paypal: _PayPal) -> None:
    refused = {"name": "NOT_AUTHORIZED", "details": [{"issue": "PERMISSION_DENIED"}]}
    paypal.simulator.arm(do="answer", status=403, body=refused, match={"path": PATH})
    try:
        with pytest.raises(Misconfigured):
            paypal.disputes.read(paypal.hint)
    finally:
        paypal.simulator.heal()
