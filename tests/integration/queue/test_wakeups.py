"""The bell on a real Redis: bounded, and no backlog stands before a new payment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from domain.errors import QueueUnavailable
from runtime.processes import free_port, wait_until
from runtime.queue.celery_app import make_app
from runtime.queue.wakeups import DUE, FRESH, GROUP, MAX_MESSAGES, Bell
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
    due, fresh = Bell(app, redis, to=DUE), Bell(app, redis)
    room = due.room()
    assert room == MAX_MESSAGES * GROUP
    due.ring([f"pay_{number}" for number in range(room + GROUP)])
    assert due.room() == 0, "what is on its way to Redis takes room as well"
    assert wait_until(lambda: waiting(redis, DUE.queue) == MAX_MESSAGES, seconds=30)
    assert due.room() == 0
    assert fresh.room() == room
    fresh.ring(["pay_new"])
    assert wait_until(lambda: waiting(redis, FRESH.queue) == 1, seconds=10)


def test_a_ring_for_many_goes_in_messages_of_a_group(
    settings: Settings, redis: Redis
) -> None:
    bell = Bell(make_app(settings), redis)
    bell.ring([f"pay_{number}" for number in range(2 * GROUP + 1)])
    assert wait_until(lambda: waiting(redis, FRESH.queue) >= 3, seconds=10)
    assert waiting(redis, FRESH.queue) <= 4


def test_without_redis_a_ring_returns_at_once_and_room_says_so(
    settings: Settings,
) -> None:
    away = Redis(port=free_port(), socket_connect_timeout=0.5)
    bell = Bell(make_app(settings), away)
    bell.ring(["pay_1"])
    with pytest.raises(QueueUnavailable):
        bell.room()
