"""Every error as an RFC 9457 problem; one place knows which is which."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import Flask, Response, g
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import HTTPException

from domain.errors import (
    Conflict,
    InvalidPayment,
    PaymentsError,
    ReferenceInProgress,
)
from runtime import logs
from web.forms import FORMS
from web.screening import escaped, hides_card_number

#: Seconds a client should wait before it asks again.
RETRY_AFTER: Final = 1
#: Faults told at once; a body can hold thousands.
_MAX_FAULTS: Final = 20
#: Characters of a client's own name that a pointer repeats.
_MAX_STEP: Final = 64

#: How pydantic begins: "Input should be …", "String should have …".
_SUBJECT: Final = re.compile(r"^\w+ should")

#: Status, title and explanation of each code.
CATALOGUE: Final[Mapping[str, tuple[int, str, str]]] = {
    "bad_request": (400, "Bad request", "The request is not well-formed HTTP."),
    "malformed_json": (
        400,
        "Malformed JSON",
        "The body must be one JSON document in UTF-8, each name given once.",
    ),
    "idempotency_key_required": (
        400,
        "Idempotency-Key required",
        "Send an Idempotency-Key header, unique for what you want to happen once.",
    ),
    "idempotency_key_malformed": (
        400,
        "Malformed Idempotency-Key",
        "The key is 1 to 255 printable ASCII characters, bare or in double quotes.",
    ),
    "api_key_required": (
        401,
        "API key required",
        "Send your key as Authorization: Bearer sk_…",
    ),
    "api_key_invalid": (401, "Invalid API key", "The key is unknown or has ended."),
    "webhook_refused": (
        400,
        "Webhook refused",
        "The webhook is not well formed, too large or old, or another account's.",
    ),
    "webhook_not_trusted": (
        401,
        "Webhook not trusted",
        "Nobody that the provider vouches for has signed the webhook.",
    ),
    "certificate_unavailable": (
        503,
        "Certificate unavailable",
        "The certificate of the webhook's signature could not be fetched.",
    ),
    "role_not_allowed": (403, "Not allowed", "A key of this role may not do this."),
    "mode_not_served": (
        403,
        "Mode not served",
        "The key is of a mode, test or live, that this deployment does not serve.",
    ),
    "not_found": (404, "Not found", "There is nothing at this address."),
    "payment_not_found": (404, "Payment not found", "You have no payment of that id."),
    "account_not_found": (
        404,
        "Account not found",
        "No merchant has an account of that id at this provider.",
    ),
    "gate_not_found": (404, "Gate not found", "There is no such account."),
    "replay_not_found": (404, "Replay not found", "There is no replay of that id."),
    "method_not_allowed": (
        405,
        "Method not allowed",
        "This address does not take that method; see the Allow header.",
    ),
    "body_too_large": (413, "Body too large", "A body has at most 64 KiB."),
    "content_type_not_supported": (
        415,
        "Content type not supported",
        "Send Content-Type: application/json, without a content encoding.",
    ),
    "invalid_payment": (
        422,
        "Invalid payment",
        "Fields of the payment are wrong; see errors.",
    ),
    "invalid_request": (
        422,
        "Invalid request",
        "Fields of the request are wrong; see errors.",
    ),
    "invalid_query": (
        422,
        "Invalid query",
        "Parameters of the query are wrong; see errors.",
    ),
    "card_number_refused": (
        422,
        "Card number refused",
        "The request has what looks like a card number. It was not stored.",
    ),
    "idempotency_key_reused": (
        422,
        "Idempotency key reused",
        "This idempotency key was used before with another body.",
    ),
    "conflict": (
        409,
        "Conflict",
        "Things are in no state for this; see reason and what it says.",
    ),
    "reference_in_progress": (
        409,
        "Reference in progress",
        "Another payment of this reference stands in the way: it is unfinished, or its"
        " outcome is not known, or it is paid where paid ones are guarded too. Look at"
        " it (payment), wait for it, or say allow_duplicate_reference.",
    ),
    "too_many_unknown_accounts": (
        429,
        "Too many unknown accounts",
        "Accounts that are not there were asked for too often; try again in seconds.",
    ),
    "internal_error": (
        500,
        "Internal error",
        "Something went wrong on our side. Try again with the same Idempotency-Key.",
    ),
    "store_unavailable": (
        503,
        "Temporarily unavailable",
        "The database did not answer in time. Try again with the same Idempotency-Key:"
        " nothing happens twice.",
    ),
    "not_ready": (503, "Not ready", "This process cannot accept payments now."),
}
_OF_STATUS: Final = {
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "content_type_not_supported",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. ``detail`` never repeats what was sent."""

    code: str
    detail: str
    pointer: str | None = None  #: JSON pointer into the body
    parameter: str | None = None  #: name of a query parameter or header

    def shown(self) -> dict[str, str]:
        """The fault without what it does not have."""
        found = {
            "pointer": self.pointer,
            "parameter": self.parameter,
            "detail": self.detail,
            "code": self.code,
        }
        return {name: value for name, value in found.items() if value is not None}


