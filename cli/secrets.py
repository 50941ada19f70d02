"""Where a command gets a secret from, and whether it can be the one that is meant."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import Final

import click

from domain.payments.submission import Mode, ProviderName
from local_stack.state import StackError
from runtime.settings import LIVE_KEYS, SIMULATOR_CLIENT, Settings
from runtime.settings_checks import ACCOUNT_SECRET, listed

#: More is a file that was meant for somebody else.
_LONGEST: Final = 1_000
#: Stripe's secret and restricted keys.
_STRIPE_KEY: Final = re.compile(r"(sk|rk)_(test|live)_[!-~]{1,200}")
#: Secrets that are in force at once: one, and its successor.
_WEBHOOK_SECRETS: Final = 5


def read(label: str, *, optional: bool = False) -> str | None:
    """The secret, from the environment, a prompt or a line of the standard input.

    None where it is empty and ``optional``. Raises StackError where there is none.
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


def read_webhook_secrets(provider: ProviderName) -> tuple[str, ...]:
    """What Stripe signs webhooks with, comma between, read as ``read`` does."""
    if provider is not ProviderName.STRIPE:
        raise StackError(
            "PayPal signs with its own certificate: set --webhook-id with"
            " `payments accounts set`"
        )
    found = listed(read("Stripe's webhook secrets (comma between)") or "")
    if not all(one.startswith("whsec_") for one in found):
        raise StackError("Stripe's webhook secrets begin with whsec_")
    if len(found) > _WEBHOOK_SECRETS:
        raise StackError(f"{_WEBHOOK_SECRETS} webhook secrets at most are in force")
    return tuple(found)


def check(
    provider: ProviderName, mode: Mode, secret: str | None, settings: Settings
) -> None:
    """Real money goes to real accounts only. Raises StackError.

    ``secret`` is None where the deployment's own key is used, which was checked.
    """
    _CHECKS[provider](mode, secret, settings)


def _check_stripe(mode: Mode, secret: str | None, settings: Settings) -> None:
    if secret is None:
        live = settings.stripe_secret_key.startswith(LIVE_KEYS)
    elif _STRIPE_KEY.fullmatch(secret):
        live = secret.startswith(LIVE_KEYS)
    else:
        raise StackError(
            "this is no secret key of Stripe's: those begin with sk_ or rk_"
        )
    if live and mode is Mode.TEST:
        raise StackError(
            "this is a live key, but the account is a test one: --mode live"
        )
    if not live and mode is Mode.LIVE:
        raise StackError("the account is a live one, but this is no live key")


def _check_paypal(mode: Mode, secret: str | None, settings: Settings) -> None:
    if mode is Mode.LIVE and secret == SIMULATOR_CLIENT:
        raise StackError("a live PayPal account needs the client secret of its app")


_CHECKS: Final[dict[ProviderName, Callable[[Mode, str | None, Settings], None]]] = {
    ProviderName.STRIPE: _check_stripe,
    ProviderName.PAYPAL: _check_paypal,
}
