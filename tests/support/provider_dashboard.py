"""Changes made in a provider's dashboard: calls of its API without our ids."""

from __future__ import annotations

from typing import Any

import requests

from domain.money import Money
from domain.payments.payment import Payment
from domain.payments.submission import ProviderName
from providers.amounts import to_paypal, to_stripe
from tests.support.simulator_process import PATIENCE
from tests.support.workbench import Workbench


class Dashboard:
    """The dashboards of both providers of a workbench."""

    def __init__(self, work: Workbench) -> None:
        self._work = work

    def refund(self, payment_id: str, amount: int, *, of: str | None = None) -> str:
        """Refunds; returns the provider's id. ``of`` names the capture at PayPal."""
        payment = self._work.stored(payment_id)
        if payment.provider is ProviderName.STRIPE:
            form = {
                "payment_intent": payment.refs["payment_intent"],
                "amount": str(_units(payment, amount)),
            }
            return str(self._stripe("/v1/refunds", form)["id"])
        capture = of or payment.refs["capture"]
        body = {"amount": _paypal_amount(payment, amount)}
        made = self._paypal(f"/v2/payments/captures/{capture}/refund", body)
        return str(made["id"])

    def capture(self, payment_id: str, amount: int, *, final: bool) -> str:
        """Captures; returns the provider's id, at Stripe that of the charge."""
        payment = self._work.stored(payment_id)
        if payment.provider is ProviderName.STRIPE:
            form = {"amount_to_capture": str(_units(payment, amount))}
            if not final:
                form["final_capture"] = "false"
            intent = payment.refs["payment_intent"]
            made = self._stripe(f"/v1/payment_intents/{intent}/capture", form)
            return str(made["latest_charge"])
        body = {"amount": _paypal_amount(payment, amount), "final_capture": final}
        held = payment.refs["authorization"]
        made = self._paypal(f"/v2/payments/authorizations/{held}/capture", body)
        return str(made["id"])

    def void(self, payment_id: str) -> str:
        """Releases the hold; returns its id at the provider."""
        payment = self._work.stored(payment_id)
        if payment.provider is ProviderName.STRIPE:
            intent = payment.refs["payment_intent"]
            return str(self._stripe(f"/v1/payment_intents/{intent}/cancel", {})["id"])
        held = payment.refs["authorization"]
        self._paypal(f"/v2/payments/authorizations/{held}/void", {})
        return held

    def _stripe(self, path: str, form: dict[str, str]) -> dict[str, Any]:
        key = self._work.settings.stripe_secret_key
        answer = self._work.stripe.stripe("POST", path, form, merchant=key or "")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def _paypal(self, path: str, body: object) -> dict[str, Any]:
        settings, paypal = self._work.settings, self._work.paypal
        token = paypal.paypal_token(
            settings.paypal_client_id or "", settings.paypal_client_secret or ""
        )
        headers = {
            "Authorization": f"Bearer {token.json()['access_token']}",
            "Prefer": "return=representation",
        }
        answer: requests.Response = paypal.http.post(
            paypal.url + path, json=body, headers=headers, timeout=PATIENCE
        )
        assert answer.ok, answer.text
        return dict(answer.json())


def _units(payment: Payment, minor: int) -> int:
    return to_stripe(Money(minor, payment.submission.amount.currency))


def _paypal_amount(payment: Payment, minor: int) -> dict[str, str]:
    money = Money(minor, payment.submission.amount.currency)
    return {"currency_code": money.currency, "value": to_paypal(money)}
