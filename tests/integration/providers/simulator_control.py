"""What these tests do to a simulator, and payments to send to it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from application.ports import Provider
from domain.money import Money
from domain.operation import Kind, Operation, Origin
from domain.payment import Payment
from domain.sending import sent
from domain.submission import CaptureMethod, Mode, ProviderName, Submission
from providers.paypal import PayPal
from providers.stripe import Stripe

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)

#: Where each provider takes a charge.
INTENTS = "/v1/payment_intents"
ORDERS = "/v2/checkout/orders"
TOKEN = "/v1/oauth2/token"

#: Make an adapter for a base URL, with credentials of its own; see conftest.
MakeStripe = Callable[..., Stripe]
MakePayPal = Callable[..., PayPal]

#: Seconds a control call may take.
PATIENCE = 10.0


@dataclass(frozen=True)
class Simulator:
    """A running simulator's control endpoints."""

    url: str
    charges: str  #: the path that takes a charge

    def arm(self, do: str, **fault: object) -> None:
        """Arm a fault for the next call that moves money, or as ``match`` says."""
        fault.setdefault("match", {"method": "POST", "path": self.charges})
        answer = requests.post(
            f"{self.url}/_faults", json={"do": do, **fault}, timeout=PATIENCE
        )
        assert answer.status_code == 201, answer.text

    def arm_answer(
        self, status: int, body: object, headers: Mapping[str, str] | None = None
    ) -> None:
        """Have the next charge answered so, without anything being done."""
        self.arm("answer", status=status, body=body, headers=dict(headers or {}))

    def heal(self) -> None:
        """Disarm every fault; held calls go on."""
        requests.delete(f"{self.url}/_faults", timeout=PATIENCE)

    def forget_tokens(self) -> None:
        """PayPal only: no access token that was given out is valid any longer."""
        requests.post(f"{self.url}/_tokens/revoke", timeout=PATIENCE)

    def movements(self, payment: Payment) -> list[dict[str, Any]]:
        """The rows of the ledger that carry the payment's provider key."""
        return [row for row in self.rows() if row["key"] == payment.first.key]

    def rows(self) -> list[dict[str, Any]]:
        """The whole ledger."""
        ledger = requests.get(f"{self.url}/_ledger", timeout=PATIENCE).json()
        rows: list[dict[str, Any]] = ledger["movements"]
        return rows

    def now(self) -> datetime:
        """The simulator's clock."""
        clock = requests.get(f"{self.url}/_clock", timeout=PATIENCE).json()
        return datetime.fromtimestamp(clock["now"], UTC)

    def dated(self, payment: Payment) -> Payment:
        """The payment as if its send were written down now by this clock."""
        now, first = self.now(), payment.first
        assert first.send is not None
        send = replace(first.send, first_at=now, last_at=now)
        return replace(payment, operations=(replace(first, send=send),))

    def advance(self, by: timedelta) -> None:
        """Moves the simulator's clock forward."""
        requests.post(
            f"{self.url}/_clock",
            json={"advance_seconds": by.total_seconds()},
            timeout=PATIENCE,
        )


@dataclass
class Calls:
    """Collects what an adapter reports of each of its calls."""

    seen: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, call: str, status_class: str, seconds: float) -> None:
        """An ``Observe``."""
        assert seconds >= 0
        self.seen.append((call, status_class))


_KINDS = {
    CaptureMethod.AUTOMATIC: Kind.CHARGE,
    CaptureMethod.MANUAL: Kind.AUTHORIZE,
}


def a_payment(
    amount: Money = Money(1999, "USD"),
    method: str | None = "pm_card_visa",
    **fields: Any,
) -> Payment:
    """A new payment; its provider follows from the method's name."""
    stripe = method is not None and method.startswith("pm_")
    name = uuid.uuid4().hex
    submission = Submission(
        amount=amount,
        provider=ProviderName.STRIPE if stripe else ProviderName.PAYPAL,
        payment_method=method,
        **fields,
    )
    return Payment(
        id=f"pay_{name}",
        merchant="merchant",
        mode=Mode.TEST,
        submission=submission,
        operations=(
            Operation(
                id=f"op_{name}",
                kind=_KINDS[submission.capture],
                amount=amount.minor,
                origin=Origin("key", "fingerprint"),
                owed_from=NOW,
                due_at=NOW,
            ),
        ),
        created_at=NOW,
        updated_at=NOW,
    )


def written_down(provider: Provider, payment: Payment) -> Payment:
    """The payment with its send written down, as a claim does it."""
    body = provider.prepare(payment, payment.first)
    return sent(payment, payment.first, body, now=NOW)


def mislead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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
