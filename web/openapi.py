"""Builds the Flask application and its OpenAPI 3.1 document with flask-openapi3.

The library routes and documents. It does not validate, because it would rebuild each
query's schema for every request and parse a body before the card screen.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from flask import Request, Response
from flask_openapi3.models.info import Info
from flask_openapi3.models.tag import Tag
from flask_openapi3.openapi import OpenAPI
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from werkzeug.routing import MapAdapter

from runtime import __version__
from web.models import responses
from web.problem_catalogue import CATALOGUE
from web.problem_codes import ProblemCode

_SCHEMAS: Final = "#/components/schemas/"
_SECURITY_SCHEME: Final = "api_key"
_DESCRIPTION: Final = (
    "Submit payment jobs and read their results. A 202 means that the payment is"
    " durable and will be carried out exactly once, even after failures. Amounts are in"
    " minor units (1999 is $19.99 or 1,999 yen). Times are RFC 3339 in UTC. Later"
    " releases only add to `/v1`.\n\n"
    "Every error is a problem by RFC 9457. Its `code` is one of:\n\n"
)
#: Problems of every call.
_ANY_PROBLEM: Final = (
    ProblemCode.BAD_REQUEST,
    ProblemCode.REQUEST_TIMEOUT,
    ProblemCode.OVERLOADED,
    ProblemCode.INTERNAL_ERROR,
)
_STATUSES: Final = {200: "OK", 201: "Created", 202: "Durable", 304: "Not modified"}
#: Headers of every answer.
_EVERY_ANSWER: Final = ("Request-Id", "RateLimit", "RateLimit-Policy")
#: Headers of answers, by name.
_HEADERS: Final = {
    "Request-Id": "The id of this request in the logs; your own if you sent a valid"
    " one",
    "Location": "The address of the created resource",
    "Retry-After": "Seconds to wait before the next request",
    "Idempotent-Replayed": "`true` if an earlier request created the payment",
    "ETag": "Changes when the payment changes",
    "WWW-Authenticate": "The authentication scheme",
    "RateLimit": "The remaining requests (r) of each quota, and the seconds until its"
    " window ends (t)",
    "RateLimit-Policy": "The requests (q) of each quota in a window of seconds (w)",
}


#: Problems of calls that need a key.
AUTHENTICATED: Final = (
    ProblemCode.API_KEY_REQUIRED,
    ProblemCode.API_KEY_INVALID,
    ProblemCode.MODE_NOT_SERVED,
    ProblemCode.TOO_MANY_REQUESTS,
    ProblemCode.STORE_UNAVAILABLE,
    ProblemCode.DOCUMENT_UNREADABLE,
)
#: Problems of calls that create a job.
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
#: Problems of operators' calls.
OPERATOR_PROBLEMS: Final = (
    *AUTHENTICATED,
    ProblemCode.ROLE_NOT_ALLOWED,
    ProblemCode.CARD_NUMBER_REFUSED,
)
#: Problems of operators' calls that change something.
OPERATOR_ACTION_PROBLEMS: Final = (
    *OPERATOR_PROBLEMS,
    ProblemCode.MALFORMED_JSON,
    ProblemCode.BODY_TOO_LARGE,
    ProblemCode.CONTENT_TYPE_NOT_SUPPORTED,
    ProblemCode.INVALID_REQUEST,
    ProblemCode.CONFLICT,
    ProblemCode.WRITE_REFUSED,
)
#: Headers of the answer to a new job.
ACCEPTED: Final = ("Location", "Retry-After", "Idempotent-Replayed")

#: The attribute of a view that holds its Route.
_ROUTE: Final = "__route__"
_View = TypeVar("_View", bound=Callable[..., Response])


@dataclass(frozen=True, slots=True)
class Route:
    """Decorates a view with its address, request and answers."""

    method: str
    rule: str
    #: By status: the model of a JSON answer, a media type, or None for no body.
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
    """A route with its view."""

    route: Route
    view: Callable[..., Response]


class Application(OpenAPI):
    """A Flask application of ordinary functions, for any host.

    Flask parses the host of each request for subdomains, and checks before each call
    of a function whether it is a coroutine.
    """

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Finds addresses by path and method alone."""
        if request is None:
            return None
        path = request.environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
        return self.url_map.bind("", path_info=path, default_method=request.method)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Returns ``func``, which is no coroutine."""
        return func


def find_calls(*owners: object) -> list[Endpoint]:
    """Finds the methods of ``owners`` that have a Route, in order."""
    return [
        Endpoint(route, getattr(owner, name))
        for owner in owners
        for name, member in vars(type(owner)).items()
        if (route := getattr(member, _ROUTE, None)) is not None
    ]


def application(calls: list[Endpoint]) -> tuple[Application, bytes]:
    """Returns a Flask application that serves ``calls``, and their OpenAPI JSON."""
    codes = "\n".join(
        f"- `{code}` ({status}): {detail}"
        for code, (status, _, detail) in CATALOGUE.items()
    )
    app = Application(
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


def _add(app: Application, call: Endpoint) -> None:
    route = call.route

    # flask-openapi3 reads the texts and the models from a function.
    def described() -> None: ...

    described.__doc__ = call.view.__doc__
    described.__annotations__ = dict(route.takes)
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
    app.view_functions[name] = call.view  # without the library's validation


def _document(app: Application, calls: list[Endpoint]) -> dict[str, Any]:
    """Returns the library's document with our own responses and schemas.

    The library's schemas drop keywords of OpenAPI 3.1, and its responses support only
    ``application/json``.
    """
    document: dict[str, Any] = app.api_doc
    models: set[tuple[type[BaseModel], JsonSchemaMode]] = {
        (responses.Problem, "serialization")
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
    """Removes pydantic's titles and null defaults, which add nothing."""
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
