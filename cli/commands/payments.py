"""`payments submit` and `payments show`."""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import quote

import click

from cli.options import as_json
from domain.circuit_breaker import WAITS_FOR_BREAKER, BreakerState
from domain.errors import PaymentsError
from domain.money import Money
from domain.payments.states import STATES_WITH_WORK
from local_stack import demo_keys
from local_stack.state import StackError, settings_of

if TYPE_CHECKING:
    from cli.client import Api
    from cli.commands.payment_file import Job, Outcome

#: A payment's id: a prefix and a ULID.
PAYMENT_ID: Final = re.compile(r"pay_[0-9A-HJKMNP-TV-Z]{26}")


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option(
    "--wait",
    type=click.FloatRange(0, 86_400),
    default=0.0,
    metavar="SECONDS",
    help="Wait so long for the payments to settle, and compare their states with the"
    " expected ones.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON line per payment.")
def submit(file: IO[bytes], wait: float, as_json: bool) -> None:
    """Submit the payments of an NDJSON FILE (- reads standard input).

    Each line is a payment, or {"idempotency_key": …, "payment": {…}, "expect": …}.
    A repeated submission of a file makes no second payment.

    A line without an idempotency_key gets one from its content and the number of equal
    lines before it: the same line twice in a file is two payments, and the same line in
    another file is the same payment.

    Exits with 0 if all payments were accepted and have the expected status; without an
    expected status, a payment must not have failed, expired or been canceled. Exits
    with 1 otherwise, and with 2 for a wrong command.
    """
    from cli.commands.payment_file import read_jobs

    jobs = read_jobs(file)
    if not jobs:
        given = getattr(file, "name", "-")
        name = "standard input" if given in ("-", "<stdin>") else given
        raise StackError(f"no payments in {name}")
    with connected() as api:
        outcomes = _with_progress(api, jobs, wait)
    if as_json:
        for outcome in outcomes:
            click.echo(json.dumps(asdict(outcome)))
    else:
        click.echo(_table(outcomes))
        click.echo(_summary(outcomes))
    wrong = [outcome for outcome in outcomes if not outcome.ok]
    if wrong:
        click.echo(_describe_unexpected(wrong, len(outcomes)), err=True)
        sys.exit(1)


@click.command()
@click.argument("payment_id", metavar="ID")
@as_json
def show(payment_id: str, as_json: bool) -> None:
    """Show a payment and its timeline."""
    if not PAYMENT_ID.fullmatch(payment_id):
        raise StackError(
            "this is not a payment's id (pay_ and 26 letters and digits). Find a"
            f" reference with GET /v1/payments?reference={quote(payment_id, safe='')}"
        )
    # An operator's key reads all merchants' payments, such as those in `payments dead`.
    with connected(demo=demo_keys.OPERATOR) as api:
        payment, events = api.payment(payment_id), api.events(payment_id)
    breaker = _find_open_breaker(payment)
    if as_json:
        found = {"payment": payment, "events": events, "breaker": breaker}
        click.echo(json.dumps(found, indent=2))
        return
    from cli import output

    currency = payment.get("currency")
    rows = list(_fields(payment))
    click.echo(output.table(["field", "value"], rows, whole=["field"]))
    if events:
        columns = [
            name
            for name in dict.fromkeys(name for event in events for name in event)
            if name != "object"
        ]
        timeline = [
            [_flat(event.get(name), currency) for name in columns] for event in events
        ]
        whole = [name for name in columns if name != "data"]
        click.echo(output.table(columns, timeline, whole=whole))
    if breaker is not None:
        click.echo(
            f"The payment waits for the circuit breaker of {_subject(breaker)}, open"
            f" since {breaker['since']}: {breaker['reason']}. See `payments breakers`."
        )


def _find_open_breaker(payment: Mapping[str, Any]) -> dict[str, Any] | None:
    """Finds the open breaker that blocks a payment; None without an operator's key."""
    if not any(
        one.get("state") in STATES_WITH_WORK for one in payment.get("operations", ())
    ):
        return None
    try:
        with connected(demo=demo_keys.OPERATOR) as api:
            breakers = api.read("/v1/operations/accounts", {})["data"]
    except StackError:
        return None  # a merchant's key may not list breakers
    mine: list[dict[str, Any]] = [
        one for one in breakers if one["account"] == payment.get("account")
    ]
    waits = {one.get("waiting_for") for one in payment["operations"]}
    for breaker in mine:
        stops = (
            breaker["calls"] is None
            or WAITS_FOR_BREAKER.format(_subject(breaker)) in waits
        )
        if breaker["state"] != BreakerState.CLOSED and stops:
            return breaker
    return None


