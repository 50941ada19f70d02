"""``python -m tests.support.killed_webhook_worker WEBHOOK BOUNDARY``: it dies midway.

It handles one webhook, and kills itself at the boundary with that number. There is a
boundary before and after each write to the database. The exit code is 0 if it survives.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from application import webhooks as notice
from domain.payments.payment import Payment
from domain.webhooks import Webhook
from persistence.payments import MongoPayments
from persistence.webhooks import MongoWebhooks
from runtime import container
from runtime.settings import Settings
from tests.support.killed_worker import Boundaries
from tests.support.workbench import worker

#: The boundaries of a webhook, in order.
BOUNDARIES: Final = (
    *("before the payment is written", "after the payment is written"),
    *("before the webhook is marked", "after the webhook is marked"),
)
#: The boundaries of a dispute's webhook, which is postponed before the read.
OF_DISPUTES: Final = (
    *("before the webhook is put off", "after the webhook is put off"),
    *BOUNDARIES,
)


class DyingStore(MongoPayments):
    """The real store, with a boundary before and after each write."""

    boundaries: Boundaries

    def amend(self, payment: Payment) -> Payment | None:
        with self.boundaries.around():
            return super().amend(payment)


class DyingInbox(MongoWebhooks):
    """The real inbox, with a boundary before and after each mark."""

    boundaries: Boundaries

    def save_results(self, webhooks: Sequence[Webhook]) -> None:
        with self.boundaries.around():
            super().save_results(webhooks)


def main(webhook_id: str, deadly: int) -> None:
    """Handles a webhook, or dies before."""
    settings, boundaries = Settings.of_process(), Boundaries(deadly)
    with ExitStack() as stack:
        context = worker(settings, stack)
        database = container.open_database(settings)
        stack.callback(database.client.close)
        vault = container.open_vault(settings)
        store = DyingStore(database, vault, lease_holder="dying")
        inbox = DyingInbox(database, vault, settings.mode, clock=container.clock)
        store.boundaries = inbox.boundaries = boundaries
        adapters = container.open_adapters(settings, database, connections=1)
        webhook_context = container.webhook_context(
            settings, database, context, adapters
        )
        dispute_context = replace(webhook_context.dispute_context, store=store)
        webhook_context = replace(
            webhook_context, store=store, inbox=inbox, dispute_context=dispute_context
        )
        notice.handle([webhook_id], webhook_context)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
