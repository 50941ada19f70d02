"""The calls under ``/v1/payments`` that submit and read payments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from flask import Response, request
from pydantic import ValidationError

from application import accept
from application.known_breakers import KnownBreakers
from application.logs import get_logger
from application.ports.payments import Query, Scope
from domain.api_keys import ApiKey, Role
from domain.errors import PaymentNotFound
from domain.merchants import MerchantSettings
from domain.payments.idempotency import compute_fingerprint
from domain.payments.operation import Origin
from domain.payments.payment import Payment
from domain.payments.submission import DuplicatePolicy, ProviderName
from runtime import metrics
from runtime.container import WebServices
from web import auth, openapi, parsing, rendering
from web.call import CURRENT
from web.long_poll import LongPoll
from web.models import patterns, responses
from web.models.requests import (
    ListQuery,
    NoQuery,
    PaymentPath,
    PaymentRequest,
    ReadHeaders,
    ReadQuery,
    SubmitHeaders,
)
from web.openapi import Route
from web.problem_codes import ProblemCode
from web.problems import invalid

log = get_logger(__name__)

#: The address of one payment.
ONE: Final = "/v1/payments/<payment_id>"

_PAYMENT_ID: Final = re.compile(patterns.PAYMENT_ID)
#: Problems of reading one payment.
_READS: Final = (
    *openapi.AUTHENTICATED,
    ProblemCode.PAYMENT_NOT_FOUND,
    ProblemCode.INVALID_QUERY,
    ProblemCode.CARD_NUMBER_REFUSED,
)


@dataclass(frozen=True, slots=True)
class PaymentRoutes:
    """The calls with their dependencies."""

    services: WebServices
    waiting: LongPoll
    breakers: KnownBreakers

    @Route(
        "POST",
        "/v1/payments",
        answers={202: responses.Payment},
        problems=(
            *openapi.SUBMIT_PROBLEMS,
            ProblemCode.INVALID_PAYMENT,
            ProblemCode.REFERENCE_IN_PROGRESS,
        ),
        takes={"header": SubmitHeaders, "body": PaymentRequest},
        headers={202: openapi.ACCEPTED},
    )
    def submit(self) -> Response:
        """Submit a payment.

        The answer comes once the payment is durable; the payment is carried out
        afterwards. A repeat with the same Idempotency-Key and body returns the same
        payment, with the header Idempotent-Replayed.
        """
        scope = auth.require_submitter(request, self.services)
        key = parsing.parse_idempotency_key(request)
        body = parsing.parse_json(request)
        try:
            order = PaymentRequest.model_validate(body)
        except ValidationError as error:
            raise invalid(error, ProblemCode.INVALID_PAYMENT) from None
        settings = self.services.merchants.load_settings(scope)
        accepted = accept.accept_payment(
            accept.NewPayment(
                order.to_submission(_duplicate_policy(settings, order)),
                origin_of(key, body, self.services),
            ),
            scope=scope,
            routes=settings.routes,
            draw=self.services.draw,
            store=self.services.store,
            queue=self.services.queue,
            clock=self.services.clock,
            new_id=self.services.new_id,
        )
        return accepted_answer(accepted)

    @Route(
        "GET",
        ONE,
        answers={200: responses.Payment, 304: None},
        problems=_READS,
        takes={"path": PaymentPath, "query": ReadQuery, "header": ReadHeaders},
        headers={200: ("ETag",), 304: ("ETag",)},
    )
    def read(self, payment_id: str) -> Response:
        """Read a payment. Operators can read the payments of all merchants.

        With `wait`, the answer comes when the payment is settled, which means that it
        has ended or that the payer or an operator must act. After the given seconds the
        answer has the current state.
        """
        key = auth.require_reader(request, self.services)
        query = parsing.parse_query(request, ReadQuery)
        scope = self._scope(key, payment_id)
        found = self.services.store.get(scope, payment_id)
        if found is not None and query.wait and not found.is_settled:
            self.waiting.wait_until_settled(payment_id, key.merchant, query.wait)
            found = self.services.store.get(scope, payment_id)
        if found is None:
            raise PaymentNotFound
        shown = self._with_breaker_wait(found)
        # The stored version does not change with the breaker, but the answer does.
        tag = f"{found.version}{'' if shown == found else '-blocked'}"
        if request.if_none_match.contains(tag):
            return Response(status=304, headers={"ETag": f'"{tag}"'})
        return rendering.json_response(
            rendering.render_payment(shown), headers={"ETag": f'"{tag}"'}
        )

    @Route(
        "GET",
        "/v1/payments",
        answers={200: responses.PaymentList},
        problems=(
            *openapi.AUTHENTICATED,
            ProblemCode.INVALID_QUERY,
            ProblemCode.CARD_NUMBER_REFUSED,
        ),
        takes={"query": ListQuery},
    )
    def list(self) -> Response:
        """List payments, newest first."""
        key = auth.require_reader(request, self.services)
        query = parsing.parse_query(request, ListQuery)
        filters = Query(
            status=query.status,
            provider=ProviderName(query.provider) if query.provider else None,
            reference=query.reference,
            disputed=query.disputed,
            created_from=query.created_from,
            created_before=query.created_before,
            before=parsing.decode_cursor(query.cursor, patterns.PAYMENT_ID),
            limit=query.limit + 1,
        )
        scope = Scope(key.merchant, key.mode)
        found = self.services.store.list_payments(scope, filters)
        shown, cursor = parsing.split_page(
            found, query.limit, position=attrgetter("id")
        )
        data = [rendering.render_payment(self._with_breaker_wait(one)) for one in shown]
        return rendering.json_response(
            responses.PaymentList(
                object="list",
                data=data,
                has_more=cursor is not None,
                next_cursor=cursor,
            )
        )

    @Route(
        "GET",
        f"{ONE}/events",
        answers={200: responses.EventList},
        problems=_READS,
        takes={"path": PaymentPath},
    )
    def events(self, payment_id: str) -> Response:
        """Read a payment's timeline, oldest event first.

        Operators can read the timelines of all merchants' payments.
        """
        key = auth.require_reader(request, self.services)
        parsing.parse_query(request, NoQuery)
        scope = self._scope(key, payment_id)
        timeline = self.services.store.load_timeline(scope, payment_id)
        if timeline is None:
            raise PaymentNotFound
        data = [rendering.render_event(event) for event in timeline]
        return rendering.json_response(
            responses.EventList(
                object="list", data=data, has_more=False, next_cursor=None
            )
        )

    def _scope(self, key: ApiKey, payment_id: str) -> Scope:
        """Returns the payment's scope; an operator's key may use any merchant's."""
        check_id(payment_id)
        if key.role is Role.MERCHANT:
            return Scope(key.merchant, key.mode)
        known = self.services.operator_context.view.get(payment_id)
        if known is None:
            raise PaymentNotFound
        return Scope(known.merchant, key.mode)

    def _with_breaker_wait(self, payment: Payment) -> Payment:
        return self.breakers.with_breaker_wait(payment, now=self.services.clock())


