"""Tests of merchants' accounts on MongoDB: the suite and sealed secrets."""

from __future__ import annotations

import pytest
from pymongo.database import Database

from persistence.accounts import MongoAccounts
from persistence.codec import Document
from persistence.encryption import ACCOUNTS, KeySource, Vault
from persistence.reencrypt import reseal
from tests.integration.persistence.conftest import vaults_of
from tests.suites.merchant_accounts import SECRETS, AccountSuite, account


@pytest.fixture
def accounts(payments_db: Database[Document], key_source: KeySource) -> MongoAccounts:
    """The accounts under test."""
    return MongoAccounts(payments_db, Vault(key_source, ACCOUNTS))


class TestMongoAccounts(AccountSuite):
    """The suite of all implementers."""


def test_no_secret_is_in_the_database_or_the_output(
    accounts: MongoAccounts, payments_db: Database[Document]
) -> None:
    accounts.add(account())
    stored = repr(payments_db.accounts.find_one({}))
    shown = repr(accounts.list())
    for secret in SECRETS:
        assert secret not in stored and secret not in shown


def test_a_rotation_of_keys_reseals_the_credentials_of_accounts(
    payments_db: Database[Document], key_source: KeySource
) -> None:
    MongoAccounts(payments_db, Vault(key_source, ACCOUNTS)).add(account())
    key_source.add_key()
    done = reseal(payments_db, vaults_of(key_source), progress=lambda count: None)
    assert done.resealed == {"accounts": 1}
    key_source.drop_old_keys()
    reopened = MongoAccounts(payments_db, Vault(key_source, ACCOUNTS))
    assert reopened.get(account().id) == account()
