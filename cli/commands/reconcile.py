"""`payments reconcile`: compares the providers' books with ours."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from time import sleep
from typing import Any, Final

import click

from cli.commands import differences
from cli.commands.account_options import account_id
from cli.commands.payments import money
from cli.database import opened
from cli.options import as_json, parse_age
from domain.account import Account
from domain.errors import NotReconciled
from domain.payments.submission import ProviderName
from domain.provider_rules import RULES
from domain.reconciliation import ReconciliationReport
from domain.timestamps import format_rfc3339
from local_stack.state import StackError
from runtime.settings import API_BASES

#: Steps of the progress bar of one account.
_STEPS: Final = 1000


class _Time(click.ParamType[datetime]):
    """A day, a time or an age; UTC by default."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        """Parses ``2026-11-20`` as midnight, ``2h`` as two hours before now."""
        try:
            at = parse_age(str(value)) or datetime.fromisoformat(str(value))
        except ValueError:
            words = "write a time like 2026-11-20, 2026-11-20T09:30Z or 2h"
            self.fail(words, param, ctx)
        at = at if at.tzinfo is not None else at.replace(tzinfo=timezone.utc)
        return at.astimezone(timezone.utc).replace(microsecond=0)


@click.group(invoke_without_command=True)
@click.option(
    "--since", type=_Time(), help="The start in UTC: 2026-11-20, or 2h for an age."
)
@click.option("--until", type=_Time(), help="The end; by default now.")
@click.option(
    "--provider",
    type=click.Choice([one.value for one in ProviderName]),
    help="Only accounts of this provider.",
)
@click.option(
    "--account",
    callback=account_id,
    help="Only this account: an id, or stripe or paypal for the deployment's own.",
)
@click.option("--last", is_flag=True, help="Show the beat's last report instead.")
@as_json
@click.pass_context
def reconcile(
    context: click.Context,
    since: datetime | None,
    until: datetime | None,
    provider: str | None,
    account: str | None,
    last: bool,
    as_json: bool,
) -> None:
    """Compare the providers' books with ours.

    By default all accounts of the mode are compared. Nothing is corrected. A payment
    that differs gets a status lookup. A difference is open until an operator closes it
    or the books agree. Exits with 0 if everything agrees, and with 1 if something
    differs or an account could not be read to its end.
    """
    if context.invoked_subcommand:
        return
    if last == (since is not None) or (last and until is not None):
        raise click.UsageError("give either --since TIME (and --until) or --last")

    def wanted(one: Account) -> bool:
        return provider in (None, one.provider) and account in (None, one.id)

    if since is None:
        reports, failed = _load_reports(wanted), dict[Account, str]()
    else:
        now = datetime.now(timezone.utc)
        if since >= min(until or now, now):
            raise click.UsageError("--since must be before --until, and before now")
        until = min(until or now, now)
        if until.microsecond:  # whole seconds are compared, so the current one must end
            sleep(1 - until.microsecond / 1_000_000)
            until = until.replace(microsecond=0) + timedelta(seconds=1)
        reports, failed = _compare_accounts(wanted, since, until)
    if as_json:
        result: dict[str, Any] = {"reports": [_as_json(one) for one in reports]}
        result["failed"] = {one.id: error for one, error in failed.items()}
        click.echo(json.dumps(result, indent=2))
    else:
        _show(reports)
    for error in failed.values():
        click.echo(f"Error: {error}", err=True)
    sys.exit(bool(failed) or any(report.difference_count for report in reports))


def _load_reports(wanted: Callable[[Account], bool]) -> list[ReconciliationReport]:
    from persistence.reconciliations import Reconciliations

    with opened() as (settings, database):
        found = Reconciliations(database, settings.mode).list_last()
    reports = [report for report in found if wanted(report.account)]
    if not reports:
        raise StackError("no report is stored yet; the beat makes one a day")
    return reports


def _compare_accounts(
    wanted: Callable[[Account], bool], since: datetime, until: datetime
) -> tuple[list[ReconciliationReport], dict[Account, str]]:
    """Returns a report or an error for each account.

    The progress bar goes to standard error, so that a pipe gets only results.
    """
    from rich.console import Console
    from rich.progress import Progress

    from application.reconciliation import reconcile as use_case
    from runtime.container import list_accounts, reconciliation_context

    reports, failed = list[ReconciliationReport](), dict[Account, str]()
    console = Console(stderr=True)
    shown = Progress(console=console, transient=True, disable=not console.is_terminal)
    with opened() as (settings, database), shown as bar:
        settings.require("redis_url", *API_BASES)
        reconciliation = reconciliation_context(settings, database)
        accounts = [one for one in list_accounts(settings, database) if wanted(one)]
        if not accounts:
            raise StackError(
                f"there is no such account in {settings.mode} mode. `payments accounts"
                " list` shows all"
            )
        for account in accounts:
            task = bar.add_task(account.id, total=_STEPS)

            def show_progress(progress: use_case.Progress) -> None:
                text = (
                    f"{account.id}: {progress.compared} compared,"
                    f" {progress.difference_count} differ"
                )
                done = progress.share * _STEPS
                bar.update(task, completed=done, description=text)

            try:
                report = use_case.reconcile(
                    account,
                    since,
                    until,
                    context=reconciliation,
                    on_progress=show_progress,
                )
                reports.append(report)
            except NotReconciled as error:
                failed[account] = str(error)
    return reports, failed


def _show(reports: Sequence[ReconciliationReport]) -> None:
    from cli import output

    rows = [
        [report.account.id, *differences.row(one)]
        for report in reports
        for one in report.differences
    ]
    if rows:
        columns = ["account", *differences.COLUMNS]
        whole = ["account", *differences.WHOLE]
        click.echo(output.table(columns, rows, whole=whole))
    sums = [
        [
            *(report.account.id, one.direction.value),
            *(money(one.ours, one.currency), money(one.theirs, one.currency)),
            *("yes" if one.ours == one.theirs else "NO",),
            money(one.fees, one.currency) if one.fees else "-",
        ]
        for report in reports
        for one in report.totals
    ]
    if sums:
        columns = ["account", "direction", "ours", "theirs", "equal", "fees"]
        click.echo(
            output.table(columns, sums, whole=["account", "ours", "theirs", "fees"])
        )
    for report in reports:
        more = report.difference_count - len(report.differences)
        late = report.may_lack_after
        name = RULES[report.account.provider].name
        click.echo(
            f"{report.account.id}: {report.compared} compared"
            f" from {format_rfc3339(report.since)} until"
            f" {format_rfc3339(report.until)},"
            f" {report.difference_count} differ"
            + (f", {more} of them not listed" if more else "")
            + (
                f"; {name} may yet list movements after {format_rfc3339(late)}"
                if late
                else ""
            )
        )


def _as_json(report: ReconciliationReport) -> dict[str, Any]:
    late = report.may_lack_after
    return {
        "id": report.id,
        "account": report.account.id,
        "provider": report.account.provider.value,
        "since": format_rfc3339(report.since),
        "until": format_rfc3339(report.until),
        "began_at": format_rfc3339(report.began_at),
        "ended_at": format_rfc3339(report.ended_at),
        "may_lack_after": late and format_rfc3339(late),
        "compared": report.compared,
        "differing": report.difference_count,
        "counts": {kind.value: count for kind, count in report.counts.items()},
        "differences": [differences.to_json(one) for one in report.differences],
        "totals": [
            {
                "direction": one.direction.value,
                "currency": one.currency,
                "ours": one.ours,
                "theirs": one.theirs,
                "fees": one.fees,
            }
            for one in report.totals
        ],
    }


reconcile.add_command(differences.show_open)
reconcile.add_command(differences.close)
