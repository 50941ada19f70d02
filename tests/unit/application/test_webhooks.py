"""Webhooks: repeated, early or late, in any order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import pytest

from application.webhooks import WebhookContext, handle, receive
from domain import retry
from domain.account import Account
from domain.errors import (
    LookupRequired,
    OutcomeUnknown,
    StoreUnavailable,
    UnreadableWebhook,
)
from domain.payments.answer import Verdict
from domain.payments.settle import settle
from domain.payments.operation import Kind
from domain.payments.payment import Payment
from domain.payments.states import State
from domain.payments.submission import ProviderName
from domain.webhooks import WebhookStatus, ObjectUpdate, Webhook
from tests.suites.samples import insert_all, NOW, captured, payment, sending
from tests.support.fake_statement import MemoryStatement
from tests.support.fakes import MemoryQueue, AdmitAll
from tests.support.memory_disputes import MemoryDisputes, dispute_context
from tests.support.memory_inbox import MemoryInbox
from tests.support.memory_store import MemoryStore
from tests.support.operator_fakes import MemoryView

TYPES: Final = frozenset({"it.happened", "nonsense"})


class _Bench:
    """The context of webhooks in memory, and its clock."""

    def __init__(self) -> None:
        self.now = NOW
        self.store = MemoryStore(self.clock)
        self.inbox = MemoryInbox(self.clock)
        self.wakeups, self.lookups = MemoryQueue(), MemoryQueue()
        self.statement, self.admission = MemoryStatement(), AdmitAll()
        view = MemoryView(self.store)
        self.context = WebhookContext(
            inbox=self.inbox,
            view=view,
            store=self.store,
            queue=self.lookups,
            parsers={ProviderName.STRIPE: _read},
            dispute_context=dispute_context(
                self.store,
                MemoryDisputes(),
                self.clock,
                view=view,
                admission=self.admission,
            ),
            statements=lambda account: self.statement,
            clock=self.clock,
        )

    def clock(self) -> datetime:
        return self.now

    def receive(self, about: Payment, event: str = "evt_1") -> str:
        webhook = _webhook(about, event, at=self.now)
        receive(webhook, event_types=TYPES, inbox=self.inbox, queue=self.wakeups)
        return webhook.id

    def unknown(self) -> Payment:
        """A payment whose charge is unknown."""
        [new] = insert_all(self.store, [payment(now=self.now)])
        [won] = self.store.claim_many([sending(new, now=self.now)])
        lost = settle(won, LookupRequired(), now=self.now, jitter=0)
        first = replace(lost.first_operation, due_at=self.now + timedelta(hours=1))
        [done] = self.store.settle_many([replace(lost, operations=(first,))])
        return done

    def stored(self) -> Payment:
        [found] = self.store.all_payments()
        return found

    def statuses(self) -> Sequence[WebhookStatus]:
        found = self.inbox.find(status=None, since=None, limit=9)
        return [one.status for one in found]


@pytest.fixture
def bench() -> _Bench:
    return _Bench()


def _webhook(about: Payment, event: str, *, at: datetime) -> Webhook:
    body = f"{about.id} {about.first_operation.id}"
    return Webhook(Account.own(ProviderName.STRIPE), event, "it.happened", body, at)


def _read(webhook: Webhook) -> ObjectUpdate | None:
    if webhook.type == "nonsense":
        raise UnreadableWebhook
    return _notice(webhook) if webhook.type in TYPES else None


def _notice(webhook: Webhook) -> ObjectUpdate:
    payment_id, operation = webhook.body.split()
    return ObjectUpdate(
        webhook.event,
        webhook.type,
        frozenset({Kind.CHARGE}),
        payment_id,
        (operation,),
        {"payment_intent": "pi_1"},
    )


def test_webhook_makes_a_lookup_due_and_notifies_the_workers(bench: _Bench) -> None:
    unknown = bench.unknown()
    [handled] = handle([bench.receive(unknown)], bench.context)
    assert (handled.status, handled.payment) == (WebhookStatus.HANDLED, unknown.id)
    assert (bench.stored().due_at, bench.stored().first_operation.lookups_since) == (
        NOW,
        NOW,
    )
    assert bench.lookups.waiting == [unknown.id]
    assert bench.statuses() == [WebhookStatus.HANDLED]


def test_the_same_event_twice_is_kept_and_handled_once(bench: _Bench) -> None:
    unknown = bench.unknown()
    name = bench.receive(unknown)
    assert bench.receive(unknown) == name
    assert bench.wakeups.waiting == [name]
    assert len(handle([name, name], bench.context)) == 1
    assert handle([name], bench.context) == []


def test_many_events_of_one_payment_in_one_group_make_one_lookup(bench: _Bench) -> None:
    unknown = bench.unknown()
    names = [bench.receive(unknown, f"evt_{number}") for number in range(5)]
    assert {one.status for one in handle(names, bench.context)} == {
        WebhookStatus.HANDLED
    }
    assert bench.stored().version == unknown.version + 1
    assert bench.lookups.waiting == [unknown.id]


def test_a_webhook_is_handled_after_a_crash_between_its_two_writes(
    bench: _Bench,
) -> None:
    unknown = bench.unknown()
    name = bench.receive(unknown)

    class Dying(MemoryInbox):
        """An inbox whose process dies before it marks a handled webhook."""

        def save_results(self, webhooks: Sequence[Webhook]) -> None:
            raise StoreUnavailable

    dying = Dying(bench.clock)
    receive(
        _webhook(unknown, "evt_1", at=bench.now),
        event_types=TYPES,
        inbox=dying,
        queue=bench.wakeups,
    )
    with pytest.raises(StoreUnavailable):
        handle([name], replace(bench.context, inbox=dying))
    assert [one.status for one in handle([name], bench.context)] == [
        WebhookStatus.HANDLED
    ]
    assert bench.stored().version == unknown.version + 1
    assert bench.stored().first_operation.state is State.UNKNOWN


def test_webhook_does_not_disturb_a_worker_with_a_claim(bench: _Bench) -> None:
    [new] = insert_all(bench.store, [payment()])
    [won] = bench.store.claim_many([sending(new)])
    name = bench.receive(won)
    [waits] = handle([name], bench.context)
    assert (waits.status, waits.tries) == (WebhookStatus.WAITING, 1)
    assert bench.stored().version == won.version
    assert bench.inbox.find_due_ids(9) == []
    bench.now += retry.WEBHOOK.base_delay
    assert bench.inbox.find_due_ids(9) == [name]


def test_webhook_waits_for_its_payment_and_is_given_up_after_an_hour(
    bench: _Bench,
) -> None:
    name = bench.receive(payment())
    waits = list[timedelta]()
    while True:
        [tried] = handle([name], bench.context)
        if tried.due_at is None:
            break
        waits.append(tried.due_at - bench.now)
        bench.now = tried.due_at
    assert waits == sorted(waits) and len(set(waits)) > 5
    assert retry.WEBHOOK.max_duration is not None
    assert bench.now - NOW <= retry.WEBHOOK.max_duration
    assert bench.statuses() == [WebhookStatus.UNMATCHED]
    bench.unknown()
    assert bench.inbox.reprocess([name], now=bench.now) == 1
    assert [one.status for one in handle([name], bench.context)] == [
        WebhookStatus.HANDLED
    ]


def test_unreadable_webhook_is_kept_and_delays_no_other(bench: _Bench) -> None:
    unknown = bench.unknown()
    odd = replace(_webhook(payment(), "evt_0", at=bench.now), type="nonsense")
    receive(odd, event_types=TYPES, inbox=bench.inbox, queue=bench.wakeups)
    handled = handle([odd.id, bench.receive(unknown)], bench.context)
    assert {one.status for one in handled} == {
        WebhookStatus.UNREADABLE,
        WebhookStatus.HANDLED,
    }


def test_webhook_of_an_unwritable_payment_is_retried_and_delays_no_other(
    bench: _Bench,
) -> None:
    class Broken(MemoryStore):
        """A store that can encode no payment."""

        def amend(self, payment: Payment) -> Payment | None:
            raise ValueError("no such field")

    names = [bench.receive(bench.unknown()), bench.receive(payment(2), "evt_2")]
    broken = Broken(bench.clock)
    handled = handle(names, replace(bench.context, store=broken))
    assert [one.status for one in handled] == [WebhookStatus.WAITING] * 2
    assert bench.lookups.waiting == []
    assert [one.status for one in handle(names[:1], bench.context)] == [
        WebhookStatus.HANDLED
    ]


def test_a_webhook_whose_object_names_no_payment_of_ours_is_unmatched_at_once(
    bench: _Bench,
) -> None:
    def of_others(webhook: Webhook) -> ObjectUpdate:
        return replace(_notice(webhook), payment=None)

    context = replace(bench.context, parsers={ProviderName.STRIPE: of_others})
    [ended] = handle([bench.receive(payment())], context)
    assert (ended.status, ended.due_at, ended.tries) == (
        WebhookStatus.UNMATCHED,
        None,
        0,
    )


def test_a_webhook_that_fails_its_group_is_postponed_and_the_others_are_handled(
    bench: _Bench,
) -> None:
    unknown = bench.unknown()

    class Choking(MemoryView):
        """A view that raises for any group with one of the payments."""

        def load(self, ids: Sequence[str]) -> list[Payment]:
            if payment(2).id in ids:
                raise UnicodeError("half a pair")
            return super().load(ids)

    context = replace(bench.context, view=Choking(bench.store))
    poison = bench.receive(payment(2), "evt_2")
    handled = handle([poison, bench.receive(unknown)], context)
    assert {one.id: one.status for one in handled}[poison] is WebhookStatus.WAITING
    assert sorted(one.status for one in handled) == [
        WebhookStatus.HANDLED,
        WebhookStatus.WAITING,
    ]
    waits = list[timedelta]()
    while True:
        [tried] = handle([poison], context)
        if tried.due_at is None:
            break
        waits.append(tried.due_at - bench.now)
        bench.now = tried.due_at
    assert waits == sorted(waits) and len(set(waits)) > 5
    assert tried.status is WebhookStatus.UNREADABLE
    assert bench.inbox.find_due_ids(9) == []


def test_a_group_is_not_split_without_the_store(bench: _Bench) -> None:
    asked = list[int]()

    class Away(MemoryView):
        """A view of an unavailable database."""

        def load(self, ids: Sequence[str]) -> list[Payment]:
            asked.append(len(ids))
            raise StoreUnavailable

    names = [bench.receive(payment(1)), bench.receive(payment(2), "evt_2")]
    with pytest.raises(StoreUnavailable):
        handle(names, replace(bench.context, view=Away(bench.store)))
    assert asked == [2]


def test_webhook_of_an_ignored_type_is_stored_without_a_notification(
    bench: _Bench,
) -> None:
    other = replace(
        _webhook(payment(), "evt_0", at=bench.now), type="balance.available"
    )
    assert receive(other, event_types=TYPES, inbox=bench.inbox, queue=bench.wakeups)
    assert (bench.statuses(), bench.wakeups.waiting) == ([WebhookStatus.IGNORED], [])
    assert bench.inbox.find_due_ids(9) == []
    bench.inbox.reprocess([other.id], now=bench.now)
    [again] = handle([other.id], bench.context)
    assert again.status is WebhookStatus.IGNORED, "only a later version may know it"


def test_a_webhook_is_applied_again_after_a_concurrent_write(bench: _Bench) -> None:
    unknown = bench.unknown()
    stale = [bench.store.all_payments()]
    bench.store.amend(unknown)  # a concurrent write

    class Stale(MemoryView):
        """A view whose first answer is older than the write."""

        def load(self, ids: Sequence[str]) -> list[Payment]:
            return stale.pop() if stale else super().load(ids)

    context = replace(bench.context, view=Stale(bench.store))
    [handled] = handle([bench.receive(unknown)], context)
    assert handled.status is WebhookStatus.HANDLED
    assert bench.stored().version == unknown.version + 2


def test_a_webhook_of_a_missing_operation_waits(bench: _Bench) -> None:
    unknown = bench.unknown()

    def of_a_hold(webhook: Webhook) -> ObjectUpdate:
        return replace(_notice(webhook), kinds=frozenset({Kind.AUTHORIZE}))

    context = replace(bench.context, parsers={ProviderName.STRIPE: of_a_hold})
    [waits] = handle([bench.receive(unknown)], context)
    assert (waits.status, bench.stored()) == (WebhookStatus.WAITING, unknown)


def test_a_webhook_of_a_payment_that_changes_at_every_read_waits(bench: _Bench) -> None:
    unknown = bench.unknown()

    class Busy(MemoryView):
        """A view whose payments change after every read."""

        def load(self, ids: Sequence[str]) -> list[Payment]:
            found = super().load(ids)
            for one in found:
                bench.store.amend(one)
            return found

    context = replace(bench.context, view=Busy(bench.store))
    [waits] = handle([bench.receive(unknown)], context)
    assert (waits.status, bench.stored().first_operation) == (
        WebhookStatus.WAITING,
        unknown.first_operation,
    )


def test_webhook_of_one_account_never_changes_a_payment_of_another(
    bench: _Bench,
) -> None:
    unknown = bench.unknown()
    stored = Account("acct_1", ProviderName.STRIPE)
    webhook = replace(_webhook(unknown, "evt_1", at=bench.now), account=stored)
    receive(webhook, event_types=TYPES, inbox=bench.inbox, queue=bench.wakeups)
    [ended] = handle([webhook.id], bench.context)
    assert (ended.status, ended.payment) == (WebhookStatus.UNMATCHED, None)
    assert bench.store.all_payments() == [unknown]
    assert bench.lookups.waiting == []


def _parse_external(webhook: Webhook) -> ObjectUpdate:
    """An external refund, which names its payment if it is ``named``."""
    payment_id, operation = webhook.body.split()
    return ObjectUpdate(
        webhook.event,
        webhook.type,
        frozenset({Kind.REFUND}),
        payment_id if operation == "named" else None,
        refs={"refund": "re_1"},
        verdict=Verdict.SUCCEEDED,
        parent_ref="ch_1",
    )


def _receive_external(
    bench: _Bench, of: Payment, *, named: bool
) -> tuple[str, WebhookContext]:
    body = f"{of.id} {'named' if named else 'unnamed'}"
    own = Account.own(ProviderName.STRIPE)
    webhook = Webhook(own, "evt_1", "it.happened", body, bench.now)
    receive(webhook, event_types=TYPES, inbox=bench.inbox, queue=bench.wakeups)
    context = replace(bench.context, parsers={ProviderName.STRIPE: _parse_external})
    return webhook.id, context


@pytest.mark.parametrize("named", [True, False])
def test_external_refund_makes_a_lookup_of_the_payment_due(
    bench: _Bench, named: bool
) -> None:
    """A refund without our ids is found by its charge."""
    paid = _paid(bench)
    bench.statement.owners["ch_1"] = paid.id
    webhook, context = _receive_external(bench, paid, named=named)
    [handled] = handle([webhook], context)
    assert (handled.status, handled.payment) == (WebhookStatus.HANDLED, paid.id)
    assert (bench.stored().due_at, bench.stored().refunded) == (bench.now, 0)
    assert bench.lookups.waiting == [paid.id]
    version = bench.stored().version
    bench.inbox.reprocess([webhook], now=bench.now)
    [again] = handle([webhook], context)
    assert again.status is WebhookStatus.HANDLED
    assert bench.stored().version == version, "a lookup is due already"


def test_known_external_refund_needs_no_lookup(bench: _Bench) -> None:
    paid = _paid(bench)
    bench.statement.owners["ch_1"] = paid.id
    known = replace(
        paid.first_operation,
        id="op_others",
        kind=Kind.REFUND,
        origin=None,
        refs={"refund": "re_1"},
    )
    bench.store.amend(replace(paid, operations=(paid.first_operation, known)))
    webhook, context = _receive_external(bench, paid, named=False)
    [handled] = handle([webhook], context)
    assert (handled.status, bench.lookups.waiting) == (WebhookStatus.HANDLED, [])


def test_refund_of_an_unknown_charge_is_unmatched_at_once(bench: _Bench) -> None:
    webhook, context = _receive_external(bench, _paid(bench), named=False)
    [handled] = handle([webhook], context)
    assert handled.status is WebhookStatus.UNMATCHED


def test_a_webhook_of_a_refund_with_an_unreadable_charge_is_retried(
    bench: _Bench,
) -> None:
    webhook, context = _receive_external(bench, _paid(bench), named=False)
    bench.statement.fails.append(OutcomeUnknown("http_500"))
    [handled] = handle([webhook], context)
    assert (handled.status, handled.tries) == (WebhookStatus.WAITING, 1)


def test_a_webhook_of_a_refund_waits_for_its_payment(bench: _Bench) -> None:
    paid = _paid(bench)
    bench.statement.owners["ch_1"] = "pay_unknown"
    webhook, context = _receive_external(bench, paid, named=False)
    [handled] = handle([webhook], context)
    assert handled.status is WebhookStatus.WAITING
    assert bench.lookups.waiting == []


def _paid(bench: _Bench) -> Payment:
    [new] = insert_all(bench.store, [captured(now=bench.now)])
    return new
