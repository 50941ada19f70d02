"""Tests that seals of earlier releases open for an upgrade alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pymongo.database import Database

from domain.errors import DocumentUnreadable
from domain.payments.submission import Mode
from persistence.accounts import MongoAccounts
from persistence.codec import Document, decode_payment, encode_payment
from persistence.encryption import ACCOUNTS, KeySource, SealBroken, Vault
from persistence.key_checks import (
    SealState,
    is_rotation_begun,
    has_matching_keys,
    reseal_check,
    find_seal_state,
)
from persistence.legacy_encryption import OldSeals
from persistence.payments import MongoPayments
from persistence.reencrypt import reseal
from persistence.webhooks import MongoWebhooks
from runtime.container import clock
from tests.integration.persistence.conftest import vaults_of
from tests.integration.persistence.test_reencrypt import _payment
from tests.suites.inbox import webhook
from tests.suites.merchant_accounts import account
from tests.suites.samples import insert_all

MESSAGE = "The payer must act."
URL = "https://paypal.example/approve"


Seal = Callable[[str], bytes]


def token_by(key_source: KeySource) -> Seal:
    """Seals as the earlier release did."""
    fernet = Fernet(key_source.keys()[0])
    return lambda text: fernet.encrypt(text.encode())


@pytest.fixture
def token(key_source: KeySource) -> Seal:
    return token_by(key_source)


def old_payment(document: Document, vault: Vault, token: Seal) -> Any:
    """A document as the earlier release wrote it."""
    payment = decode_payment(document, vault)
    asked, send = payment.submission, payment.first_operation.send
    assert send is not None
    operation = document["operations"][0]
    gone = ("personal_data", "provider_data")
    return {
        **{name: value for name, value in document.items() if name not in gone},
        **{
            name: token(getattr(asked, name))
            for name in ("payment_method", "email", "description", "return_url")
        },
        "metadata": token(json.dumps(dict(asked.metadata))),
        "next_action": {**document["next_action"], "url": token(URL)},
        "last_error": {**document["last_error"], "message": token(MESSAGE)},
        "saved_method": {"id": token("pm_saved"), "customer": token("cus_1")},
        "operations": [
            {**operation, "send": {**operation["send"], "body": token(send.body)}}
        ],
    }


@pytest.fixture
def earlier(payments_db: Database[Document], vault: Vault) -> Document:
    """A database of the earlier release, and its one payment in this release."""
    return write_earlier(payments_db, vault)


def write_earlier(payments_db: Database[Document], vault: Vault) -> Document:
    """The database of ``earlier``."""
    token = token_by(vault.source)
    new = encode_payment(_payment(1), vault)
    payments_db.payments.insert_one(old_payment(new, vault, token))
    whole = account()
    its = whole.credentials
    payments_db.accounts.insert_one(
        {
            "_id": whole.id,
            "merchant": whole.merchant,
            "mode": whole.mode.value,
            "provider": whole.provider.value,
            "currencies": list(whole.currencies),
            "weight": whole.weight,
            "rate": whole.calls_per_second,
            "connected": whole.connected_account,
            "secret": token(its.secret or ""),
            "client_id": token(its.client_id or ""),
            "webhook_secrets": [token(one) for one in its.webhook_secrets],
            "webhook_id": token(its.webhook_id or ""),
            "created_at": whole.created_at,
            "version": 1,
        }
    )
    inbox = MongoWebhooks(payments_db, vault, Mode.TEST, clock=clock)
    inbox.add(webhook())
    payments_db.webhooks.update_one({}, {"$set": {"body": token(webhook().body)}})
    check = {"_id": "encryption", "sealed": token("sealed")}
    payments_db.keyring.replace_one({"_id": "encryption"}, check, upsert=True)
    return new


def test_an_upgrade_reads_and_binds_seals_of_an_earlier_release(
    payments_db: Database[Document], key_source: KeySource, earlier: Document
) -> None:
    vault = Vault(key_source)
    assert has_matching_keys(payments_db, vault)
    assert find_seal_state(payments_db, vault) is SealState.EARLIER_RELEASE
    assert not is_rotation_begun(payments_db, vault)
    key_source.add_key()
    vault.reload()
    assert is_rotation_begun(
        payments_db, vault
    ), "an interrupted one goes on with its key"
    vaults, old = vaults_of(key_source), OldSeals(key_source)
    every = {"payments": 1, "webhooks": 1, "accounts": 1}

    done = reseal(payments_db, vaults, old=old, progress=lambda _: None)

    assert (done.resealed, done.failed) == (every, [])
    assert reseal(payments_db, vaults, old=old, progress=lambda _: None).is_last
    reseal_check(payments_db, vault)
    key_source.drop_old_keys()
    vault = Vault(key_source)
    assert find_seal_state(payments_db, vault) is SealState.NEWEST_KEY
    stored = payments_db.payments.find_one({}) or {}
    assert set(stored) == set(earlier)
    read, before = decode_payment(stored, vault), _payment(1)
    assert read.submission == before.submission
    assert read.first_operation.send == before.first_operation.send
    assert read.next_action == before.next_action and read.next_action is not None
    assert read.last_error == before.last_error and read.last_error is not None
    assert read.saved_method is not None
    assert (read.saved_method.id, read.saved_method.customer) == ("pm_saved", "cus_1")
    found = MongoAccounts(payments_db, Vault(key_source, ACCOUNTS)).get(account().id)
    assert found == account()
    inbox = MongoWebhooks(payments_db, vault, Mode.TEST, clock=clock)
    assert [one.body for one in inbox.load([webhook().id])] == [webhook().body]


def test_a_rotation_counts_and_keeps_seals_of_an_earlier_release(
    payments_db: Database[Document], key_source: KeySource, earlier: Document
) -> None:
    before = [list(payments_db[name].find({})) for name in ("payments", "accounts")]
    done = reseal(payments_db, vaults_of(key_source), progress=lambda _: None)
    assert done.old == {"payments": 1, "webhooks": 1, "accounts": 1}
    assert done.resealed.total() == 0
    after = [list(payments_db[name].find({})) for name in ("payments", "accounts")]
    assert after == before


def test_a_worker_and_the_api_open_no_seal_of_an_earlier_release(
    payments_db: Database[Document], vault: Vault, earlier: Document
) -> None:
    store = MongoPayments(payments_db, vault, lease_holder="one")
    payments_db.payments.update_one({}, {"$set": {"due_at": clock()}})
    assert store.load_due([earlier["_id"]]) == []
    with pytest.raises(DocumentUnreadable):
        MongoAccounts(payments_db, vault).get(account().id)


@pytest.mark.parametrize(
    "field", ["personal_data", "provider_data", "saved_method", "payment_method"]
)
def test_an_old_seal_in_place_of_a_new_one_does_not_open(
    payments_db: Database[Document],
    vault: Vault,
    key_source: KeySource,
    token: Seal,
    field: str,
) -> None:
    store = MongoPayments(payments_db, vault, lease_holder="one")
    [stored] = insert_all(store, [_payment(1)])
    planted: Any = token("sk_live_secret")
    if field == "saved_method":
        planted = {"id": planted, "customer": planted}
    payments_db.payments.update_one({}, {"$set": {field: planted}})
    # Neither a rotation nor an upgrade makes it readable.
    key_source.add_key()
    vaults, old = vaults_of(key_source), OldSeals(key_source)
    for seals in (None, old):
        reseal(payments_db, vaults, old=seals, progress=lambda _: None)
    document = payments_db.payments.find_one({}) or {}
    if field in ("saved_method", "payment_method"):
        assert decode_payment(document, vault) == stored
    else:
        with pytest.raises(SealBroken):
            decode_payment(document, vault)


def test_an_upgrade_continues_past_an_unreadable_seal(
    payments_db: Database[Document], key_source: KeySource, earlier: Document
) -> None:
    payments_db.webhooks.update_one({}, {"$set": {"body": b"gAAAAAcut"}})
    vaults, old = vaults_of(key_source), OldSeals(key_source)
    done = reseal(payments_db, vaults, old=old, progress=lambda _: None)
    assert done.resealed == {"payments": 1, "accounts": 1}
    assert [(name, why) for name, _, why in done.failed] == [("webhooks", "SealBroken")]
