"""`payments dead`, `payments replay` and `payments resolve`."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from cli.commands.payments import PAYMENT_ID, connected, money
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
_AGE: Final = re.compile(r"([0-9]{1,5})([mhd])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
#: Seconds between two looks at a run.
_PAUSE: Final = 0.5

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Age(click.ParamType[datetime]):
    """How long ago, as a time."""

    name = "age"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        """``2h`` is two hours before now."""
        at = parse_age(str(value))
        if at is None:
            self.fail("write an age like 30m, 2h or 3d", param, ctx)
        return at


def parse_age(text: str) -> datetime | None:
    """``2h`` is two hours before now; None where it is no age."""
    found = _AGE.fullmatch(text)
    if found is None:
        return None
    ago = timedelta(**{_UNITS[found[2]]: int(found[1])})
    return datetime.now(timezone.utc) - ago


def _filters(command: _Command) -> _Command:
    """The options that say which operations are meant."""
    options = [
        click.option("--state", type=click.Choice([one.value for one in State])),
        click.option(
            "--provider", type=click.Choice([one.value for one in ProviderName])
        ),
        click.option("--error", metavar="CODE", help="What went wrong last."),
        click.option("--merchant", metavar="NAME"),
        click.option("--older-than", type=Age(), metavar="AGE", help="Like 2h or 3d."),
        click.option("--newer-than", type=Age(), metavar="AGE"),
        click.option("--amount-from", type=click.IntRange(1), metavar="MINOR"),
        click.option("--amount-to", type=click.IntRange(1), metavar="MINOR"),
    ]
    for option in reversed(options):
        command = option(command)
    return command


_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@_filters
@click.option("--limit", type=click.IntRange(1, 100), default=50, show_default=True)
@click.option("--cursor", help="The next page of an earlier answer.")
@_as_json
def dead(limit: int, cursor: str | None, as_json: bool, **filters: Any) -> None:
    """Find what waits for a person: operations in review, and dead letters.

    States other than these two need --merchant.
    """
    if filters["state"] not in (None, *STUCK) and filters["merchant"] is None:
        stuck = " and ".join(sorted(STUCK))
        raise StackError(
            f"name a merchant by --merchant: without it only {stuck} are looked for"
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
@click.option("--reason", help="Carry the set out, and say why.")
@click.option(
    "--rate",
    type=click.IntRange(1, MAX_RATE),
    default=DEFAULT_RATE,
    show_default=True,
    help="Items a second, at most.",
)
@click.option("--cancel", is_flag=True, help="Stop the set.")
@_as_json
def replay(
    ids: Sequence[str],
    reason: str | None,
    rate: int,
    cancel: bool,
    as_json: bool,
    **filters: Any,
) -> None:
    """Preview a replay, and have it carried out.

    With filters or payments' IDs: freezes the set that they name, says what would
    happen, and does nothing else. With a set's ID (rpl_…) and --reason: carries it out
    and shows how it goes; it goes on though this command is stopped. With a set's ID
    alone: how far it is; with --cancel: stops it.
    """
    asked = _given_filters(filters)
    one = ids[0] if len(ids) == 1 and _SET_ID.fullmatch(ids[0]) else None
    if one is None:
        if reason is not None or cancel:
            raise StackError("name the set (rpl_…) that a preview has shown")
        if not all(PAYMENT_ID.fullmatch(name) for name in ids):
            raise StackError("IDs are payments' (pay_…), or one of a set (rpl_…)")
        with connected(demo=demo_keys.OPERATOR) as api:
            found = api.act(_SETS, {**asked, "ids": list(ids)})
        _show(found, as_json)
        if not as_json and found["count"]:
            click.echo(f"Nothing was done. payments replay {found['id']} --reason WHY")
        return
    if asked or (reason is not None and cancel):
        raise StackError("a set is frozen: give its ID with --reason or with --cancel")
    with connected(demo=demo_keys.OPERATOR) as api:
        where = f"{_SETS}/{one}"
        if cancel:
            found = api.act(f"{where}/cancel", {})
        elif reason is not None:
            api.act(f"{where}/run", {"reason": reason, "rate": rate})
            found = _wait_until_done(api, where)
        else:
            found = api.read(where, {})
    _show(found, as_json)


@click.command()
@click.argument("payment_id", metavar="ID")
@click.argument("operation_id", metavar="OPERATION")
@click.option(
    "--as",
    "verdict",
    required=True,
    type=click.Choice(["succeeded", "declined", "canceled"]),
    help="What the provider shows of a review: it did it, it refused, it never had or"
    " called it off. A dead letter can only be discarded: canceled.",
)
@click.option("--reason", required=True, help="How you know.")
@click.option(
    "--provider-reference",
    metavar="ID",
    help="Of what succeeded: the provider's id of it. Stripe's payment intent (pi_) or"
    " refund (re_); PayPal's capture, authorization or refund. Without it nothing can"
    " be refunded or captured of an operation whose id was never heard.",
)
@click.option(
    "--amount",
    type=click.IntRange(1),
    metavar="MINOR",
    help="Of what succeeded: how much moved, where that is less than was asked for.",
)
@_as_json
def resolve(
    payment_id: str,
    operation_id: str,
    verdict: str,
    reason: str,
    provider_reference: str | None,
    amount: int | None,
    as_json: bool,
) -> None:
    """Say what became of an operation in review, or discard a dead letter.

    A no that a person said of a review can be taken back: succeeded.
    """
    if not PAYMENT_ID.fullmatch(payment_id):
        raise StackError("this is no payment's id (pay_ and 26 letters and digits)")
    if not _OPERATION_ID.fullmatch(operation_id):
        raise StackError("this is no operation's id (op_ and 26 letters and digits)")
    body: dict[str, Any] = {
        "operation": operation_id,
        "as": verdict,
        "reason": reason,
    }
    seen = {"provider_reference": provider_reference, "amount": amount}
    body |= {name: one for name, one in seen.items() if one is not None}
    with connected(demo=demo_keys.OPERATOR) as api:
        done = api.act(f"{_FOUND}/{payment_id}/resolve", body)
    said = f"{done['id']} is {done['status']}"
    click.echo(json.dumps(done, indent=2) if as_json else said)
    [resolved] = (one for one in done["operations"] if one["id"] == operation_id)
    if verdict == "succeeded" and not resolved["provider_refs"]:
        words = "nothing of it can be refunded or captured here until it is resolved"
        click.echo(f"Note: {words} again with --provider-reference", err=True)


def _given_filters(filters: Mapping[str, Any]) -> dict[str, Any]:
    """The filters that were given, as the API names them."""
    names = {"newer_than": "created_from", "older_than": "created_before"}
    return {
        names.get(name, name): one.isoformat() if isinstance(one, datetime) else one
        for name, one in filters.items()
        if one is not None
    }


def _wait_until_done(api: Api, where: str) -> dict[str, Any]:
    """The set once it has ended; a bar goes to a terminal meanwhile."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as (
        bar
    ):
        found = api.read(where, {"limit": "1"})
        task = bar.add_task("replay", total=found["count"])
        while found["stage"] == "running":
            time.sleep(_PAUSE)
            found = api.read(where, {"limit": "1"})
            bar.update(task, completed=sum(found["outcomes"].values()))
    return api.read(where, {})


def _show(found: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    if not found["count"]:
        click.echo(
            f"{found['id']}: nothing is in it. What is in review or dead is found,"
            " unless --state names another"
        )
        return
    from cli import output

    columns = [
        "payment",
        "operation",
        "state",
        "amount",
        "provider",
        "would",
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
        click.echo(output.table(["would", "count", "sum"], sums, whole=["sum"]))
    came = ", ".join(f"{count} {name}" for name, count in found["outcomes"].items())
    click.echo(f"{found['id']}: {found['stage']}, {came or 'nothing done'}")
