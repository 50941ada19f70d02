"""Options and arguments that several commands share."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from domain.payments.submission import Mode
    from runtime.settings import Settings

#: Characters of a merchant's name, which appears in logs, tables and queries.
_MERCHANT: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_AGE: Final = re.compile(r"([0-9]{1,5})([mhd])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def merchant_name(
    context: click.Context, parameter: click.Parameter, value: str
) -> str:
    """Checks an argument that names a merchant."""
    if not _MERCHANT.fullmatch(value):
        raise click.BadParameter("write 1 to 64 of the characters A-Z a-z 0-9 . _ -")
    return value


class Age(click.ParamType[datetime]):
    """An age, converted to a time."""

    name = "age"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        """Parses ``2h`` as two hours before now."""
        at = parse_age(str(value))
        if at is None:
            self.fail("write an age like 30m, 2h or 3d", param, ctx)
        return at


def parse_age(text: str) -> datetime | None:
    """Parses ``2h`` as two hours before now; returns None for any other text."""
    found = _AGE.fullmatch(text)
    if found is None:
        return None
    ago = timedelta(**{_UNITS[found[2]]: int(found[1])})
    return datetime.now(timezone.utc) - ago


def warn_of_mode(subject: str, mode: Mode, settings: Settings) -> None:
    """Warns of a new key or account of the mode that this service does not serve."""
    if mode is not settings.mode:
        click.echo(
            f"Warning: this is a {mode} {subject}, but PAYMENTS_MODE is"
            f" {settings.mode}, so it is not used here.",
            err=True,
        )
