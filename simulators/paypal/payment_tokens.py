"""Payers' wallets that are saved during a payment and pay again without the payer.

Source: https://developer.paypal.com/docs/checkout/save-payment-methods/
"""

from __future__ import annotations

from simulators.calls import Answer, Call, Json, new_id
from simulators.paypal.objects import Order, PaymentToken
from simulators.paypal.shapes import payment_token_links
from simulators.paypal.store import ALPHABET, Store, answer
from simulators.paypal.vault import Outcome, outcome_of


class PaymentTokens:
    """The vault: saved wallets, and the tokens whose names choose an outcome."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def outcome(self, account: str, id: str) -> Outcome:
        """Return the outcome of payments with a token."""
        token = self._store.tokens.get(id)
        if token is not None and token.account == account:
            return token.outcome
        return outcome_of(id)

    def save(self, order: Order) -> None:
        """Save the wallet of a paid order, if the order requested it."""
        outcome = order.outcome
        if not order.keep or outcome is None or outcome.status != "COMPLETED":
            return
        if order.keep_after:
            clock = self._store.world.clock
            clock.schedule(order.keep_after, lambda: self._save(order, outcome))
        else:
            self._save(order, outcome)

    def _save(self, order: Order, outcome: Outcome) -> None:
        token = PaymentToken(
            id=new_id("", 17, ALPHABET).lower(),
            account=order.account,
            base=order.base,
            customer=order.customer or new_id("", 10, ALPHABET),
            outcome=outcome,
        )
        order.token = self._store.tokens[token.id] = token
        self._send_event(token, "CREATED")

    def get(self, call: Call) -> Answer:
        """``GET /v3/vault/payment-tokens/{id}``."""
        return answer(_show(self._store.token(call)))

    def delete(self, call: Call) -> Answer:
        """``DELETE /v3/vault/payment-tokens/{id}``; it can no longer pay."""
        token = self._store.token(call)
        del self._store.tokens[token.id]
        self._send_event(token, "DELETED")
        return Answer(204, headers=answer({}).headers)

    def _send_event(self, token: PaymentToken, step: str) -> None:
        event = f"VAULT.PAYMENT-TOKEN.{step}"
        self._store.send_event(event, "payment_token", _show(token))


def _show(token: PaymentToken) -> Json:
    wallet = {
        "email_address": "payer@example.com",
        "payer_id": "QYR5Z8XDVJNXQ",
        "permit_multiple_payment_tokens": False,
        "usage_type": "MERCHANT",
        "customer_type": "CONSUMER",
    }
    return {
        "id": token.id,
        "customer": {"id": token.customer},
        "payment_source": {"paypal": wallet},
        "links": payment_token_links(token),
    }
