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
from tests.suites.samples import NOW, captured, payment, sending
from tests.support.fake_statement import MemoryStatement
from tests.support.fakes import MemoryQueue, AdmitAll
from tests.support.memory_disputes import MemoryDisputes, dispute_context
from tests.support.memory_inbox import MemoryInbox
from tests.support.memory_store import MemoryStore
from tests.support.operator_fakes import MemoryView

TYPES: Final = frozenset({"it.happened", "nonsense"})


class _Desk:
    """The context of webhooks in memory, and its clock."""

    def __init__(self) -> None:
        self.now = NOW
        self.store = MemoryStore(self.clock)
        self.inbox = MemoryInbox(self.clock)
        self.wakeups, self.lookups = MemoryQueue(), MemoryQueue()
        self.statement, self.gates = MemoryStatement(), AdmitAll()
        view = MemoryView(self.store)
        self.hearing = WebhookContext(
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
                admission=self.gates,
            ),
            statements=lambda account: self.statement,
            clock=self.clock,
        )

    def clock(self) -> datetime:
        return self.now

    def told(self, about: Payment, event: str = "evt_1") -> str:
        webhook = _webhook(about, event, at=self.now)
        receive(webhook, event_types=TYPES, inbox=self.inbox, queue=self.wakeups)
        return webhook.id

    def unknown(self) -> Payment:
        """A payment whose charge is unknown."""
        [new] = self.store.insert_many([payment(now=self.now)])
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
def desk() -> _Desk:
    return _Desk()


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


def test_webhook_makes_a_lookup_due_and_notifies_the_workers(desk: _Desk) -> None:
    unknown = desk.unknown()
    [handled] = handle([desk.told(unknown)], desk.hearing)
    assert (handled.status, handled.payment) == (WebhookStatus.HANDLED, unknown.id)
    assert (desk.stored().due_at, desk.stored().first_operation.lookups_since) == (
        NOW,
        NOW,
    )
    assert desk.lookups.waiting == [unknown.id]
    assert desk.statuses() == [WebhookStatus.HANDLED]


def test_the_same_event_twice_is_kept_and_handled_once(desk: _Desk) -> None:
    unknown = desk.unknown()
    name = desk.told(unknown)
    assert desk.told(unknown) == name
    assert desk.wakeups.waiting == [name]
    assert len(handle([name, name], desk.hearing)) == 1
    assert handle([name], desk.hearing) == []


def test_many_events_of_one_payment_in_one_group_make_one_lookup(desk: _Desk) -> None:
    unknown = desk.unknown()
    names = [desk.told(unknown, f"evt_{number}") for number in range(5)]
    assert {one.status for one in handle(names, desk.hearing)} == {
        WebhookStatus.HANDLED
    }
    assert desk.stored().version == unknown.version + 1
    assert desk.lookups.waiting == [unknown.id]


def test_a_webhook_is_handled_after_a_crash_between_its_two_writes(desk: _Desk) -> None:
    unknown = desk.unknown()
    name = desk.told(unknown)

    class Dying(MemoryInbox):
        """An inbox whose process dies before it marks a handled webhook."""

        def save_results(self, webhooks: Sequence[Webhook]) -> None:
            raise StoreUnavailable

    dying = Dying(desk.clock)
    receive(
        _webhook(unknown, "evt_1", at=desk.now),
        event_types=TYPES,
        inbox=dying,
        queue=desk.wakeups,
    )
    with pytest.raises(StoreUnavailable):
        handle([name], replace(desk.hearing, inbox=dying))
    assert [one.status for one in handle([name], desk.hearing)] == [
        WebhookStatus.HANDLED
    ]
    assert desk.stored().version == unknown.version + 1
    assert desk.stored().first_operation.state is State.UNKNOWN


def test_webhook_does_not_disturb_a_worker_with_a_claim(desk: _Desk) -> None:
    [new] = desk.store.insert_many([payment()])
    [won] = desk.store.claim_many([sending(new)])
    name = desk.told(won)
    [waits] = handle([name], desk.hearing)
    assert (waits.status, waits.tries) == (WebhookStatus.WAITING, 1)
    assert desk.stored().version == won.version
    assert desk.inbox.find_due_ids(9) == []
    desk.now += retry.WEBHOOK.base_delay
    assert desk.inbox.find_due_ids(9) == [name]


def test_webhook_waits_for_its_payment_and_is_given_up_after_an_hour(
    desk: _Desk,
) -> None:
    name = desk.told(payment())
    waits = list[timedelta]()
    while True:
        [tried] = handle([name], desk.hearing)
        if tried.due_at is None:
            break
        waits.append(tried.due_at - desk.now)
        desk.now = tried.due_at
    assert waits == sorted(waits) and len(set(waits)) > 5
    assert retry.WEBHOOK.max_duration is not None
    assert desk.now - NOW <= retry.WEBHOOK.max_duration
    assert desk.statuses() == [WebhookStatus.UNMATCHED]
    desk.unknown()
    assert desk.inbox.reprocess([name], now=desk.now) == 1
    assert [one.status for one in handle([name], desk.hearing)] == [
        WebhookStatus.HANDLED
    ]


