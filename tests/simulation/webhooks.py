"""A provider's webhooks: late, twice, in any order, or never."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Final

from application.webhooks import WebhookContext, handle, receive
from domain.account import Account
from domain.payments.answer import Verdict
from domain.payments.operation import Kind
from domain.payments.submission import ProviderName
from domain.webhooks import ObjectUpdate, Webhook
from tests.simulation.entries import Entry, Stage
from tests.simulation.scheduler import Actor, Process
from tests.simulation.world import World
from tests.support.fake_statement import MemoryStatement
from tests.support.fakes import MemoryQueue
from tests.support.memory_disputes import MemoryDisputes, dispute_context
from tests.support.memory_inbox import MemoryInbox
from tests.support.operator_fakes import MemoryView

#: The verdict of an event, by the stage of its object.
_VERDICTS: Final = {
    Stage.DECLINED: Verdict.DECLINED,
    Stage.ACTION_REQUIRED: Verdict.ACTION_REQUIRED,
    Stage.APPROVED: Verdict.APPROVED,
    Stage.PENDING: Verdict.PENDING,
    Stage.HELD: Verdict.SUCCEEDED,
    Stage.DONE: Verdict.SUCCEEDED,
    Stage.RELEASED: Verdict.CANCELED,
    Stage.FORGOTTEN: Verdict.EXPIRED,
}
_TYPE: Final = "object.changed"
_TYPES: Final = frozenset({_TYPE})


class WebhookSource:
    """The webhooks of one history, in an order chosen by ``random``."""

    def __init__(self, world: World, random: Random) -> None:
        self._world = world
        self._random = random
        self._inbox = MemoryInbox(world.clock)
        #: Accounts and bodies, one for each stage of each object.
        self._events: list[tuple[Account, str]] = []

    def deliver(self) -> Actor | None:
        """Delivers one of the events so far, maybe again, and starts its handling.

        Returns None without an event.
        """
        world, random = self._world, self._random
        payments = {
            operation.id: payment.id
            for payment in world.oracle.known.values()
            for operation in payment.operations
        }
        statement = MemoryStatement()
        for account, entry, whole in _objects(world):
            payment = payments.get(whole.operation)
            if payment is not None:
                # Stripe's charge and PayPal's capture have our metadata.
                statement.owners[whole.id] = statement.owners[entry.id] = payment
            # A refund of the dashboard has no metadata of ours.
            is_unattributed = entry.is_external and entry.kind is Kind.REFUND
            event = account, _event(entry, None if is_unattributed else payment)
            if event not in self._events:
                self._events.append(event)
        if not self._events:
            return None
        place = int(random.random() * len(self._events))
        # A repeated event has the same id; a replay handles it again.
        event_id = f"evt_{place}"
        account, body = self._events[place]
        webhook = Webhook(account, event_id, _TYPE, body, world.clock())
        process = Process("webhooks")
        store, queue = world.open_store(process), world.wakeups
        view = MemoryView(world.table)
        context = WebhookContext(
            inbox=self._inbox,
            view=view,
            store=store,
            queue=queue,
            parsers=dict.fromkeys(ProviderName, _read),
            dispute_context=dispute_context(
                store, MemoryDisputes(), world.clock, view=view
            ),
            statements=lambda account: statement,
            clock=world.clock,
        )
        if not receive(
            webhook, event_types=_TYPES, inbox=self._inbox, queue=MemoryQueue()
        ):
            self._inbox.reprocess([webhook.id], now=world.clock())
        due = self._inbox.find_due_ids(9)
        return world.start(process, lambda: handle([webhook.id, *due], context))


def _objects(world: World) -> Iterator[tuple[Account, Entry, Entry]]:
    """Yields each object with its account and its payment's object."""
    for provider in world.providers.values():
        provider.finish_in_flight()
        provider.bank.pass_time()
        for entry in provider.bank.entries.values():
            yield provider.account, entry, entry
            for part in entry.parts:
                yield provider.account, part, entry


def _event(entry: Entry, payment: str | None) -> str:
    first = entry.kind in (Kind.CHARGE, Kind.AUTHORIZE)
    refs = {"intent" if first else entry.kind.value: entry.id}
    verdict = _VERDICTS[entry.stage]
    return json.dumps(
        [entry.kind, payment, entry.operation, refs, verdict, entry.parent]
    )


def _read(webhook: Webhook) -> ObjectUpdate:
    kind, payment, operation, refs, verdict, of = json.loads(webhook.body)
    return ObjectUpdate(
        webhook.event,
        webhook.type,
        frozenset({Kind(kind)}),
        payment,
        (operation,),
        refs,
        Verdict(verdict),
        of,
    )
