"""The Celery application of the peers with Celery. Celery has no types."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from celery import Celery


def create_app(name: str) -> Any:
    """An application on the peer's Redis, without results."""
    app = Celery(name, broker=os.environ["PEER_REDIS_URL"])
    app.conf.update(
        task_ignore_result=True,
        # A killed worker must not lose its payments.
        task_acks_late=True,
        # Tasks wait for Stripe; four per thread keep the threads busy.
        worker_prefetch_multiplier=4,
        # One for each thread of the web side, so that none waits to publish.
        broker_pool_limit=64,
        broker_connection_retry_on_startup=True,
    )
    return app


def retried_task(
    app: Any, transient: tuple[type[Exception], ...]
) -> Callable[[Callable[..., None]], Any]:
    """The decorator of a task that is tried again after a transient error."""
    found: Callable[[Callable[..., None]], Any] = app.task(
        autoretry_for=transient, retry_backoff=True, max_retries=5
    )
    return found
