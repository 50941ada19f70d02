"""Changes of a dispute: fenced, stored and recorded once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from application import disputes as use_case
from application.webhooks import handle, receive
from domain import retry
from domain.account import Account
from domain.errors import (
    PaymentNotFound,
    StoreUnavailable,
    UnreadableWebhook,
)
from domain.money import Money
from domain.payments.dispute import (
    MAX_DISPUTES,
    DisputeState,
    DisputeUpdate,
    DisputeSnapshot,
)
from domain.payments.event_types import EventType
from domain.payments.payment import Payment
from domain.payments.submission import ProviderName
from domain.webhooks import WebhookStatus, Webhook
from tests.suites.samples import sending
from tests.support.disputed_payment import HINT, OWN, STRIPE, Bench
from tests.support.memory_disputes import MemoryDisputes
from tests.support.operator_fakes import MemoryView

OPENED, WITHDRAWN = EventType.DISPUTE_OPENED, EventType.DISPUTE_FUNDS_WITHDRAWN


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_event_applies_the_dispute_to_its_payment_without_a_lookup(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    due = bench.payment.due_at
    [handled] = handle([bench.webhook()], bench.webhook_context)
    assert (handled.status, handled.payment) == (
        WebhookStatus.HANDLED,
        bench.payment.id,
    )
    after = bench.stored()
    assert [one.id for one in after.disputes] == ["dp_1"]
    assert (after.operations, after.due_at) == (bench.payment.operations, due)
    assert bench.events.facts == [(STRIPE, OPENED), (STRIPE, WITHDRAWN)]
    assert [one.message for one in caplog.records] == ["dispute_opened"]
    assert bench.lookups.waiting == []


def test_each_fact_is_recorded_once_for_any_number_of_events(bench: Bench) -> None:
    names = [bench.webhook(f"evt_{number}") for number in range(4)]
    assert {one.status for one in handle(names, bench.webhook_context)} == {
        WebhookStatus.HANDLED
    }
    bench.inbox.reprocess(names, now=bench.now)
    handle(names, bench.webhook_context)
    assert bench.stored().version == bench.payment.version + 1
    assert bench.events.facts == [(STRIPE, OPENED), (STRIPE, WITHDRAWN)]


def test_an_older_snapshot_is_never_applied_after_a_newer_one(bench: Bench) -> None:
    handle([bench.webhook()], bench.webhook_context)

    class Slow(MemoryDisputes):
        """Disputes during whose second read another worker applies the end."""

        def read(self, hint: DisputeUpdate) -> DisputeSnapshot:
            found = super().read(hint)
            if self.reads == 2:
                bench.show(DisputeState.WON)
                use_case.sync_dispute(HINT, bench.dispute_context)
            return found

    slow = Slow(bench.disputes.shown)
    late = replace(bench.dispute_context, disputes=lambda account: slow)
    bench.show(DisputeState.UNDER_REVIEW)
    followed = use_case.sync_dispute(HINT, late)
    assert followed is not None
    assert [one.state for one in followed.disputes] == [DisputeState.WON]
    assert slow.reads == 3, "the stored snapshot was newer"
    assert [event for _, event in bench.events.facts].count("dispute.won") == 1


def test_a_slow_read_of_a_dispute_notifies_no_other_worker(
    bench: Bench,
) -> None:
    names = [bench.webhook("evt_1"), bench.webhook("evt_2")]
    due = list[str]()

    class Slow(MemoryDisputes):
        """Disputes whose reads take as long as a call may."""

        def read(self, update: DisputeUpdate) -> DisputeSnapshot:
            bench.now += timedelta(seconds=13)
            due.extend(bench.inbox.find_due_ids(9))
            return super().read(update)

    slow = Slow(bench.disputes.shown)
    dispute_context = replace(bench.dispute_context, disputes=lambda account: slow)
    handle(names, replace(bench.webhook_context, dispute_context=dispute_context))
    assert (slow.reads, due) == (4, [])


def test_a_read_of_a_dispute_delays_no_other_webhook_of_its_group(bench: Bench) -> None:
    dispute = bench.webhook()
    other = Webhook(OWN, "evt_2", "disputed", "nonsense", received_at=bench.now)
    receive(
        other,
        event_types=frozenset({"disputed"}),
        inbox=bench.inbox,
        queue=bench.lookups,
    )
    ended = list[str]()

    class Looking(MemoryDisputes):
        """Disputes whose reads record the webhooks handled so far."""

        def read(self, update: DisputeUpdate) -> DisputeSnapshot:
            found = bench.inbox.find(
                status=WebhookStatus.UNREADABLE, since=None, limit=9
            )
            ended.extend(one.id for one in found)
            return super().read(update)

    def reader(webhook: Webhook) -> DisputeUpdate:
        if webhook.body == "nonsense":
            raise UnreadableWebhook
        return DisputeUpdate(webhook.account, webhook.body)

    looking = Looking(bench.disputes.shown)
    dispute_context = replace(bench.dispute_context, disputes=lambda account: looking)
    context = replace(
        bench.webhook_context, dispute_context=dispute_context, parsers={STRIPE: reader}
    )
    assert len(handle([dispute, other.id], context)) == 2
    assert ended == [other.id] * 2


def test_a_dispute_of_a_worker_that_died_during_the_read_is_handled_by_another(
    bench: Bench,
) -> None:
    name = bench.webhook()

    class Dying(MemoryDisputes):
        def read(self, update: DisputeUpdate) -> DisputeSnapshot:
            raise SystemExit

    dispute_context = replace(bench.dispute_context, disputes=lambda account: Dying())
    with pytest.raises(SystemExit):
        handle([name], replace(bench.webhook_context, dispute_context=dispute_context))
    bench.now += timedelta(minutes=1)
    assert bench.inbox.find_due_ids(9) == [name]
    handle([name], bench.webhook_context)
    assert bench.status() is WebhookStatus.HANDLED


def test_a_dispute_is_applied_to_a_claimed_payment(bench: Bench) -> None:
    [won] = bench.store.claim_many([sending(bench.payment)])
    handle([bench.webhook()], bench.webhook_context)
    after = bench.stored()
    assert (after.claim, len(after.disputes)) == (won.claim, 1)


def test_a_payment_that_changes_at_every_try_is_left_for_later(bench: Bench) -> None:
    class Busy(MemoryView):
        """A view whose payments change after every read."""

        def load(self, ids: Sequence[str]) -> list[Payment]:
            found = super().load(ids)
            for one in found:
                bench.store.amend(one)
            return found

    dispute_context = replace(bench.dispute_context, view=Busy(bench.store))
    context = replace(bench.webhook_context, dispute_context=dispute_context)
    [waits] = handle([bench.webhook()], context)
    assert (waits.status, waits.due_at) == (
        WebhookStatus.WAITING,
        bench.now + retry.DISPUTE.base_delay,
    )


def test_a_dispute_without_a_payment_of_ours_is_unmatched(bench: Bench) -> None:
    foreign = replace(bench.disputes.shown["dp_1"], payment=None)
    bench.disputes.shown["dp_1"] = foreign
    handle([bench.webhook()], bench.webhook_context)
    assert bench.status() is WebhookStatus.UNMATCHED
    assert bench.stored() == bench.payment


def test_a_dispute_waits_for_its_payment(bench: Bench) -> None:
    bench.show(DisputeState.LOST, of="pay_none")
    [waits] = handle([bench.webhook()], bench.webhook_context)
    assert waits.status is WebhookStatus.WAITING
    bench.show(DisputeState.LOST)
    bench.now += timedelta(seconds=5)
    handle([waits.id], bench.webhook_context)
    assert bench.status() is WebhookStatus.HANDLED


def test_a_dispute_changes_no_payment_of_another_provider(bench: Bench) -> None:
    update = DisputeUpdate(Account.own(ProviderName.PAYPAL), HINT.ref)
    with pytest.raises(PaymentNotFound):
        use_case.sync_dispute(update, bench.dispute_context)
    assert bench.stored() == bench.payment


def test_a_dispute_over_the_bound_of_a_payment_is_logged(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    one = bench.disputes.shown["dp_1"].dispute
    many = tuple(replace(one, id=f"dp_x{number}") for number in range(MAX_DISPUTES))
    bench.store.amend(replace(bench.payment, disputes=many))
    assert use_case.sync_dispute(HINT, bench.dispute_context) == bench.stored()
    [record] = caplog.records
    assert (record.levelno, record.message) == (logging.ERROR, "dispute_not_kept")


def test_a_disputed_amount_is_in_the_unit_of_the_payment(bench: Bench) -> None:
    found = replace(bench.disputes.shown["dp_1"].dispute, money=Money(500, "USD"))
    bench.disputes.shown["dp_1"] = DisputeSnapshot(found, bench.payment.id)
    followed = use_case.sync_dispute(HINT, bench.dispute_context)
    assert followed is not None and followed.disputed == 500


def test_an_unavailable_store_loses_no_dispute_however_old(
    bench: Bench,
) -> None:
    name = bench.webhook()
    bench.now += timedelta(hours=2)

    class Away(MemoryView):
        """A view of an unavailable database."""

        def load(self, ids: Sequence[str]) -> list[Payment]:
            raise StoreUnavailable

    away = replace(bench.dispute_context, view=Away(bench.store))
    [waits] = handle([name], replace(bench.webhook_context, dispute_context=away))
    assert waits.status is WebhookStatus.WAITING
    bench.now += timedelta(minutes=1)
    assert [one.status for one in handle([name], bench.webhook_context)] == [
        WebhookStatus.HANDLED
    ]
