"""Tests that a sealed field opens in its own place alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pymongo.database import Database

from application.ports.payments import Scope
from domain.errors import DocumentUnreadable
from domain.payments.answer import Answer, SavedMethod, Verdict
from domain.payments.settle import settle
from domain.payments.submission import Mode
from persistence.accounts import MongoAccounts
from persistence.codec import Document, decode_payment, encode_payment
from persistence.encryption import (
    ACCOUNTS,
    FieldUnreadable,
    KeySource,
    SealBroken,
    Vault,
)
from persistence.payments import MongoPayments
from persistence.webhooks import MongoWebhooks
from runtime.container import clock
from tests.suites.inbox import webhook
from tests.suites.merchant_accounts import account
from tests.suites.samples import insert_all, PRICE, SHOP, payment, sending, submission

RIVAL = Scope("rival", SHOP.mode)
SAVED = Answer(
    Verdict.SUCCEEDED,
    PRICE,
    {"payment_intent": "pi_1"},
    saved_method=SavedMethod("pm_saved", "cus_1"),
)


def paid(store: MongoPayments, number: int, scope: Scope = SHOP) -> Document:
    """The document of a payment with every field in both seals."""
    now = clock()
    asked = replace(submission(), email=f"payer-{number}@example.com")
    fresh = payment(number, submitted=asked, scope=scope, now=now)
    [new] = insert_all(store, [fresh])
    [won] = store.claim_many([sending(new, now=now, body=f'{{"n": {number}}}')])
    store.settle_many([settle(won, SAVED, now=now, jitter=0)])
    found = store._payments.find_one({"_id": fresh.id})
    assert found is not None
    return found


@pytest.fixture
def store(payments_db: Database[Document], vault: Vault) -> MongoPayments:
    return MongoPayments(payments_db, vault, lease_holder="one")


@pytest.fixture
def accounts(payments_db: Database[Document], key_source: KeySource) -> MongoAccounts:
    return MongoAccounts(payments_db, Vault(key_source, ACCOUNTS))


def put(database: Database[Document], document: Document, **fields: Any) -> None:
    """Writes to the database as an attacker would."""
    result = database.payments.update_one({"_id": document["_id"]}, {"$set": fields})
    assert result.matched_count


def test_an_unchanged_document_is_read(store: MongoPayments) -> None:
    mine = paid(store, 1)
    read = store.get(SHOP, mine["_id"])
    assert read is not None and read.saved_method == SAVED.saved_method
    assert (
        read.first_operation.send is not None
        and read.first_operation.send.body == '{"n": 1}'
    )


@pytest.mark.parametrize("field", ["personal_data", "provider_data"])
@pytest.mark.parametrize("scope", [SHOP, RIVAL], ids=["own", "another merchant's"])
def test_a_field_of_another_payment_does_not_open(
    store: MongoPayments, payments_db: Database[Document], field: str, scope: Scope
) -> None:
    mine, other = paid(store, 1), paid(store, 2, scope)
    put(payments_db, mine, **{field: other[field]})
    with pytest.raises(DocumentUnreadable):
        store.get(SHOP, mine["_id"])


def test_fields_swapped_within_a_payment_do_not_open(
    store: MongoPayments, payments_db: Database[Document]
) -> None:
    mine = paid(store, 1)
    swapped = {
        "personal_data": mine["provider_data"],
        "provider_data": mine["personal_data"],
    }
    put(payments_db, mine, **swapped)
    with pytest.raises(DocumentUnreadable):
        store.get(SHOP, mine["_id"])


@pytest.mark.parametrize(
    ("field", "value"), [("merchant", "rival"), ("mode", "live"), ("_id", "pay_2")]
)
def test_a_payment_moved_to_another_merchant_does_not_open(
    store: MongoPayments, vault: Vault, field: str, value: str
) -> None:
    mine = paid(store, 1)
    with pytest.raises(SealBroken):
        decode_payment({**mine, field: value}, vault)


def test_a_payment_with_removed_personal_data_is_not_read(
    store: MongoPayments, vault: Vault
) -> None:
    mine = paid(store, 1)
    del mine["personal_data"]
    with pytest.raises(SealBroken):
        decode_payment(mine, vault)


def test_a_body_of_an_earlier_send_does_not_open_under_a_later_key(
    store: MongoPayments, payments_db: Database[Document]
) -> None:
    """A send's body is bound to the send's key."""
    mine = paid(store, 1)
    put(payments_db, mine, **{"operations.0.send.key": "op_1:2"})
    with pytest.raises(DocumentUnreadable):
        store.get(SHOP, mine["_id"])


def test_an_accounts_credentials_do_not_open_in_a_payment(
    store: MongoPayments, accounts: MongoAccounts, payments_db: Database[Document]
) -> None:
    accounts.add(account())
    secret = payments_db.accounts.find_one({})
    assert secret is not None
    mine = paid(store, 1, RIVAL)
    for field in ("provider_data", "personal_data"):
        put(payments_db, mine, **{field: secret["credentials"]})
        with pytest.raises(DocumentUnreadable):
            store.get(RIVAL, mine["_id"])
        put(payments_db, mine, **{field: mine[field]})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("merchant", "rival"),
        ("mode", "live"),
        ("provider", "paypal"),
        ("_id", "acct_x"),
    ],
)
def test_an_account_moved_to_another_merchant_does_not_open(
    accounts: MongoAccounts, payments_db: Database[Document], field: str, value: str
) -> None:
    accounts.add(account())
    stored = payments_db.accounts.find_one_and_delete({})
    assert stored is not None
    payments_db.accounts.insert_one({**stored, field: value})
    with pytest.raises(DocumentUnreadable):
        accounts.get(value if field == "_id" else account().id)
    assert accounts.list() == []
    assert accounts.list_unreadable() == [value if field == "_id" else account().id]


def test_another_accounts_credentials_do_not_open_and_affect_no_other_account(
    accounts: MongoAccounts, payments_db: Database[Document]
) -> None:
    mine, theirs = account(1), account(2, merchant="rival")
    for one in (mine, theirs):
        accounts.add(one)
    taken = payments_db.accounts.find_one({"_id": theirs.id}) or {}
    payments_db.accounts.update_one(
        {"_id": mine.id}, {"$set": {"credentials": taken["credentials"]}}
    )
    with pytest.raises(DocumentUnreadable):
        accounts.get(mine.id)
    assert accounts.list() == [theirs]
    assert accounts.list_unreadable() == [mine.id]


def test_a_webhooks_body_opens_at_its_own_account_and_event_alone(
    payments_db: Database[Document], vault: Vault
) -> None:
    inbox = MongoWebhooks(payments_db, vault, Mode.TEST, clock=clock)
    one, two = webhook(1), webhook(2)
    for each in (one, two):
        inbox.add(each)
    bodies = {each["_id"]: each["body"] for each in payments_db.webhooks.find({})}
    assert {each.id for each in inbox.load([one.id, two.id])} == {one.id, two.id}
    payments_db.webhooks.update_one({"_id": one.id}, {"$set": {"body": bodies[two.id]}})
    assert [each.id for each in inbox.load([one.id, two.id])] == [two.id]
    payments_db.webhooks.update_one(
        {"_id": one.id}, {"$set": {"body": bodies[one.id], "account": "acct_other"}}
    )
    assert [each.id for each in inbox.load([one.id, two.id])] == [two.id]


def test_a_payment_with_a_moved_seal_is_left_out_of_its_group(
    store: MongoPayments, payments_db: Database[Document]
) -> None:
    now = clock()
    one, two = payment(1, now=now), payment(2, now=now)
    insert_all(store, [one, two])
    taken = payments_db.payments.find_one({"_id": two.id}) or {}
    put(payments_db, {"_id": one.id}, personal_data=taken["personal_data"])
    assert [each.id for each in store.load_due([one.id, two.id])] == [two.id]
    left = payments_db.payments.find_one({"_id": one.id}) or {}
    assert left["operations"][0]["state"] == "queued" and left["due_at"] > now


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    field=st.sampled_from(["personal_data", "provider_data"]),
    bit=st.integers(0),
    cut=st.integers(0),
)
def test_a_document_with_a_changed_or_truncated_seal_is_not_read(
    vault: Vault, field: str, bit: int, cut: int
) -> None:
    whole = encode_payment(sending(payment()), vault)
    sealed = bytearray(whole[field])
    sealed[bit // 8 % len(sealed)] ^= 1 << bit % 8
    for broken in (bytes(sealed), whole[field][: cut % len(whole[field])], None, "", 1):
        with pytest.raises(FieldUnreadable):
            decode_payment({**whole, field: broken}, vault)
