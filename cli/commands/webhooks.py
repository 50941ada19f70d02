"""`payments webhooks`: lists the providers' webhooks, and reprocesses them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from cli.database import opened
from cli.options import Age, as_json
from domain.timestamps import format_rfc3339
from domain.webhooks import WebhookStatus
from local_stack.state import StackError

if TYPE_CHECKING:
    from domain.webhooks import Webhook
    from persistence.webhooks import MongoWebhooks

#: Webhooks reprocessed at once; a worker handles so many in a minute.
_MAX_LISTED: Final = 10_000

_state = click.option(
    "--state", type=click.Choice([one.value for one in WebhookStatus])
)
_since = click.option(
    "--since", type=Age(), metavar="AGE", help="Received within 2h or 3d, for example."
)


@click.group(invoke_without_command=True)
@_state
@_since
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@as_json
@click.pass_context
def webhooks(
    context: click.Context,
    state: str | None,
    since: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show the providers' webhooks, newest first, or reprocess them."""
    if context.invoked_subcommand:
        return
    with _inbox() as (inbox, _):
        found = inbox.find(status=_parse_status(state), since=since, limit=limit)
    rows = [_row(one) for one in found]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    from cli import output

    columns = ["id", "type", "state", "received", "tries", "due", "payment"]
    cells = [[str(row[name] or "-") for name in columns] for row in rows]
    click.echo(output.table(columns, cells, whole=["id", "payment"]))


@webhooks.command("reprocess")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_state
@_since
def reprocess_webhooks(
    ids: Sequence[str], state: str | None, since: datetime | None
) -> None:
    """Reprocess webhooks: those with these IDs, or all received --since.

    Each schedules a status lookup of its payment if needed. No money is moved.
    """
    if bool(ids) == (since is not None):
        raise StackError("give the webhooks' ids, or --since")
    if ids and state is not None:
        raise StackError("give --state only with --since")
    with _inbox() as (inbox, clock):
        if since is not None:
            found = inbox.find(
                status=_parse_status(state), since=since, limit=_MAX_LISTED + 1
            )
            if len(found) > _MAX_LISTED:
                raise StackError(
                    f"more than {_MAX_LISTED}; give --state, or a shorter --since"
                )
            ids = [one.id for one in found]
        count = inbox.reprocess(ids, now=clock())
    if ids and not count:
        raise StackError("there is no such webhook. `payments webhooks` lists them")
    click.echo(f"{count} of {len(ids)} will be reprocessed within seconds")


@contextmanager
def _inbox() -> Iterator[tuple[MongoWebhooks, Callable[[], datetime]]]:
    """Opens the inbox, and the database's clock for the due times of webhooks."""
    with opened() as (settings, database):
        from runtime import container

        clock = container.open_clock(database)
        yield container.open_inbox(settings, database, clock=clock), clock


def _parse_status(state: str | None) -> WebhookStatus | None:
    return None if state is None else WebhookStatus(state)


def _row(webhook: Webhook) -> dict[str, Any]:
    due = webhook.due_at
    return {
        "id": webhook.id,
        "account": webhook.account.id,
        "type": webhook.type,
        "state": webhook.status.value,
        "received": format_rfc3339(webhook.received_at),
        "tries": webhook.tries,
        "due": format_rfc3339(due) if due else None,
        "payment": webhook.payment,
    }
