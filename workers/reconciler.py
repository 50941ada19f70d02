"""The daily comparison with the providers' books, in a thread of each beat.

Whoever takes the turn makes the report; the beat's own loop is never held up by it.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Final

from pymongo.database import Database

from application.reconciliation.provider_calls import ReconciliationContext
from application.reconciliation.reconcile import Progress, reconcile
from domain.account import Account
from domain.errors import NotReconciled, StoreUnavailable
from domain.reconciliation import ReconciliationReport
from persistence.codec import Document
from persistence.reconciliations import Reconciliations
from runtime import logs
from runtime.container import open_database
from runtime.reconciliation import list_accounts, reconciliation_context
from runtime.settings import Settings

#: Seconds between two looks whether a report is due.
POLL_SECONDS: Final = 10.0
#: What a report is of: twice the time between two, so that what was under way in one
#: is compared in the next.
REPORT_SPAN: Final = timedelta(hours=48)
#: An account that was retired so long ago is compared only where its money moves
#: still: a payer may object to a payment for 540 days.
RETIRED_FOR: Final = timedelta(days=550)

log = logs.get_logger()


def start(settings: Settings, stop: threading.Event) -> None:
    """Makes every report that is due, until ``stop``, in a thread of its own."""
    threading.Thread(
        target=_run, args=(settings, stop), name="reconciler", daemon=True
    ).start()


def _run(settings: Settings, stop: threading.Event) -> None:
    database = open_database(settings)
    tools = reconciliation_context(settings, database)
    while not stop.is_set():
        try:
            run_all(settings, database, context=tools, stop=stop)
        except StoreUnavailable:
            log.warning("reconciliation_skipped", reason="store_unavailable")
        stop.wait(POLL_SECONDS)


def run_all(
    settings: Settings,
    database: Database[Document],
    *,
    context: ReconciliationContext,
    stop: threading.Event,
) -> list[ReconciliationReport]:
    """The reports of all accounts that are due. Raises StoreUnavailable."""
    reports = Reconciliations(database, settings.mode)
    retired, made = list_accounts(settings, database), list[ReconciliationReport]()
    for account in reports.list_due(retired):
        if stop.is_set():
            break
        try:
            report = run_once(
                account,
                retired[account],
                context=context,
                reports=reports,
            )
        except Exception as error:  # whatever it is, the next one is tried
            if type(error) is StoreUnavailable:
                raise
            log.exception("reconciliation_failed", account=account.id)
            continue
        if report is not None:
            made.append(report)
    return made


def run_once(
    account: Account,
    retired_at: datetime | None,
    *,
    context: ReconciliationContext,
    reports: Reconciliations,
) -> ReconciliationReport | None:
    """Makes a report of the last 48 hours and stores it, where it is our turn; what
    differs is open until a person closes it, or the books agree.

    Raises StoreUnavailable.
    """
    if not reports.claim_turn(account):
        return None
    until = context.clock().replace(microsecond=0)
    since = until - REPORT_SPAN
    if retired_at is not None and retired_at < until - RETIRED_FOR:
        if not context.view.find_moved(account, since, until, limit=1):
            reports.skip_turn(account)
            return None

    def told(_: Progress) -> None:
        reports.renew_turn(account)

    try:
        report = reconcile(account, since, until, context=context, on_progress=told)
    except NotReconciled as error:
        log.error("reconciliation_failed", account=account.id, reason=str(error))
        return None
    reports.add_report(report)
    _log_report(report)
    return report


def _log_report(report: ReconciliationReport) -> None:
    account, provider = report.account.id, report.account.provider.value
    for one in report.differences:
        log.error(
            "reconciliation_differs",
            account=account,
            provider=provider,
            reason=one.kind.value,
            payment=one.payment,
            operation=one.operation,
            ref=one.ref,
        )
    log.info("reconciled", account=account, provider=provider, count=report.compared)
