"""`payments rotate-keys`: after an upgrade, interrupted, and beside broken seals."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pymongo.database import Database

from application.ports.payments import Scope
from cli.commands import doctor
from cli.findings import FAIL, OK, WARN, Finding
from domain.payments.submission import Mode
from local_stack.initialise import initialise
from persistence.codec import Document
from persistence.payments import MongoPayments
from runtime import container
from runtime.settings import Settings
from tests.integration.persistence.test_legacy_encryption import write_earlier
from tests.integration.persistence.test_reencrypt import _payment
from tests.support.running_stack import payments
from tests.suites.samples import insert_all


@pytest.fixture
def stored(settings: Settings) -> Iterator[Database[Document]]:
    """The database of the settings, with its keys."""
    initialise(settings)
    opened = container.open_database(settings)
    yield opened
    opened.client.close()


def examined(settings: Settings, name: str = "encryption keys") -> Finding:
    return {one.name: one for one in doctor.examine(settings)}[name]


def test_an_upgrade_is_requested_once_and_then_reported_as_done(
    settings: Settings, stored: Database[Document]
) -> None:
    old = write_earlier(stored, container.open_vault(settings))
    environment = settings.environment()
    initialise(settings)  # the stack has to start before it can be upgraded
    found = examined(settings)
    assert (found.verdict, "--from-fernet" in found.advice) == (FAIL, True)

    refused = payments("rotate-keys", environment=environment)
    assert refused.returncode == 1
    assert "Nothing was changed: run `payments rotate-keys --from-fernet` once" in (
        refused.stderr
    )
    assert len(container.PAYMENT_KEYS.source(settings).keys()) == 1

    done = payments(
        *("rotate-keys", "--from-fernet", "--drop-old"), environment=environment
    )
    assert done.returncode == 0, done.stderr
    assert "1 payment, 1 webhook and 1 account were sealed anew" in done.stdout
    assert "The old keys are deleted." in done.stdout
    for keys in container.ENCRYPTION_KEYS:
        assert examined(settings, keys.title).verdict == OK
        assert len(keys.source(settings).keys()) == 1
    store = MongoPayments(stored, container.open_vault(settings), lease_holder="h")
    read = store.get(Scope("m", Mode.TEST), old["_id"])
    assert read is not None and read.submission == _payment(1).submission


def test_a_rotation_names_unreadable_seals_and_forgets_no_key(
    settings: Settings, stored: Database[Document]
) -> None:
    store = MongoPayments(stored, container.open_vault(settings), lease_holder="h")
    mine, other = insert_all(store, [_payment(1), _payment(2)])
    taken = stored.payments.find_one({"_id": other.id}) or {}
    stored.payments.update_one(
        {"_id": mine.id}, {"$set": {"personal_data": taken["personal_data"]}}
    )
    environment = settings.environment()
    done = payments("rotate-keys", "--drop-old", environment=environment)
    assert done.returncode == 1
    assert "1 payment was sealed anew" in done.stdout
    assert f"no key was deleted: payments {mine.id} (SealBroken)" in done.stderr
    keys = container.PAYMENT_KEYS.source(settings).keys()
    assert len(keys) == 2
    assert examined(settings).verdict == WARN

    # After the repair, the next run continues with the added key.
    stored.payments.delete_one({"_id": mine.id})
    again = payments("rotate-keys", "--drop-old", environment=environment)
    assert again.returncode == 0, again.stderr
    assert "continuing with the newest key" in again.stdout
    assert container.PAYMENT_KEYS.source(settings).keys() == keys[:1]
    assert examined(settings).verdict == OK


def test_planted_old_seals_are_counted_and_not_opened(
    settings: Settings, stored: Database[Document]
) -> None:
    write_earlier(stored, container.open_vault(settings))
    stored.keyring.delete_one({"_id": "encryption"})
    initialise(settings)
    done = payments("rotate-keys", environment=settings.environment())
    assert done.returncode == 1
    assert "1 payment, 1 webhook and 1 account are of an earlier release" in done.stderr
    document = stored.payments.find_one({}) or {}
    assert "personal_data" not in document
