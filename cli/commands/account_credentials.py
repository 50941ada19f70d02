"""Findings about the rights of an account's credentials."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from cli.findings import FAIL, OK, WARN, Finding
from domain.errors import Misconfigured, NotPermitted, ProviderError
from domain.payments.submission import ProviderName
from providers.credential_checks import Permission
from runtime.provider_table import Adapters

#: The effect of a missing right, and the remedy.
_ADVICE: Final = {
    Permission.DISPUTES: "Disputes are reported by webhooks but cannot be read: allow"
    " the key, or PayPal's app, to read disputes",
    Permission.BALANCE: "`payments reconcile` cannot compare: allow the key to read"
    " balance transactions, or PayPal's app the transaction search",
}


def findings(name: str, adapters: Callable[[], Adapters]) -> Iterator[Finding]:
    """Yields a finding for each right of the account ``name``, by a call or two each.

    If payments cannot be read, no other right is checked.
    """
    try:
        rights = adapters().permission_checks
    except ProviderError as error:
        yield _missing(name, Permission.PAYMENTS, error)
        return
    for right, read in rights.items():
        try:
            read()
        except ProviderError as error:
            yield _missing(name, right, error)
            if right is Permission.PAYMENTS:
                return
        else:
            yield Finding(f"{name} {right}", OK, "may be read")


def _missing(name: str, right: Permission, error: ProviderError) -> Finding:
    if isinstance(error, (Misconfigured, NotPermitted)):
        words = f"may not be read ({error.detail})"
        if right in _ADVICE:
            return Finding(f"{name} {right}", WARN, words, _ADVICE[right])
        how = f"`payments accounts roll {name}`"
        if name in set(ProviderName):
            how = f"PAYMENTS_{name.upper()}_…, and start the processes again"
        advice = f"Its payments wait. Give the account a valid secret: {how}"
        return Finding(f"{name} {right}", FAIL, words, advice)
    return Finding(
        f"{name} {right}",
        FAIL,
        f"could not be checked ({error.detail})",
        "Try again. If the error persists, check the provider and the network",
    )
