"""The daily comparison with the providers' books, in a thread of each beat.

One beat takes an account's turn and makes its report. The beat's main loop does not
wait for it.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Final

from pymongo.database import Database

from application.logs import get_logger
from application.reconciliation.provider_calls import ReconciliationContext
from application.reconciliation.reconcile import Progress, reconcile
from domain.account import Account
from domain.errors import NotReconciled, StoreUnavailable
from domain.reconciliation import ReconciliationReport
from persistence.codec import Document
from persistence.reconciliations import Reconciliations
from runtime.container import (
    list_accounts,
    open_database,
    reconciliation_context,
)
from runtime.settings import Settings

#: Seconds between two checks for due reports.
POLL_SECONDS: Final = 10.0
#: The time that a report covers: twice the interval between reports, so that the next
#: one compares the payments that were in progress during this one.
REPORT_SPAN: Final = timedelta(hours=48)
#: An account retired longer ago is compared only if its money still moves: payers may
#: dispute a payment for 540 days.
RETIRED_FOR: Final = timedelta(days=550)

log = get_logger(__name__)


def start(settings: Settings, stop: threading.Event) -> None:
    """Starts a thread that makes due reports until ``stop``."""
    threading.Thread(
        target=_run, args=(settings, stop), name="reconciler", daemon=True
    ).start()


def _run(settings: Settings, stop: threading.Event) -> None:
    database = open_database(settings)
    context = reconciliation_context(settings, database)
    while not stop.is_set():
        try:
            run_all(settings, database, context=context, stop=stop)
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
    """Makes the due reports of all accounts. Raises StoreUnavailable."""
    reports = Reconciliations(database, settings.mode)
    retirement_dates = list_accounts(settings, database)
    made: list[ReconciliationReport] = []
    for account in reports.list_due(retirement_dates):
        if stop.is_set():
            break
        try:
            report = run_once(
                account,
                retirement_dates[account],
                context=context,
                reports=reports,
            )
        except Exception as error:  # the next account is tried
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
    """Makes and stores a report of the last 48 hours; None if another beat has the
    turn, and for a retired account without movements.

    Its differences are open until an operator closes them or the books agree. Raises
    StoreUnavailable.
    """
    if not reports.claim_turn(account):
        return None
    until = context.clock().replace(microsecond=0)
    since = until - REPORT_SPAN
    if retired_at is not None and retired_at < until - RETIRED_FOR:
        if not context.view.find_moved(account, since, until, limit=1):
            reports.skip_turn(account)
            return None

    def renew_turn(_: Progress) -> None:
        reports.renew_turn(account)

    try:
        report = reconcile(
            account, since, until, context=context, on_progress=renew_turn
        )
    except NotReconciled as error:
        log.error("reconciliation_failed", account=account.id, reason=str(error))
        return None
    reports.add_report(report)
    _log_report(report)
    return report


def _log_report(report: ReconciliationReport) -> None:
    account, provider = report.account.id, report.account.provider.value
    for difference in report.differences:
        log.error(
            "reconciliation_differs",
            account=account,
            provider=provider,
            reason=difference.kind.value,
            payment=difference.payment,
            operation=difference.operation,
            ref=difference.ref,
        )
    log.info("reconciled", account=account, provider=provider, count=report.compared)
