"""flask-openapi3, kept in one place: what the calls take and answer, as OpenAPI 3.1.

The library routes and describes. It does not validate: it would build each query's
schema anew for every request, and read a body before the card screen has seen it.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Final, TypeVar

from flask import Response
from flask_openapi3.models.info import Info
from flask_openapi3.models.tag import Tag
from flask_openapi3.openapi import OpenAPI
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from runtime import __version__
from web.models import responses as answers
from web.problem_catalogue import CATALOGUE
from web.problem_codes import ProblemCode

_SCHEMAS: Final = "#/components/schemas/"
_SECURITY_SCHEME: Final = "api_key"
_DESCRIPTION: Final = (
    "Submit payment jobs, and read what became of them. A 202 means that the payment is"
    " durable: it will be carried out once, whatever breaks. Amounts are in minor units"
    " (1999 is $19.99 or 1,999 yen), times are RFC 3339 in UTC, `/v1` only grows.\n\n"
    "Every error is a problem by RFC 9457. Its `code` is one of:\n\n"
)
#: What every call may answer besides.
_ANY_PROBLEM: Final = (
    ProblemCode.BAD_REQUEST,
    ProblemCode.REQUEST_TIMEOUT,
    ProblemCode.OVERLOADED,
    ProblemCode.INTERNAL_ERROR,
)
_STATUSES: Final = {200: "OK", 201: "Made", 202: "Durable", 304: "Still the same"}
#: What every answer may have.
_EVERY_ANSWER: Final = ("Request-Id", "RateLimit", "RateLimit-Policy")
#: Headers of answers, by name.
_HEADERS: Final = {
    "Request-Id": "Names this request in our logs; your own, where you sent a sane one",
    "Location": "Where to read what was made",
    "Retry-After": "Seconds",
    "Idempotent-Replayed": "`true` where an earlier request made the payment",
    "ETag": "Changes with the payment",
    "WWW-Authenticate": "Bearer",
    "RateLimit": "Left of each quota: requests (r), and seconds until its window"
    " ends (t)",
    "RateLimit-Policy": "Each quota: requests (q) in a window of seconds (w)",
}


#: Problems of every call that needs a key.
AUTHENTICATED: Final = (
    ProblemCode.API_KEY_REQUIRED,
    ProblemCode.API_KEY_INVALID,
    ProblemCode.MODE_NOT_SERVED,
    ProblemCode.TOO_MANY_REQUESTS,
    ProblemCode.STORE_UNAVAILABLE,
    ProblemCode.DOCUMENT_UNREADABLE,
)
#: Problems of every call that makes a job.
SUBMIT_PROBLEMS: Final = (
    *AUTHENTICATED,
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
#: Problems of every call of an operator.
OPERATOR_PROBLEMS: Final = (
    *AUTHENTICATED,
    ProblemCode.ROLE_NOT_ALLOWED,
    ProblemCode.CARD_NUMBER_REFUSED,
)
#: Problems of every call of an operator that changes something.
OPERATOR_ACTION_PROBLEMS: Final = (
    *OPERATOR_PROBLEMS,
    ProblemCode.MALFORMED_JSON,
    ProblemCode.BODY_TOO_LARGE,
    ProblemCode.CONTENT_TYPE_NOT_SUPPORTED,
    ProblemCode.INVALID_REQUEST,
    ProblemCode.CONFLICT,
    ProblemCode.WRITE_REFUSED,
)
#: Headers of the answer to every new job.
ACCEPTED: Final = ("Location", "Retry-After", "Idempotent-Replayed")

#: The attribute of a view that holds its Route.
_ROUTE: Final = "__route__"
_View = TypeVar("_View", bound=Callable[..., Response])


@dataclass(frozen=True, slots=True)
class Route:
    """Documents a view, which it decorates: its address, its request, its answers."""

    method: str
    rule: str
    #: The model of a JSON answer, a media type, or None for no body; by status.
    answers: Mapping[int, type[BaseModel] | str | None]
    problems: tuple[ProblemCode, ...] = ()  #: codes of CATALOGUE
    takes: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    headers: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    tag: str = "payments"
    open: bool = False  #: needs no API key

    def __call__(self, view: _View) -> _View:
        setattr(view, _ROUTE, self)
        return view


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route and the view that serves it."""

    route: Route
    view: Callable[..., Response]


def find_calls(*owners: object) -> list[Endpoint]:
    """The methods of ``owners`` that have a Route, in their order."""
    return [
        Endpoint(route, getattr(owner, name))
        for owner in owners
        for name, member in vars(type(owner)).items()
        if (route := getattr(member, _ROUTE, None)) is not None
    ]


