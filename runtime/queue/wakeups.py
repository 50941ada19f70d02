"""Wake-up messages by Celery and Redis: ids only, and every message may be lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Any, Final

from celery import Celery
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from application.logs import get_logger
from domain.errors import QueueUnavailable
from runtime import metrics
from runtime.settings import Settings

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Address:
    """A task and its queue. Web and beat send to it without importing the workers."""

    task: str
    queue: str


#: For newly requested operations.
NEW_PAYMENTS: Final = Address("payments.attempt", "payments")
#: For payments that beat found to be due. It has its own queue, because workers take
#: from the queues in turn: a backlog neither fills the other queue nor precedes it. It
#: has its own task, because new payments go first at an account's rate limit.
DUE_PAYMENTS: Final = Address("payments.recover", "payments.due")
#: For webhooks, so that a burst of them delays no payment.
WEBHOOKS: Final = Address("payments.webhooks", "payments.webhooks")

#: Payments in one message. A message costs a worker 1 to 2.5 ms for any number of
#: payments; in larger groups early answers would wait for late ones.
GROUP_SIZE: Final = 32
#: Messages that may wait in a queue; beyond it MongoDB is the queue.
MAX_MESSAGES: Final = 64
#: Seconds between two messages of one process. Under load a message fills up in this
#: time; a single payment is sent at once.
PUBLISH_INTERVAL: Final = 0.02
#: Payments that may wait for their message; beyond it beat's dispatch finds them.
MAX_PENDING: Final = 10_000
#: Seconds before a broken broker is tried again.
BROKER_BACKOFF: Final = 1.0


class WakeupQueue:
    """JobQueue whose own thread calls Redis, so that no request waits for it."""

    def __init__(
        self, app: Celery, redis: Redis, *, to: Address = NEW_PAYMENTS
    ) -> None:
        self._app = app
        self._redis = redis
        self._to = to
        self._pending: Queue[str] = Queue(MAX_PENDING)
        self._sender: threading.Thread | None = None
        self._starting = threading.Lock()

    def notify(self, ids: Sequence[str]) -> None:
        """Queues the ids for the thread; drops those beyond MAX_PENDING."""
        if self._sender is None:
            self._start()
        for payment_id in ids:
            try:
                self._pending.put_nowait(payment_id)
            except Full:
                metrics.WAKEUPS_DROPPED.inc()

    def free_slots(self) -> int:
        """Returns how many more ids fit. Raises QueueUnavailable."""
        # Pending ids are not in Redis yet, but take slots there.
        return max(0, self._free_messages() * GROUP_SIZE - self._pending.qsize())

    def _free_messages(self) -> int:
        """How many more messages fit into the queue. Raises QueueUnavailable."""
        try:
            # redis-py types every result as possibly awaitable.
            waiting: Any = self._redis.llen(self._to.queue)
        except RedisError as error:
            if is_wrong_type(error):
                delete_if_not_list(self._redis, self._to.queue)
            raise QueueUnavailable from error
        return max(0, MAX_MESSAGES - int(waiting))

    def _start(self) -> None:
        """Starts the thread on first use, because a thread does not survive a fork."""
        with self._starting:
            if self._sender is None:
                self._sender = threading.Thread(
                    target=self._run, name="wakeups", daemon=True
                )
                self._sender.start()

    def _run(self) -> None:
        while True:
            group = [self._pending.get()]
            try:
                while len(group) < GROUP_SIZE:
                    group.append(self._pending.get_nowait())
            except Empty:
                pass
            time.sleep(PUBLISH_INTERVAL if self._publish(group) else BROKER_BACKOFF)

    def _publish(self, group: list[str]) -> bool:
        """Whether the broker answered. A full queue drops the message on purpose."""
        try:
            if self._free_messages():
                self._app.send_task(self._to.task, args=[group], queue=self._to.queue)
                return True
        # kombu raises errors of many libraries. None may end this thread, and beat
        # finds the work in every case.
        except Exception as error:
            log.warning("wakeup_failed", error=type(error).__name__)
            metrics.WAKEUPS_DROPPED.inc(len(group))
            return False
        metrics.WAKEUPS_DROPPED.inc(len(group))
        return True


def connect_redis(settings: Settings) -> Redis:
    """A client with short timeouts and without retries."""
    return Redis.from_url(
        settings.redis_url,
        socket_connect_timeout=0.5,
        socket_timeout=1.0,
        health_check_interval=10,
        retry=Retry(NoBackoff(), 0),
    )


def is_wrong_type(error: RedisError) -> bool:
    """Whether the key has a value of another type than the command needs."""
    return isinstance(error, ResponseError) and "WRONGTYPE" in str(error)


def delete_if_not_list(redis: Redis, queue: str) -> None:
    """Deletes a value at the queue's key that is no list and would block the queue.

    A list created at the same moment may be deleted too; beat sends its ids again.
    """
    try:
        if redis.type(queue) not in (b"list", b"none"):
            redis.delete(queue)
            log.error("queue_deleted", queue=queue)
            metrics.QUEUES_DELETED.inc()
    except RedisError as error:
        log.warning("queue_not_deleted", error=type(error).__name__)
