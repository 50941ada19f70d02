"""Tests of merchants' settings on MongoDB: the suite and the cache."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pymongo.database import Database

from application.ports.accounts import AccountStore, MerchantStore
from domain.payments.submission import DuplicatePolicy
from persistence.accounts import MongoAccounts
from persistence.codec import Document
from persistence.encryption import ACCOUNTS, KeySource, Vault
from persistence.merchants import MongoMerchants
from tests.suites.merchant_accounts import MerchantSuite
from tests.suites.samples import SHOP


@pytest.fixture
def accounts(payments_db: Database[Document], key_source: KeySource) -> AccountStore:
    """The accounts of merchants."""
    return MongoAccounts(payments_db, Vault(key_source, ACCOUNTS))


@pytest.fixture
def merchants(payments_db: Database[Document]) -> Callable[[], MerchantStore]:
    """Makes the store of a process with an empty cache."""
    return lambda: MongoMerchants(payments_db)


class TestMongoMerchants(MerchantSuite):
    """The suite of all implementers."""


def test_a_changed_setting_is_seen_by_other_processes_some_seconds_later(
    merchants: Callable[[], MerchantStore],
) -> None:
    ours, theirs = merchants(), merchants()
    assert theirs.load_settings(SHOP).duplicate_policy is DuplicatePolicy.UNFINISHED
    ours.change_settings(SHOP.merchant, duplicate_policy=DuplicatePolicy.PAID)
    assert theirs.load_settings(SHOP).duplicate_policy is DuplicatePolicy.UNFINISHED
