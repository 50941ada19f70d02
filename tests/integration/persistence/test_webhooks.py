"""Tests of webhooks on MongoDB: the suite and the indexes of their queries."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from pymongo.database import Database

from application.ports.webhooks import WebhookInbox
from domain.payments.submission import Mode
from domain.webhooks import WebhookStatus
from persistence.codec import Document
from persistence.encryption import KeySource, Vault
from persistence.monitoring import count_waiting_webhooks
from persistence.reencrypt import reseal
from persistence.webhooks import MongoWebhooks
from tests.integration.persistence.conftest import vaults_of
from tests.suites.inbox import InboxSuite, InboxSetup, webhook
from tests.suites.samples import NOW


class _MongoInbox:
    """An inbox and its clock."""

    inbox: WebhookInbox
    now: datetime = NOW


@pytest.fixture
def inbox_setup(payments_db: Database[Document], vault: Vault) -> InboxSetup:
    """An inbox on a real server."""
    # The server's clock is later than every webhook of these tests.
    if "old" in payments_db.webhooks.index_information():
        payments_db.webhooks.drop_index("old")
    made = _MongoInbox()
    made.inbox = MongoWebhooks(payments_db, vault, Mode.TEST, clock=lambda: made.now)
    return made


class TestMongoWebhooks(InboxSuite):
    """The suite of all implementers."""


def test_webhooks_of_another_mode_are_invisible(
    inbox_setup: InboxSetup, payments_db: Database[Document], vault: Vault
) -> None:
    inbox_setup.inbox.add(webhook())
    live = MongoWebhooks(
        payments_db, vault, Mode.LIVE, clock=lambda: NOW + timedelta(days=1)
    )
    assert live.load([webhook().id]) == []
    assert live.find(status=None, since=None, limit=9) == []


def test_a_body_is_sealed_and_resealed_by_a_rotation(
    inbox_setup: InboxSetup,
    payments_db: Database[Document],
    vault: Vault,
    key_source: KeySource,
) -> None:
    kept = webhook()
    inbox_setup.inbox.add(kept)
    before = payments_db.webhooks.find_one() or {}
    assert kept.body.encode() not in before["body"]
    key_source.add_key()
    vault.reload()
    done = reseal(payments_db, vaults_of(key_source), progress=lambda count: None)
    assert done.resealed == {"webhooks": 1}
    after = payments_db.webhooks.find_one() or {}
    assert vault.is_current(after["body"]) and after["body"] != before["body"]
    key_source.drop_old_keys()
    inbox_setup.now = kept.received_at
    assert inbox_setup.inbox.load([kept.id]) == [kept]


def test_due_webhooks_and_accounts_are_found_by_index(
    inbox_setup: InboxSetup, payments_db: Database[Document], vault: Vault
) -> None:
    for number in range(1, 40):
        kept = webhook(number)
        inbox_setup.inbox.add(kept)
        if number > 2:
            inbox_setup.inbox.save_results(
                [replace(kept, status=WebhookStatus.HANDLED, due_at=None)]
            )
    payments_db.command("profile", 2)
    inbox_setup.now = kept.received_at
    assert inbox_setup.inbox.find_due_ids(9) == [webhook(1).id, webhook(2).id]
    payments_db.command("profile", 0)
    queries = {"op": "query", "ns": payments_db.webhooks.full_name}
    asked = list(payments_db["system.profile"].find(queries))
    payments_db["system.profile"].drop()
    assert count_waiting_webhooks(payments_db) == 2
    [one] = asked
    assert "COLLSCAN" not in one["planSummary"], one
    assert one["docsExamined"] <= 2, one
    assert not one.get("hasSortStage"), one