def _subject(breaker: Mapping[str, Any]) -> str:
    """Names the blocked calls of an open breaker, as in ``waiting_for``."""
    calls = f"{breaker['calls']} at " if breaker["calls"] else ""
    return f"{calls}{breaker['account']}"


@contextmanager
def connected(*, demo: str = demo_keys.SHOP) -> Iterator[Api]:
    """Opens the API for the duration of a command; ``demo`` as in ``create_api``."""
    settings = settings_of(os.environ)
    from cli.client import create_api

    def notify(text: str) -> None:
        click.echo(text, err=True)

    api = create_api(settings, os.environ, notify=notify, demo=demo)
    try:
        yield api
    finally:
        api.close()


def _with_progress(api: Api, jobs: list[Job], wait: float) -> list[Outcome]:
    """Submits with a progress bar on standard error, which a pipe does not get."""
    from rich.console import Console
    from rich.progress import Progress

    from cli.commands.payment_file import submit as submit_jobs

    console = Console(stderr=True)
    shown = console.is_terminal
    with Progress(console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task("payments", total=len(jobs))
        return submit_jobs(
            api, jobs, wait=wait, progress=lambda outcome: bar.advance(task)
        )


def _table(outcomes: list[Outcome]) -> str:
    from cli import output

    columns = [
        *("reference", "provider", "amount", "status", "error", "expected", "ok"),
        *("repeat", "payment"),
    ]
    rows = [
        [
            *(_text(one.reference), _text(one.provider)),
            money(one.amount, one.currency),
            *(_text(one.status), _text(one.error), _text(one.expected)),
            *("yes" if one.ok else "NO", "yes" if one.is_repeat else "-"),
            _text(one.id),
        ]
        for one in outcomes
    ]
    return output.table(columns, rows, whole=["reference", "amount", "payment"])


def _summary(outcomes: list[Outcome]) -> str:
    """Renders ``24 submitted, 3 of them existed already``."""
    accepted = sum(one.id is not None for one in outcomes)
    repeats = sum(one.is_repeat for one in outcomes)
    total = f" of {len(outcomes)}" if accepted < len(outcomes) else ""
    existing = f", {repeats} of them existed already" if repeats else ""
    return f"{accepted}{total} submitted{existing}"


def _describe_unexpected(wrong: list[Outcome], total: int) -> str:
    """Renders ``3 of 24 are not as expected: 1 not accepted, 2 failed.``"""
    counts = Counter(one.status or "not accepted" for one in wrong)
    named = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    return f"{len(wrong)} of {total} are not as expected: {named}."


def _fields(payment: Mapping[str, Any]) -> Iterator[list[str]]:
    currency = payment.get("currency")
    for name, value in _in_money(payment, currency).items():
        if name in ("object", "currency"):
            continue  # the object type is constant, and each amount has the currency
        if name == "operations":
            for operation in value:
                kind = str(operation.get("kind"))
                yield [
                    f"operation {kind}",
                    _flat(_operation_fields(operation), currency),
                ]
        elif name == "disputes":
            for dispute in value:
                yield ["dispute", _flat(_operation_fields(dispute), currency)]
        else:
            yield [name, _flat(value, currency)]


def _in_money(fields: Mapping[str, Any], currency: object) -> dict[str, Any]:
    """Renders each amount like ``19.99 USD``; fees have their own currency."""
    of_fee = fields.get("fee_currency")
    currencies = dict.fromkeys(("fee", "amount_fee"), of_fee)
    return {
        name: (
            money(value, currencies.get(name, currency))
            if value is not None and (name.startswith("amount") or name in currencies)
            else value
        )
        for name, value in fields.items()
        if name != "fee_currency"
    }


def _operation_fields(operation: Mapping[str, Any]) -> dict[str, Any]:
    """Merges the provider's ids into the fields, and leaves out false flags."""
    refs = operation.get("provider_refs") or {}
    ours = {
        name: value
        for name, value in operation.items()
        if name not in ("kind", "provider_refs") and value is not False
    }
    return {**ours, **refs}


def _flat(value: object, currency: object) -> str:
    """Renders an object like ``state succeeded, amount 19.99 USD``, without empty
    fields.
    """
    if not isinstance(value, Mapping):
        return _text(value)
    parts = [
        f"{name} {_text(one)}"
        for name, one in _in_money(value, currency).items()
        if one is not None and one != {}
    ]
    return ", ".join(parts) or "-"


def money(amount: object, currency: object) -> str:
    """Renders ``19.99 USD``; an invalid amount is shown unchanged."""
    if isinstance(amount, int) and isinstance(currency, str):
        with suppress(PaymentsError, ArithmeticError):
            return str(Money(amount, currency))
    return "-" if amount is None else f"{_text(amount)} {_text(currency)}"


def _text(value: object) -> str:
    if value is None or value == {}:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
