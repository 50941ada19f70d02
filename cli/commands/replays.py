"""`payments dead`, `payments replay` and `payments resolve`."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from cli.commands.payments import PAYMENT_ID, connected, money
from cli.options import Age, as_json
from domain.payments.states import STUCK, State
from domain.payments.submission import ProviderName
from domain.replays import MAX_RATE, DEFAULT_RATE
from local_stack import demo_keys
from local_stack.state import StackError

if TYPE_CHECKING:
    from cli.client import Api

_SETS: Final = "/v1/operations/replays"
_FOUND: Final = "/v1/operations/payments"
_SET_ID: Final = re.compile(r"rpl_[0-9A-HJKMNP-TV-Z]{26}")
_OPERATION_ID: Final = re.compile(r"op_[0-9A-HJKMNP-TV-Z]{26}")
#: Seconds between two reads of a run's progress.
_PAUSE: Final = 0.5

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _filters(command: _Command) -> _Command:
    """Adds the options that select operations."""
    options = [
        click.option("--state", type=click.Choice([one.value for one in State])),
        click.option(
            "--provider", type=click.Choice([one.value for one in ProviderName])
        ),
        click.option("--error", metavar="CODE", help="Code of the last error."),
        click.option("--merchant", metavar="NAME"),
        click.option("--older-than", type=Age(), metavar="AGE", help="Like 2h or 3d."),
        click.option("--newer-than", type=Age(), metavar="AGE"),
        click.option("--amount-from", type=click.IntRange(1), metavar="MINOR"),
        click.option("--amount-to", type=click.IntRange(1), metavar="MINOR"),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@_filters
@click.option("--limit", type=click.IntRange(1, 100), default=50, show_default=True)
@click.option("--cursor", help="The cursor that the previous page printed.")
@as_json
def dead(limit: int, cursor: str | None, as_json: bool, **filters: Any) -> None:
    """Find operations that need an operator: those in review, and dead letters.

    Other states need --merchant.
    """
    if filters["state"] not in (None, *STUCK) and filters["merchant"] is None:
        stuck = " and ".join(sorted(STUCK))
        raise StackError(
            f"give --merchant: without it only the states {stuck} are searched"
        )
    names = {
        **{"created_from": "created[gte]", "created_before": "created[lt]"},
        **{"amount_from": "amount[gte]", "amount_to": "amount[lte]"},
    }
    query = {
        names.get(name, name): one for name, one in _given_filters(filters).items()
    }
    query |= {"limit": limit, **({"cursor": cursor} if cursor else {})}
    with connected(demo=demo_keys.OPERATOR) as api:
        found = api.read(_FOUND, query)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    from cli import output

    columns = [
        *("payment", "operation", "kind", "merchant", "provider", "amount", "state"),
        *("error", "replay", "created_at"),
    ]
    rows = [
        [
            *(one["payment"], one["id"], one["kind"], one["merchant"], one["provider"]),
            *(money(one["amount"], one["currency"]), one["state"], one["error"] or "-"),
            *(one["replay"], one["created_at"]),
        ]
        for one in found["data"]
    ]
    click.echo(output.table(columns, rows, whole=["payment", "operation", "amount"]))
    more = f"; more: --cursor {found['next_cursor']}" if found["has_more"] else ""
    click.echo(f"{len(rows)} found{more}")


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_filters
@click.option("--reason", help="Carry the set out, for this reason.")
@click.option(
    "--rate",
    type=click.IntRange(1, MAX_RATE),
    default=DEFAULT_RATE,
    show_default=True,
    help="Items a second, at most.",
)
@click.option("--cancel", is_flag=True, help="Cancel the set.")
@as_json
def replay(
    ids: Sequence[str],
    reason: str | None,
    rate: int,
    cancel: bool,
    as_json: bool,
    **filters: Any,
) -> None:
    """Preview a replay, and carry it out.

    With filters or payments' IDs: freezes the matching set, shows the effect on each
    operation, and does nothing else. With a set's ID (rpl_…) and --reason: carries the
    set out and shows the progress; the run continues if this command is stopped. With
    only a set's ID: shows the progress. With --cancel: cancels the set.
    """
    given = _given_filters(filters)
    set_id = ids[0] if len(ids) == 1 and _SET_ID.fullmatch(ids[0]) else None
    if set_id is None:
        if reason is not None or cancel:
            raise StackError("give the ID of a set (rpl_…) from a preview")
        if not all(PAYMENT_ID.fullmatch(name) for name in ids):
            raise StackError("give IDs of payments (pay_…), or one of a set (rpl_…)")
        with connected(demo=demo_keys.OPERATOR) as api:
            found = api.act(_SETS, {**given, "ids": list(ids)})
        _show(found, as_json)
        if not as_json and found["count"]:
            click.echo(
                "Nothing was done. To carry the set out: payments replay"
                f" {found['id']} --reason WHY"
            )
        return
    if given or (reason is not None and cancel):
        raise StackError("a set is frozen: give its ID with --reason or with --cancel")
    with connected(demo=demo_keys.OPERATOR) as api:
        path = f"{_SETS}/{set_id}"
        if cancel:
            found = api.act(f"{path}/cancel", {})
        elif reason is not None:
            api.act(f"{path}/run", {"reason": reason, "rate": rate})
            found = _wait_until_done(api, path)
        else:
            found = api.read(path, {})
    _show(found, as_json)


@click.command()
@click.argument("payment_id", metavar="ID")
@click.argument("operation_id", metavar="OPERATION")
@click.option(
    "--as",
    "verdict",
    required=True,
    type=click.Choice(["succeeded", "declined", "canceled"]),
    help="The outcome at the provider. A dead letter can only be discarded: canceled.",
)
@click.option("--reason", required=True, help="The source of your knowledge.")
@click.option(
    "--provider-reference",
    metavar="ID",
    help="The provider's id of a succeeded operation: Stripe's payment intent (pi_) or"
    " refund (re_); PayPal's capture, authorization or refund. An operation without a"
    " known id cannot be refunded or captured.",
)
@click.option(
    "--amount",
    type=click.IntRange(1),
    metavar="MINOR",
    help="The amount that a succeeded operation moved, if less than requested.",
)
@as_json
def resolve(
    payment_id: str,
    operation_id: str,
    verdict: str,
    reason: str,
    provider_reference: str | None,
    amount: int | None,
    as_json: bool,
) -> None:
    """Resolve an operation in review, or discard a dead letter.

    An operation resolved as declined or canceled can be changed to succeeded later.
    """
    if not PAYMENT_ID.fullmatch(payment_id):
        raise StackError("this is not a payment's id (pay_ and 26 letters and digits)")
    if not _OPERATION_ID.fullmatch(operation_id):
        raise StackError(
            "this is not an operation's id (op_ and 26 letters and digits)"
        )
    body: dict[str, Any] = {
        "operation": operation_id,
        "as": verdict,
        "reason": reason,
    }
    evidence = {"provider_reference": provider_reference, "amount": amount}
    body |= {name: value for name, value in evidence.items() if value is not None}
    with connected(demo=demo_keys.OPERATOR) as api:
        payment = api.act(f"{_FOUND}/{payment_id}/resolve", body)
    text = f"{payment['id']} is {payment['status']}"
    click.echo(json.dumps(payment, indent=2) if as_json else text)
    [resolved] = (one for one in payment["operations"] if one["id"] == operation_id)
    if verdict == "succeeded" and not resolved["provider_refs"]:
        note = "the operation cannot be refunded or captured until it is resolved"
        click.echo(f"Note: {note} again with --provider-reference", err=True)


def _given_filters(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the given filters by their names in the API."""
    names = {"newer_than": "created_from", "older_than": "created_before"}
    return {
        names.get(name, name): one.isoformat() if isinstance(one, datetime) else one
        for name, one in filters.items()
        if one is not None
    }


