"""The Celery worker: one process, threads for tasks, threads for provider calls."""

from __future__ import annotations

import signal
import threading
import time
import warnings
from typing import Final

from celery import Celery
from celery.platforms import SecurityWarning
from celery.signals import setup_logging, worker_ready
from celery.worker import state

from application.logs import get_logger
from domain.errors import StoreUnavailable
from domain.payments.payment import LEASE
from persistence.monitoring import report_alive
from runtime import logs, metrics
from runtime.container import WorkerServices, create_worker_services
from runtime.queue.celery_app import make_app
from runtime.queue.wakeups import DUE_PAYMENTS, NEW_PAYMENTS, WEBHOOKS
from runtime.settings import Settings
from runtime.settings_checks import without_credentials
from workers import tasks

#: Seconds between two renewals of leases, so that one may fail before they expire.
RENEWAL: Final = LEASE.total_seconds() / 3
#: Provider calls per task on average; a message under load names more payments.
CALLS_PER_TASK: Final = 3

log = get_logger(__name__)


def build(settings: Settings) -> tuple[Celery, WorkerServices]:
    """The application with its tasks, and their dependencies."""
    app = make_app(settings)
    services = create_worker_services(settings)
    tasks.register(app, services)
    return app, services


def serve(settings: Settings) -> None:
    """Works until TERM, then finishes the claimed payments."""
    logs.configure(settings, "worker")
    app, services = build(settings)
    metrics.register_metrics(
        metrics.QUEUE_WAIT, metrics.WORKER_SLOTS, metrics.WORKER_BUSY
    )
    # The user is the container's choice; the Dockerfile has an unprivileged one.
    warnings.simplefilter("ignore", SecurityWarning)
    metrics.WORKER_SLOTS.set(settings.worker_slots)
    metrics.WORKER_BUSY.set_function(lambda: len(services.attempt_context.leased_ids))
    threading.Thread(
        target=_keep_leases, args=(services,), name="leases", daemon=True
    ).start()
    port = metrics.serve(settings)
    log.info("worker_ready", port=port, slots=settings.worker_slots)

    def on_ready(**_: object) -> None:
        _stop_quietly(services)

    worker_ready.connect(on_ready, weak=False)
    # A connected handler keeps Celery from configuring the root logger.
    setup_logging.connect(_logging_is_set_up, weak=False)
    app.worker_main(
        [
            "--quiet",
            "worker",
            "--pool=threads",
            f"--concurrency={max(4, settings.worker_slots // CALLS_PER_TASK)}",
            f"--queues={NEW_PAYMENTS.queue},{DUE_PAYMENTS.queue},{WEBHOOKS.queue}",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ]
    )


def _logging_is_set_up(**_: object) -> None:
    """Does nothing: ``logs.configure`` did the set-up."""


def _stop_quietly(services: WorkerServices) -> None:
    """On TERM, starts no more calls and lets Celery finish its tasks.

    It replaces Celery's own handlers, which print lines that are not JSON.
    """

    def stop(number: int, _: object) -> None:
        log.info("worker_stopping", reason=signal.Signals(number).name)
        services.attempt_context.stopping.set()
        state.should_stop = 0

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _keep_leases(services: WorkerServices) -> None:
    """Renews this process's leases, and reports that it is alive."""
    pause = threading.Event()
    while True:
        began = time.monotonic()
        leased = list(services.attempt_context.leased_ids)
        try:
            if leased:
                services.attempt_context.store.renew_leases(leased)
            report_alive(
                services.database,
                services.worker_name,
                slots=services.settings.worker_slots,
                busy=len(leased),
                proxy=without_credentials(services.settings.provider_proxy),
            )
        except StoreUnavailable:
            log.warning("leases_not_renewed", leased=len(leased))
        pause.wait(max(0.0, began + RENEWAL - time.monotonic()))
