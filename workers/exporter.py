"""Asks MongoDB how much waits, and serves it: one process, not every worker."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from domain.circuit_breaker import CircuitBreaker, BreakerState
from domain.errors import StoreUnavailable
from domain.payments.states import FINAL, STATES_WITH_WORK, State
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

#: Seconds between two questions: as often as Prometheus usually scrapes.
PERIOD: Final = 5.0

log = logs.get_logger()


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
    """Asks every question each period until ``stop``, whatever the database does."""
    database = open_database(settings)
    open_clock(database)
    breakers = MongoBreakerStore(database)
    reconciliations = Reconciliations(database, settings.mode)
    differences = MongoDifferences(database, settings.mode)
    questions: Sequence[Callable[[], None]] = (
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
        for question in questions:
            run_question(question)
        stop.wait(PERIOD)
    database.client.close()


def run_question(question: Callable[[], None]) -> None:
    """Asks one question; what goes wrong with it keeps no other from its answer."""
    try:
        question()
    except StoreUnavailable:
        log.warning("exporter_skipped", reason="store_unavailable")
    except Exception:
        log.exception("exporter_skipped")


def show_backlog(found: Backlog) -> None:
    """Sets every gauge, so that a state which emptied shows 0."""
    for state in STATES_WITH_WORK:
        metrics.DUE.labels(state).set(found.due.get(state, 0))
    for provider in ProviderName:
        for state in set(State) - FINAL:
            count = found.open.get((provider, state), 0)
            metrics.OPEN.labels(provider, state).set(count)
        unknown = found.open.get((provider, State.UNKNOWN), 0)
        metrics.UNKNOWN.labels(provider).set(unknown)
    metrics.OLDEST_DUE.set(found.oldest_due_seconds)


def show_breakers(breakers: Mapping[str, CircuitBreaker]) -> None:
    """Sets the gauges of the accounts' breakers."""
    for breaker in breakers.values():
        for position in BreakerState:
            is_so = breaker.state is position
            metrics.BREAKER_STATE.labels(
                *metrics.breaker_labels(breaker), position
            ).set(is_so)


def show_indexes(found: IndexComparison) -> None:
    """Says of each index that this version wants whether it is missing."""
    for index in list_wanted():
        is_missing = index in found.missing
        metrics.INDEX_MISSING.labels(index.collection, index.name).set(is_missing)


def show_faults(found: Mapping[tuple[str, DocumentFault], int]) -> None:
    """Sets the gauges of every collection, so that one without a fault shows 0."""
    for collection in INDEXES:
        for fault in DocumentFault:
            count = found.get((collection, fault), 0)
            metrics.FAULTY_DOCUMENTS.labels(collection, fault).set(count)


def show_reports(
    reports: Iterable[ReconciliationReport],
    open: Mapping[tuple[str, DifferenceKind], int],
) -> None:
    """Sets the gauges of the accounts that were compared with at least once; ``open``
    counts what a person has to see to."""
    for report in reports:
        name = report.account.id
        for kind in DifferenceKind:
            count = open.get((name, kind), 0)
            metrics.RECONCILIATION_DIFFERENCES.labels(name, kind).set(count)
        success = metrics.RECONCILIATION_SUCCESS.labels(name)
        success.set(report.ended_at.timestamp())


if __name__ == "__main__":
    main()
