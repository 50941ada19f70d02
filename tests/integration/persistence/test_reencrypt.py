"""Tests that a rotation reseals every field that needs it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from pymongo.database import Database

from application.ports.payments import Scope
from domain.account import Account
from domain.money import Money
from domain.payments.answer import Answer, Failure, NextAction, Verdict
from domain.payments.settle import settle
from domain.payments.operation import Kind, Operation, Origin
from domain.payments.payment import Payment
from domain.payments.submission import Mode, ProviderName, Submission
from persistence.codec import Document
from persistence.encryption import KeySource, Vault
from persistence.payments import MongoPayments
from persistence.reencrypt import reseal
from tests.integration.persistence.conftest import vaults_of
from tests.suites.samples import insert_all, sending

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def _payment(number: int) -> Payment:
    """A settled payment with every sealed field filled."""
    fresh = Payment(
        id=f"pay_{number:04}",
        merchant="m",
        mode=Mode.TEST,
        submission=Submission(
            amount=Money(1999, "USD"),
            provider=ProviderName.PAYPAL,
            payment_method="vault_ada",
            description="Two tickets",
            return_url="https://shop.example/done",
            email="ada@example.com",
            metadata={"basket": str(number)},
        ),
        account=Account.own(ProviderName.PAYPAL),
        operations=(
            Operation(
                f"op_{number}",
                Kind.CHARGE,
                1999,
                Origin(str(number), "f"),
                starts_at=NOW,
                due_at=NOW,
            ),
        ),
        created_at=NOW,
        updated_at=NOW,
    )
    answer = Answer(
        Verdict.ACTION_REQUIRED,
        next_action=NextAction("https://paypal.example/approve"),
        failure=Failure("payer_action_required", "The payer must act."),
    )
    return settle(sending(fresh, now=NOW), answer, now=NOW, jitter=0)


def _sealed(value: Any) -> list[bytes]:
    if isinstance(value, dict):
        return [found for item in value.values() for found in _sealed(item)]
    if isinstance(value, list):
        return [found for item in value for found in _sealed(item)]
    return [value] if isinstance(value, bytes) else []


def test_every_field_is_resealed_and_opens_only_with_the_new_key(
    payments_db: Database[Document], key_source: KeySource
) -> None:
    store = MongoPayments(payments_db, Vault(key_source), lease_holder="h")
    stored = insert_all(store, [_payment(number) for number in range(250)])
    key_source.add_key()
    read: list[int] = []

    done = reseal(payments_db, vaults_of(key_source), progress=read.append)
    assert done.resealed == {"payments": 250} and not done.is_last
    assert sum(read) == 250
    assert reseal(payments_db, vaults_of(key_source), progress=read.append).is_last

    key_source.drop_old_keys()
    vault = Vault(key_source)
    for document in payments_db.payments.find():
        fields = _sealed(document)
        assert len(fields) == 2
        assert all(vault.is_current(field) for field in fields)
    again = MongoPayments(payments_db, vault, lease_holder="h")
    found = again.get(Scope("m", Mode.TEST), stored[7].id)
    assert found == stored[7]


def test_a_payment_changed_meanwhile_is_left_to_the_next_pass(
    payments_db: Database[Document], key_source: KeySource
) -> None:
    old = Vault(key_source)
    store = MongoPayments(payments_db, old, lease_holder="h")
    insert_all(store, [_payment(1)])
    key_source.add_key()

    class Moved(Vault):
        """Opens a field a moment before another process writes the payment."""

        def open(self, sealed: Any, *binding: str) -> str:
            payments_db.payments.update_many({}, {"$inc": {"version": 1}})
            return super().open(sealed, *binding)

    before = payments_db.payments.find_one({})
    vaults = {**vaults_of(key_source), "payments": Moved(key_source)}
    done = reseal(payments_db, vaults, progress=lambda _: None)
    assert (done.moved, done.is_last) == ({"payments": 1}, False)
    after = payments_db.payments.find_one({})
    assert before is not None and after is not None
    assert _sealed(after) == _sealed(before)
    done = reseal(payments_db, vaults_of(key_source), progress=lambda _: None)
    assert done.resealed == {"payments": 1}
