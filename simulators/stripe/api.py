"""A server that behaves like Stripe's API v1, for payment intents and refunds.

Behaviour follows https://docs.stripe.com/api and, for keys,
https://docs.stripe.com/api/idempotent_requests.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from simulators import disputes
from simulators.calls import Answer, Call, Refused, Request, Route, new_id
from simulators.provider import Page, World
from simulators.stripe.charging import Charging
from simulators.stripe.customers import Customers
from simulators.stripe.disputes import Disputes
from simulators.stripe.errors import answer, error
from simulators.stripe.form import BadForm, nest, pairs_of
from simulators.stripe.intents import Intents
from simulators.stripe.keys import Keys
from simulators.stripe.lists import Reader
from simulators.stripe.pages import AuthenticationPage
from simulators.stripe.refunds import Refunds
from simulators.stripe.store import Bounds, Store

#: Default signing secret of webhooks.
DEFAULT_SECRET: Final = "whsec_simulator"
#: Seconds Stripe keeps a key of API v1: a day.
KEY_WINDOW: Final = 86400.0
#: Characters of a key.
MAX_KEY: Final = 255


def sign(
    secrets: tuple[str, ...], event_id: str, body: bytes, base: str
) -> Mapping[str, str]:
    """Return the ``Stripe-Signature`` header for a body: one ``v1`` for each secret.

    The time in it is real, not the simulator's: receivers compare it with their own.
    """
    at = str(int(time.time()))
    message = f"{at}.".encode() + body
    signed = [hmac.new(s.encode(), message, hashlib.sha256) for s in secrets]
    signatures = ",".join(f"v1={each.hexdigest()}" for each in signed)
    return {"Stripe-Signature": f"t={at},{signatures}"}


class Stripe:
    """The provider: routes, authentication and the idempotency rules."""

    def __init__(self, world: World, bounds: Bounds = Bounds()) -> None:
        self.world = world
        store = self.store = Store(world, bounds)
        control = Disputes(store)
        customers = Customers(store)
        intents = Intents(store, Charging(store))
        refunds, reader = Refunds(store), Reader(store)
        self._keys = Keys(world)
        self._pages = [
            *AuthenticationPage(store, intents).pages,
            *disputes.pages(control),
            self._keys.page,
        ]
        self._reader = reader
        save = partial(Route, "POST", window=KEY_WINDOW)
        post = partial(save, moves_money=True)
        method = "/v1/payment_methods/{id}"
        self._routes = [
            post("/v1/payment_intents", intents.create),
            Route("GET", "/v1/payment_intents", reader.intents),
            Route("GET", "/v1/payment_intents/{id}", reader.intent),
            post("/v1/payment_intents/{id}/confirm", intents.confirm),
            post("/v1/payment_intents/{id}/capture", intents.capture),
            post("/v1/payment_intents/{id}/cancel", intents.cancel),
            save("/v1/customers", customers.create),
            Route("GET", "/v1/customers", reader.customers),
            Route("GET", "/v1/customers/{id}", reader.customer),
            Route("GET", "/v1/payment_methods", reader.methods),
            Route("GET", method, reader.method),
            save(f"{method}/attach", customers.attach),
            save(f"{method}/detach", customers.detach),
            Route("GET", "/v1/charges/{id}", reader.charge),
            post("/v1/refunds", refunds.create),
            Route("GET", "/v1/refunds", reader.refunds),
            Route("GET", "/v1/refunds/{id}", reader.refund),
            Route("GET", "/v1/disputes", reader.disputes),
            Route("GET", "/v1/disputes/{id}", reader.dispute),
            Route("GET", "/v1/events", reader.events),
            Route("GET", "/v1/events/{id}", reader.event),
            Route("GET", "/v1/balance_transactions", reader.balance_transactions),
            Route("GET", "/v1/balance_transactions/{id}", reader.balance_transaction),
        ]

    @property
    def routes(self) -> Sequence[Route]:
        """The operations of the API."""
        return [
            (
                replace(route, handler=partial(self._with_expand, route))
                if route.method == "POST"
                else route
            )
            for route in self._routes
        ]

    @property
    def pages(self) -> Sequence[Page]:
        """The payer's page, and the control of disputes and keys."""
        return self._pages

    def open(self, request: Request, route: Route) -> Call:
        """Authenticate by the secret key and read the form."""
        account = self._keys.account(request.headers)
        key = request.headers.get("Idempotency-Key") or None
        if key is not None and len(key) > MAX_KEY:
            raise Refused(
                error(400, f"Idempotency keys have at most {MAX_KEY} characters.")
            )
        try:
            query = pairs_of(request.query)
            body = pairs_of(request.body.decode("ascii")) if request.body else []
            return Call(
                method=request.method,
                path=request.path,
                base=request.base,
                headers=request.headers,
                query=nest(query),
                body=nest(body),
                ids=request.ids,
                account=account,
                key=key,
                fingerprint=_fingerprint(request, body),
                request_id=new_id("req_", 14),
            )
        except (BadForm, UnicodeDecodeError) as bad:
            raise Refused(error(400, f"Invalid request body: {bad}")) from None

    def scope(self, call: Call, route: Route) -> tuple[str, ...]:
        """A key belongs to its account, for every operation."""
        return (call.account, call.key or "")

    def in_progress(self, call: Call) -> Answer:
        """409: the first request with this key is still running."""
        return error(
            409,
            "There is currently another in-progress request using this Stripe account "
            "and this idempotent key (that probably means you submitted twice, and the "
            "other request is still going through). Please try again later.",
            code="idempotency_key_in_use",
        )

    def mismatch(self, call: Call, first_path: str) -> Answer:
        """400 ``idempotency_error``: another request used this key."""
        if first_path != call.path:
            how = (
                f"for the same endpoint they were first used for ('{call.path}' vs "
                f"'{first_path}')"
            )
        else:
            how = "with the same parameters they were first used with"
        return error(
            400,
            f"Keys for idempotent requests can only be used {how}. Try using a key "
            f"other than '{call.key}' if you meant to execute a different request.",
            type="idempotency_error",
        )

    def replayed(self, answer: Answer, call: Call) -> Answer:
        """Mark a repeated answer; a stored 500 forbids a retry."""
        headers = {
            **answer.headers,
            "Request-Id": call.request_id,
            "Original-Request": answer.headers["Request-Id"],
            "Idempotent-Replayed": "true",
        }
        if answer.status >= 500:
            headers["Stripe-Should-Retry"] = "false"
        return replace(answer, headers=headers)

    def rate_limited(self, retry_after: float) -> Answer:
        """429, as over the account's limit."""
        limited = error(
            429,
            "Request rate limit exceeded.",
            code="rate_limit",
        )
        seconds = str(max(1, round(retry_after)))
        return replace(limited, headers={**limited.headers, "Retry-After": seconds})

    def failed(self, message: str, *, replayable: bool) -> Answer:
        """500 ``api_error``."""
        return error(500, message, type="api_error", stored=replayable)

    def unknown_path(self, method: str, path: str) -> Answer:
        """404 for an operation that is not simulated."""
        return error(
            404,
            f"Unrecognized request URL ({method}: {path}). simulators/README.md lists "
            "the simulated ones.",
        )

    def too_large(self) -> Answer:
        """413 for a body over the limit."""
        return error(413, "The request body is too large.")

    def _with_expand(self, route: Route, call: Call) -> Answer:
        """Carry out a POST, and expand its answer on request."""
        paths = call.body.get("expand")
        try:
            result = route.handler(call)
        except Refused as refused:
            if refused.answer.stored:
                return refused.answer
            raise
        if paths is None or result.status != 200:
            return result
        shown = self._reader.expanded(call, json.loads(result.body), paths)
        return answer(call, shown)


def _fingerprint(request: Request, body: list[tuple[str, str]]) -> str:
    """Digest a request; the order of its parameters does not matter."""
    material = repr((request.method, request.path, sorted(body)))
    return hashlib.sha256(material.encode()).hexdigest()
