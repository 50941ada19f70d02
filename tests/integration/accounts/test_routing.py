"""A payment moves to another account only if the first definitely did not take it, so
that all ledgers together have one charge."""

from __future__ import annotations

import pytest
import requests

from application.accounts import roll_secret
from domain.account import StoredAccount
from domain.circuit_breaker import Call, CallKind, TripReason
from domain.payments.states import State, Status
from persistence.circuit_breakers import MongoBreakerStore
from runtime import container, processes
from runtime.accounts.cache import CACHE_SECONDS
from tests.support.account_shop import REFUSED, AccountsShop, ledger_name

#: Stripe's answer to a card that its bank declines.
DECLINED = {
    "error": {
        "type": "card_error",
        "code": "card_declined",
        "decline_code": "do_not_honor",
        "message": "Your card was declined.",
    }
}


#: Seconds of refused connections: longer than three tries.
OUTAGE = 4.0


def is_back(url: str) -> bool:
    """Whether a simulator accepts connections again."""
    try:
        return requests.get(f"{url}/_health", timeout=1).ok
    except requests.RequestException:
        return False


def two_accounts(shop: AccountsShop) -> tuple[StoredAccount, StoredAccount]:
    """Two accounts at Stripe; the second is used only after the first."""
    return shop.add(weight=1), shop.add(weight=0)


def test_the_other_account_charges_once_while_a_breaker_is_open(
    shop: AccountsShop,
) -> None:
    first, second = two_accounts(shop)
    breakers = MongoBreakerStore(shop.bench.database)
    breakers.open(
        first.id, trip_reason=TripReason.OPERATOR, reason="an audit", by="a test"
    )
    payment_id = shop.pay()
    assert shop.complete(payment_id).captured == 1999
    assert shop.charges(payment_id) == [ledger_name(second)]
    assert shop.routing_events(payment_id) == [(first.id, second.id, "breaker_open")]
    breakers.close(first.id, reason="done", by="a test")
    assert breakers.load_all()["stripe"].since is None, "only the account's own breaker"


def test_refused_connections_move_a_payment_to_paypal_for_approval(
    shop: AccountsShop,
) -> None:
    stripe, paypal = shop.add(), shop.add("paypal")
    shop.bench.stripe.arm(do="refuse", seconds=OUTAGE)
    payment_id = shop.pay(return_url="https://shop.example/back")
    shop.complete(payment_id)
    shown = shop.bench.fetch(payment_id)
    assert (shown["status"], shown["provider"]) == ("requires_action", "paypal")
    assert shown["account"] == paypal.id
    assert shown["next_action"]["url"].startswith(shop.bench.paypal.url)
    assert shop.routing_events(payment_id) == [(stripe.id, paypal.id, "not_sent")]
    assert processes.wait_until(
        lambda: is_back(shop.bench.stripe.url), seconds=OUTAGE + 10
    )
    assert shop.charges(payment_id) == []


def test_refused_credentials_move_a_payment(shop: AccountsShop) -> None:
    first, second = shop.add(secret=REFUSED), shop.add(weight=0)
    payment_id = shop.pay()
    assert shop.complete(payment_id).captured == 1999
    assert shop.charges(payment_id) == [ledger_name(second)]
    [(source, target, _)] = shop.routing_events(payment_id)
    assert (source, target) == (first.id, second.id)
    assert MongoBreakerStore(shop.bench.database).load_all()[first.id].is_open
    assert shop.bench.stored(payment_id).first_operation.attempts == 1


def test_a_listed_decline_moves_the_payment_and_stays_on_the_timeline(
    shop: AccountsShop,
) -> None:
    shop.route_on("do_not_honor")
    first, second = two_accounts(shop)
    shop.bench.stripe.arm(
        do="answer", status=402, body=DECLINED, match={"method": "POST"}
    )
    payment_id = shop.pay()
    assert shop.complete(payment_id).captured == 1999
    assert shop.charges(payment_id) == [ledger_name(second)]
    assert shop.routing_events(payment_id) == [(first.id, second.id, "do_not_honor")]
    path = f"/v1/payments/{payment_id}/events"
    events = shop.bench.shop.get(path).json()["data"]
    answers = [event["data"].get("answer") for event in events]
    assert [one for one in answers if one] == ["declined", "succeeded"]
    assert shop.bench.fetch(payment_id)["last_error"] is None


def test_a_listed_decline_moves_the_payment_to_paypal(shop: AccountsShop) -> None:
    shop.route_on("insufficient_funds")
    shop.add()
    paypal = shop.add("paypal")
    method = "pm_card_visa_chargeDeclinedInsufficientFunds"
    payment_id = shop.pay(payment_method=method)
    shop.complete(payment_id)
    shown = shop.bench.fetch(payment_id)
    assert (shown["status"], shown["account"]) == ("requires_action", paypal.id)


def test_any_other_decline_ends_the_payment(shop: AccountsShop) -> None:
    shop.route_on("do_not_honor")
    two_accounts(shop)
    method = "pm_card_visa_chargeDeclinedInsufficientFunds"
    payment_id = shop.pay(payment_method=method)
    assert shop.complete(payment_id).status is Status.FAILED
    assert shop.routing_events(payment_id) == [] and shop.charges(payment_id) == []


@pytest.mark.parametrize("fault", ["commit_then_drop", "drop"])
def test_a_payment_possibly_at_the_first_account_is_never_rerouted(
    shop: AccountsShop, fault: str
) -> None:
    first, _ = two_accounts(shop)
    shop.route_on("card_declined")
    shop.bench.stripe.arm(do=fault, match={"method": "POST"})
    payment_id = shop.pay()
    unknown = shop.bench.step(payment_id)
    assert unknown.first_operation.state is State.UNKNOWN
    breakers = MongoBreakerStore(shop.bench.database)
    breakers.open(
        first.id, trip_reason=TripReason.OPERATOR, reason="an audit", by="a test"
    )
    asked = Call(CallKind.CHARGES, "of nobody")
    assert processes.wait_until(
        lambda: bool(shop.bench.context.admission.admit(first.id, [asked]).blocked),
        seconds=5,
    )
    shop.bench.step(payment_id)
    assert shop.bench.stored(payment_id).first_operation.state is State.UNKNOWN
    breakers.close(first.id, reason="done", by="a test")
    assert processes.wait_until(
        lambda: shop.bench.step(payment_id).captured == 1999, seconds=10
    )
    assert shop.charges(payment_id) == [ledger_name(first)]
    assert shop.routing_events(payment_id) == []


def test_a_key_is_rolled_without_a_restart_and_without_an_attempt(
    shop: AccountsShop,
) -> None:
    account = shop.add(secret=REFUSED)
    payment_id = shop.pay()
    parked = shop.bench.step(payment_id)
    assert (parked.first_operation.state, parked.first_operation.attempts) == (
        State.RETRYING,
        0,
    )
    rolled = roll_secret(
        account.id, f"sk_test_{account.id}", store=shop.accounts, now=container.clock()
    )

    def probed() -> bool:
        """Makes a probe due and takes the payment's next step."""
        past = {"$subtract": ["$$NOW", 60_000]}
        shop.bench.database.circuit_breakers.update_one(
            {"_id": account.id, "state": "open"}, [{"$set": {"probe_at": past}}]
        )
        return shop.bench.step(payment_id).captured == 1999

    assert processes.wait_until(probed, seconds=CACHE_SECONDS + 10)
    assert not MongoBreakerStore(shop.bench.database).load_all()[account.id].is_open
    assert shop.bench.stored(payment_id).first_operation.attempts == 1
    assert shop.charges(payment_id) == [ledger_name(rolled)]