def test_unreadable_webhook_is_kept_and_delays_no_other(desk: _Desk) -> None:
    unknown = desk.unknown()
    odd = replace(_webhook(payment(), "evt_0", at=desk.now), type="nonsense")
    receive(odd, event_types=TYPES, inbox=desk.inbox, queue=desk.wakeups)
    handled = handle([odd.id, desk.told(unknown)], desk.hearing)
    assert {one.status for one in handled} == {
        WebhookStatus.UNREADABLE,
        WebhookStatus.HANDLED,
    }


def test_webhook_of_an_unwritable_payment_is_retried_and_delays_no_other(
    desk: _Desk,
) -> None:
    class Broken(MemoryStore):
        """A store that can encode no payment."""

        def amend(self, payment: Payment) -> Payment | None:
            raise ValueError("no such field")

    names = [desk.told(desk.unknown()), desk.told(payment(2), "evt_2")]
    broken = Broken(desk.clock)
    handled = handle(names, replace(desk.hearing, store=broken))
    assert [one.status for one in handled] == [WebhookStatus.WAITING] * 2
    assert desk.lookups.waiting == []
    assert [one.status for one in handle(names[:1], desk.hearing)] == [
        WebhookStatus.HANDLED
    ]


def test_a_webhook_whose_object_names_no_payment_of_ours_is_unmatched_at_once(
    desk: _Desk,
) -> None:
    def of_others(webhook: Webhook) -> ObjectUpdate:
        return replace(_notice(webhook), payment=None)

    hearing = replace(desk.hearing, parsers={ProviderName.STRIPE: of_others})
    [ended] = handle([desk.told(payment())], hearing)
    assert (ended.status, ended.due_at, ended.tries) == (
        WebhookStatus.UNMATCHED,
        None,
        0,
    )


def test_a_webhook_that_fails_its_group_is_postponed_and_the_others_are_handled(
    desk: _Desk,
) -> None:
    unknown = desk.unknown()

    class Choking(MemoryView):
        """A view that raises for any group with one of the payments."""

        def load(self, ids: Sequence[str]) -> list[Payment]:
            if payment(2).id in ids:
                raise UnicodeError("half a pair")
            return super().load(ids)

    hearing = replace(desk.hearing, view=Choking(desk.store))
    poison = desk.told(payment(2), "evt_2")
    handled = handle([poison, desk.told(unknown)], hearing)
    assert {one.id: one.status for one in handled}[poison] is WebhookStatus.WAITING
    assert sorted(one.status for one in handled) == [
        WebhookStatus.HANDLED,
        WebhookStatus.WAITING,
    ]
    waits = list[timedelta]()
    while True:
        [tried] = handle([poison], hearing)
        if tried.due_at is None:
            break
        waits.append(tried.due_at - desk.now)
        desk.now = tried.due_at
    assert waits == sorted(waits) and len(set(waits)) > 5
    assert tried.status is WebhookStatus.UNREADABLE
    assert desk.inbox.find_due_ids(9) == []


def test_a_group_is_not_split_without_the_store(desk: _Desk) -> None:
    asked = list[int]()

    class Away(MemoryView):
        """A view of an unavailable database."""

        def load(self, ids: Sequence[str]) -> list[Payment]:
            asked.append(len(ids))
            raise StoreUnavailable

    names = [desk.told(payment(1)), desk.told(payment(2), "evt_2")]
    with pytest.raises(StoreUnavailable):
        handle(names, replace(desk.hearing, view=Away(desk.store)))
    assert asked == [2]


def test_webhook_of_an_ignored_type_is_stored_without_a_notification(
    desk: _Desk,
) -> None:
    other = replace(_webhook(payment(), "evt_0", at=desk.now), type="balance.available")
    assert receive(other, event_types=TYPES, inbox=desk.inbox, queue=desk.wakeups)
    assert (desk.statuses(), desk.wakeups.waiting) == ([WebhookStatus.IGNORED], [])
    assert desk.inbox.find_due_ids(9) == []
    desk.inbox.reprocess([other.id], now=desk.now)
    [again] = handle([other.id], desk.hearing)
    assert again.status is WebhookStatus.IGNORED, "only a later version may know it"


def test_a_webhook_is_applied_again_after_a_concurrent_write(desk: _Desk) -> None:
    unknown = desk.unknown()
    stale = [desk.store.all_payments()]
    desk.store.amend(unknown)  # a concurrent write

    class Stale(MemoryView):
        """A view whose first answer is older than the write."""

        def load(self, ids: Sequence[str]) -> list[Payment]:
            return stale.pop() if stale else super().load(ids)

    hearing = replace(desk.hearing, view=Stale(desk.store))
    [handled] = handle([desk.told(unknown)], hearing)
    assert handled.status is WebhookStatus.HANDLED
    assert desk.stored().version == unknown.version + 2


