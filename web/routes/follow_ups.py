"""Captures, voids and refunds of a payment: each parses, calls, and renders."""

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
    """Whose request it is."""

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
    """The calls, with what they need."""

    services: WebServices

    @_follow_up("captures", CaptureRequest)
    def capture(self, payment_id: str) -> Response:
        """Capture money that is on hold.

        The whole of it or a part; the answer comes once the job is durable. A 409
        says what forbids it: more than is left, or an authorization that has ended.
        """
        asked, job = self._parse_request(CaptureRequest, payment_id, Kind.CAPTURE)
        request = partial(follow_ups.capture, amount=asked.amount, final=asked.final)
        return self._accept(payment_id, request, job)

    @_follow_up("refunds", RefundRequest)
    def refund(self, payment_id: str) -> Response:
        """Refund captured money.

        The whole of it or a part, as often as some is left; each refund is of one
        capture. What refunds under way may still give back is reserved. A 409 says that
        too much was asked, or that operation has to say which of several captures.
        """
        asked, job = self._parse_request(RefundRequest, payment_id, Kind.REFUND)
        request = partial(
            follow_ups.refund, amount=asked.amount, target=asked.operation
        )
        return self._accept(payment_id, request, job)

    @_follow_up("void", VoidRequest)
    def void(self, payment_id: str) -> Response:
        """Release what is on hold, or call off what has not begun."""
        _, job = self._parse_request(VoidRequest, payment_id, Kind.VOID)
        return self._accept(payment_id, follow_ups.void, job)

    def _parse_request(
        self, model: type[_Model], payment_id: str, kind: Kind
    ) -> tuple[_Model, _Requester]:
        """What was asked for, and by whom."""
        scope = auth.require_submitter(flask.request, self.services)
        key = parsing.parse_idempotency_key(flask.request)
        asked = parsing.parse_body(flask.request, model, optional=True)
        check_id(payment_id)
        named = {**asked.model_dump(), "kind": kind.value, "payment": payment_id}
        return asked, _Requester(scope, origin_of(key, named, self.services))

    def _accept(
        self, payment_id: str, request: Callable[..., Payment], job: _Requester
    ) -> Response:
        accepted = accept.accept_request(
            payment_id,
            partial(
                request,
                id=self.services.new_id("op"),
                origin=job.origin,
                now=self.services.clock(),
            ),
            job.origin,
            scope=job.scope,
            store=self.services.store,
            queue=self.services.queue,
        )
        return accepted_answer(accepted)
