"""Due work is dispatched up to the free slots of the queue."""

from __future__ import annotations

from datetime import timedelta

import pytest

from application.dispatch import dispatch_due
from domain.errors import QueueUnavailable, StoreUnavailable
from domain.payments.payment import WAKEUP_GRACE, LEASE
from tests.suites.samples import payment, sending
from tests.support.fakes import MemoryQueue
from tests.unit.application.conftest import World


def test_due_payments_are_notified_longest_wait_first(world: World) -> None:
    ids = world.insert(payment(1), payment(2))
    world.now += timedelta(seconds=1)
    later = world.insert(payment(3, now=world.now))
    world.now += WAKEUP_GRACE
    assert dispatch_due(store=world.store, queue=world.queue) == 3
    assert world.queue.waiting == ids + later


def test_payment_due_later_is_not_notified(world: World) -> None:
    world.insert(payment())
    assert dispatch_due(store=world.store, queue=world.queue) == 0
    assert world.queue.waiting == []


@pytest.mark.parametrize(("size", "expected"), [(0, 0), (2, 2), (5, 4)])
def test_queues_free_slots_bound_the_dispatch(
    world: World, size: int, expected: int
) -> None:
    world.insert(*map(payment, range(1, 5)))
    world.now += WAKEUP_GRACE
    queue = MemoryQueue(size)
    assert dispatch_due(store=world.store, queue=queue) == expected
    assert len(queue.waiting) == expected


def test_full_queue_causes_no_read_of_the_store(world: World) -> None:
    world.store.away = True
    assert dispatch_due(store=world.store, queue=MemoryQueue(0)) == 0


def test_a_dead_workers_payment_is_found_after_its_lease_ran_out(world: World) -> None:
    [one] = world.insert(payment())
    world.store.claim_many([sending(world.stored(one), now=world.now)])
    world.now += LEASE - timedelta(seconds=1)
    assert dispatch_due(store=world.store, queue=world.queue) == 0
    world.now += timedelta(seconds=1)
    assert dispatch_due(store=world.store, queue=world.queue) == 1


def test_dispatch_raises_without_the_store_or_the_queue(world: World) -> None:
    world.store.away = True
    with pytest.raises(StoreUnavailable):
        dispatch_due(store=world.store, queue=world.queue)
    world.queue.away = True
    with pytest.raises(QueueUnavailable):
        dispatch_due(store=world.store, queue=world.queue)
