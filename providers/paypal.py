"""PayPal: a charge is one order, captured at once where a vaulted token pays.

Without a token the payer must approve the order first, at the link it answers with.
"""

from __future__ import annotations

import json
from typing import Any, Final

import requests
from paypalrestsdk.exceptions import ConnectionError as ApiError

from domain.answer import Answer
from domain.errors import NeedsReview, NotSent, OutcomeUnknown, ProviderError
from domain.money import to_paypal
from domain.payment import Payment, Send
from domain.submission import Mode
from providers.http import TIMEOUT, Observe, Timeout, was_not_sent
from providers.paypal_answers import answer_of, refusal_of
from providers.paypal_api import PayPalApi

_ORDERS: Final = "v2/checkout/orders"
#: Characters that PayPal allows in a description.
_DESCRIPTION: Final = 127


class PayPal:
    """A Provider. ``connections`` bounds the calls that are open at once."""

    def __init__(
        self,
        *,
        api_base: str,
        client_id: str,
        client_secret: str,
        mode: Mode,
        connections: int,
        observe: Observe,
        timeout: Timeout = TIMEOUT,
    ) -> None:
        self._api = PayPalApi(
            endpoint=api_base,
            client_id=client_id,
            client_secret=client_secret,
            mode=mode,
            connections=connections,
            observe=observe,
            timeout=timeout,
        )

    def prepare(self, payment: Payment) -> str:
        """See Provider."""
        asked, operation = payment.submission, payment.operation
        unit: dict[str, Any] = {
            "custom_id": operation.id,
            "invoice_id": operation.id,
            "amount": {
                "currency_code": asked.amount.currency,
                "value": to_paypal(asked.amount),
            },
        }
        if asked.description is not None:
            unit["description"] = asked.description[:_DESCRIPTION]
        order: dict[str, Any] = {"intent": "CAPTURE", "purchase_units": [unit]}
        if asked.payment_method is not None:
            order["payment_source"] = {"paypal": {"vault_id": asked.payment_method}}
        elif asked.return_url is not None:
            context = {
                "return_url": asked.return_url,
                "cancel_url": asked.return_url,
                "user_action": "PAY_NOW",
            }
            order["payment_source"] = {"paypal": {"experience_context": context}}
        return json.dumps(order)

    def send(self, payment: Payment) -> Answer:
        """See Provider."""
        send = payment.operation.send
        if send is None:
            raise NeedsReview("send_not_written_down")
        try:
            return self._order(send)
        # Both go without their causes: these quote what PayPal said, tokens included.
        except ProviderError as error:
            raise error from None
        except Exception:
            # Whatever could not be read, PayPal may have acted.
            raise OutcomeUnknown("malformed_answer") from None

    def _order(self, send: Send) -> Answer:
        headers = {"PayPal-Request-Id": send.key, "Prefer": "return=representation"}
        try:
            order = self._api.post(_ORDERS, json.loads(send.body), headers)
        except ApiError as error:
            return refusal_of(error)
        except requests.RequestException as error:
            if was_not_sent(error):
                raise NotSent
            raise OutcomeUnknown("no_answer")
        return answer_of(order)
