"""The worker side: one message claims, charges and settles one payment."""

from __future__ import annotations

import os
from typing import Final

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Retries, ShutdownNotifications, TimeLimit

from bench.peers import payment_store, stripe_charge

#: Milliseconds: more than a call with its repeats; and before the first retry.
TIME_LIMIT: Final = 60_000
FIRST_RETRY: Final = 1000

# Of the default middleware, those that this service uses.
broker = RedisBroker(  # type: ignore[no-untyped-call]  # it has no types
    url=os.environ["PEER_REDIS_URL"],
    middleware=[
        TimeLimit(time_limit=TIME_LIMIT),
        ShutdownNotifications(),
        Retries(max_retries=5, min_backoff=FIRST_RETRY),
    ],
)
dramatiq.set_broker(broker)


@dramatiq.actor
def charge(operation_id: str) -> None:
    """Carries the payment out, unless it has an outcome already."""
    payment = payment_store.claim(operation_id)
    if payment is not None:
        outcome = stripe_charge.charge(operation_id, payment)
        payment_store.settle(operation_id, outcome)
