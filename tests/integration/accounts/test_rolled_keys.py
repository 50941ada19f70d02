"""Unknown outcomes from before a roll of the key are resolved with the new key."""

from __future__ import annotations

from typing import Final

import pytest

from application.accounts import roll_secret
from domain.account import StoredAccount
from domain.payments.payment import Payment
from domain.payments.states import State
from persistence.circuit_breakers import MongoBreakerStore
from runtime import container, processes
from runtime.accounts.cache import CACHE_SECONDS
from simulators.paypal.api import WRONG_SECRET
from tests.support.account_shop import AccountsShop, ledger_name

#: A wallet of PayPal that pays without an approval.
PAYS: Final = {"payment_method": "vault_ada"}


def give(shop: AccountsShop, account: StoredAccount, secret: str) -> None:
    """Rolls the secret like `payments accounts roll`."""
    roll_secret(account.id, secret, store=shop.accounts, now=container.clock())


def probed(shop: AccountsShop, account: StoredAccount, payment_id: str) -> Payment:
    """Makes a probe due and takes the payment's next step."""
    past = {"$subtract": ["$$NOW", 60_000]}
    shop.bench.database.circuit_breakers.update_one(
        {"_id": account.id, "state": "open"}, [{"$set": {"probe_at": past}}]
    )
    return shop.bench.step(payment_id)


def is_open(shop: AccountsShop, account: StoredAccount) -> bool:
    """Whether the account's breaker is open."""
    breakers = MongoBreakerStore(shop.bench.database).load_all()
    return account.id in breakers and breakers[account.id].is_open


@pytest.mark.parametrize("asked_after", [False, True])
def test_an_unknown_charge_is_made_once_after_stripe_ended_the_key(
    shop: AccountsShop, asked_after: bool
) -> None:
    account = shop.add()
    shop.bench.lose_answer("stripe")
    payment_id = shop.pay()
    lost = shop.bench.step(payment_id).first_operation
    assert lost.state is State.UNKNOWN
    secret = f"sk_test_{account.id}"
    roll = {"old": account.credentials.secret, "new": secret}
    assert shop.bench.stripe.post("/_keys/roll", roll).status_code == 201
    if asked_after:
        # The old key is refused, which proves nothing.
        refused = shop.bench.step(payment_id).first_operation
        assert (refused.state, refused.error) == (State.UNKNOWN, "api_key_expired")
        assert is_open(shop, account)
    give(shop, account, secret)
    assert processes.wait_until(
        lambda: probed(shop, account, payment_id).captured == 1999,
        seconds=CACHE_SECONDS + 10,
    )
    assert not is_open(shop, account)
    paid = shop.bench.stored(payment_id).first_operation
    assert lost.send and paid.send and paid.send.key == lost.send.key
    assert shop.charges(payment_id) == [ledger_name(account)]


def test_an_unknown_charge_is_made_once_after_a_wrong_and_a_right_secret(
    shop: AccountsShop,
) -> None:
    account = shop.add("paypal")
    shop.bench.lose_answer("paypal")
    payment_id = shop.pay("paypal", **PAYS)
    assert shop.bench.step(payment_id).first_operation.state is State.UNKNOWN
    give(shop, account, WRONG_SECRET)
    assert processes.wait_until(
        lambda: shop.bench.step(shop.pay("paypal", **PAYS)).first_operation.attempts
        == 0,
        seconds=CACHE_SECONDS + 10,
    )
    assert is_open(shop, account)
    assert processes.wait_until(
        lambda: probed(shop, account, payment_id).first_operation.error
        == "token_refused",
        seconds=10,
    )
    assert shop.bench.stored(payment_id).first_operation.state is State.UNKNOWN
    give(shop, account, "the right one")
    assert processes.wait_until(
        lambda: probed(shop, account, payment_id).captured == 1999,
        seconds=CACHE_SECONDS + 10,
    )
    assert shop.charges(payment_id) == [ledger_name(account)]
