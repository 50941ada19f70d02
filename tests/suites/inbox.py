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
    """Its subclass's module has a fixture ``post``."""

    def test_a_webhook_is_stored_once_and_unchanged(self, post: InboxSetup) -> None:
        first = webhook()
        assert post.inbox.add(first)
        assert not post.inbox.add(replace(first, body="other"))
        post.now = NOW + SECOND
        assert post.inbox.load([first.id, "stripe:evt_2"]) == [first]

    def test_one_event_id_of_two_providers_is_two_webhooks(
        self, post: InboxSetup
    ) -> None:
        assert post.inbox.add(webhook())
        assert post.inbox.add(webhook(provider=ProviderName.PAYPAL))

    def test_one_event_id_of_two_accounts_is_two_webhooks(
        self, post: InboxSetup
    ) -> None:
        stored = Account("acct_1", ProviderName.STRIPE)
        first, second = webhook(), replace(webhook(), account=stored)
        assert post.inbox.add(first) and post.inbox.add(second)
        post.now = NOW + SECOND
        assert post.inbox.load([second.id]) == [second]

    def test_due_webhooks_are_found_longest_wait_first(self, post: InboxSetup) -> None:
        for number in (3, 1, 2, 9):
            post.inbox.add(webhook(number))
        post.now = NOW + 3 * SECOND
        assert post.inbox.find_due_ids(9) == [webhook(one).id for one in (1, 2, 3)]
        assert post.inbox.find_due_ids(2) == [webhook(one).id for one in (1, 2)]

    def test_a_wakeup_loads_a_webhook_early_by_the_grace_at_most(
        self, post: InboxSetup
    ) -> None:
        post.inbox.add(webhook())
        post.now = NOW + SECOND - WAKEUP_GRACE
        assert post.inbox.load([webhook().id])
        post.now -= timedelta(milliseconds=1)
        assert post.inbox.load([webhook().id]) == []

    @pytest.mark.parametrize(
        "status", sorted({*WebhookStatus} - {WebhookStatus.WAITING})
    )
    def test_handled_webhook_is_never_due_again(
        self, post: InboxSetup, status: WebhookStatus
    ) -> None:
        kept = webhook()
        post.inbox.add(kept)
        done = replace(kept, status=status, due_at=None, payment=payment().id)
        post.inbox.save_results([done])
        late = replace(kept, due_at=NOW, tries=1)
        post.inbox.save_results([late])
        post.now = NOW + timedelta(days=1)
        assert post.inbox.find_due_ids(9) == []
        assert post.inbox.load([kept.id]) == []
        [found] = post.inbox.find(status=status, since=None, limit=9)
        assert (found.status, found.payment, found.tries) == (status, payment().id, 0)

    def test_retried_webhook_is_due_later(self, post: InboxSetup) -> None:
        kept = webhook()
        post.inbox.add(kept)
        post.inbox.save_results(
            [replace(kept, due_at=NOW + timedelta(hours=1), tries=3)]
        )
        post.now = NOW + timedelta(minutes=59)
        assert post.inbox.find_due_ids(9) == []
        post.now = NOW + timedelta(hours=1)
        [found] = post.inbox.load([kept.id])
        assert (found.tries, found.body) == (3, kept.body)

    def test_webhooks_are_listed_newest_first(self, post: InboxSetup) -> None:
        for number in range(1, 6):
            post.inbox.add(webhook(number))
        post.inbox.save_results(
            [replace(webhook(4), status=WebhookStatus.UNMATCHED, due_at=None)]
        )
        since = NOW + 3 * SECOND
        found = post.inbox.find(status=None, since=since, limit=2)
        assert [one.id for one in found] == [webhook(5).id, webhook(4).id]
        [unmatched] = post.inbox.find(
            status=WebhookStatus.UNMATCHED, since=None, limit=9
        )
        assert unmatched.id == webhook(4).id

    def test_a_replayed_webhook_starts_over(self, post: InboxSetup) -> None:
        kept = webhook()
        post.inbox.add(kept)
        post.inbox.save_results(
            [replace(kept, status=WebhookStatus.UNMATCHED, due_at=None, tries=9)]
        )
        at = post.now = NOW + timedelta(days=1)
        assert post.inbox.reprocess([kept.id, "stripe:evt_2"], now=at) == 1
        [found] = post.inbox.load([kept.id])
        assert (found.status, found.tries, found.starts_at) == (
            WebhookStatus.WAITING,
            0,
            at,
        )
