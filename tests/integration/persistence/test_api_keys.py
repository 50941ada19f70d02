"""API keys: who is let in, until when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import pytest
from pymongo.database import Database

from domain.submission import Mode
from persistence.codec import Document
from persistence.keys import ApiKeys, KeyChanged, KeyNotFound, Role
from persistence.vault import KeySource, Pepper
from tests.suites.samples import NOW

DAY: Final = timedelta(days=1)


class _Clock:
    """A clock that is moved by hand."""

    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    """The clock of ``keys``."""
    return _Clock()


@pytest.fixture
def keys(
    payments_db: Database[Document], key_source: KeySource, clock: _Clock
) -> ApiKeys:
    """The keys as one process sees them."""
    return ApiKeys(payments_db, Pepper(key_source), clock=clock)


@pytest.fixture
def elsewhere(
    payments_db: Database[Document], key_source: KeySource, clock: _Clock
) -> ApiKeys:
    """The same keys in another process, which remembers nothing yet."""
    return ApiKeys(payments_db, Pepper(key_source), clock=clock)


def test_a_secret_opens_its_key_everywhere(keys: ApiKeys, elsewhere: ApiKeys) -> None:
    key, secret = keys.create(merchant="shop", role=Role.OPERATOR, mode=Mode.LIVE)
    assert secret.startswith("sk_live_")
    assert keys.find(secret) == elsewhere.find(secret) == key
    assert (key.merchant, key.role, key.mode) == ("shop", Role.OPERATOR, Mode.LIVE)


@pytest.mark.parametrize("secret", ["", "_", "sk_test_", "sk_test_0", "é", "x" * 9999])
def test_what_is_no_secret_opens_nothing(keys: ApiKeys, secret: str) -> None:
    keys.create(merchant="shop", role=Role.MERCHANT, mode=Mode.TEST)
    assert keys.find(secret) is None


def test_the_right_name_with_a_wrong_secret_opens_nothing(keys: ApiKeys) -> None:
    _, secret = keys.create(merchant="shop", role=Role.MERCHANT, mode=Mode.TEST)
    wrong = secret[:-1] + ("0" if secret[-1] != "0" else "1")
    assert keys.find(wrong) is None
    assert keys.find(secret.replace("sk_test", "sk_live")) is None
    assert keys.find(secret) is not None


def test_a_key_of_another_deployment_opens_nothing(
    keys: ApiKeys, payments_db: Database[Document], key_source: KeySource
) -> None:
    pepper = Pepper(KeySource("another pepper", key_source.path))
    other = ApiKeys(payments_db, pepper, clock=_Clock())
    _, secret = keys.create(merchant="shop", role=Role.MERCHANT, mode=Mode.TEST)
    assert other.find(secret) is None


def test_a_rolled_key_lives_on_for_its_overlap_beside_its_successor(
    keys: ApiKeys, elsewhere: ApiKeys, clock: _Clock
) -> None:
    old, old_secret = keys.create(merchant="shop", role=Role.ADMIN, mode=Mode.TEST)
    new, new_secret = keys.roll(old.id, overlap=DAY)
    assert (new.merchant, new.role, new.mode) == (old.merchant, old.role, old.mode)
    clock.now += DAY - timedelta(seconds=1)
    assert elsewhere.find(old_secret) is not None
    assert elsewhere.find(new_secret) == new
    clock.now += timedelta(seconds=1)
    assert elsewhere.find(old_secret) is None
    assert elsewhere.find(new_secret) == new


def test_a_revoked_key_is_refused_at_once_where_it_is_not_remembered(
    keys: ApiKeys, elsewhere: ApiKeys
) -> None:
    key, secret = keys.create(merchant="shop", role=Role.MERCHANT, mode=Mode.TEST)
    keys.revoke(key.id)
    assert elsewhere.find(secret) is None


def test_a_remembered_key_is_asked_for_again_after_a_while(
    payments_db: Database[Document], key_source: KeySource, elsewhere: ApiKeys
) -> None:
    pepper = Pepper(key_source)
    keys = ApiKeys(payments_db, pepper, clock=_Clock(), cache_seconds=0.0)
    key, secret = keys.create(merchant="shop", role=Role.MERCHANT, mode=Mode.TEST)
    assert keys.find(secret) == key
    elsewhere.revoke(key.id)
    assert keys.find(secret) is None


def test_a_remembered_key_costs_the_database_nothing(
    keys: ApiKeys, payments_db: Database[Document]
) -> None:
    key, secret = keys.create(merchant="shop", role=Role.MERCHANT, mode=Mode.TEST)
    assert keys.find(secret) == key
    payments_db.api_keys.delete_many({})
    assert keys.find(secret) == key


def test_the_key_asked_for_longest_ago_makes_room(
    payments_db: Database[Document], key_source: KeySource
) -> None:
    keys = ApiKeys(payments_db, Pepper(key_source), clock=_Clock(), cached=1)
    secrets = [
        keys.create(merchant="shop", role=Role.MERCHANT, mode=Mode.TEST)[1]
        for _ in range(2)
    ]
    for secret in secrets:
        assert keys.find(secret) is not None
    payments_db.api_keys.delete_many({})
    assert [keys.find(secret) is not None for secret in secrets] == [False, True]


def test_a_revoked_key_has_no_successor_and_gets_no_more_time(
    keys: ApiKeys, elsewhere: ApiKeys, clock: _Clock
) -> None:
    key, secret = keys.create(merchant="shop", role=Role.MERCHANT, mode=Mode.TEST)
    assert keys.revoke(key.id).expires_at == clock.now
    with pytest.raises(KeyNotFound):
        keys.roll(key.id, overlap=DAY)
    assert elsewhere.find(secret) is None
    assert len(keys.list("shop")) == 1


def test_a_key_that_is_not_there_is_named(keys: ApiKeys) -> None:
    with pytest.raises(KeyNotFound, match="key_0"):
        keys.revoke("key_0")
    with pytest.raises(KeyNotFound):
        keys.roll("key_0", overlap=DAY)


def test_keys_are_listed_oldest_first_for_one_merchant_or_all(
    keys: ApiKeys, clock: _Clock
) -> None:
    made = []
    for merchant in ("b", "a", "b"):
        made.append(keys.create(merchant=merchant, role=Role.ADMIN, mode=Mode.TEST)[0])
        clock.now += timedelta(seconds=1)
    assert keys.list() == made
    assert keys.list("b") == [made[0], made[2]]
    assert keys.list("nobody") == []


@pytest.mark.parametrize(
    "changed",
    [{"merchant": "rival"}, {"role": "admin"}, {"mode": "live"}, {"binding": None}],
)
def test_a_key_that_was_made_somebody_elses_in_the_database_opens_nothing(
    keys: ApiKeys, payments_db: Database[Document], changed: Document
) -> None:
    key, secret = keys.create(merchant="shop", role=Role.MERCHANT, mode=Mode.TEST)
    payments_db.api_keys.update_one({"_id": key.id}, {"$set": changed})
    assert keys.find(secret) is None
    with pytest.raises(KeyChanged):
        keys.roll(key.id, overlap=DAY)
    assert payments_db.api_keys.count_documents({}) == 1


def test_a_key_of_an_earlier_release_is_bound_once_by_an_upgrade(
    keys: ApiKeys, payments_db: Database[Document]
) -> None:
    key, secret = keys.create(merchant="shop", role=Role.MERCHANT, mode=Mode.TEST)
    payments_db.api_keys.update_one({}, {"$unset": {"binding": ""}})
    assert keys.find(secret) is None
    assert (keys.bind_all(), keys.bind_all()) == (1, 0)
    assert keys.find(secret) == key
