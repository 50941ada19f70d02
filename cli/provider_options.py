"""A row for each provider: the data of its accounts on the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from domain.payments.submission import Mode, ProviderName
from local_stack.state import StackError
from runtime.settings import LIVE_KEYS, SIMULATOR_CLIENT, Settings

#: Stripe's secret and restricted keys.
_STRIPE_KEY: Final = re.compile(r"(sk|rk)_(test|live)_[!-~]{1,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderOptions:
    """One provider's row."""

    secret: str  #: the account's secret, in words
    #: Raises StackError if a secret does not fit the mode. It is None for an account
    #: that uses the deployment's own.
    check_secret: Callable[[Mode, str | None, Settings], None]
    options: frozenset[str]  #: the options that not all providers have
    required: frozenset[str] = frozenset()  #: those that a new account needs
    #: The prefix of webhook signing secrets; None for a provider without them.
    signing_prefix: str | None = None
    #: The command that sets an account's webhooks up.
    webhook_setup: str


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


#: The registry: each provider's options, by its name.
PROVIDER_OPTIONS: Final[dict[ProviderName, ProviderOptions]] = {
    ProviderName.STRIPE: ProviderOptions(
        secret="Stripe's secret key",
        check_secret=_check_stripe,
        options=frozenset({"--connected"}),
        signing_prefix="whsec_",
        webhook_setup="payments accounts roll {id} --webhook-secrets",
    ),
    ProviderName.PAYPAL: ProviderOptions(
        secret="PayPal's client secret",
        check_secret=_check_paypal,
        options=frozenset({"--client-id", "--webhook-id"}),
        required=frozenset({"--client-id"}),
        webhook_setup="payments accounts set {id} --webhook-id ID",
    ),
}
