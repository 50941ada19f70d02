"""The cache of accounts: few reads, and entries of some seconds at most."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.account import AccountNotFound, Credentials, StoredAccount
from domain.errors import StoreUnavailable
from domain.payments.submission import Mode, ProviderName
from persistence.encryption import KeyMissing, SealBroken
from runtime.accounts.cache import CACHE_SECONDS, MAX_CACHED, MAX_UNKNOWN, AccountCache
from tests.suites.samples import NOW

ONE = StoredAccount(
    id="acct_1",
    merchant="shop",
    mode=Mode.TEST,
    provider=ProviderName.STRIPE,
    created_at=NOW,
    credentials=Credentials("sk_test_1"),
)


class _Store:
    """Accounts and a count of reads; ``raises`` makes reads fail."""

    def __init__(self, *accounts: StoredAccount) -> None:
        self.found = {one.id: one for one in accounts}
        self.reads: list[str] = []
        self.raises: Exception | None = None
        self.now = 0.0
        self.known = AccountCache(self.read, clock=lambda: self.now)

    def read(self, name: str) -> StoredAccount:
        self.reads.append(name)
        if self.raises is not None:
            raise self.raises
        if name not in self.found:
            raise AccountNotFound
        return self.found[name]


def test_an_account_is_read_again_after_some_seconds() -> None:
    store = _Store(ONE)
    assert [store.known.get("acct_1") for _ in range(9)] == [ONE] * 9
    assert len(store.reads) == 1
    store.found["acct_1"] = replace(ONE, weight=2)
    store.now += CACHE_SECONDS
    assert store.known.get("acct_1").weight == 2
    assert len(store.reads) == 2


@pytest.mark.parametrize("error", [StoreUnavailable(), KeyMissing(), SealBroken()])
def test_the_last_known_account_is_used_while_reads_fail(error: Exception) -> None:
    store = _Store(ONE)
    store.raises = error
    with pytest.raises(type(error)):
        store.known.get("acct_1")
    store.raises = None
    store.known.get("acct_1")
    store.raises, store.now = error, CACHE_SECONDS
    assert [store.known.get("acct_1") for _ in range(9)] == [ONE] * 9
    assert len(store.reads) == 3


def test_a_flood_of_unknown_names_refuses_no_account() -> None:
    store = _Store(ONE)
    for number in range(1_000):
        with pytest.raises(AccountNotFound):
            store.known.get(f"acct_none_{number}")
    assert store.known.get("acct_1") == ONE


def test_an_unknown_name_is_read_once_in_a_few_seconds() -> None:
    store = _Store()
    for _ in range(9):
        with pytest.raises(AccountNotFound):
            store.known.get("acct_1")
    assert store.reads == ["acct_1"]
    store.found["acct_1"] = ONE
    store.now += CACHE_SECONDS
    assert store.known.get("acct_1") == ONE


def test_the_number_of_cached_unknown_names_is_bounded() -> None:
    store = _Store()
    for number in range(MAX_UNKNOWN + 1):
        with pytest.raises(AccountNotFound):
            store.known.get(f"acct_{number}")
    store.reads.clear()
    for number in (1, 0):
        with pytest.raises(AccountNotFound):
            store.known.get(f"acct_{number}")
    assert store.reads == ["acct_0"], "the oldest was dropped"


def test_cached_accounts_are_bounded_and_the_one_read_longest_ago_is_evicted() -> None:
    many = [replace(ONE, id=f"acct_{number}") for number in range(MAX_CACHED + 1)]
    store = _Store(*many)
    for account in many:
        store.known.get(account.id)
    store.reads.clear()
    assert store.known.get(many[1].id) == many[1]
    assert store.reads == []
    store.known.get(many[0].id)
    assert store.reads == [many[0].id]


def test_a_removed_account_is_not_used_again() -> None:
    store = _Store(ONE)
    store.known.get("acct_1")
    store.found.clear()
    store.now = CACHE_SECONDS
    for _ in range(3):
        with pytest.raises(AccountNotFound):
            store.known.get("acct_1")
