"""Maps every error to an RFC 9457 problem."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from flask import Flask, Response
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import HTTPException

from application.logs import get_logger
from domain.account import AccountNotFound
from domain.card_numbers import has_card_data
from domain.errors import (
    CertificateUnavailable,
    Conflict,
    DocumentUnreadable,
    IdempotencyMismatch,
    InvalidPayment,
    PaymentNotFound,
    PaymentsError,
    ReferenceInProgress,
    ReplayNotFound,
    StoreUnavailable,
    WebhookNotTrusted,
    WebhookRefused,
    WriteRefused,
)
from web.call import CURRENT
from web.models import responses
from web.models.patterns import PATTERN_MESSAGES
from web.models.responses import FieldError
from web.problem_catalogue import CATALOGUE
from web.problem_codes import FieldErrorCode, ProblemCode

log = get_logger(__name__)

#: Seconds that a client should wait before it tries again.
RETRY_AFTER: Final = 1
#: Errors in one answer; a body can have thousands.
_MAX_ERRORS: Final = 20
#: Characters of a client's field name that a pointer may repeat.
_MAX_STEP: Final = 64

#: The start of pydantic's messages: "Input should be …", "String should have …".
_SUBJECT: Final = re.compile(r"^\w+ should")
#: The problem of each error class and its subclasses; see ``code_of``.
PROBLEMS: Final[Mapping[type, ProblemCode]] = {
    InvalidPayment: ProblemCode.INVALID_PAYMENT,
    IdempotencyMismatch: ProblemCode.IDEMPOTENCY_KEY_REUSED,
    Conflict: ProblemCode.CONFLICT,
    ReferenceInProgress: ProblemCode.REFERENCE_IN_PROGRESS,
    PaymentNotFound: ProblemCode.PAYMENT_NOT_FOUND,
    AccountNotFound: ProblemCode.ACCOUNT_NOT_FOUND,
    ReplayNotFound: ProblemCode.REPLAY_NOT_FOUND,
    StoreUnavailable: ProblemCode.STORE_UNAVAILABLE,
    WriteRefused: ProblemCode.WRITE_REFUSED,
    DocumentUnreadable: ProblemCode.DOCUMENT_UNREADABLE,
    WebhookRefused: ProblemCode.WEBHOOK_REFUSED,
    WebhookNotTrusted: ProblemCode.WEBHOOK_NOT_TRUSTED,
    CertificateUnavailable: ProblemCode.CERTIFICATE_UNAVAILABLE,
}
_OF_STATUS: Final = {
    404: ProblemCode.NOT_FOUND,
    405: ProblemCode.METHOD_NOT_ALLOWED,
    413: ProblemCode.BODY_TOO_LARGE,
    415: ProblemCode.CONTENT_TYPE_NOT_SUPPORTED,
}


class Problem(Exception):
    """An error that is answered with the problem ``code`` of CATALOGUE."""

    def __init__(
        self,
        code: ProblemCode,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        detail: str | None = None,
        reason: str | None = None,
        payment: str | None = None,
        quota: str | None = None,
        checks: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.headers = headers or {}
        self.document = document(
            code,
            errors=list(errors),
            detail=detail,
            reason=reason,
            payment=payment,
            quota=quota,
            checks=dict(checks or {}),
        )

    def response(self) -> Response:
        """Renders the problem as ``application/problem+json``."""
        call, status = CURRENT.get(), self.document.status
        self.document.request_id, call.problem = call.request_id, self.code
        response = Response(
            encode(self.document), status, mimetype="application/problem+json"
        )
        if status in (429, 503):
            response.headers["Retry-After"] = str(RETRY_AFTER)
        response.headers.update(self.headers)
        return response


def document(
    code: ProblemCode,
    *,
    request_id: str = "",
    detail: str | None = None,
    errors: list[FieldError] | None = None,
    checks: dict[str, str] | None = None,
    reason: str | None = None,
    payment: str | None = None,
    quota: str | None = None,
) -> responses.Problem:
    """Returns a problem's response model; ``detail`` defaults to the catalogue's."""
    status, title, text = CATALOGUE[code]
    return responses.Problem(
        type=f"/problems/{code}",
        title=title,
        status=status,
        detail=detail or text,
        code=code,
        request_id=request_id,
        errors=errors or [],
        checks=checks or {},
        reason=reason,
        payment=payment,
        quota=quota,
    )


def encode(problem: responses.Problem) -> bytes:
    """Encodes a problem as JSON without its empty fields."""
    return problem.__pydantic_serializer__.to_json(problem, exclude_defaults=True)


def invalid(error: ValidationError, code: ProblemCode) -> Problem:
    """Returns the errors of a pydantic model as a problem of ``code``."""
    details = error.errors(include_url=False, include_input=False, include_context=True)
    # pydantic reports a second error, "none_required", for each optional field.
    found = [detail for detail in details if detail["type"] != "none_required"]
    render = _query_error if code is ProblemCode.INVALID_QUERY else _body_error
    return Problem(code, errors=[render(detail) for detail in found[:_MAX_ERRORS]])


def register(app: Flask) -> None:
    """Answers every error of ``app`` with a problem."""
    app.register_error_handler(Problem, Problem.response)
    app.register_error_handler(PaymentsError, _handle_payments_error)
    app.register_error_handler(HTTPException, _handle_http_error)
    app.register_error_handler(Exception, _handle_unexpected)


def _handle_payments_error(error: PaymentsError) -> Response:
    if isinstance(error, InvalidPayment):
        fault = FieldError(
            code=FieldErrorCode.NOT_POSSIBLE,
            detail=str(error),
            pointer=f"/{error.field}",
        )
        return Problem(ProblemCode.INVALID_PAYMENT, errors=[fault]).response()
    if isinstance(error, Conflict):
        detail = f"The request conflicts with the current state: {error}."
        return Problem(
            ProblemCode.CONFLICT, reason=error.reason, detail=detail
        ).response()
    if isinstance(error, ReferenceInProgress):
        code = ProblemCode.REFERENCE_IN_PROGRESS
        return Problem(code, payment=error.payment).response()
    kind = code_of(error)
    return _handle_unexpected(error) if kind is None else Problem(kind).response()


def code_of(error: PaymentsError) -> ProblemCode | None:
    """Returns the code of an error's class; None for an internal error."""
    kinds = type(error).__mro__
    return next((PROBLEMS[kind] for kind in kinds if kind in PROBLEMS), None)


