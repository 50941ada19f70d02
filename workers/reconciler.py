"""The daily comparison with the providers' books, in a thread of each beat.

Whoever takes the turn makes the report; the beat's own loop is never held up by it.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Final

from application.auditor import Auditor
from application.reconcile import Progress, reconcile
from domain.errors import NotReconciled, StoreUnavailable
from domain.reconciling import Report
from domain.submission import ProviderName
from persistence.reconciliations import Reconciliations
from runtime import logs
from runtime.auditing import auditor
from runtime.container import open_database
from runtime.settings import Settings

#: Seconds between two looks whether a report is due.
LOOK: Final = 10.0
#: What a report is of: twice the time between two, so that what was under way in one
#: is compared in the next.
SPAN: Final = timedelta(hours=48)

log = logs.get_logger()


def start(settings: Settings, stop: threading.Event) -> None:
    """Makes every report that is due, until ``stop``, in a thread of its own."""
    threading.Thread(
        target=_run, args=(settings, stop), name="reconciler", daemon=True
    ).start()


def _run(settings: Settings, stop: threading.Event) -> None:
    database = open_database(settings)
    tools = auditor(settings, database)
    reports = Reconciliations(database, settings.mode)
    while not stop.is_set():
        for provider in ProviderName:
            try:
                run_once(provider, auditor=tools, reports=reports)
            except StoreUnavailable:
                log.warning("reconciliation_skipped", why="store_unavailable")
            except Exception:  # whatever it is, the next one is tried
                log.exception("reconciliation_failed", provider=provider.value)
        stop.wait(LOOK)


def run_once(
    provider: ProviderName, *, auditor: Auditor, reports: Reconciliations
) -> Report | None:
    """Makes a report of the last 48 hours and stores it, where it is our turn.

    Raises StoreUnavailable.
    """
    if not reports.take_turn(provider):
        return None

    def told(_: Progress) -> None:
        reports.keep_turn(provider)

    until = auditor.clock().replace(microsecond=0)
    try:
        report = reconcile(provider, until - SPAN, until, auditor=auditor, told=told)
    except NotReconciled as error:
        log.error("reconciliation_failed", provider=provider.value, reason=str(error))
        return None
    reports.keep(report)
    for one in report.differences:
        log.error(
            "reconciliation_differs",
            provider=provider.value,
            why=one.differs.value,
            payment=one.payment,
            operation=one.operation,
            ref=one.ref,
        )
    log.info("reconciled", provider=provider.value, count=report.compared)
    return report
