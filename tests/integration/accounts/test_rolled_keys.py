"""What nobody heard of before a key was rolled is found out by the new one, once."""

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
from tests.support.account_shop import AccountsShop, in_ledger

#: Of PayPal's, a wallet that pays without its payer.
PAYS: Final = {"payment_method": "vault_ada"}


def give(shop: AccountsShop, account: StoredAccount, secret: str) -> None:
    """As `payments accounts roll` does."""
    roll_secret(account.id, secret, store=shop.accounts, now=container.clock())


def probed(shop: AccountsShop, account: StoredAccount, payment_id: str) -> Payment:
    """The payment's next step, as if a minute had passed since a probe was due."""
    past = {"$subtract": ["$$NOW", 60_000]}
    shop.bench.database.circuit_breakers.update_one(
        {"_id": account.id, "state": "open"}, [{"$set": {"probe_at": past}}]
    )
    return shop.bench.step(payment_id)


def is_open(shop: AccountsShop, account: StoredAccount) -> bool:
    """Whether nothing goes to the account."""
    gates = MongoBreakerStore(shop.bench.database).load_all()
    return account.id in gates and gates[account.id].is_open


@pytest.mark.parametrize("asked_after", [False, True])
def test_what_is_unknown_when_stripe_ends_its_key_is_charged_once(
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
        # The old one tells nothing any more, and nothing is concluded from that.
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
    assert shop.charges(payment_id) == [in_ledger(account)]


def test_what_is_unknown_when_a_wrong_secret_is_given_is_charged_once_after_the_right(
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
    assert shop.charges(payment_id) == [in_ledger(account)]
