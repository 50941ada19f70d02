"""The bell on a real Redis: bounded, and no backlog stands before a new payment."""

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


def test_a_full_queue_takes_no_more_and_the_other_is_open(
    settings: Settings, redis: Redis
) -> None:
    app = make_app(settings)
    due, fresh = WakeupQueue(app, redis, to=DUE_PAYMENTS), WakeupQueue(app, redis)
    room = due.free_slots()
    assert room == MAX_MESSAGES * GROUP_SIZE
    due.notify([f"pay_{number}" for number in range(room + GROUP_SIZE)])
    assert due.free_slots() == 0, "what is on its way to Redis takes room as well"
    assert wait_until(
        lambda: waiting(redis, DUE_PAYMENTS.queue) == MAX_MESSAGES, seconds=30
    )
    assert due.free_slots() == 0
    assert fresh.free_slots() == room
    fresh.notify(["pay_new"])
    assert wait_until(lambda: waiting(redis, NEW_PAYMENTS.queue) == 1, seconds=10)


def test_a_ring_for_many_goes_in_messages_of_a_group(
    settings: Settings, redis: Redis
) -> None:
    bell = WakeupQueue(make_app(settings), redis)
    bell.notify([f"pay_{number}" for number in range(2 * GROUP_SIZE + 1)])
    assert wait_until(lambda: waiting(redis, NEW_PAYMENTS.queue) >= 3, seconds=10)
    assert waiting(redis, NEW_PAYMENTS.queue) <= 4


def test_without_redis_a_ring_returns_at_once_and_room_says_so(
    settings: Settings,
) -> None:
    away = Redis(port=free_port(), socket_connect_timeout=0.5)
    bell = WakeupQueue(make_app(settings), away)
    bell.notify(["pay_1"])
    with pytest.raises(QueueUnavailable):
        bell.free_slots()
