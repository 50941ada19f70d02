"""Stripe's error object and the answers that carry it."""

from __future__ import annotations

from typing import Any, Final

from simulators.calls import Answer, Call, Json, Refused, new_id, to_json

#: The API version named in every answer; the one pinned by the stripe 16.1 SDK.
API_VERSION: Final = "2026-10-28.endive"


def answer(call: Call, value: object, status: int = 200) -> Answer:
    """Return an object as the answer to a call."""
    headers = {"Request-Id": call.request_id, "Stripe-Version": API_VERSION}
    if call.key is not None:
        headers["Idempotency-Key"] = call.key
    return Answer(status, to_json(value), headers)


def error(
    status: int,
    message: str,
    *,
    type: str = "invalid_request_error",
    stored: bool = False,
    **fields: Any,
) -> Answer:
    """Return Stripe's error shape; ``fields`` are added to the error object.

    ``stored``: whether Stripe stores it under the idempotency key, which it does
    only once it has begun to execute the request.
    """
    body: Json = {"error": {"message": message, "type": type, **fields}}
    code = fields.get("code")
    if code is not None:
        body["error"]["doc_url"] = f"https://stripe.com/docs/error-codes/{code}"
    headers = {
        "Request-Id": new_id("req_", 14),
        "Stripe-Version": API_VERSION,
    }
    return Answer(status, to_json(body), headers, stored=stored)


def invalid(message: str, param: str | None = None, **fields: Any) -> Refused:
    """Return the refusal of a parameter; nothing was executed and nothing is stored."""
    if param is not None:
        fields["param"] = param
    return Refused(error(400, message, **fields))


def missing(kind: str, id: str, param: str, status: int = 404) -> Refused:
    """Return the refusal of an unknown id."""
    return Refused(
        error(status, f"No such {kind}: '{id}'", code="resource_missing", param=param)
    )
