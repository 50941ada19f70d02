"""The Redis transport of kombu, hardened against foreign messages and outages.

Whoever can write to our Redis can put anything at our keys. A worker takes the name of
a task and the ids out of a message and leaves the rest: no message of another shape
ends it, and none makes it do more than look at the payments that it names.
"""

from __future__ import annotations

import base64
import json
import logging
import uuid
from queue import Empty
from typing import Any, Final

from celery.app.amqp import AMQP
from kombu.connection import Connection
from kombu.transport import redis, virtual
from redis.exceptions import RedisError

from runtime import metrics
from runtime.queue.wakeups import (
    DUE_PAYMENTS,
    NEW_PAYMENTS,
    GROUP_SIZE,
    WEBHOOKS,
    is_wrong_type,
    delete_if_not_list,
)

log = logging.getLogger(__name__)

#: Characters of a message's body, four times what one of ours has, and of an id.
_MAX_BODY: Final = 16 * 1024
_MAX_ID: Final = 64
#: The tasks that a message may name, and where a worker that stops puts it back.
_QUEUES: Final = {one.task: one.queue for one in (NEW_PAYMENTS, DUE_PAYMENTS, WEBHOOKS)}


class SanitizedMessage(virtual.Message):
    """A message, of which only the task and the ids are believed."""

    def __init__(self, payload: object, channel: Any = None, **options: Any) -> None:
        untyped: Any = super()  # kombu types its classes, and not their methods
        untyped.__init__(sanitize_message(payload), channel, **options)


class SanitizingChannel(redis.Channel):
    """Reads the queues, drops what is no message, and deletes what is no queue."""

    Message = SanitizedMessage

    def _brpop_read(self, **options: Any) -> Any:
        untyped: Any = super()  # as above
        try:
            return untyped._brpop_read(**options)
        except RedisError as error:
            if not is_wrong_type(error):
                raise
            with self.conn_or_acquire() as client:
                for queue in self.active_queues:
                    delete_if_not_list(client, queue)
        except (OSError, Empty):
            raise
        # By now it is out of Redis, and whatever a reader of it raises would end the
        # worker, or have it connect anew.
        except Exception as error:
            log.warning("message_dropped", extra={"error": type(error).__name__})
            metrics.MESSAGES_DROPPED.inc()
        return None

    def _queue_bind(self, *_: Any) -> None:
        """Ours go by a queue's name: no table of exchanges is kept in Redis."""

    def _size(self, _: str) -> int:
        """Nobody asks, but to declare a queue; one that is no list has none."""
        return 0


class SanitizingTransport(redis.Transport):
    """Celery's Redis, by our channels."""

    Channel = SanitizingChannel


class FastReconnectConnection(Connection):
    """Tries a broken broker again every second or two.

    Celery leaves kombu's waits as they are, which grow to 30 s: longer than a payment
    should wait for a broker that is back.
    """

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        """See kombu.Connection."""
        steady = {"interval_start": 0.5, "interval_step": 0.5, "interval_max": 2.0}
        told = {**options, **steady}
        untyped: Any = super()  # as above
        return untyped.ensure_connection(*args, **told)

    def get_transport_cls(self) -> type[SanitizingTransport]:
        """See kombu.Connection."""
        return SanitizingTransport


class FastReconnectAMQP(AMQP):  # type: ignore[misc]  # Celery has no types
    """Celery's way to be given a connection class."""

    Connection = FastReconnectConnection


def sanitize_message(given: Any) -> dict[str, Any]:
    """The message that a wake-up queue would have sent of the task and the ids in
    ``given``.

    Raises any of LookupError, TypeError, ValueError, AttributeError or RecursionError
    where that is not shaped like one.
    """
    task = given["headers"]["task"]
    queue = _QUEUES[task]
    if len(given["body"]) > _MAX_BODY:
        raise ValueError
    [ids], *_ = json.loads(base64.b64decode(given["body"]))
    named = [
        one for one in ids[:GROUP_SIZE] if isinstance(one, str) and len(one) <= _MAX_ID
    ]
    # What it calls itself is no name to keep it under while a worker has it.
    tag = str(uuid.uuid4())
    return {
        "body": base64.b64encode(json.dumps([[named], {}, {}]).encode()).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "py", "task": task, "id": tag},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": tag,
            "delivery_info": {"exchange": "", "routing_key": queue},
        },
    }
