"""``python -m workers.beat``: dispatches due work, carries replays out, and once a day
compares the providers' books with ours.

It is a plain loop and not Celery's beat, whose ticks would pass through Redis, pile up
there without a worker, and be lost with it. Any number of beats may run.
"""

from __future__ import annotations

import signal
import threading
from typing import Final

from application import dispatch, operator_actions
from application.logs import get_logger
from domain.errors import QueueUnavailable, StoreUnavailable
from persistence.payments import MongoPayments
from runtime import logs, metrics
from runtime.container import (
    operator_context,
    open_clock,
    open_database,
    open_inbox,
    open_vault,
)
from runtime.queue.celery_app import make_app
from runtime.queue.wakeups import DUE_PAYMENTS, WEBHOOKS, WakeupQueue, connect_redis
from runtime.settings import API_BASES, Settings
from workers import reconciler

#: Seconds between two dispatches. A lost message delays a payment by this time and the
#: grace of a second or two.
PERIOD: Final = 1.0

log = get_logger(__name__)


def main() -> None:
    """Runs until TERM."""
    settings = Settings.of_process("mongo_url", "redis_url", *API_BASES)
    logs.configure(settings, "beat")
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    log.info("beat_ready", port=metrics.serve(settings))
    reconciler.start(settings, stop)
    run(settings, stop)


def run(settings: Settings, stop: threading.Event) -> None:
    """Dispatches and replays each period until ``stop``; continues after outages."""
    database = open_database(settings)
    store = MongoPayments(
        database, open_vault(settings), lease_holder="beat", mode=settings.mode
    )
    clock = open_clock(database)
    app, redis = make_app(settings), connect_redis(settings)
    wakeup_queue = WakeupQueue(app, redis, to=DUE_PAYMENTS)
    inbox = open_inbox(settings, database, clock=clock)
    webhook_queue = WakeupQueue(app, redis, to=WEBHOOKS)
    operators = operator_context(
        settings, database, store=store, queue=wakeup_queue, clock=clock
    )
    while not stop.wait(PERIOD):
        try:
            count = dispatch.dispatch_due(store=store, queue=wakeup_queue)
            if count:
                log.info("dispatched", count=count)
            count = dispatch.dispatch_due(store=inbox, queue=webhook_queue)
            if count:
                log.info("webhooks_dispatched", count=count)
        except (StoreUnavailable, QueueUnavailable) as error:
            log.warning("dispatch_skipped", reason=error.code)
        try:
            count = operator_actions.run_replays(operators)
            if count:
                log.info("replayed", count=count)
        except StoreUnavailable as error:
            log.warning("replays_skipped", reason=error.code)


if __name__ == "__main__":
    main()
