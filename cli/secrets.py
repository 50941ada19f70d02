"""Reads secrets for commands, and checks that they fit the account."""

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

#: Characters. A longer input is not a secret.
_LONGEST: Final = 1_000
#: Stripe's secret and restricted keys.
_STRIPE_KEY: Final = re.compile(r"(sk|rk)_(test|live)_[!-~]{1,200}")
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


def read_webhook_secrets(provider: ProviderName) -> tuple[str, ...]:
    """Reads Stripe's signing secrets, separated by commas, as ``read`` does."""
    if provider is not ProviderName.STRIPE:
        raise StackError(
            "PayPal signs with its own certificate: set --webhook-id with"
            " `payments accounts set`"
        )
    found = listed(read("Stripe's webhook secrets (separated by commas)") or "")
    if not all(one.startswith("whsec_") for one in found):
        raise StackError("Stripe's webhook secrets begin with whsec_")
    if len(found) > _WEBHOOK_SECRETS:
        raise StackError(f"an account has at most {_WEBHOOK_SECRETS} webhook secrets")
    return tuple(found)


def check(
    provider: ProviderName, mode: Mode, secret: str | None, settings: Settings
) -> None:
    """Raises StackError if the secret does not fit the provider and the mode.

    ``secret`` is None if the deployment's own key is used.
    """
    _CHECKS[provider](mode, secret, settings)


def _check_stripe(mode: Mode, secret: str | None, settings: Settings) -> None:
    if secret is None:
        live = settings.stripe_secret_key.startswith(LIVE_KEYS)
    elif _STRIPE_KEY.fullmatch(secret):
        live = secret.startswith(LIVE_KEYS)
    else:
        raise StackError(
            "this is not a secret key of Stripe; they begin with sk_ or rk_"
        )
    if live and mode is Mode.TEST:
        raise StackError(
            "this is a live key, but the account is in test mode: use --mode live"
        )
    if not live and mode is Mode.LIVE:
        raise StackError("the account is in live mode, but this is a test key")


def _check_paypal(mode: Mode, secret: str | None, settings: Settings) -> None:
    if mode is Mode.LIVE and secret == SIMULATOR_CLIENT:
        raise StackError("a live PayPal account needs the client secret of its app")


_CHECKS: Final[dict[ProviderName, Callable[[Mode, str | None, Settings], None]]] = {
    ProviderName.STRIPE: _check_stripe,
    ProviderName.PAYPAL: _check_paypal,
}
