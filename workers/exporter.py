"""Serves metrics from MongoDB's contents; one process does it for all."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from application.logs import get_logger
from domain.circuit_breaker import CircuitBreaker, BreakerState
from domain.errors import StoreUnavailable
from domain.payments.states import STATES_WITH_WORK, TERMINAL, State
from domain.payments.submission import ProviderName
from domain.reconciliation import DifferenceKind, ReconciliationReport
from persistence import document_faults
from persistence.circuit_breakers import MongoBreakerStore
from persistence.differences import MongoDifferences
from persistence.document_faults import DocumentFault
from persistence.indexes import INDEXES, IndexComparison, compare_indexes, list_wanted
from persistence.monitoring import Backlog, count_backlog, count_waiting_webhooks
from persistence.reconciliations import Reconciliations
from runtime import logs, metrics
from runtime.container import open_clock, open_database
from runtime.settings import Settings

#: Seconds between two reads: Prometheus's scrape interval here.
PERIOD: Final = 5.0

log = get_logger(__name__)


def main() -> None:
    """Serves until TERM."""
    settings = Settings.of_process("mongo_url")
    logs.configure(settings, "exporter")
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    metrics.register_metrics(*metrics.DATABASE_METRICS)
    log.info("exporter_ready", port=metrics.serve(settings))
    run(settings, stop)


def run(settings: Settings, stop: threading.Event) -> None:
    """Updates all gauges each period until ``stop``; continues after outages."""
    database = open_database(settings)
    open_clock(database)
    breakers = MongoBreakerStore(database)
    reconciliations = Reconciliations(database, settings.mode)
    differences = MongoDifferences(database, settings.mode)
    updates: Sequence[Callable[[], None]] = (
        lambda: show_backlog(count_backlog(database)),
        lambda: show_breakers(breakers.load_all()),
        lambda: metrics.WEBHOOKS_WAITING.set(count_waiting_webhooks(database)),
        lambda: show_reports(
            reconciliations.list_last(listed=False), differences.count_open()
        ),
        lambda: show_indexes(compare_indexes(database)),
        lambda: show_faults(document_faults.count_faults(database)),
    )
    while not stop.is_set():
        for update in updates:
            run_update(update)
        stop.wait(PERIOD)
    database.client.close()


def run_update(update: Callable[[], None]) -> None:
    """Updates gauges; logs an error, so that the other updates still run."""
    try:
        update()
    except StoreUnavailable:
        log.warning("exporter_skipped", reason="store_unavailable")
    except Exception:
        log.exception("exporter_skipped")


def show_backlog(found: Backlog) -> None:
    """Sets the gauges of every state, so that an empty state shows 0."""
    for state in STATES_WITH_WORK:
        metrics.DUE.labels(state).set(found.due.get(state, 0))
    for provider in ProviderName:
        for state in set(State) - TERMINAL:
            count = found.open.get((provider, state), 0)
            metrics.OPEN.labels(provider, state).set(count)
        unknown = found.open.get((provider, State.UNKNOWN), 0)
        metrics.UNKNOWN.labels(provider).set(unknown)
    metrics.OLDEST_DUE.set(found.oldest_due_seconds)


def show_breakers(breakers: Mapping[str, CircuitBreaker]) -> None:
    """Sets the gauges of the accounts' breakers."""
    for breaker in breakers.values():
        labels = metrics.breaker_labels(breaker)
        for state in BreakerState:
            metrics.BREAKER_STATE.labels(*labels, state).set(breaker.state is state)


def show_indexes(found: IndexComparison) -> None:
    """Sets the gauge of each index of this version: 1 if it is missing."""
    for index in list_wanted():
        is_missing = index in found.missing
        metrics.INDEX_MISSING.labels(index.collection, index.name).set(is_missing)


def show_faults(found: Mapping[tuple[str, DocumentFault], int]) -> None:
    """Sets the gauges of every collection, so that one without faults shows 0."""
    for collection in INDEXES:
        for fault in DocumentFault:
            count = found.get((collection, fault), 0)
            metrics.FAULTY_DOCUMENTS.labels(collection, fault).set(count)


def show_reports(
    reports: Iterable[ReconciliationReport],
    open: Mapping[tuple[str, DifferenceKind], int],
) -> None:
    """Sets the gauges of accounts with a report. ``open`` counts open differences by
    account id and kind.
    """
    for report in reports:
        name = report.account.id
        for kind in DifferenceKind:
            count = open.get((name, kind), 0)
            metrics.RECONCILIATION_DIFFERENCES.labels(name, kind).set(count)
        success = metrics.RECONCILIATION_SUCCESS.labels(name)
        success.set(report.ended_at.timestamp())


if __name__ == "__main__":
    main()