def test_a_webhook_of_a_missing_operation_waits(desk: _Desk) -> None:
    unknown = desk.unknown()

    def of_a_hold(webhook: Webhook) -> ObjectUpdate:
        return replace(_notice(webhook), kinds=frozenset({Kind.AUTHORIZE}))

    hearing = replace(desk.hearing, parsers={ProviderName.STRIPE: of_a_hold})
    [waits] = handle([desk.told(unknown)], hearing)
    assert (waits.status, desk.stored()) == (WebhookStatus.WAITING, unknown)


def test_a_webhook_of_a_payment_that_changes_at_every_read_waits(desk: _Desk) -> None:
    unknown = desk.unknown()

    class Busy(MemoryView):
        """A view whose payments change after every read."""

        def load(self, ids: Sequence[str]) -> list[Payment]:
            found = super().load(ids)
            for one in found:
                desk.store.amend(one)
            return found

    hearing = replace(desk.hearing, view=Busy(desk.store))
    [waits] = handle([desk.told(unknown)], hearing)
    assert (waits.status, desk.stored().first_operation) == (
        WebhookStatus.WAITING,
        unknown.first_operation,
    )


def test_webhook_of_one_account_never_changes_a_payment_of_another(
    desk: _Desk,
) -> None:
    unknown = desk.unknown()
    stored = Account("acct_1", ProviderName.STRIPE)
    told = replace(_webhook(unknown, "evt_1", at=desk.now), account=stored)
    receive(told, event_types=TYPES, inbox=desk.inbox, queue=desk.wakeups)
    [ended] = handle([told.id], desk.hearing)
    assert (ended.status, ended.payment) == (WebhookStatus.UNMATCHED, None)
    assert desk.store.all_payments() == [unknown]
    assert desk.lookups.waiting == []


def _of_others(webhook: Webhook) -> ObjectUpdate:
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


def _told_by_others(
    desk: _Desk, of: Payment, *, named: bool
) -> tuple[str, WebhookContext]:
    body = f"{of.id} {'named' if named else 'unnamed'}"
    own = Account.own(ProviderName.STRIPE)
    webhook = Webhook(own, "evt_1", "it.happened", body, desk.now)
    receive(webhook, event_types=TYPES, inbox=desk.inbox, queue=desk.wakeups)
    hearing = replace(desk.hearing, parsers={ProviderName.STRIPE: _of_others})
    return webhook.id, hearing


@pytest.mark.parametrize("named", [True, False])
def test_external_refund_makes_a_lookup_of_the_payment_due(
    desk: _Desk, named: bool
) -> None:
    """A refund without our ids is found by its charge."""
    paid = _paid(desk)
    desk.statement.owners["ch_1"] = paid.id
    webhook, hearing = _told_by_others(desk, paid, named=named)
    [handled] = handle([webhook], hearing)
    assert (handled.status, handled.payment) == (WebhookStatus.HANDLED, paid.id)
    assert (desk.stored().due_at, desk.stored().refunded) == (desk.now, 0)
    assert desk.lookups.waiting == [paid.id]
    version = desk.stored().version
    desk.inbox.reprocess([webhook], now=desk.now)
    [again] = handle([webhook], hearing)
    assert again.status is WebhookStatus.HANDLED
    assert desk.stored().version == version, "a lookup is due already"


def test_known_external_refund_needs_no_lookup(desk: _Desk) -> None:
    paid = _paid(desk)
    desk.statement.owners["ch_1"] = paid.id
    known = replace(
        paid.first_operation,
        id="op_others",
        kind=Kind.REFUND,
        origin=None,
        refs={"refund": "re_1"},
    )
    desk.store.amend(replace(paid, operations=(paid.first_operation, known)))
    webhook, hearing = _told_by_others(desk, paid, named=False)
    [handled] = handle([webhook], hearing)
    assert (handled.status, desk.lookups.waiting) == (WebhookStatus.HANDLED, [])


def test_refund_of_an_unknown_charge_is_unmatched_at_once(desk: _Desk) -> None:
    webhook, hearing = _told_by_others(desk, _paid(desk), named=False)
    [handled] = handle([webhook], hearing)
    assert handled.status is WebhookStatus.UNMATCHED


def test_a_webhook_of_a_refund_with_an_unreadable_charge_is_retried(
    desk: _Desk,
) -> None:
    webhook, hearing = _told_by_others(desk, _paid(desk), named=False)
    desk.statement.fails.append(OutcomeUnknown("http_500"))
    [handled] = handle([webhook], hearing)
    assert (handled.status, handled.tries) == (WebhookStatus.WAITING, 1)


def test_a_webhook_of_a_refund_waits_for_its_payment(desk: _Desk) -> None:
    paid = _paid(desk)
    desk.statement.owners["ch_1"] = "pay_unknown"
    webhook, hearing = _told_by_others(desk, paid, named=False)
    [handled] = handle([webhook], hearing)
    assert handled.status is WebhookStatus.WAITING
    assert desk.lookups.waiting == []


def _paid(desk: _Desk) -> Payment:
    [new] = desk.store.insert_many([captured(now=desk.now)])
    return new
