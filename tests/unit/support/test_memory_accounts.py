"""The stores of keys, settings and accounts in memory pass their suites."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from application.ports.accounts import ApiKeyStore, MerchantStore
from tests.support.memory_accounts import MemoryAccounts, MemoryApiKeys, MemoryMerchants
from tests.suites.api_keys import ApiKeySuite
from tests.suites.merchant_accounts import AccountSuite, MerchantSuite


@pytest.fixture
def keys() -> MemoryApiKeys:
    """The keys as one process sees them."""
    return MemoryApiKeys()


@pytest.fixture
def elsewhere(keys: MemoryApiKeys) -> ApiKeyStore:
    """The same keys in another process."""
    return MemoryApiKeys(keys.keys)


@pytest.fixture
def accounts() -> MemoryAccounts:
    """The accounts under test."""
    return MemoryAccounts()


@pytest.fixture
def merchants(accounts: MemoryAccounts) -> Callable[[], MerchantStore]:
    """Returns the only process's store."""
    store = MemoryMerchants(accounts)
    return lambda: store


class TestMemoryApiKeys(ApiKeySuite):
    """The suite of all implementers."""


class TestMemoryAccounts(AccountSuite):
    """The suite of all implementers."""


class TestMemoryMerchants(MerchantSuite):
    """The suite of all implementers."""