def _wait_until_done(api: Api, path: str) -> dict[str, Any]:
    """Returns the set once its run has ended; shows a progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as (
        bar
    ):
        found = api.read(path, {"limit": "1"})
        task = bar.add_task("replay", total=found["count"])
        while found["stage"] == "running":
            time.sleep(_PAUSE)
            found = api.read(path, {"limit": "1"})
            bar.update(task, completed=sum(found["outcomes"].values()))
    return api.read(path, {})


def _show(found: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    if not found["count"]:
        click.echo(
            f"{found['id']} is empty. Without --state only operations in review and"
            " dead letters are searched"
        )
        return
    from cli import output

    columns = [
        "payment",
        "operation",
        "state",
        "amount",
        "provider",
        "action",
        "outcome",
    ]
    items = [
        [
            *(one["payment"], one["operation"], one["state"]),
            money(one["amount"], one["currency"]),
            *(one["provider"], one["action"], one["outcome"] or "-"),
        ]
        for one in found["items"]["data"]
    ]
    if items:
        click.echo(output.table(columns, items, whole=["payment", "operation"]))
    if found["items"]["has_more"]:
        click.echo(f"… and {found['count'] - len(items)} more")
    sums = [
        [one["action"], str(one["count"]), money(one["amount"], one["currency"])]
        for one in found["totals"]
    ]
    if sums:
        click.echo(output.table(["action", "count", "sum"], sums, whole=["sum"]))
    outcomes = ", ".join(f"{count} {name}" for name, count in found["outcomes"].items())
    click.echo(f"{found['id']}: {found['stage']}, {outcomes or 'nothing done'}")
