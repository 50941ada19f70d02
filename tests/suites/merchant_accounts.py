"""The promises of every AccountStore and MerchantStore, as the use cases show them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from application.ports.accounts import AccountStore, MerchantStore
from application.accounts import (
    add_account,
    change_account,
    configure_account,
    restore_account,
    retire_account,
    roll_secret,
    roll_webhook_secrets,
)
from application.ports.payments import Scope
from domain.account import (
    Account,
    AccountNotFound,
    AlreadyConnected,
    Credentials,
    StoredAccount,
    TooManyAccounts,
)
from domain.errors import StoreUnavailable
from domain.merchants import MerchantSettings
from domain.payments.routing import MAX_ACCOUNTS, Candidate, Routes
from domain.payments.submission import DuplicatePolicy, Mode, ProviderName
from tests.suites.samples import NOW, SHOP

SECRETS = ("sk_test_one", "client-one", "whsec_old", "whsec_new", "WH-1")


def account(number: int = 1, **fields: Any) -> StoredAccount:
    """An account with every field."""
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
            calls_per_second=7,
            connected_account=f"acct_connected_{number}",
        ),
        **fields,
    )


class AccountSuite:
    """Its subclass's module has a fixture ``accounts``."""

    def test_an_account_is_read_back_as_it_was_added(
        self, accounts: AccountStore
    ) -> None:
        full, bare = account(), account(2, credentials=Credentials(), currencies=())
        bare = replace(
            bare,
            calls_per_second=None,
            connected_account=None,
            weight=0,
            retired_at=NOW,
        )
        for one in (full, bare):
            add_account(one, store=accounts)
            assert accounts.get(one.id) == one
        assert accounts.list() == accounts.list(merchant=SHOP.merchant) == [full, bare]
        assert accounts.list(ids=[bare.id, "acct_none"]) == [bare]
        assert accounts.list(merchant="rival") == []
        assert (
            accounts.list_unreadable()
            == accounts.list_unreadable(merchant="rival")
            == []
        )
        with pytest.raises(AccountNotFound):
            accounts.get("acct_none")

    def test_a_configured_account_keeps_its_other_settings(
        self, accounts: AccountStore
    ) -> None:
        add_account(account(), store=accounts)
        kept = configure_account(account().id, store=accounts)
        assert kept == account(version=2)
        changed = configure_account(
            account().id,
            currencies=(),
            weight=0,
            rate=9,
            webhook_id="WH-2",
            store=accounts,
        )
        its = replace(account().credentials, webhook_id="WH-2")
        assert changed == accounts.get(account().id)
        assert changed == account(
            currencies=(), weight=0, calls_per_second=9, credentials=its, version=3
        )

    def test_a_rolled_secret_leaves_the_other_credentials_alone(
        self, accounts: AccountStore
    ) -> None:
        add_account(account(), store=accounts)
        its, later = account().credentials, NOW + timedelta(seconds=1)
        rolled = roll_secret(account().id, "sk_test_two", store=accounts, now=NOW)
        assert rolled.credentials == replace(its, secret="sk_test_two")
        assert rolled.rolled_at == NOW
        rolled = roll_secret(
            account().id, "three", client_id="client-two", store=accounts, now=later
        )
        its = replace(its, secret="three", client_id="client-two")
        assert rolled.credentials == its
        signs = ("whsec_newest",)
        rolled = roll_webhook_secrets(account().id, signs, store=accounts, now=later)
        assert rolled.credentials == replace(its, webhook_secrets=signs)
        assert rolled == accounts.get(account().id)
        assert rolled.rolled_at == later

    def test_a_retired_account_keeps_its_first_date_until_it_is_restored(
        self, accounts: AccountStore
    ) -> None:
        add_account(account(), store=accounts)
        later = NOW + timedelta(days=1)
        for now in (NOW, later):
            retired = retire_account(account().id, store=accounts, now=now)
            assert retired.retired_at == NOW
        assert restore_account(account().id, store=accounts).retired_at is None
        retired = retire_account(account().id, store=accounts, now=later)
        assert retired.retired_at == later
        assert accounts.get(account().id) == retired

    def test_concurrent_changes_of_an_account_are_both_kept(
        self, accounts: AccountStore
    ) -> None:
        add_account(account(), store=accounts)
        meets = iter([True, False])

        def change_weight(before: StoredAccount) -> StoredAccount:
            if next(meets):
                configure_account(before.id, rate=9, store=accounts)
            return replace(before, weight=5)

        after = change_account(account().id, change_weight, store=accounts)
        assert (after.weight, after.calls_per_second) == (5, 9)
        assert accounts.get(after.id) == after
        with pytest.raises(AccountNotFound):
            change_account("acct_none", lambda one: one, store=accounts)

    def test_a_change_that_always_conflicts_is_not_made(
        self, accounts: AccountStore
    ) -> None:
        add_account(account(), store=accounts)

        def change_concurrently(one: StoredAccount) -> StoredAccount:
            configure_account(one.id, rate=9, store=accounts)
            return replace(one, weight=5)

        with pytest.raises(StoreUnavailable):
            change_account(account().id, change_concurrently, store=accounts)
        assert accounts.get(account().id).weight == account().weight

    def test_a_connected_account_is_found_by_its_name_and_belongs_to_one_merchant(
        self, accounts: AccountStore
    ) -> None:
        add_account(account(), store=accounts)
        assert accounts.find_connected("acct_connected_1", Mode.TEST) == account()
        for name, mode in (("acct_connected_1", Mode.LIVE), ("acct_2", Mode.TEST)):
            with pytest.raises(AccountNotFound):
                accounts.find_connected(name, mode)
        rival = account(2, merchant="rival", connected_account="acct_connected_1")
        with pytest.raises(AlreadyConnected):
            add_account(rival, store=accounts)
        live = account(1, id="acct_live", mode=Mode.LIVE)
        add_account(live, store=accounts)
        assert accounts.find_connected("acct_connected_1", Mode.LIVE) == live

    def test_the_accounts_of_a_mode_are_listed_with_their_retirement(
        self, accounts: AccountStore
    ) -> None:
        add_account(account(2, retired_at=NOW), store=accounts)
        add_account(account(1, merchant="rival"), store=accounts)
        add_account(account(3, mode=Mode.LIVE), store=accounts)
        listed = list(accounts.retirement_dates(Mode.TEST).items())
        assert listed == [(account(1).account, None), (account(2).account, NOW)]

    def test_the_number_of_a_merchants_accounts_is_bounded(
        self, accounts: AccountStore
    ) -> None:
        for number in range(MAX_ACCOUNTS):
            add_account(account(number), store=accounts)
        with pytest.raises(TooManyAccounts):
            add_account(account(99), store=accounts)
        add_account(account(99, mode=Mode.LIVE), store=accounts)
        add_account(account(98, merchant="rival"), store=accounts)
        assert accounts.count(SHOP.merchant, SHOP.mode) == MAX_ACCOUNTS


