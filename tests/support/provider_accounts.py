"""Accounts at the simulators, called by the adapters over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from domain.payments.payment import Payment
from domain.payments.submission import ProviderName
from tests.suites import accounts
from tests.suites.accounts import Trouble
from tests.support.simulator_control import Simulator

#: Payment methods by their effect.
STRIPE_METHODS: Final[Mapping[str, str | None]] = {
    "pays": "pm_card_visa",
    "declines": "pm_card_chargeDeclined",
    "asks": "pm_card_authenticationRequired",
    "waits": "pm_usBankAccount",
    "refunds later": "pm_card_pendingRefund",
    "refunds never": "pm_card_refundFail",
}
PAYPAL_METHODS: Final[Mapping[str, str | None]] = {
    "pays": "vault_ok",
    "declines": "vault_declined",
    "asks": None,
    "waits": "vault_pending",
    "refunds later": "vault_refund_pending",
    "refunds never": "vault_refund_failed",
}

_TROUBLES: Final[Mapping[Trouble, Mapping[str, Any]]] = {
    Trouble.REQUEST_LOST: {"do": "drop"},
    Trouble.ANSWER_LOST: {"do": "commit_then_drop"},
    Trouble.GARBLED: {"do": "malformed"},
    Trouble.FAILED: {"do": "replay_500", "when": "after"},
    Trouble.RATE_LIMITED: {"do": "rate_limit", "seconds": 3},
    Trouble.UNAUTHORIZED: {
        "do": "answer",
        "status": 401,
        "body": {"name": "AUTHENTICATION_FAILURE", "error": {"message": "No."}},
    },
}


@dataclass(frozen=True)
class Account(accounts.Account):
    """An adapter, and the simulator that it calls."""

    simulator: Simulator

    #: Amounts in these currencies are sent to Stripe times 100
    #: (docs.stripe.com/currencies).
    units: ClassVar[Mapping[str, int]] = {"ISK": 100, "UGX": 100}

    @property
    def name(self) -> ProviderName:
        """The provider."""
        stripe = self.methods is STRIPE_METHODS
        return ProviderName.STRIPE if stripe else ProviderName.PAYPAL

    def arm(self, trouble: Trouble) -> None:
        # PayPal is called once more with a new token.
        again = trouble is Trouble.UNAUTHORIZED and self.name is ProviderName.PAYPAL
        self.simulator.arm(**_TROUBLES[trouble], times=2 if again else 1)

    def movements(self, payment: Payment) -> list[tuple[str, str, int]]:
        return [
            (row["key"], row["kind"], row["amount"])
            for row in self.simulator.movements(payment)
        ]


#: Makes an account whose calls go to a base URL, by default the simulator's.
MakeAccount = Callable[..., Account]
