"""A web app that submits payments, and their movements at the provider."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from tests.support.running_stack import RunningStack


class Shop:
    """Submits payments to a stack as its demo merchant."""

    def __init__(self, stack: RunningStack) -> None:
        self.stack = stack
        self._headers = {"Authorization": f"Bearer {stack.key}"}

    def pay(
        self,
        *,
        key: str | None = None,
        token: str | None = "pm_card_visa",
        **fields: Any,
    ) -> requests.Response:
        """Submits 19.99 USD, by default to Stripe."""
        body = {
            "amount": 1999,
            "currency": "USD",
            "provider": "stripe",
            "payment_method": token,
            **fields,
        }
        return requests.post(
            f"{self.stack.urls['api']}/v1/payments",
            json={name: value for name, value in body.items() if value is not None},
            headers={**self._headers, "Idempotency-Key": key or secrets.token_hex(16)},
            timeout=10,
        )

    def accepted(self, **fields: Any) -> str:
        """Submits a payment that is accepted within a second; returns its id."""
        started = time.monotonic()
        answer = self.pay(**fields)
        assert answer.status_code == 202, answer.text
        assert time.monotonic() - started < 1.0
        return str(answer.json()["id"])

    def refund(self, payment_id: str) -> requests.Response:
        """Requests a full refund."""
        return requests.post(
            f"{self.stack.urls['api']}/v1/payments/{payment_id}/refunds",
            headers={**self._headers, "Idempotency-Key": secrets.token_hex(16)},
            timeout=10,
        )

    def get(self, payment_id: str, *, wait: int = 0) -> dict[str, Any]:
        """The payment, after a long poll of ``wait`` seconds."""
        answer = requests.get(
            f"{self.stack.urls['api']}/v1/payments/{payment_id}",
            params={"wait": wait},
            headers=self._headers,
            timeout=wait + 10,
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def settled(self, payment_id: str, *, seconds: float) -> dict[str, Any]:
        """The payment once it is no longer processing, or after ``seconds``."""
        deadline = time.monotonic() + seconds
        payment = self.get(payment_id)
        while payment["status"] == "processing" and time.monotonic() < deadline:
            payment = self.get(payment_id, wait=1)
        return payment

    def movements(self, provider: str, payment_id: str) -> list[dict[str, Any]]:
        """The provider's movements of the payment."""
        ledger = requests.get(f"{self.stack.urls[provider]}/_ledger", timeout=10).json()
        operation = self.get(payment_id)["operations"][0]["id"]
        return [
            movement
            for movement in ledger["movements"]
            if operation in movement["metadata"].values()
        ]

    @contextmanager
    def fault(self, provider: str, **fault: Any) -> Iterator[None]:
        """Arms a fault until the block ends."""
        url = f"{self.stack.urls[provider]}/_faults"
        armed = requests.post(url, json=fault, timeout=10)
        assert armed.status_code == 201, armed.text
        try:
            yield
        finally:
            requests.delete(url, timeout=10)
