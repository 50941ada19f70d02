"""Parses requests: bodies, queries, cursors, keys and trace contexts."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Sequence
from decimal import Decimal, DecimalException
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from flask import Request
from pydantic import BaseModel, ValidationError
from werkzeug.wsgi import get_input_stream

from domain.card_numbers import NOT_A_CARD, has_card_data, is_sensitive
from web.card_screen import find_card_data, is_within_bounds
from web.models import patterns
from web.models.responses import FieldError
from web.models.types import Query
from web.problem_codes import FieldErrorCode, ProblemCode
from web.problems import Problem, invalid, pointer_to

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

QueryModel = TypeVar("QueryModel", bound=Query)
Model = TypeVar("Model", bound=BaseModel)
_Row = TypeVar("_Row")

#: Bytes. The largest valid submission has 40 KiB.
MAX_BODY: Final = 64 * 1024
#: Names in a query; the largest model has ten.
_MAX_PARAMETERS: Final = 100

#: Structured Fields string (RFC 9651, section 3.3.3).
_QUOTED: Final = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BARE: Final = re.compile(r"[!#-~](?:[ -~]{0,253}[!-~])?")
#: Characters. Longer keys have no use and enlarge the index.
_MAX_KEY: Final = 255
#: W3C Trace Context, version 00; ids of zeros only are invalid.
_TRACEPARENT: Final = re.compile(
    r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._\-]{1,64}")
#: RFC 6750's b64token. Our keys have 67 characters; much longer ones are not looked up.
_BEARER: Final = re.compile(r"Bearer +([A-Za-z0-9\-._~+/]{1,200}=*)", re.IGNORECASE)


def parse_bearer(request: Request) -> str | None:
    """Returns the API key of a request, or None if it is not well formed."""
    found = _BEARER.fullmatch(request.headers.get("Authorization", ""))
    return found[1] if found else None


def read_body(request: Request, limit: int) -> bytes:
    """Returns the body, or its first ``limit`` + 1 bytes if it is longer."""
    return get_input_stream(request.environ).read(limit + 1)


def parse_json(request: Request, *, optional: bool = False) -> Any:
    """Returns the JSON body, screened for card data; ``{}`` for an ``optional`` one.

    Numbers with a point or an exponent are exact Decimals. Raises Problem if the body
    is too large (in bytes, values, levels or names), of another media type, not JSON in
    UTF-8 (repeated names, NaN and infinities included), or has card data.
    """
    body = read_body(request, MAX_BODY)
    if optional and not body:
        return {}
    if request.mimetype != "application/json" or "Content-Encoding" in request.headers:
        raise Problem(ProblemCode.CONTENT_TYPE_NOT_SUPPORTED)
    if len(body) > MAX_BODY:
        raise Problem(ProblemCode.BODY_TOO_LARGE)
    try:
        document = _DECODER.decode(body.decode())
    except (ValueError, RecursionError, DecimalException):
        raise Problem(ProblemCode.MALFORMED_JSON) from None
    if not is_within_bounds(document):
        raise Problem(ProblemCode.BODY_TOO_LARGE)
    steps = find_card_data(document)
    if steps is not None:
        raise _card_problem(pointer=pointer_to(steps))
    return document


def parse_body(
    request: Request, model: type[Model], *, optional: bool = False
) -> Model:
    """Returns the body as ``model``. Raises Problem as ``parse_json`` does, or with
    the fields' errors.
    """
    document = parse_json(request, optional=optional)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise invalid(error, ProblemCode.INVALID_REQUEST) from None


def parse_query(request: Request, model: type[QueryModel]) -> QueryModel:
    """Returns the query as ``model``, screened for card data.

    Raises Problem if the query is not valid.
    """
    given = dict(request.args.lists())
    if len(given) > _MAX_PARAMETERS:
        detail = f"must have at most {_MAX_PARAMETERS} names"
        fault = FieldError(code=FieldErrorCode.TOO_LONG, detail=detail)
        raise Problem(ProblemCode.INVALID_QUERY, errors=[fault])
    known = _names(model)
    for name, values in given.items():
        sensitive = any(is_sensitive(name, value) for value in values)
        if sensitive or has_card_data(name) or any(map(has_card_data, values)):
            raise _card_problem(parameter=name if name in known else "")
        if len(values) > 1 and name in known:
            detail = "must be given once"
            fault = FieldError(
                code=FieldErrorCode.REPEATED, detail=detail, parameter=name
            )
            raise Problem(ProblemCode.INVALID_QUERY, errors=[fault])
    try:
        return model.model_validate({name: texts[0] for name, texts in given.items()})
    except ValidationError as error:
        raise invalid(error, ProblemCode.INVALID_QUERY) from None


def _encode_cursor(last: str) -> str:
    """Returns an opaque cursor for the page after ``last``."""
    return base64.urlsafe_b64encode(last.encode()).decode().rstrip("=")


def split_page(
    found: Sequence[_Row], limit: int, *, position: Callable[[_Row], str]
) -> tuple[Sequence[_Row], str | None]:
    """Returns a page of ``limit`` rows, and the cursor of the next page, if any.

    ``found`` was read with one row more, which shows whether there is another page.
    """
    shown = found[:limit]
    more = len(found) > len(shown)
    return shown, _encode_cursor(position(shown[-1])) if more else None


def decode_cursor(cursor: str | None, form: str) -> str | None:
    """Returns the position that a cursor encodes; None without a cursor.

    Raises Problem if it does not match ``form``.
    """
    if cursor is None:
        return None
    try:
        found = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        found = ""
    if not re.fullmatch(form, found):
        detail = patterns.PATTERN_MESSAGES[patterns.CURSOR]
        fault = FieldError(code=FieldErrorCode.FORM, detail=detail, parameter="cursor")
        raise Problem(ProblemCode.INVALID_QUERY, errors=[fault])
    return found


def parse_idempotency_key(request: Request) -> str:
    """Returns the key without quotes. Raises Problem if it is missing or invalid."""
    given = request.headers.get("Idempotency-Key", "").strip(" \t")
    if not given:
        raise Problem(ProblemCode.IDEMPOTENCY_KEY_REQUIRED)
    quoted = _QUOTED.fullmatch(given)
    if quoted:
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    elif _BARE.fullmatch(given):
        key = given
    else:
        raise Problem(ProblemCode.IDEMPOTENCY_KEY_MALFORMED)
    if not 1 <= len(key) <= _MAX_KEY:
        raise Problem(ProblemCode.IDEMPOTENCY_KEY_MALFORMED)
    if has_card_data(key):
        raise _card_problem(parameter="Idempotency-Key")
    return key


def parse_request_id(environ: WSGIEnvironment) -> str | None:
    """Returns the client's request id, or None if it is missing or not safe to log."""
    given: str = environ.get("HTTP_REQUEST_ID", "")
    if _REQUEST_ID.fullmatch(given) and not has_card_data(given):
        return given
    return None


def parse_traceparent(request: Request) -> str | None:
    """Returns the W3C trace context, or None if it is missing or not well formed."""
    given = request.headers.get("Traceparent", "")
    if _TRACEPARENT.fullmatch(given) and not has_card_data(given):
        return given
    return None


def _card_problem(
    *, pointer: str | None = None, parameter: str | None = None
) -> Problem:
    detail = (
        "looks like card data: a card number, a magnetic stripe, or a field for a"
        " security code or PIN. Send the provider's token instead. An identifier that"
        f" only looks like a card number is accepted with {NOT_A_CARD} before its"
        " digits"
    )
    fault = FieldError(
        code=FieldErrorCode.CARD_NUMBER_REFUSED,
        detail=detail,
        pointer=pointer,
        parameter=parameter,
    )
    return Problem(ProblemCode.CARD_NUMBER_REFUSED, errors=[fault])


def _names(model: type[Query]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises ValueError for a repeated name, because JSON readers interpret it
    differently.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is given twice")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=Decimal, parse_constant=_refuse
)
