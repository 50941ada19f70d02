"""Tests of API keys on MongoDB: the suite, the cache and changed documents."""

from __future__ import annotations

import pytest
from pymongo.database import Database

from application.api_keys import revoke_key, roll_key
from domain.api_keys import KeyChanged
from persistence.api_keys import MongoApiKeys
from persistence.codec import Document
from persistence.encryption import KeySource, Pepper
from tests.suites.api_keys import DAY, ApiKeySuite, created, opened
from tests.suites.samples import NOW


@pytest.fixture
def keys(payments_db: Database[Document], key_source: KeySource) -> MongoApiKeys:
    """The keys of one process."""
    return MongoApiKeys(payments_db, Pepper(key_source))


@pytest.fixture
def elsewhere(payments_db: Database[Document], key_source: KeySource) -> MongoApiKeys:
    """The same keys in another process with an empty cache."""
    return MongoApiKeys(payments_db, Pepper(key_source))


class TestMongoApiKeys(ApiKeySuite):
    """The suite of all implementers."""


def test_a_key_of_another_deployment_is_invalid(
    keys: MongoApiKeys, payments_db: Database[Document], key_source: KeySource
) -> None:
    other = MongoApiKeys(
        payments_db, Pepper(KeySource("another pepper", key_source.path))
    )
    _, secret = created(keys)
    assert opened(other, secret) is None


def test_a_cached_key_is_read_again_after_a_while(
    payments_db: Database[Document], key_source: KeySource, elsewhere: MongoApiKeys
) -> None:
    keys = MongoApiKeys(payments_db, Pepper(key_source), cache_seconds=0.0)
    key, secret = created(keys)
    assert opened(keys, secret) == key
    revoke_key(key.id, store=elsewhere, now=NOW)
    assert opened(keys, secret) is None


def test_a_cached_key_causes_no_read(
    keys: MongoApiKeys, payments_db: Database[Document]
) -> None:
    key, secret = created(keys)
    assert opened(keys, secret) == key
    payments_db.api_keys.delete_many({})
    assert opened(keys, secret) == key


def test_the_key_read_longest_ago_is_evicted(
    payments_db: Database[Document], key_source: KeySource
) -> None:
    keys = MongoApiKeys(payments_db, Pepper(key_source), cached=1)
    secrets = [created(keys)[1] for _ in range(2)]
    for secret in secrets:
        assert opened(keys, secret) is not None
    payments_db.api_keys.delete_many({})
    assert [opened(keys, secret) is not None for secret in secrets] == [False, True]


@pytest.mark.parametrize(
    "changed",
    [{"merchant": "rival"}, {"role": "admin"}, {"mode": "live"}, {"binding": None}],
)
def test_a_key_whose_owner_was_changed_in_the_database_is_refused(
    keys: MongoApiKeys, payments_db: Database[Document], changed: Document
) -> None:
    key, secret = created(keys)
    payments_db.api_keys.update_one({"_id": key.id}, {"$set": changed})
    assert opened(keys, secret) is None
    with pytest.raises(KeyChanged):
        roll_key(key.id, overlap=DAY, store=keys, now=NOW)
    assert payments_db.api_keys.count_documents({}) == 1


def test_a_key_of_an_earlier_release_is_bound_once_by_an_upgrade(
    keys: MongoApiKeys, payments_db: Database[Document]
) -> None:
    key, secret = created(keys)
    payments_db.api_keys.update_one({}, {"$unset": {"binding": ""}})
    assert opened(keys, secret) is None
    assert (keys.bind_all(), keys.bind_all()) == (1, 0)
    assert opened(keys, secret) == key
