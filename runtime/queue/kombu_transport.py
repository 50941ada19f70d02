"""The Redis transport of kombu, hardened against foreign messages and outages.

A client of the same Redis can write anything to the queues' keys. A worker reads only
the task's name and the ids from a message. A message of another shape does not stop the
worker, and no message makes it do more than check the named payments.
"""

from __future__ import annotations

import base64
import json
import uuid
from queue import Empty
from typing import Any, Final

from celery.app.amqp import AMQP
from kombu.connection import Connection
from kombu.transport import redis, virtual
from redis.exceptions import RedisError

from application.logs import get_logger
from runtime import metrics
from runtime.queue.wakeups import (
    DUE_PAYMENTS,
    NEW_PAYMENTS,
    GROUP_SIZE,
    WEBHOOKS,
    is_wrong_type,
    delete_if_not_list,
)

log = get_logger(__name__)

#: Characters of a message's body (four times the longest of ours), and of an id.
_MAX_BODY: Final = 16 * 1024
_MAX_ID: Final = 64
#: The tasks that a message may name, with the queue of each.
_QUEUES: Final = {
    address.task: address.queue for address in (NEW_PAYMENTS, DUE_PAYMENTS, WEBHOOKS)
}


class SanitizedMessage(virtual.Message):
    """A message reduced to its task and its ids."""

    def __init__(self, payload: object, channel: Any = None, **options: Any) -> None:
        untyped: Any = super()  # kombu's methods have no types
        untyped.__init__(sanitize_message(payload), channel, **options)


class SanitizingChannel(redis.Channel):
    """Reads the queues, drops malformed messages, and deletes keys without a list."""

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
        # The message is already out of Redis. Any error in its reader would end the
        # worker or make it reconnect.
        except Exception as error:
            log.warning("message_dropped", error=type(error).__name__)
            metrics.MESSAGES_DROPPED.inc()
        return None

    def _queue_bind(self, *_: Any) -> None:
        """Stores nothing: messages are routed by their queue's name."""

    def _size(self, _: str) -> int:
        """Returns 0; only the declaration of a queue asks. Its key may hold no list."""
        return 0


class SanitizingTransport(redis.Transport):
    """Celery's Redis transport with sanitizing channels."""

    Channel = SanitizingChannel


class FastReconnectConnection(Connection):
    """Reconnects to a broken broker every second or two.

    kombu's own waits, which Celery cannot set, grow to 30 s. That is too long for a
    payment once the broker is back.
    """

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        """Reconnects with short waits."""
        waits = {"interval_start": 0.5, "interval_step": 0.5, "interval_max": 2.0}
        untyped: Any = super()  # as above
        return untyped.ensure_connection(*args, **{**options, **waits})

    def get_transport_cls(self) -> type[SanitizingTransport]:
        """Returns the sanitizing transport."""
        return SanitizingTransport


class FastReconnectAMQP(AMQP):  # type: ignore[misc]  # Celery has no types
    """Gives Celery the connection class."""

    Connection = FastReconnectConnection


def sanitize_message(message: Any) -> dict[str, Any]:
    """Builds a new message from the task and the ids of ``message``.

    Raises LookupError, TypeError, ValueError, AttributeError or RecursionError for a
    message of another shape.
    """
    task = message["headers"]["task"]
    queue = _QUEUES[task]
    if len(message["body"]) > _MAX_BODY:
        raise ValueError
    [ids], *_ = json.loads(base64.b64decode(message["body"]))
    valid_ids = [
        id for id in ids[:GROUP_SIZE] if isinstance(id, str) and len(id) <= _MAX_ID
    ]
    # The message's own tag could be another message's.
    tag = str(uuid.uuid4())
    return {
        "body": base64.b64encode(json.dumps([[valid_ids], {}, {}]).encode()).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "py", "task": task, "id": tag},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": tag,
            "delivery_info": {"exchange": "", "routing_key": queue},
        },
    }
