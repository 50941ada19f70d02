"""Merchants' accounts: stored with their secrets sealed, and changed in one write."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pymongo.database import Database

from application.ports import Scope
from domain.account import Account
from domain.errors import StoreUnavailable
from domain.routing import MAX_ACCOUNTS, Candidate
from domain.submission import Mode, ProviderName
from persistence.accounts import (
    AccountNotFound,
    AlreadyConnected,
    Accounts,
    Credentials,
    StoredAccount,
    TooManyAccounts,
    candidates,
)
from persistence.codec import Document
from persistence.rotation import reseal
from persistence.vault import ACCOUNTS, KeySource, Vault
from tests.integration.persistence.conftest import vaults_of
from tests.suites.samples import NOW, SHOP

SECRETS = ("sk_test_one", "client-one", "whsec_old", "whsec_new", "WH-1")


def account(number: int = 1, **fields: Any) -> StoredAccount:
    """An account with all that one may have."""
    return replace(
        StoredAccount(
            id=f"acct_{number:026d}",
            merchant=SHOP.merchant,
            mode=SHOP.mode,
            provider=ProviderName.STRIPE,
            created_at=NOW,
            credentials=Credentials(
                SECRETS[0], SECRETS[1], (SECRETS[2], SECRETS[3]), SECRETS[4]
            ),
            currencies=("USD", "EUR"),
            weight=30,
            rate=7,
            connected=f"acct_connected_{number}",
        ),
        **fields,
    )


@pytest.fixture
def accounts(payments_db: Database[Document], key_source: KeySource) -> Accounts:
    """The accounts under test."""
    return Accounts(payments_db, Vault(key_source, ACCOUNTS))


def test_an_account_comes_back_as_it_was_added(accounts: Accounts) -> None:
    full, bare = account(), account(2, credentials=Credentials(), currencies=())
    bare = replace(bare, rate=None, connected=None, weight=0, retired_at=NOW)
    for one in (full, bare):
        accounts.add(one)
        assert accounts.get(one.id) == one
    assert accounts.list() == accounts.list(merchant=SHOP.merchant) == [full, bare]
    assert accounts.list(ids=[bare.id, "acct_none"]) == [bare]
    assert accounts.list(merchant="rival") == []
    with pytest.raises(AccountNotFound):
        accounts.get("acct_none")


def test_no_secret_is_in_the_database_or_in_what_is_shown(
    accounts: Accounts, payments_db: Database[Document]
) -> None:
    accounts.add(account())
    stored = repr(payments_db.accounts.find_one({}))
    shown = repr(accounts.list())
    for secret in SECRETS:
        assert secret not in stored and secret not in shown


def test_a_rotation_of_keys_seals_what_opens_accounts_anew(
    payments_db: Database[Document], key_source: KeySource
) -> None:
    Accounts(payments_db, Vault(key_source, ACCOUNTS)).add(account())
    key_source.add()
    done = reseal(payments_db, vaults_of(key_source), progress=lambda count: None)
    assert done.resealed == {"accounts": 1}
    key_source.keep_newest()
    assert (
        Accounts(payments_db, Vault(key_source, ACCOUNTS)).get(account().id)
        == account()
    )


def test_a_change_is_made_on_top_of_another_and_never_lost(accounts: Accounts) -> None:
    accounts.add(account())
    met = iter([True, False])

    def weighs(before: StoredAccount) -> StoredAccount:
        if next(met):
            accounts.change(before.id, lambda one: replace(one, rate=9))
        return replace(before, weight=5)

    after = accounts.change(account().id, weighs)
    assert (after.weight, after.rate) == (5, 9)
    assert accounts.get(after.id) == after
    with pytest.raises(AccountNotFound):
        accounts.change("acct_none", lambda one: one)


def test_a_change_that_always_meets_another_one_says_that_it_was_not_made(
    accounts: Accounts,
) -> None:
    accounts.add(account())

    def overtaken(one: StoredAccount) -> StoredAccount:
        accounts.change(one.id, lambda other: replace(other, rate=9))
        return replace(one, weight=5)

    with pytest.raises(StoreUnavailable):
        accounts.change(account().id, overtaken)
    assert accounts.get(account().id).weight == account().weight


def test_a_connected_account_is_found_by_its_name_and_is_one_merchants(
    accounts: Accounts,
) -> None:
    accounts.add(account())
    assert accounts.connected("acct_connected_1", Mode.TEST) == account()
    for name, mode in (("acct_connected_1", Mode.LIVE), ("acct_other", Mode.TEST)):
        with pytest.raises(AccountNotFound):
            accounts.connected(name, mode)
    with pytest.raises(AlreadyConnected):
        accounts.add(account(2, merchant="rival", connected="acct_connected_1"))
    accounts.add(account(1, id="acct_live", mode=Mode.LIVE))
    assert accounts.connected("acct_connected_1", Mode.LIVE).id == "acct_live"


def test_it_is_said_since_when_each_account_of_a_mode_is_retired(
    accounts: Accounts,
) -> None:
    accounts.add(account(2, retired_at=NOW))
    accounts.add(account(1, merchant="rival"))
    accounts.add(account(3, mode=Mode.LIVE))
    listed = list(accounts.retired(Mode.TEST).items())
    assert listed == [(account(1).account, None), (account(2).account, NOW)]


def test_a_merchant_has_only_so_many(accounts: Accounts) -> None:
    for number in range(MAX_ACCOUNTS):
        accounts.add(account(number))
    with pytest.raises(TooManyAccounts):
        accounts.add(account(99))
    accounts.add(account(99, mode=Mode.LIVE))
    accounts.add(account(98, merchant="rival"))


def test_what_is_chosen_from_is_the_merchants_of_one_mode(
    accounts: Accounts, payments_db: Database[Document]
) -> None:
    accounts.add(account())
    accounts.add(account(2, provider=ProviderName.PAYPAL, retired_at=NOW))
    accounts.add(account(3, merchant="rival"))
    accounts.add(account(4, mode=Mode.LIVE))
    usd_or_eur = frozenset({"USD", "EUR"})
    one = Account(account().id, ProviderName.STRIPE)
    two = Account(account(2).id, ProviderName.PAYPAL)
    assert set(candidates(payments_db, SHOP)) == {
        Candidate(one, usd_or_eur, 30),
        Candidate(two, usd_or_eur, 30, retired=True),
    }
    assert candidates(payments_db, Scope("nobody", SHOP.mode)) == ()
    live = candidates(payments_db, Scope(SHOP.merchant, Mode.LIVE))
    assert [one.account.id for one in live] == [account(4).id]
