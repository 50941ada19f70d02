"""The application: the calls, the pages, and what happens around them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, Response
from pydantic import BaseModel

from runtime import logs
from runtime.container import WebServices, web_services
from runtime.settings import Settings
from web import answers, around, docs, problems, quotas, webhooks
from web import replay_models as models
from web.followups import FollowUps
from web.gates import Gates
from web.openapi import Call, application
from web.parsing import MAX_BODY
from web.open_gates import OpenGates
from web.payments import Payments
from web.problem_codes import ProblemCode
from web.replays import Replays
from web.schemas import (
    CaptureRequest,
    GatePath,
    GateRequest,
    ListQuery,
    PaymentPath,
    PaymentRequest,
    ReadHeaders,
    ReadQuery,
    RefundRequest,
    SubmitHeaders,
    VoidRequest,
)
from web.waiting import Waiting

#: What every call that needs a key may answer.
_KEYED = (
    ProblemCode.API_KEY_REQUIRED,
    ProblemCode.API_KEY_INVALID,
    ProblemCode.MODE_NOT_SERVED,
    ProblemCode.TOO_MANY_REQUESTS,
    ProblemCode.STORE_UNAVAILABLE,
    ProblemCode.DOCUMENT_UNREADABLE,
)
#: What every call that makes a job may answer besides.
_JOB = (
    ProblemCode.MALFORMED_JSON,
    ProblemCode.IDEMPOTENCY_KEY_REQUIRED,
    ProblemCode.IDEMPOTENCY_KEY_MALFORMED,
    ProblemCode.ROLE_NOT_ALLOWED,
    ProblemCode.BODY_TOO_LARGE,
    ProblemCode.CONTENT_TYPE_NOT_SUPPORTED,
    ProblemCode.CARD_NUMBER_REFUSED,
    ProblemCode.IDEMPOTENCY_KEY_REUSED,
    ProblemCode.WRITE_REFUSED,
)
_ACCEPTED = ("Location", "Retry-After", "Idempotent-Replayed")


@dataclass(frozen=True, slots=True)
class Web:
    """The application, and what must be told when its process stops."""

    app: Flask
    waiting: Waiting


def from_environment() -> Flask:
    """The application that ``PAYMENTS_*`` variables describe, for any WSGI server.

    ``python -m web`` serves it with deadlines and bounds, and its health beside it.
    ``gunicorn "web.app:from_environment()"`` with threads serves the API alone, and
    needs a proxy before it that holds slow clients back. Raises SettingsError.
    """
    settings = Settings.read(os.environ)
    logs.configure(settings, "web")
    return build(web_services(settings)).app


def build(services: WebServices) -> Web:
    """The application on ``services``. Nothing connects before the first request."""
    capacity = max(1, services.settings.web_threads // 2)
    waiting = Waiting(services.store, capacity=capacity)
    gates = OpenGates(services.breakers, clock=services.clock)
    calls = [
        *_payment_calls(Payments(services, waiting, gates), FollowUps(services)),
        *_replay_calls(Replays(services)),
        *_gate_calls(Gates(services)),
        *webhooks.calls(webhooks.Webhooks(services)),
    ]
    app, document = application(calls)
    # Flask cuts a chunked body off at this length without a word; one more tells.
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY + 1
    # A redirect would repeat the path; an address that is not exact is not found.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    app.register_blueprint(docs.pages(document))
    around.register(app, services.new_id)
    quotas.register(app, services)
    problems.register(app)
    return Web(app, waiting)


def _payment_calls(payments: Payments, follow_ups: FollowUps) -> list[Call]:
    one = "/v1/payments/<payment_id>"
    return [
        Call(
            "POST",
            "/v1/payments",
            payments.submit,
            answers={202: answers.Payment},
            problems=(
                *_KEYED,
                *_JOB,
                ProblemCode.INVALID_PAYMENT,
                ProblemCode.REFERENCE_IN_PROGRESS,
            ),
            takes={"header": SubmitHeaders, "body": PaymentRequest},
            headers={202: _ACCEPTED},
        ),
        Call(
            "GET",
            "/v1/payments",
            payments.list,
            answers={200: answers.PaymentList},
            problems=(
                *_KEYED,
                ProblemCode.INVALID_QUERY,
                ProblemCode.CARD_NUMBER_REFUSED,
            ),
            takes={"query": ListQuery},
        ),
        Call(
            "GET",
            one,
            payments.read,
            answers={200: answers.Payment, 304: None},
            problems=(
                *_KEYED,
                ProblemCode.PAYMENT_NOT_FOUND,
                ProblemCode.INVALID_QUERY,
                ProblemCode.CARD_NUMBER_REFUSED,
            ),
            takes={"path": PaymentPath, "query": ReadQuery, "header": ReadHeaders},
            headers={200: ("ETag",), 304: ("ETag",)},
        ),
        *_follow_up_calls(one, follow_ups),
        Call(
            "GET",
            f"{one}/events",
            payments.events,
            answers={200: answers.EventList},
            problems=(
                *_KEYED,
                ProblemCode.PAYMENT_NOT_FOUND,
                ProblemCode.INVALID_QUERY,
                ProblemCode.CARD_NUMBER_REFUSED,
            ),
            takes={"path": PaymentPath},
        ),
    ]


def _follow_up_calls(one: str, follow_ups: FollowUps) -> list[Call]:
    jobs: dict[str, tuple[Callable[..., Response], type[BaseModel]]] = {
        "captures": (follow_ups.capture, CaptureRequest),
        "refunds": (follow_ups.refund, RefundRequest),
        "void": (follow_ups.void, VoidRequest),
    }
    return [
        Call(
            "POST",
            f"{one}/{name}",
            view,
            answers={202: answers.Payment},
            problems=(
                *(*_KEYED, *_JOB),
                *(ProblemCode.INVALID_REQUEST, ProblemCode.INVALID_PAYMENT),
                *(ProblemCode.PAYMENT_NOT_FOUND, ProblemCode.CONFLICT),
            ),
            takes={"path": PaymentPath, "header": SubmitHeaders, "body": model},
            headers={202: _ACCEPTED},
        )
        for name, (view, model) in jobs.items()
    ]


#: What every operator's call may answer, and those that act besides.
_OPERATOR = (*_KEYED, ProblemCode.ROLE_NOT_ALLOWED, ProblemCode.CARD_NUMBER_REFUSED)
_ACTS = (
    *_OPERATOR,
    *(
        ProblemCode.MALFORMED_JSON,
        ProblemCode.BODY_TOO_LARGE,
        ProblemCode.CONTENT_TYPE_NOT_SUPPORTED,
    ),
    *(ProblemCode.INVALID_REQUEST, ProblemCode.CONFLICT, ProblemCode.WRITE_REFUSED),
)


def _gate_calls(gates: Gates) -> list[Call]:
    one = "/v1/operations/gates/<account>"
    return [
        Call(
            "GET",
            "/v1/operations/gates",
            gates.list_gates,
            answers={200: answers.GateList},
            problems=(*_OPERATOR, ProblemCode.INVALID_QUERY),
            tag="operations",
        ),
        *(
            Call(
                "POST",
                f"{one}/{name}",
                view,
                answers={200: answers.Gate},
                problems=(*_ACTS, ProblemCode.GATE_NOT_FOUND),
                takes={"path": GatePath, "body": GateRequest},
                tag="operations",
            )
            for name, view in (("open", gates.open_gate), ("close", gates.close_gate))
        ),
    ]


def _replay_calls(replays: Replays) -> list[Call]:
    sets = "/v1/operations/replays"
    one = f"{sets}/<replay_id>"
    return [
        Call(
            "GET",
            "/v1/operations/payments",
            replays.find,
            answers={200: models.FoundList},
            problems=(*_OPERATOR, ProblemCode.INVALID_QUERY, ProblemCode.CONFLICT),
            takes={"query": models.FoundQuery},
            tag="operations",
        ),
        Call(
            "POST",
            "/v1/operations/payments/<payment_id>/resolve",
            replays.resolve,
            answers={200: answers.Payment},
            problems=(*_ACTS, ProblemCode.PAYMENT_NOT_FOUND),
            takes={"path": PaymentPath, "body": models.ResolveRequest},
            tag="operations",
        ),
        Call(
            "POST",
            sets,
            replays.preview,
            answers={201: models.ReplaySet},
            problems=_ACTS,
            takes={"body": models.PreviewRequest},
            headers={201: ("Location",)},
            tag="operations",
        ),
        Call(
            "GET",
            one,
            replays.read,
            answers={200: models.ReplaySet},
            problems=(
                *_OPERATOR,
                ProblemCode.REPLAY_NOT_FOUND,
                ProblemCode.INVALID_QUERY,
            ),
            takes={"path": models.ReplayPath, "query": models.ReplayQuery},
            tag="operations",
        ),
        Call(
            "POST",
            f"{one}/run",
            replays.run,
            answers={202: models.ReplaySet},
            problems=(*_ACTS, ProblemCode.REPLAY_NOT_FOUND),
            takes={"path": models.ReplayPath, "body": models.RunRequest},
            tag="operations",
        ),
        Call(
            "POST",
            f"{one}/cancel",
            replays.cancel,
            answers={200: models.ReplaySet},
            problems=(*_ACTS, ProblemCode.REPLAY_NOT_FOUND),
            takes={"path": models.ReplayPath, "body": models.CancelRequest},
            tag="operations",
        ),
    ]
