"""The calls that capture, void and refund a payment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import flask
from flask import Response
from pydantic import BaseModel

from application import accept
from application.ports.payments import Scope
from domain.payments import follow_ups
from domain.payments.operation import Kind, Origin
from domain.payments.payment import Payment
from runtime.container import WebServices
from web import auth, openapi, parsing
from web.models import responses
from web.models.requests import (
    CaptureRequest,
    PaymentPath,
    RefundRequest,
    SubmitHeaders,
    VoidRequest,
)
from web.openapi import Route
from web.problem_codes import ProblemCode
from web.routes.payments import ONE, accepted_answer, check_id, origin_of

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class _Requester:
    """The merchant and the origin of a request."""

    scope: Scope
    origin: Origin


def _follow_up(path: str, body: type[BaseModel]) -> Route:
    return Route(
        "POST",
        f"{ONE}/{path}",
        answers={202: responses.Payment},
        problems=(
            *openapi.SUBMIT_PROBLEMS,
            ProblemCode.INVALID_REQUEST,
            ProblemCode.INVALID_PAYMENT,
            ProblemCode.PAYMENT_NOT_FOUND,
            ProblemCode.CONFLICT,
        ),
        takes={"path": PaymentPath, "header": SubmitHeaders, "body": body},
        headers={202: openapi.ACCEPTED},
    )


@dataclass(frozen=True, slots=True)
class FollowUpRoutes:
    """The calls with their dependencies."""

    services: WebServices

    @_follow_up("captures", CaptureRequest)
    def capture(self, payment_id: str) -> Response:
        """Capture money that is on hold.

        The capture takes the whole amount or a part. The answer comes once the job is
        durable. A 409 has the reason: the amount is more than the rest, or the
        authorization has ended.
        """
        body, requester = self._parse_request(CaptureRequest, payment_id, Kind.CAPTURE)
        request = partial(follow_ups.capture, amount=body.amount, final=body.final)
        return self._accept(payment_id, request, requester)

    @_follow_up("refunds", RefundRequest)
    def refund(self, payment_id: str) -> Response:
        """Refund captured money.

        A refund returns the whole amount or a part, and belongs to one capture. The
        amounts of unfinished refunds are reserved. A 409 has the reason: the amount is
        more than the rest, or `operation` must name one of several captures.
        """
        body, requester = self._parse_request(RefundRequest, payment_id, Kind.REFUND)
        request = partial(follow_ups.refund, amount=body.amount, target=body.operation)
        return self._accept(payment_id, request, requester)

    @_follow_up("void", VoidRequest)
    def void(self, payment_id: str) -> Response:
        """Release money on hold, or cancel a payment that has not begun."""
        _, requester = self._parse_request(VoidRequest, payment_id, Kind.VOID)
        return self._accept(payment_id, follow_ups.void, requester)

    def _parse_request(
        self, model: type[_Model], payment_id: str, kind: Kind
    ) -> tuple[_Model, _Requester]:
        """Returns the body and the requester."""
        scope = auth.require_submitter(flask.request, self.services)
        key = parsing.parse_idempotency_key(flask.request)
        body = parsing.parse_body(flask.request, model, optional=True)
        check_id(payment_id)
        intent = {**body.model_dump(), "kind": kind.value, "payment": payment_id}
        return body, _Requester(scope, origin_of(key, intent, self.services))

    def _accept(
        self, payment_id: str, request: Callable[..., Payment], requester: _Requester
    ) -> Response:
        accepted = accept.accept_request(
            payment_id,
            partial(
                request,
                id=self.services.new_id("op"),
                origin=requester.origin,
                now=self.services.clock(),
            ),
            requester.origin,
            scope=requester.scope,
            store=self.services.store,
            queue=self.services.queue,
        )
        return accepted_answer(accepted)