def application(calls: list[Endpoint]) -> tuple[OpenAPI, bytes]:
    """A Flask application that serves ``calls``, and their OpenAPI document (JSON)."""
    codes = "\n".join(
        f"- `{code}` ({status}): {detail}"
        for code, (status, _, detail) in CATALOGUE.items()
    )
    app = OpenAPI(
        "web",
        info=Info(
            title="Payments", version=__version__, description=_DESCRIPTION + codes
        ),
        security_schemes={_SECURITY_SCHEME: {"type": "http", "scheme": "bearer"}},
        doc_ui=False,
        static_folder=None,
    )
    for call in calls:
        _add(app, call)
    return app, json.dumps(_document(app, calls)).encode()


def _add(app: OpenAPI, call: Endpoint) -> None:
    route = call.route

    @wraps(call.view)
    def described(**path: str) -> Response:
        return call.view(**path)

    # flask-openapi3 reads the models from the annotations of what it is given, and
    # leaves validation to a view that has this mark.
    described.__annotations__ = dict(route.takes)
    setattr(described, "__delay_validate_request__", True)
    summary, _, description = (inspect.getdoc(call.view) or "").partition("\n\n")
    register = {"GET": app.get, "POST": app.post}[route.method]
    name = f"{route.tag}_{call.view.__name__}"
    register(
        route.rule,
        endpoint=name,
        tags=[Tag(name=route.tag)],
        summary=summary,
        description=description.replace("\n", " "),
        operation_id=name,
        security=None if route.open else [{_SECURITY_SCHEME: []}],
    )(described)


def _document(app: OpenAPI, calls: list[Endpoint]) -> dict[str, Any]:
    """The library's document with our own answers and schemas.

    Its model of a schema drops keywords that 3.1 has, and its answers know no media
    type but ``application/json``.
    """
    document: dict[str, Any] = app.api_doc
    models: set[tuple[type[BaseModel], JsonSchemaMode]] = {
        (answers.Problem, "serialization")
    }
    for route in (call.route for call in calls):
        path = route.rule.replace("<", "{").replace(">", "}")
        document["paths"][path][route.method.lower()]["responses"] = _responses(route)
        models |= {
            (model, "serialization")
            for model in route.answers.values()
            if isinstance(model, type)
        }
        if "body" in route.takes:
            models.add((route.takes["body"], "validation"))
    _, schemas = models_json_schema(
        sorted(models, key=lambda one: one[0].__name__),
        ref_template=_SCHEMAS + "{model}",
    )
    document["components"]["schemas"] = schemas["$defs"]
    tidy: dict[str, Any] = _tidy(document)
    return tidy


def _responses(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, content in route.answers.items():
        found[str(status)] = {
            "description": _STATUSES[status],
            "headers": _headers(*route.headers.get(status, ())),
        }
        if isinstance(content, str):
            schema: dict[str, Any] = {"type": "string"}
            found[str(status)]["content"] = {content: {"schema": schema}}
        elif content is not None:
            schema = {"$ref": _SCHEMAS + content.__name__}
            found[str(status)]["content"] = {"application/json": {"schema": schema}}
    for code in (*route.problems, *_ANY_PROBLEM):
        status, title, _ = CATALOGUE[code]
        known = found.setdefault(str(status), _problem(status))
        known["description"] = "; ".join(filter(None, [known["description"], title]))
    return found


def _problem(status: int) -> dict[str, Any]:
    headers = {
        401: ("WWW-Authenticate",),
        429: ("Retry-After",),
        503: ("Retry-After",),
    }.get(status, ())
    schema = {"$ref": _SCHEMAS + "Problem"}
    return {
        "description": "",
        "headers": _headers(*headers),
        "content": {"application/problem+json": {"schema": schema}},
    }


def _headers(*names: str) -> dict[str, Any]:
    return {
        name: {"description": _HEADERS[name], "schema": {"type": "string"}}
        for name in (*_EVERY_ANSWER, *names)
    }


def _tidy(part: Any) -> Any:
    """Without what pydantic adds and nobody reads: titles, and defaults of null."""
    if isinstance(part, list):
        return [_tidy(one) for one in part]
    if not isinstance(part, dict):
        return part
    return {
        name: _tidy(one)
        for name, one in part.items()
        if not (name == "title" and "type" in part and isinstance(one, str))
        and not (name == "default" and one is None)
    }
