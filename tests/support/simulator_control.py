"""Control of a simulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from domain.payments.payment import Payment
from providers.paypal.adapter import PayPal
from providers.stripe.adapter import Stripe

#: The paths of charges, and of PayPal's tokens.
INTENTS = "/v1/payment_intents"
ORDERS = "/v2/checkout/orders"
TOKEN = "/v1/oauth2/token"

#: Make an adapter for a base URL, with credentials of its own; see conftest.
MakeStripe = Callable[..., Stripe]
MakePayPal = Callable[..., PayPal]

#: Seconds for a control call.
PATIENCE = 10.0


@dataclass(frozen=True)
class Simulator:
    """A running simulator's control endpoints."""

    url: str
    root: str  #: prefix of the paths that move money

    def arm(self, do: str, **fault: object) -> None:
        """Arm a fault for the next call that moves money, or that matches ``match``."""
        fault.setdefault("match", {"method": "POST", "path": self.root})
        answer = requests.post(
            f"{self.url}/_faults", json={"do": do, **fault}, timeout=PATIENCE
        )
        assert answer.status_code == 201, answer.text

    def arm_answer(
        self, status: int, body: object, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer the next such call without an effect."""
        self.arm("answer", status=status, body=body, headers=dict(headers or {}))

    def heal(self) -> None:
        """Disarm every fault; held calls continue."""
        requests.delete(f"{self.url}/_faults", timeout=PATIENCE)

    def advance(self, seconds: float) -> None:
        """Move its clock forward; only for a simulator that is not shared."""
        body = {"advance_seconds": seconds}
        answer = requests.post(f"{self.url}/_clock", json=body, timeout=PATIENCE)
        assert answer.ok, answer.text

    def forget_tokens(self) -> None:
        """PayPal only: revoke all access tokens."""
        requests.post(f"{self.url}/_tokens/revoke", timeout=PATIENCE)

    def movements(self, payment: Payment) -> list[dict[str, Any]]:
        """The rows of the ledger with a provider key of the payment."""
        ledger = requests.get(f"{self.url}/_ledger", timeout=PATIENCE).json()
        keys = {operation.provider_key for operation in payment.operations}
        return [row for row in ledger["movements"] if row["key"] in keys]


@dataclass
class Calls:
    """Collects an adapter's reports of its calls."""

    seen: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, call: str, status_class: str, seconds: float) -> None:
        """An ``Observe``."""
        assert seconds >= 0
        self.seen.append((call, status_class))


def set_misleading_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Name a proxy that does not exist, and a netrc with another password."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
