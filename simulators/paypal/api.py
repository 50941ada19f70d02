"""A server that behaves like PayPal: OAuth, Orders v2, Payments v2, webhooks.

Behaviour follows PayPal's OpenAPI files and
https://developer.paypal.com/api/rest/reference/idempotency/.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final
from urllib.parse import parse_qs, parse_qsl

from simulators import disputes
from simulators.calls import (
    Answer,
    Call,
    Json,
    Refused,
    Request,
    Route,
    new_id,
    to_json,
)
from simulators.paypal.checkout import CheckoutPage
from simulators.paypal.collection import Collection
from simulators.paypal.disputes import Disputes
from simulators.paypal.errors import error, new_debug_id
from simulators.paypal.orders import Orders
from simulators.paypal.payment_tokens import PaymentTokens
from simulators.paypal.payments import Payments
from simulators.paypal.reporting import Reporting
from simulators.paypal.signing import Signer
from simulators.paypal.store import Store, answer
from simulators.provider import Page, World

#: Seconds PayPal keeps a request id: six hours for orders, 45 days for payments.
ORDER_WINDOW: Final = 6 * 3600.0
PAYMENT_WINDOW: Final = 45 * 86400.0
#: Seconds a token is valid: nine hours, as PayPal's are.
TOKEN_LIFE: Final = 32_400
#: Tokens kept; the oldest are forgotten and their holders need new ones.
MAX_TOKENS: Final = 10_000
#: The client secret that is refused, for tests of misconfiguration.
WRONG_SECRET: Final = "wrong"
TOKEN_PATH: Final = "/v1/oauth2/token"
#: Characters of a client id that identify the merchant.
MAX_ACCOUNT: Final = 128


class PayPal:
    """The provider: routes, tokens and the idempotency rules."""

    def __init__(self, world: World, signer: Signer) -> None:
        self.world = world
        self._signer = signer
        self._tokens: dict[str, tuple[str, float]] = {}
        store = self.store = Store(world)
        reporting = self.reporting = Reporting(store)
        tokens, collection = PaymentTokens(store), Collection(store)
        orders, payments = Orders(store, collection), Payments(store, collection)
        control = Disputes(store)
        self._checkout = [
            *CheckoutPage(store, orders).pages,
            *disputes.pages(control),
            disputes.reversals(control.reverse),
        ]
        order = partial(Route, "POST", window=ORDER_WINDOW, moves_money=True)
        payment = partial(Route, "POST", window=PAYMENT_WINDOW, moves_money=True)
        one, authorization = (
            "/v2/checkout/orders/{id}",
            "/v2/payments/authorizations/{id}",
        )
        self.routes: Sequence[Route] = [
            Route("POST", TOKEN_PATH, self._token),
            order("/v2/checkout/orders", orders.create),
            Route("GET", one, orders.get),
            Route("PATCH", one, orders.patch),
            Route("POST", f"{one}/confirm-payment-source", orders.confirm),
            order(f"{one}/authorize", orders.authorize),
            order(f"{one}/capture", orders.capture),
            Route("GET", authorization, payments.get_authorization),
            payment(f"{authorization}/capture", payments.capture),
            payment(f"{authorization}/reauthorize", payments.reauthorize),
            Route("POST", f"{authorization}/void", payments.void, moves_money=True),
            Route("GET", "/v2/payments/captures/{id}", payments.get_capture),
            payment("/v2/payments/captures/{id}/refund", payments.refund),
            Route("GET", "/v2/payments/refunds/{id}", payments.get_refund),
            Route("GET", "/v3/vault/payment-tokens/{id}", tokens.get),
            Route("DELETE", "/v3/vault/payment-tokens/{id}", tokens.delete),
            Route("GET", "/v1/customer/disputes", control.search),
            Route("GET", "/v1/customer/disputes/{id}", control.get),
            Route("GET", "/v1/reporting/transactions", reporting.transactions),
            Route("POST", "/v1/notifications/verify-webhook-signature", self._verify),
        ]

    @property
    def pages(self) -> Sequence[Page]:
        """The checkout page, certificates, control of disputes and of tokens."""
        return [
            *self._checkout,
            Page("GET", self._signer.path, self._chain),
            Page("GET", "/_root.pem", self._root),
            Page("POST", "/_tokens/revoke", self._revoke),
        ]

    def open(self, request: Request, route: Route) -> Call:
        """Authenticate by the access token (by the secret for a token) and read."""
        if route.path == TOKEN_PATH:
            account = _client(request.headers)
            body: Json = {"grant": parse_qs(request.body.decode("utf-8", "replace"))}
        else:
            account = self._account(request.headers)
            body = _json_body(request)
        return Call(
            method=request.method,
            path=request.path,
            base=request.base,
            headers=request.headers,
            query=dict(parse_qsl(request.query, keep_blank_values=True)),
            body=body,
            ids=request.ids,
            account=account,
            key=request.headers.get("PayPal-Request-Id") or None,
            fingerprint=_fingerprint(request, body),
            request_id=new_debug_id(),
        )

    def scope(self, call: Call, route: Route) -> tuple[str, ...]:
        """A request id belongs to its client and operation."""
        return (call.account, route.path, call.key or "")

    def in_progress(self, call: Call) -> Answer:
        """409: the first request with this id is still running."""
        return error(409, "PREVIOUS_REQUEST_IN_PROGRESS")

    def mismatch(self, call: Call, first_path: str) -> Answer:
        """422: another request used this id."""
        return error(422, "DUPLICATE_REQUEST_ID")

    def replayed(self, answer: Answer, call: Call) -> Answer:
        """Repeat it unchanged: PayPal does not mark a repeated answer."""
        return answer

    def rate_limited(self, retry_after: float) -> Answer:
        """429 with ``Retry-After``."""
        limited = error(429)
        seconds = str(max(1, round(retry_after)))
        return replace(limited, headers={**limited.headers, "Retry-After": seconds})

    def failed(self, message: str, *, replayable: bool) -> Answer:
        """500; PayPal stores none, so the same id tries again."""
        return error(500)

    def unknown_path(self, method: str, path: str) -> Answer:
        """404 for an operation that is not simulated."""
        return error(404)

    def too_large(self) -> Answer:
        """413 for a body over the limit."""
        return error(413)

    def _token(self, call: Call) -> Answer:
        if call.body["grant"].get("grant_type") != ["client_credentials"]:
            return _oauth_error(
                400, "unsupported_grant_type", "Grant Type is not supported"
            )
        token = new_id("A21AA", 60)
        if len(self._tokens) >= MAX_TOKENS:
            del self._tokens[next(iter(self._tokens))]
        expires = self.world.clock.now() + TOKEN_LIFE
        self._tokens[token] = (call.account, expires)
        return answer(
            {
                "scope": "https://uri.paypal.com/services/payments/payment",
                "access_token": token,
                "token_type": "Bearer",
                "app_id": "APP-SIMULATOR",
                "expires_in": TOKEN_LIFE,
                "nonce": new_id("", 43),
            }
        )

    def _account(self, headers: Mapping[str, str]) -> str:
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        account, expires = self._tokens.get(token, ("", 0.0))
        if scheme.lower() != "bearer" or expires <= self.world.clock.now():
            raise Refused(error(401))
        return account

    def _verify(self, call: Call) -> Answer:
        verified = self._signer.verify(call.body)
        return answer({"verification_status": "SUCCESS" if verified else "FAILURE"})

    def _chain(self, request: Request) -> Answer:
        return Answer(
            200, self._signer.chain_pem, content_type="application/x-pem-file"
        )

    def _root(self, request: Request) -> Answer:
        return Answer(200, self._signer.root_pem, content_type="application/x-pem-file")

    def _revoke(self, request: Request) -> Answer:
        revoked = len(self._tokens)
        self._tokens.clear()
        return Answer(200, to_json({"revoked": revoked}))


def _client(headers: Mapping[str, str]) -> str:
    """Return the client id of basic authentication. Raises ``Refused``."""
    scheme, _, value = headers.get("Authorization", "").partition(" ")
    try:
        decoded = b64decode(value, validate=True).decode()
    except (NotBase64, UnicodeDecodeError):
        decoded = ""
    client, _, secret = decoded.partition(":")
    if scheme.lower() != "basic" or not client or secret in ("", WRONG_SECRET):
        raise Refused(
            _oauth_error(401, "invalid_client", "Client Authentication failed")
        )
    return client[:MAX_ACCOUNT]


def _oauth_error(status: int, code: str, description: str) -> Answer:
    body = {"error": code, "error_description": description}
    return Answer(status, to_json(body), {"PayPal-Debug-Id": new_debug_id()})


def _json_body(request: Request) -> Json:
    """Return the object sent; a list, as a patch is, becomes ``{"patch": [...]}``."""
    if not request.body or request.method == "GET":
        return {}
    try:
        body = json.loads(request.body)
    except ValueError:
        raise Refused(error(400, "MALFORMED_REQUEST_JSON")) from None
    if isinstance(body, list):
        return {"patch": body}
    if body is None:
        # The paypalrestsdk package sends null in place of an empty body.
        return {}
    if not isinstance(body, dict):
        raise Refused(error(400, "MALFORMED_REQUEST_JSON"))
    return body


def _fingerprint(request: Request, body: Json) -> str:
    material = json.dumps([request.method, request.path, body], sort_keys=True)
    return hashlib.sha256(material.encode()).hexdigest()
