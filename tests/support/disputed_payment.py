"""A payment, and a provider with a dispute of it."""

from __future__ import annotations

from datetime import datetime

from application.webhooks import WebhookContext, receive
from domain.account import Account
from domain.payments.dispute import (
    Dispute,
    DisputeState,
    DisputeUpdate,
    DisputeSnapshot,
)
from domain.payments.payment import Payment
from domain.payments.submission import ProviderName
from domain.webhooks import WebhookStatus, Webhook
from tests.suites.samples import insert_all, NOW, PRICE, payment
from tests.support.fake_statement import MemoryStatement
from tests.support.fakes import MemoryQueue, AdmitAll
from tests.support.memory_disputes import MemoryDisputes, CountedEvents, dispute_context
from tests.support.memory_inbox import MemoryInbox
from tests.support.memory_store import MemoryStore
from tests.support.operator_fakes import MemoryView

STRIPE = ProviderName.STRIPE
OWN = Account.own(STRIPE)
HINT = DisputeUpdate(OWN, "dp_1")


class Bench:
    """A payment, and a provider with a dispute of it."""

    def __init__(self) -> None:
        self.now = NOW
        self.slept: list[float] = []
        self.store = MemoryStore(self.clock)
        self.disputes, self.admission, self.events = (
            MemoryDisputes(),
            AdmitAll(),
            CountedEvents(),
        )
        self.view = MemoryView(self.store)
        self.dispute_context = dispute_context(
            self.store,
            self.disputes,
            self.clock,
            view=self.view,
            admission=self.admission,
            count_event=self.events,
            sleep=self.slept.append,
        )
        self.inbox, self.lookups = MemoryInbox(self.clock), MemoryQueue()
        self.webhook_context = WebhookContext(
            inbox=self.inbox,
            view=self.view,
            store=self.store,
            queue=self.lookups,
            parsers={
                STRIPE: lambda webhook: DisputeUpdate(webhook.account, webhook.body)
            },
            dispute_context=self.dispute_context,
            statements=lambda account: MemoryStatement(),
            clock=self.clock,
        )
        [self.payment] = insert_all(self.store, [payment()])
        self.show(DisputeState.NEEDS_RESPONSE)

    def clock(self) -> datetime:
        return self.now

    def show(self, state: DisputeState, *, of: str | None = None) -> None:
        """Sets the dispute at the provider."""
        found = Dispute(
            id=HINT.ref,
            ref="ch_1",
            money=PRICE,
            reason="fraudulent",
            state=state,
            opened_at=NOW,
            withdrawn=0 if state is DisputeState.WON else PRICE.minor,
        )
        first = self.payment.first_operation.id
        self.disputes.shown[HINT.ref] = DisputeSnapshot(
            found, of or self.payment.id, (first,)
        )

    def webhook(self, event: str = "evt_1") -> str:
        """Receives an event of the dispute; returns its id."""
        webhook = Webhook(OWN, event, "disputed", HINT.ref, received_at=self.now)
        known = frozenset({"disputed"})
        receive(webhook, event_types=known, inbox=self.inbox, queue=MemoryQueue())
        return webhook.id

    def stored(self) -> Payment:
        [found] = self.store.all_payments()
        return found

    def status(self) -> WebhookStatus:
        [found] = self.inbox.find(status=None, since=None, limit=9)
        return found.status
