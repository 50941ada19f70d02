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

#: What an event says of its object, by where that is.
_SAYS: Final = {
    Stage.DECLINED: Verdict.DECLINED,
    Stage.ACTING: Verdict.ACTION_REQUIRED,
    Stage.APPROVED: Verdict.APPROVED,
    Stage.PENDING: Verdict.PENDING,
    Stage.HELD: Verdict.SUCCEEDED,
    Stage.DONE: Verdict.SUCCEEDED,
    Stage.LET_GO: Verdict.CANCELED,
    Stage.FORGOTTEN: Verdict.EXPIRED,
}
_TYPE: Final = "it.happened"
_TYPES: Final = frozenset({_TYPE})


class Telling:
    """The webhooks of one history; ``random`` decides which comes, and when."""

    def __init__(self, world: World, random: Random) -> None:
        self._world = world
        self._random = random
        self._inbox = MemoryInbox(world.clock)
        #: Bodies, each of one stage of one object; and whose address they come to.
        self._events: list[tuple[Account, str]] = []

    def tell(self) -> Actor | None:
        """One of all events so far comes, maybe again, and a worker handles it.

        None where nothing has happened at the provider yet.
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
                # Stripe's charge, or PayPal's capture, has what we wrote.
                statement.owners[whole.id] = statement.owners[entry.id] = payment
            # The dashboard writes nothing of ours on a refund.
            nameless = entry.by_others and entry.kind is Kind.REFUND
            event = account, _event(entry, None if nameless else payment)
            if event not in self._events:
                self._events.append(event)
        if not self._events:
            return None
        place = int(random.random() * len(self._events))
        # Sent again it has the same id; replayed by a person it is handled again.
        event_id = f"evt_{place}"
        account, body = self._events[place]
        webhook = Webhook(account, event_id, _TYPE, body, world.clock())
        process = Process("webhooks")
        store, queue = world.store_of(process), world.wakeups
        view = MemoryView(world.table)
        hearing = WebhookContext(
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
        waiting = self._inbox.find_due_ids(9)
        return world.start(process, lambda: handle([webhook.id, *waiting], hearing))


def _objects(world: World) -> Iterator[tuple[Account, Entry, Entry]]:
    """The payment of each object, and the object that it is a part of."""
    for provider in world.providers.values():
        provider.settle()
        provider.bank.pass_time()
        for entry in provider.bank.entries.values():
            yield provider.account, entry, entry
            for part in entry.parts:
                yield provider.account, part, entry


def _event(entry: Entry, payment: str | None) -> str:
    first = entry.kind in (Kind.CHARGE, Kind.AUTHORIZE)
    refs = {"intent" if first else entry.kind.value: entry.id}
    says = _SAYS[entry.stage]
    return json.dumps([entry.kind, payment, entry.operation, refs, says, entry.of])


def _read(webhook: Webhook) -> ObjectUpdate:
    kind, payment, operation, refs, says, of = json.loads(webhook.body)
    return ObjectUpdate(
        webhook.event,
        webhook.type,
        frozenset({Kind(kind)}),
        payment,
        (operation,),
        refs,
        Verdict(says),
        of,
    )
