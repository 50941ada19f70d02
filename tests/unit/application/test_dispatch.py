"""Work that is owed is found, as far as the queue has room."""

from __future__ import annotations

from datetime import timedelta

import pytest

from application.dispatch import dispatch_due
from domain.errors import QueueUnavailable, StoreUnavailable
from domain.payments.payment import WAKEUP_GRACE, LEASE
from tests.suites.samples import payment, sending
from tests.support.fakes import MemoryQueue
from tests.unit.application.conftest import World


def test_what_is_due_is_rung_for_longest_first(world: World) -> None:
    ids = world.insert(payment(1), payment(2))
    world.now += timedelta(seconds=1)
    later = world.insert(payment(3, now=world.now))
    world.now += WAKEUP_GRACE
    assert dispatch_due(store=world.store, queue=world.queue) == 3
    assert world.queue.waiting == ids + later


def test_what_is_not_due_yet_is_left_alone(world: World) -> None:
    world.insert(payment())
    assert dispatch_due(store=world.store, queue=world.queue) == 0
    assert world.queue.waiting == []


@pytest.mark.parametrize(("size", "rung"), [(0, 0), (2, 2), (5, 4)])
def test_the_queues_room_is_the_bound(world: World, size: int, rung: int) -> None:
    world.insert(*map(payment, range(1, 5)))
    world.now += WAKEUP_GRACE
    queue = MemoryQueue(size)
    assert dispatch_due(store=world.store, queue=queue) == rung
    assert len(queue.waiting) == rung


def test_a_full_queue_asks_the_store_nothing(world: World) -> None:
    world.store.away = True
    assert dispatch_due(store=world.store, queue=MemoryQueue(0)) == 0


def test_a_dead_workers_payment_is_found_when_its_lease_ran_out(world: World) -> None:
    [one] = world.insert(payment())
    world.store.claim_many([sending(world.stored(one), now=world.now)])
    world.now += LEASE - timedelta(seconds=1)
    assert dispatch_due(store=world.store, queue=world.queue) == 0
    world.now += timedelta(seconds=1)
    assert dispatch_due(store=world.store, queue=world.queue) == 1


def test_without_store_or_queue_it_says_so(world: World) -> None:
    world.store.away = True
    with pytest.raises(StoreUnavailable):
        dispatch_due(store=world.store, queue=world.queue)
    world.queue.away = True
    with pytest.raises(QueueUnavailable):
        dispatch_due(store=world.store, queue=world.queue)
