"""Celery on Redis as a wake-up message: ids go in, nothing depends on their arrival."""

from __future__ import annotations

import logging
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

from domain.errors import QueueUnavailable
from runtime import metrics
from runtime.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Address:
    """Where ids go: web and beat know it without knowing the workers."""

    task: str
    queue: str


#: For what was asked for just now.
NEW_PAYMENTS: Final = Address("payments.attempt", "payments")
#: For what beat has found to be due. A queue of its own, since workers take from each
#: in turn: a backlog of any length neither fills the other nor goes before it. A task
#: of its own, since what is new goes first at an account's limit.
DUE_PAYMENTS: Final = Address("payments.recover", "payments.due")
#: For what providers told us, so that a storm of it stands before no payment.
WEBHOOKS: Final = Address("payments.webhooks", "payments.webhooks")

#: Payments in one message. A message costs a worker 1 to 2.5 ms however many it
#: names; more of them would only keep early answers waiting for late ones.
GROUP_SIZE: Final = 32
#: Messages that may wait in a queue; beyond it MongoDB is the queue.
MAX_MESSAGES: Final = 64
#: Seconds between two messages of one process: under load they fill up meanwhile,
#: while a lone payment's leaves at once.
PUBLISH_INTERVAL: Final = 0.02
#: Payments that may wait for their message; beyond it recovery takes them.
MAX_PENDING: Final = 10_000
#: Seconds that a broken broker is left alone before it is tried again.
BROKER_BACKOFF: Final = 1.0


class WakeupQueue:
    """JobQueue: a thread of its own talks to Redis, so that no request waits for it."""

    def __init__(
        self, app: Celery, redis: Redis, *, to: Address = NEW_PAYMENTS
    ) -> None:
        self._app = app
        self._redis = redis
        self._to = to
        self._rings: Queue[str] = Queue(MAX_PENDING)
        self._ringer: threading.Thread | None = None
        self._starting = threading.Lock()

    def notify(self, ids: Sequence[str]) -> None:
        """See JobQueue."""
        if self._ringer is None:
            self._start()
        for payment_id in ids:
            try:
                self._rings.put_nowait(payment_id)
            except Full:
                metrics.WAKEUPS_DROPPED.inc()

    def free_slots(self) -> int:
        """See JobQueue."""
        # What waits here has yet to become a message: it is not announced to the
        # workers again.
        return max(0, self._free_messages() * GROUP_SIZE - self._rings.qsize())

    def _free_messages(self) -> int:
        """How many more messages may wait. Raises QueueUnavailable."""
        try:
            # redis-py types every answer as one that may also be awaited.
            waiting: Any = self._redis.llen(self._to.queue)
        except RedisError as error:
            if is_wrong_type(error):
                delete_if_not_list(self._redis, self._to.queue)
            raise QueueUnavailable from error
        return max(0, MAX_MESSAGES - int(waiting))

    def _start(self) -> None:
        """On first use, for a thread does not survive a fork."""
        with self._starting:
            if self._ringer is None:
                self._ringer = threading.Thread(
                    target=self._run, name="wakeups", daemon=True
                )
                self._ringer.start()

    def _run(self) -> None:
        while True:
            group = [self._rings.get()]
            try:
                while len(group) < GROUP_SIZE:
                    group.append(self._rings.get_nowait())
            except Empty:
                pass
            time.sleep(PUBLISH_INTERVAL if self._publish(group) else BROKER_BACKOFF)

    def _publish(self, group: list[str]) -> bool:
        """Whether the broker answered; a full queue drops the message on purpose."""
        try:
            if self._free_messages():
                self._app.send_task(self._to.task, args=[group], queue=self._to.queue)
                return True
        # kombu raises errors of many libraries; none of them may end this thread,
        # and all of them mean the same: recovery will find the work.
        except Exception as error:
            log.warning("wakeup_failed", extra={"error": type(error).__name__})
            metrics.WAKEUPS_DROPPED.inc(len(group))
            return False
        metrics.WAKEUPS_DROPPED.inc(len(group))
        return True


def connect_redis(settings: Settings) -> Redis:
    """A client that never repeats a command by itself and never waits long."""
    return Redis.from_url(
        settings.redis_url,
        socket_connect_timeout=0.5,
        socket_timeout=1.0,
        health_check_interval=10,
        retry=Retry(NoBackoff(), 0),
    )


def is_wrong_type(error: RedisError) -> bool:
    """Whether Redis has something else at a key than what it was asked for."""
    return isinstance(error, ResponseError) and "WRONGTYPE" in str(error)


def delete_if_not_list(redis: Redis, queue: str) -> None:
    """Deletes what is no list at a queue's key, where nothing could be announced to the
    workers ever.

    A list that comes there meanwhile may go with it: recovery rings for that again.
    """
    try:
        if redis.type(queue) not in (b"list", b"none"):
            redis.delete(queue)
            log.error("queue_deleted", extra={"queue": queue})
            metrics.QUEUES_DELETED.inc()
    except RedisError as error:
        log.warning("queue_not_deleted", extra={"error": type(error).__name__})
