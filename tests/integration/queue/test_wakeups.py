"""The wake-up queue on a real Redis: bounded, and a backlog delays no new payment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from domain.errors import QueueUnavailable
from runtime.processes import free_port, wait_until
from runtime.queue.celery_app import make_app
from runtime.queue.wakeups import (
    DUE_PAYMENTS,
    NEW_PAYMENTS,
    GROUP_SIZE,
    MAX_MESSAGES,
    WakeupQueue,
)
from runtime.settings import Settings


@pytest.fixture
def redis(settings: Settings) -> Iterator[Redis]:
    with Redis.from_url(settings.redis_url) as client:
        yield client


def waiting(redis: Redis, queue: str) -> int:
    count: Any = redis.llen(queue)
    return int(count)


def test_a_full_queue_takes_no_more_and_does_not_affect_the_other(
    settings: Settings, redis: Redis
) -> None:
    app = make_app(settings)
    due, fresh = WakeupQueue(app, redis, to=DUE_PAYMENTS), WakeupQueue(app, redis)
    slots = due.free_slots()
    assert slots == MAX_MESSAGES * GROUP_SIZE
    due.notify([f"pay_{number}" for number in range(slots + GROUP_SIZE)])
    assert due.free_slots() == 0, "pending ids take slots as well"
    assert wait_until(
        lambda: waiting(redis, DUE_PAYMENTS.queue) == MAX_MESSAGES, seconds=30
    )
    assert due.free_slots() == 0
    assert fresh.free_slots() == slots
    fresh.notify(["pay_new"])
    assert wait_until(lambda: waiting(redis, NEW_PAYMENTS.queue) == 1, seconds=10)


def test_many_ids_are_sent_in_messages_of_a_group(
    settings: Settings, redis: Redis
) -> None:
    queue = WakeupQueue(make_app(settings), redis)
    queue.notify([f"pay_{number}" for number in range(2 * GROUP_SIZE + 1)])
    assert wait_until(lambda: waiting(redis, NEW_PAYMENTS.queue) >= 3, seconds=10)
    assert waiting(redis, NEW_PAYMENTS.queue) <= 4


def test_without_redis_notify_returns_at_once_and_free_slots_raises(
    settings: Settings,
) -> None:
    away = Redis(port=free_port(), socket_connect_timeout=0.5)
    queue = WakeupQueue(make_app(settings), away)
    queue.notify(["pay_1"])
    with pytest.raises(QueueUnavailable):
        queue.free_slots()