class MerchantSuite:
    """Its subclass's module has fixtures ``merchants``, which makes the store of a new
    process, and ``accounts``, the accounts that it reads."""

    def test_a_merchant_without_settings_has_the_defaults(
        self, merchants: Callable[[], MerchantStore]
    ) -> None:
        assert merchants().load_settings(SHOP) == MerchantSettings(
            DuplicatePolicy.UNFINISHED, Routes()
        )

    def test_a_changed_setting_applies_at_once_here_and_in_every_new_process(
        self, merchants: Callable[[], MerchantStore]
    ) -> None:
        ours = merchants()
        ours.load_settings(SHOP)
        ours.change_settings(SHOP.merchant, duplicate_policy=DuplicatePolicy.PAID)
        assert ours.load_settings(SHOP).duplicate_policy is DuplicatePolicy.PAID
        assert merchants().load_settings(SHOP).duplicate_policy is DuplicatePolicy.PAID
        rival = merchants().load_settings(Scope("rival", SHOP.mode))
        assert rival.duplicate_policy is DuplicatePolicy.UNFINISHED

    def test_a_changed_setting_leaves_the_others_alone(
        self, merchants: Callable[[], MerchantStore]
    ) -> None:
        ours = merchants()
        ours.change_settings(SHOP.merchant, duplicate_policy=DuplicatePolicy.PAID)
        ours.change_settings(SHOP.merchant, routes_on=["do_not_honor"])
        routes = Routes(decline_codes=("do_not_honor",))
        assert ours.load_settings(SHOP) == MerchantSettings(
            DuplicatePolicy.PAID, routes
        )
        ours.change_settings(SHOP.merchant, routes_on=[])
        assert ours.load_settings(SHOP) == MerchantSettings(
            DuplicatePolicy.PAID, Routes()
        )

    def test_the_candidates_are_the_merchants_accounts_of_one_mode(
        self, merchants: Callable[[], MerchantStore], accounts: AccountStore
    ) -> None:
        add_account(account(), store=accounts)
        paypal = account(2, provider=ProviderName.PAYPAL, retired_at=NOW)
        add_account(paypal, store=accounts)
        add_account(account(3, merchant="rival"), store=accounts)
        add_account(account(4, mode=Mode.LIVE), store=accounts)
        codes = frozenset({"USD", "EUR"})
        one = Account(account().id, ProviderName.STRIPE)
        two = Account(paypal.id, ProviderName.PAYPAL)
        assert set(merchants().load_settings(SHOP).routes.candidates) == {
            Candidate(one, codes, 30),
            Candidate(two, codes, 30, retired=True),
        }
        live = (
            merchants().load_settings(Scope(SHOP.merchant, Mode.LIVE)).routes.candidates
        )
        assert [one.account.id for one in live] == [account(4).id]
