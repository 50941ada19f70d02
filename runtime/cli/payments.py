"""`payments submit` and `payments show`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any

import click

from domain.errors import PaymentsError
from domain.money import Money
from runtime.stack.state import settings_of

if TYPE_CHECKING:
    from runtime.cli.api_client import Api
    from runtime.cli.submit import Job, Outcome


@click.command()
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.option(
    "--wait",
    type=click.FloatRange(0, 86_400),
    default=0.0,
    metavar="SECONDS",
    help="Wait so long for the payments to end, and compare with what is expected.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each.")
def submit(file: IO[str], wait: float, as_json: bool) -> None:
    """Submit the payments of an NDJSON FILE (- reads standard input).

    Each line is a payment, or {"idempotency_key": …, "payment": {…}, "expect": …}.
    Submitting a file again submits nothing twice.
    """
    from runtime.cli.submit import read_jobs

    jobs = read_jobs(file)
    with _api() as api:
        outcomes = _with_progress(api, jobs, wait)
    if as_json:
        for outcome in outcomes:
            click.echo(json.dumps(asdict(outcome)))
    else:
        click.echo(_table(outcomes))
    wrong = [outcome for outcome in outcomes if not outcome.ok]
    if wrong:
        click.echo(f"{len(wrong)} of {len(outcomes)} are not as expected.", err=True)
        sys.exit(1)


@click.command()
@click.argument("payment_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(payment_id: str, as_json: bool) -> None:
    """Show a payment and its timeline."""
    with _api() as api:
        payment, events = api.payment(payment_id), api.events(payment_id)
    if as_json:
        click.echo(json.dumps({"payment": payment, "events": events}, indent=2))
        return
    from runtime.cli import told

    click.echo(told.table(["field", "value"], list(_fields(payment))))
    if events:
        columns = list(dict.fromkeys(name for event in events for name in event))
        rows = [[_text(event.get(name)) for name in columns] for event in events]
        click.echo(told.table(columns, rows))


@contextmanager
def _api() -> Iterator[Api]:
    settings = settings_of(os.environ)
    from runtime.cli.api_client import api_of

    api = api_of(settings, os.environ)
    try:
        yield api
    finally:
        api.close()


def _with_progress(api: Api, jobs: list[Job], wait: float) -> list[Outcome]:
    """The bar goes to a terminal's standard error, so that a pipe gets results only."""
    from rich.console import Console
    from rich.progress import Progress

    from runtime.cli.submit import submit as submit_jobs

    console = Console(stderr=True)
    shown = console.is_terminal
    with Progress(console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task("payments", total=len(jobs))
        return submit_jobs(
            api, jobs, wait=wait, progress=lambda outcome: bar.advance(task)
        )


def _table(outcomes: list[Outcome]) -> str:
    from runtime.cli import told

    columns = [
        *("reference", "provider", "amount", "status", "error", "expected", "ok"),
        "payment",
    ]
    rows = [
        [
            *(_text(one.reference), _text(one.provider)),
            _money(one.amount, one.currency),
            *(_text(one.status), _text(one.error), _text(one.expected)),
            *("yes" if one.ok else "NO", _text(one.id)),
        ]
        for one in outcomes
    ]
    return told.table(columns, rows)


def _fields(payment: dict[str, Any]) -> Iterator[list[str]]:
    for name, value in payment.items():
        if name == "operations":
            for operation in value:
                yield [f"operation {operation['kind']}", _text(operation)]
        else:
            yield [name, _text(value)]


def _money(amount: object, currency: object) -> str:
    """``19.99 USD``; as it was given where it is no amount of a currency."""
    if isinstance(amount, int) and isinstance(currency, str):
        with suppress(PaymentsError):
            return str(Money(amount, currency))
    return f"{_text(amount)} {_text(currency)}"


def _text(value: object) -> str:
    if value is None or value == {}:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