def _handle_http_error(error: HTTPException) -> Response:
    """Answers Flask's own errors. Flask's texts may repeat the request; ours do not."""
    status = error.code or 500
    if status >= 500:
        return _handle_unexpected(error)
    code = _OF_STATUS.get(status, ProblemCode.BAD_REQUEST)
    allow = {
        name: value for name, value in error.get_headers() if name.lower() == "allow"
    }
    return Problem(code, headers=allow).response()


def _handle_unexpected(error: Exception) -> Response:
    log.exception("request_failed", error)
    return Problem(ProblemCode.INTERNAL_ERROR).response()


def _body_error(error: ErrorDetails) -> FieldError:
    code, detail = _describe_error(error)
    return FieldError(code=code, detail=detail, pointer=pointer_to(error["loc"]))


def _query_error(error: ErrorDetails) -> FieldError:
    code, detail = _describe_error(error)
    name = str(error["loc"][0]) if error["loc"] else ""
    return FieldError(
        code=code, detail=detail, parameter=name if _is_safe_name(name) else ""
    )


def _describe_error(error: ErrorDetails) -> tuple[str, str]:
    """Returns a stable code and a text that does not repeat the input."""
    kind = error["type"]
    if kind == "missing":
        return FieldErrorCode.REQUIRED, "is required"
    if kind == "extra_forbidden":
        return FieldErrorCode.ADDITIONAL, "is not a field of this request"
    if kind == "string_pattern_mismatch":
        return FieldErrorCode.FORM, PATTERN_MESSAGES[error["ctx"]["pattern"]]
    return kind, _SUBJECT.sub("must", error["msg"], count=1)


def pointer_to(steps: Iterable[int | str]) -> str:
    """Returns the JSON pointer (RFC 6901) of an error.

    The pointer stops before an unsafe name, and is empty if its steps contain a card
    number.
    """
    pointer = ""
    for step in steps:
        name = str(step)
        if name == "[key]":  # pydantic's mark for an error in the name itself
            pointer = pointer.rpartition("/")[0]
            break
        if not _is_safe_name(name):
            break
        pointer += "/" + name.replace("~", "~0").replace("/", "~1")
    return "" if has_card_data(pointer) else pointer


def _is_safe_name(name: str) -> bool:
    short = len(name) <= _MAX_STEP and name.isprintable()
    return short and not has_card_data(name)