class Problem(Exception):
    """A request that ends here, with an answer of its ``code`` in CATALOGUE."""

    def __init__(
        self,
        code: str,
        *,
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.errors = errors
        self.headers = headers or {}
        self.more = more or {}

    def response(self) -> Response:
        """The problem as ``application/problem+json``."""
        status, title, detail = CATALOGUE[self.code]
        document: dict[str, Any] = {
            "type": f"/problems/{self.code}",
            "title": title,
            "status": status,
            "detail": detail,
            "code": self.code,
            "request_id": g.get("request_id"),
            **self.more,
        }
        if self.errors:
            document["errors"] = [fault.shown() for fault in self.errors]
        response = Response(
            json.dumps(document), status, mimetype="application/problem+json"
        )
        if status in (429, 503):
            response.headers["Retry-After"] = str(RETRY_AFTER)
        response.headers.update(self.headers)
        g.problem = self.code
        return response


def invalid(error: ValidationError, code: str) -> Problem:
    """What a pydantic model found, as a problem of ``code``."""
    found = error.errors(include_url=False, include_input=False, include_context=True)
    of = _query_fault if code == "invalid_query" else _body_fault
    return Problem(code, errors=[of(one) for one in found[:_MAX_FAULTS]])


def register(app: Flask) -> None:
    """Makes every error of ``app`` a problem."""
    app.register_error_handler(Problem, Problem.response)
    app.register_error_handler(PaymentsError, _of_ours)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(Exception, _unforeseen)


def _of_ours(error: PaymentsError) -> Response:
    if isinstance(error, InvalidPayment):
        fault = Fault("not_possible", str(error), pointer=f"/{error.field}")
        return Problem(error.code, errors=[fault]).response()
    if isinstance(error, Conflict):
        more = {"reason": error.why, "detail": f"It cannot be done: {error}."}
        return Problem(error.code, more=more).response()
    if isinstance(error, ReferenceInProgress):
        return Problem(error.code, more={"payment": error.payment}).response()
    if error.code not in CATALOGUE:
        return _unforeseen(error)
    return Problem(error.code).response()


def _of_http(error: HTTPException) -> Response:
    """What Flask itself refuses; its words may repeat the request, ours do not."""
    status = error.code or 500
    if status >= 500:
        return _unforeseen(error)
    code = _OF_STATUS.get(status, "bad_request")
    allow = {
        name: value for name, value in error.get_headers() if name.lower() == "allow"
    }
    return Problem(code, headers=allow).response()


def _unforeseen(error: Exception) -> Response:
    logs.get_logger().error("request_failed", exc_info=(type(error), error, None))
    return Problem("internal_error").response()


def _body_fault(error: ErrorDetails) -> Fault:
    code, detail = _said(error)
    return Fault(code, detail, pointer=_pointer(error["loc"]))


def _query_fault(error: ErrorDetails) -> Fault:
    code, detail = _said(error)
    name = str(error["loc"][0]) if error["loc"] else ""
    return Fault(code, detail, parameter=name if _tellable(name) else "")


def _said(error: ErrorDetails) -> tuple[str, str]:
    """A stable code, and words that repeat nothing of the input."""
    kind = error["type"]
    if kind == "missing":
        return "required", "is required"
    if kind == "extra_forbidden":
        return "additional", "is not a field of this request"
    if kind == "string_pattern_mismatch":
        return "form", FORMS[error["ctx"]["pattern"]]
    return kind, _SUBJECT.sub("must", error["msg"], count=1)


def _pointer(steps: Iterable[int | str]) -> str:
    """The JSON pointer of a fault; it stops before a name that is not worth telling."""
    pointer = ""
    for step in steps:
        name = str(step)
        if name == "[key]":  # pydantic's mark for a fault in the name itself
            return pointer.rpartition("/")[0]
        if not _tellable(name):
            break
        pointer += f"/{escaped(name)}"
    return pointer


def _tellable(name: str) -> bool:
    short = len(name) <= _MAX_STEP and name.isprintable()
    return short and not hides_card_number(name)
