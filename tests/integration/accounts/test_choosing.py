"""The choice of a merchant's account for each payment."""

from __future__ import annotations

from typing import Any

import pytest

from application.accounts import retire_account
from runtime import processes
from tests.support.account_shop import AccountsShop, ledger_name


def test_weights_spread_payments_over_accounts(shop: AccountsShop) -> None:
    one, two = shop.add(weight=1), shop.add(weight=1)
    spare = shop.add(weight=0)
    ids = [shop.pay() for _ in range(24)]
    for payment_id in ids:
        assert shop.complete(payment_id).captured == 1999
    moved = [shop.charges(payment_id) for payment_id in ids]
    assert all(len(accounts) == 1 for accounts in moved)
    used = {account for [account] in moved}
    assert used == {
        ledger_name(one),
        ledger_name(two),
    }, "the account with weight 0 is never used"
    assert ledger_name(spare) not in used


def test_a_currency_goes_to_the_account_that_takes_it(shop: AccountsShop) -> None:
    euros, dollars = shop.add(currencies=("EUR",)), shop.add(currencies=("USD", "JPY"))
    for currency, account in (("EUR", euros), ("USD", dollars), ("JPY", dollars)):
        payment_id = shop.pay(currency=currency)
        shop.complete(payment_id)
        assert shop.charges(payment_id) == [ledger_name(account)]
        shown = shop.bench.fetch(payment_id)
        assert (shown["account"], shown["provider"]) == (account.id, "stripe")


def test_a_named_provider_is_used(shop: AccountsShop) -> None:
    shop.add()
    paypal = shop.add("paypal")
    payment_id = shop.pay("paypal", payment_method="vault_ada")
    shop.complete(payment_id)
    assert shop.charges(payment_id) == [ledger_name(paypal)]


def refused(shop: AccountsShop, **fields: Any) -> dict[str, Any]:
    """The only error of a refused payment."""
    given = {"payment_method": "pm_card_visa", "provider": None, **fields}
    answer = shop.bench.submit(**given)
    assert answer.status_code == 422, answer.text
    [fault] = answer.json()["errors"]
    return dict(fault)


def test_a_payment_that_no_account_takes_is_refused(shop: AccountsShop) -> None:
    shop.add(currencies=("EUR",))
    fault = refused(shop)
    assert fault["pointer"] == "/provider"
    assert "none of the merchant's accounts" in fault["detail"]
    assert refused(shop, provider="paypal")["pointer"] == "/provider"


def test_a_merchant_without_accounts_has_to_name_the_provider(
    shop: AccountsShop,
) -> None:
    fault = refused(shop)
    assert fault["pointer"] == "/provider"
    assert "has no accounts of its own" in fault["detail"]
    assert shop.bench.fetch(shop.pay("stripe"))["account"] == "stripe"


def test_a_retired_account_accepts_no_payment_and_still_refunds(
    shop: AccountsShop,
) -> None:
    account = shop.add()
    payment_id = shop.pay(key="first")
    shop.complete(payment_id)
    retire_account(account.id, store=shop.accounts, now=shop.bench.now())

    def is_refused() -> bool:
        return shop.bench.submit(None, payment_method="pm_card_visa").status_code == 422

    assert processes.wait_until(is_refused, seconds=10), "nor at the deployment's own"
    assert shop.bench.request(payment_id, "refunds").status_code == 202
    assert shop.complete(payment_id).refunded == 1999
    assert shop.charges(payment_id) == [ledger_name(account)]


def test_a_repeated_request_after_the_accounts_retirement_gets_the_first_payment(
    shop: AccountsShop,
) -> None:
    account = shop.add()
    fields = {"payment_method": "pm_card_visa", "reference": "order-7", "key": "same"}
    first = shop.bench.submit(None, **fields)
    retire_account(account.id, store=shop.accounts, now=shop.bench.now())

    def is_retired() -> bool:
        return shop.bench.submit(None, payment_method="pm_card_visa").status_code == 422

    assert processes.wait_until(is_retired, seconds=10)
    again = shop.bench.submit(None, **fields)
    assert again.status_code == 202
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["id"] == first.json()["id"]
    changed = shop.bench.submit(None, **{**fields, "amount": 2000})
    assert changed.status_code == 422
    assert changed.json()["code"] == "idempotency_key_reused"


def test_a_payment_moved_to_another_merchants_account_is_not_carried_out(
    shop: AccountsShop,
) -> None:
    """The database was tampered with."""
    theirs = shop.add(merchant="victim")
    payment_id = shop.pay("stripe")
    moved = {"$set": {"account": theirs.id}}
    shop.bench.database.payments.update_one({"_id": payment_id}, moved)
    payment = shop.complete(payment_id)
    assert (payment.account.id, payment.captured) == (theirs.id, 0)
    assert payment.first_operation.error == "account_of_another_merchant"
    assert shop.charges(payment_id) == []


def test_a_connected_account_is_reached_by_the_deployments_key(
    shop: AccountsShop,
) -> None:
    shop.add(secret=None, connected_account="acct_shop")
    payment_id = shop.pay()
    assert shop.complete(payment_id).captured == 1999
    [account] = shop.charges(payment_id)
    assert account.endswith("acct_shop")
    shop.bench.request(payment_id, "refunds")
    assert shop.complete(payment_id).refunded == 1999


@pytest.mark.parametrize("capture", ["automatic", "manual"])
def test_follow_ups_go_to_the_account_of_the_payment(
    shop: AccountsShop, capture: str
) -> None:
    first, second = shop.add(), shop.add()
    payment_id = shop.pay(capture=capture)
    shop.complete(payment_id)
    if capture == "manual":
        shop.bench.request(payment_id, "captures")
        shop.complete(payment_id)
    shop.bench.request(payment_id, "refunds", amount=500)
    payment = shop.complete(payment_id)
    assert (payment.captured, payment.refunded) == (1999, 500)
    used = {one.id: ledger_name(one) for one in (first, second)}[payment.account.id]
    keys = {one.provider_key for one in payment.operations}
    rows = [row for row in shop.bench.stripe.movements() if row["key"] in keys]
    assert {row["account"] for row in rows} == {used}
    assert len(rows) == len(payment.operations)