def origin_of(key: str, body: Mapping[str, object], services: WebServices) -> Origin:
    """Returns the origin of the current request's operation.

    ``body`` is fingerprinted: another body under the same key is refused.
    """
    return Origin(
        idempotency_key=key,
        fingerprint=services.hash(compute_fingerprint(body)),
        request_id=CURRENT.get().request_id,
        traceparent=parsing.parse_traceparent(request),
    )


def accepted_answer(accepted: accept.Accepted) -> Response:
    """Counts and logs an accepted request, and answers 202 with its payment."""
    payment, operation = accepted.payment, accepted.operation
    headers = {"Location": f"/v1/payments/{payment.id}", "Retry-After": "1"}
    if accepted.is_repeat:
        headers["Idempotent-Replayed"] = "true"
    else:
        metrics.ACCEPTED.labels(payment.provider, operation.kind).inc()
    log.info(
        "payment_accepted",
        payment=payment.id,
        operation=operation.id,
        is_repeat=accepted.is_repeat,
    )
    return rendering.json_response(rendering.render_payment(payment), 202, headers)


def _duplicate_policy(
    settings: MerchantSettings, order: PaymentRequest
) -> DuplicatePolicy:
    """Returns the merchant's policy if it applies to the payment's reference."""
    if order.reference is None or order.allow_duplicate_reference:
        return DuplicatePolicy.NONE
    return settings.duplicate_policy


def check_id(payment_id: str) -> None:
    """Raises PaymentNotFound for a malformed id before it reaches database and logs."""
    if not _PAYMENT_ID.match(payment_id):
        raise PaymentNotFound
