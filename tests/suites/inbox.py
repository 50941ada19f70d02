"""The promises of every WebhookInbox."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

import pytest

from application.ports.webhooks import WebhookInbox
from domain.account import Account
from domain.payments.payment import WAKEUP_GRACE
from domain.payments.submission import ProviderName
from domain.webhooks import WebhookStatus, Webhook
from tests.suites.samples import NOW, payment

SECOND = timedelta(seconds=1)


class InboxSetup(Protocol):
    """An inbox under test, and its clock."""

    inbox: WebhookInbox
    now: datetime


def webhook(
    number: int = 1, *, provider: ProviderName = ProviderName.STRIPE
) -> Webhook:
    """A due webhook, received ``number`` seconds after NOW."""
    at = NOW + number * SECOND
    event, body = f"evt_{number}", '{"id": "é"}'
    webhook = Webhook(
        Account.own(provider), event, "object.changed", body, received_at=at
    )
    return replace(webhook, due_at=at, starts_at=at)


class InboxSuite:
    """Its subclass's module has a fixture ``inbox_setup``."""

    def test_a_webhook_is_stored_once_and_unchanged(
        self, inbox_setup: InboxSetup
    ) -> None:
        first = webhook()
        assert inbox_setup.inbox.add(first)
        assert not inbox_setup.inbox.add(replace(first, body="other"))
        inbox_setup.now = NOW + SECOND
        assert inbox_setup.inbox.load([first.id, "stripe:evt_2"]) == [first]

    def test_one_event_id_of_two_providers_is_two_webhooks(
        self, inbox_setup: InboxSetup
    ) -> None:
        assert inbox_setup.inbox.add(webhook())
        assert inbox_setup.inbox.add(webhook(provider=ProviderName.PAYPAL))

    def test_one_event_id_of_two_accounts_is_two_webhooks(
        self, inbox_setup: InboxSetup
    ) -> None:
        stored = Account("acct_1", ProviderName.STRIPE)
        first, second = webhook(), replace(webhook(), account=stored)
        assert inbox_setup.inbox.add(first) and inbox_setup.inbox.add(second)
        inbox_setup.now = NOW + SECOND
        assert inbox_setup.inbox.load([second.id]) == [second]

    def test_due_webhooks_are_found_longest_wait_first(
        self, inbox_setup: InboxSetup
    ) -> None:
        for number in (3, 1, 2, 9):
            inbox_setup.inbox.add(webhook(number))
        inbox_setup.now = NOW + 3 * SECOND
        assert inbox_setup.inbox.find_due_ids(9) == [
            webhook(one).id for one in (1, 2, 3)
        ]
        assert inbox_setup.inbox.find_due_ids(2) == [webhook(one).id for one in (1, 2)]

    def test_a_wakeup_loads_a_webhook_early_by_the_grace_at_most(
        self, inbox_setup: InboxSetup
    ) -> None:
        inbox_setup.inbox.add(webhook())
        inbox_setup.now = NOW + SECOND - WAKEUP_GRACE
        assert inbox_setup.inbox.load([webhook().id])
        inbox_setup.now -= timedelta(milliseconds=1)
        assert inbox_setup.inbox.load([webhook().id]) == []

    @pytest.mark.parametrize(
        "status", sorted({*WebhookStatus} - {WebhookStatus.WAITING})
    )
    def test_handled_webhook_is_never_due_again(
        self, inbox_setup: InboxSetup, status: WebhookStatus
    ) -> None:
        kept = webhook()
        inbox_setup.inbox.add(kept)
        done = replace(kept, status=status, due_at=None, payment=payment().id)
        inbox_setup.inbox.save_results([done])
        late = replace(kept, due_at=NOW, tries=1)
        inbox_setup.inbox.save_results([late])
        inbox_setup.now = NOW + timedelta(days=1)
        assert inbox_setup.inbox.find_due_ids(9) == []
        assert inbox_setup.inbox.load([kept.id]) == []
        [found] = inbox_setup.inbox.find(status=status, since=None, limit=9)
        assert (found.status, found.payment, found.tries) == (status, payment().id, 0)

    def test_retried_webhook_is_due_later(self, inbox_setup: InboxSetup) -> None:
        kept = webhook()
        inbox_setup.inbox.add(kept)
        inbox_setup.inbox.save_results(
            [replace(kept, due_at=NOW + timedelta(hours=1), tries=3)]
        )
        inbox_setup.now = NOW + timedelta(minutes=59)
        assert inbox_setup.inbox.find_due_ids(9) == []
        inbox_setup.now = NOW + timedelta(hours=1)
        [found] = inbox_setup.inbox.load([kept.id])
        assert (found.tries, found.body) == (3, kept.body)

    def test_webhooks_are_listed_newest_first(self, inbox_setup: InboxSetup) -> None:
        for number in range(1, 6):
            inbox_setup.inbox.add(webhook(number))
        inbox_setup.inbox.save_results(
            [replace(webhook(4), status=WebhookStatus.UNMATCHED, due_at=None)]
        )
        since = NOW + 3 * SECOND
        found = inbox_setup.inbox.find(status=None, since=since, limit=2)
        assert [one.id for one in found] == [webhook(5).id, webhook(4).id]
        [unmatched] = inbox_setup.inbox.find(
            status=WebhookStatus.UNMATCHED, since=None, limit=9
        )
        assert unmatched.id == webhook(4).id

    def test_a_replayed_webhook_starts_over(self, inbox_setup: InboxSetup) -> None:
        kept = webhook()
        inbox_setup.inbox.add(kept)
        inbox_setup.inbox.save_results(
            [replace(kept, status=WebhookStatus.UNMATCHED, due_at=None, tries=9)]
        )
        at = inbox_setup.now = NOW + timedelta(days=1)
        assert inbox_setup.inbox.reprocess([kept.id, "stripe:evt_2"], now=at) == 1
        [found] = inbox_setup.inbox.load([kept.id])
        assert (found.status, found.tries, found.starts_at) == (
            WebhookStatus.WAITING,
            0,
            at,
        )
