"""The `payments` command. Heavy imports are inside the commands, for a quick help."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from cli.commands.account_pauses import breakers
from cli.commands.accounts import accounts
from cli.commands.keys import keys
from cli.commands.merchants import merchants
from cli.commands.payments import show, submit
from cli.commands.reconcile import reconcile
from cli.commands.replays import dead, replay, resolve
from cli.commands.rotate_keys import rotate_keys
from cli.commands.webhooks import webhooks
from cli.options import as_json
from cli.findings import FAIL
from domain.errors import PaymentsError
from local_stack.state import StackError, settings_of
from runtime import __version__
from runtime.settings import Settings, SettingsError

if TYPE_CHECKING:
    from persistence.indexes import BuildProgress


class ErrorReportingGroup(click.Group):
    """A group that reports the product's errors in one line, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command. Invalid settings exit with 2, other errors with 1."""
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            _fail(str(error), 2)
        except StackError as error:
            _fail(str(error), error.exit_code)
        except KeyboardInterrupt:
            sys.exit(130)  # the shells' code for an interrupt
        except PaymentsError as error:
            _fail(f"{error} Run `payments doctor` to find the cause.", 1)


@click.group(
    cls=ErrorReportingGroup, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="payments")
def main() -> None:
    """Run and operate the payment service.

    Settings are PAYMENTS_* environment variables, listed in docs/operating.md.
    """


@main.command()
@click.option("--detach", "-d", is_flag=True, help="Start it in the background.")
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, help="Worker processes."
)
def up(detach: bool, workers: int) -> None:
    """Start the whole stack; Ctrl-C stops it."""
    settings = Settings.read(os.environ)
    from cli import output
    from local_stack import control, lifecycle
    from runtime import logs

    logs.configure(settings, "stack")
    if sys.stdout.isatty():
        click.echo("Starting servers, simulators and the service …", err=True)
    if detach:
        ready = control.start(settings, workers=workers)
        click.echo(output.started(ready, how_to_stop="payments down"))
    else:
        lifecycle.Stack(settings, workers=workers).run(
            lambda ready: click.echo(output.started(ready, how_to_stop="Ctrl-C"))
        )


@main.command()
def down() -> None:
    """Stop the stack that runs in PAYMENTS_HOME."""
    home = Settings.read(os.environ).home.resolve()
    from local_stack import control

    stopped = control.stop(home)
    click.echo(f"The stack in {home} {'has stopped' if stopped else 'does not run'}.")


@main.command()
@as_json
def status(as_json: bool) -> None:
    """Show the processes of PAYMENTS_HOME and whether they are ready."""
    home = Settings.read(os.environ).home.resolve()
    from cli import output
    from local_stack import control

    found = control.status(home)
    if found is None:
        raise StackError(f"no stack runs in {home}. Start one with `payments up`")
    click.echo(json.dumps(found, indent=2) if as_json else output.status(found))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON without progress.")
def init(as_json: bool) -> None:
    """Create missing database indexes and secret keys.

    An index of a large collection takes minutes, during which the service may run. If
    this command is interrupted, MongoDB continues the build and the next `payments
    init` waits for it.
    """
    settings = settings_of(os.environ)
    from local_stack import initialise

    def say(progress: BuildProgress) -> None:
        if not as_json:
            click.echo(progress.description, err=True)

    built = initialise.initialise(settings, on_progress=initialise.throttle(say))
    unwanted = initialise.unwanted_indexes(settings)
    if as_json:
        found = {"built": list(map(str, built)), "unwanted": list(map(str, unwanted))}
        click.echo(json.dumps(found, indent=2))
        return
    for index in built:
        click.echo(f"{index} was built.")
    for index in unwanted:
        click.echo(f"{index} serves no query of this version. To drop it: {index.drop}")
    click.echo("The database's indexes and the secret keys are in place.")


@main.command()
@as_json
def doctor(as_json: bool) -> None:
    """Check everything that the service depends on, and give advice."""
    settings = settings_of(os.environ)
    from cli import output
    from cli.commands import doctor as checks

    findings = checks.examine(settings)
    click.echo(output.findings_json(findings) if as_json else output.findings(findings))
    sys.exit(any(finding.verdict == FAIL for finding in findings))


for command in (
    submit,
    show,
    dead,
    replay,
    resolve,
    breakers,
    reconcile,
    keys,
    merchants,
    accounts,
    rotate_keys,
    webhooks,
):
    main.add_command(command)


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"Error: {message}", err=True)
    sys.exit(code)
