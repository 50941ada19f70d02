"""Reads secrets for commands."""

from __future__ import annotations

import os
import sys
from typing import Final

import click

from cli.provider_options import PROVIDER_OPTIONS
from domain.account import StoredAccount
from domain.provider_rules import RULES
from local_stack.state import StackError
from runtime.settings_checks import ACCOUNT_SECRET, listed

#: Characters. A longer input is not a secret.
_LONGEST: Final = 1_000
#: Webhook secrets in force at the same time.
_WEBHOOK_SECRETS: Final = 5


def read(label: str, *, optional: bool = False) -> str | None:
    """Reads a secret from the environment, a prompt or a line of the standard input.

    Returns None for an empty ``optional`` one. Raises StackError if it is missing.
    """
    given = os.environ.get(ACCOUNT_SECRET, "")
    if not given and sys.stdin.isatty():
        given = click.prompt(
            f"{label} (empty: the deployment's own)" if optional else label,
            hide_input=True,
            default="",
            show_default=False,
            err=True,
        )
    elif not given:
        given = sys.stdin.readline(_LONGEST + 2)
    found = given.strip()
    if found and len(found) <= _LONGEST and found.isprintable():
        return found
    if not found and optional:
        return None
    raise StackError(
        f"{label} is needed: set {ACCOUNT_SECRET}, or write it to the standard input"
        " (`payments accounts … < FILE`)"
    )


def read_webhook_secrets(account: StoredAccount) -> tuple[str, ...]:
    """Reads an account's signing secrets, separated by commas, as ``read`` does."""
    name, row = RULES[account.provider].name, PROVIDER_OPTIONS[account.provider]
    if row.signing_prefix is None:
        setup = row.webhook_setup.format(id=account.id)
        raise StackError(f"{name} has no webhook secrets: use `{setup}`")
    found = listed(read(f"{name}'s webhook secrets (separated by commas)") or "")
    if not all(one.startswith(row.signing_prefix) for one in found):
        raise StackError(f"{name}'s webhook secrets begin with {row.signing_prefix}")
    if len(found) > _WEBHOOK_SECRETS:
        raise StackError(f"an account has at most {_WEBHOOK_SECRETS} webhook secrets")
    return tuple(found)
