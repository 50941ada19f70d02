"""Tests of the bytes that MongoDB stores."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.database import Database

from domain.errors import DocumentUnreadable
from domain.money import Money
from domain.payments.answer import Answer, Failure, NextAction, SavedMethod, Verdict
from domain.payments.settle import settle
from domain.payments.payment import LEASE
from domain.payments.submission import ProviderName, Submission
from persistence.api_keys import MongoApiKeys
from persistence.codec import Document
from persistence.encryption import KeySource, Pepper, Vault
from persistence.payments import MongoPayments
from runtime.container import clock
from tests.suites.api_keys import created
from tests.suites.samples import insert_all, SHOP, payment, sending

#: One secret for each sensitive field.
SECRETS: Final = {
    "payment_method": "pm_secretToken",
    "description": "Flowers for Ann",
    "email": "ann@example.com",
    "customer": "cus_secretCustomer",
    "saved method": "pm_savedToken",
    "saved for": "cus_savedFor",
    "return_url": "https://shop.example/back?session=abc123",
    "metadata": "gift wrapped",
    "metadata name": "wrapping",
    "body": "body-of-the-send",
    "failure": "The token pm_quoted was refused",
    "next_action": "https://bank.example/challenge/xyz",
}


@pytest.fixture
def stored(payments_db: Database[Document], vault: Vault) -> MongoPayments:
    """A store with one payment that has every field filled."""
    store, now = MongoPayments(payments_db, vault, lease_holder="one"), clock()
    asked = Submission(
        Money(1999, "USD"),
        ProviderName.STRIPE,
        payment_method=SECRETS["payment_method"],
        reference="order-7",
        description=SECRETS["description"],
        return_url=SECRETS["return_url"],
        email=SECRETS["email"],
        customer=SECRETS["customer"],
        metadata={SECRETS["metadata name"]: SECRETS["metadata"]},
    )
    [new] = insert_all(store, [payment(submitted=asked, now=now)])
    body = f'{{"x": "{SECRETS["body"]}"}}'
    [won] = store.claim_many([sending(new, now=now, body=body)])
    answer = Answer(
        Verdict.ACTION_REQUIRED,
        next_action=NextAction(SECRETS["next_action"]),
        failure=Failure("authentication_required", SECRETS["failure"]),
        saved_method=SavedMethod(SECRETS["saved method"], SECRETS["saved for"]),
    )
    store.settle_many([settle(won, answer, now=now, jitter=0)])
    return store


def test_secrets_are_unreadable_at_rest(
    stored: MongoPayments, payments_db: Database[Document], mongo_url: str
) -> None:
    with MongoClient[RawBSONDocument](
        mongo_url, document_class=RawBSONDocument
    ) as client:
        [document] = client[payments_db.name].payments.find()
    raw = document.raw
    assert b"order-7" in raw, "an unsealed value is found"
    readable = [name for name, text in SECRETS.items() if text.encode() in raw]
    assert readable == []


def test_a_sealed_payment_is_read_again(stored: MongoPayments) -> None:
    found = stored.get(SHOP, payment().id)
    assert found is not None
    assert found.submission.email == SECRETS["email"]
    assert found.submission.customer == SECRETS["customer"]
    assert found.saved_method == SavedMethod(
        SECRETS["saved method"], SECRETS["saved for"]
    )
    assert found.submission.metadata == {"wrapping": "gift wrapped"}
    assert found.next_action == NextAction(SECRETS["next_action"])
    assert found.last_error is not None
    assert found.last_error.message == SECRETS["failure"]


def test_a_payment_without_its_key_cannot_be_read(
    stored: MongoPayments, payments_db: Database[Document], key_source: KeySource
) -> None:
    stranger = Vault(KeySource("", key_source.path.parent / "strange_keys"))
    other = MongoPayments(payments_db, stranger, lease_holder="two")
    with pytest.raises(DocumentUnreadable):
        other.get(SHOP, payment().id)


def test_an_unreadable_payment_delays_no_other_and_stays_due(
    payments_db: Database[Document], vault: Vault, key_source: KeySource
) -> None:
    stranger = Vault(KeySource("", key_source.path.parent / "strange_keys"))
    store = MongoPayments(payments_db, vault, lease_holder="one")
    now = clock()
    ours, theirs = (
        payment(number, now=now - timedelta(minutes=number)) for number in (1, 2)
    )
    insert_all(store, [ours])
    insert_all(MongoPayments(payments_db, stranger, lease_holder="two"), [theirs])
    assert [one.id for one in store.load_due([ours.id, theirs.id])] == [ours.id]
    assert store.find_due_ids(10) == [ours.id]
    assert store.find_settled([theirs.id]) == set()
    document = payments_db.payments.find_one({"_id": theirs.id}) or {}
    assert now < document["due_at"] < now + 2 * LEASE


def test_a_step_after_a_rotation_keeps_the_payment_readable(
    payments_db: Database[Document], key_source: KeySource
) -> None:
    running = MongoPayments(payments_db, Vault(key_source), lease_holder="one")
    [new] = insert_all(running, [payment(now=clock())])
    key_source.add_key()
    restarted = MongoPayments(payments_db, Vault(key_source), lease_holder="two")
    [won] = restarted.claim_many([sending(new, now=clock())])
    found = running.get(SHOP, won.id)
    assert found is not None
    assert found == won


def test_an_api_key_is_stored_as_a_hash_alone(
    payments_db: Database[Document], key_source: KeySource
) -> None:
    keys = MongoApiKeys(payments_db, Pepper(key_source))
    key, secret = created(keys)
    [document] = payments_db.api_keys.find()
    private = secret.removeprefix("sk_test_" + key.id.removeprefix("key_"))
    assert len(private) == 48
    assert all(private not in str(value) for value in document.values())
