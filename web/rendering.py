"""Payments and timelines as JSON, in the shapes that ``answers`` documents."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from flask import Response

from domain.answer import Failure
from domain.payment import Event, Operation, Payment
from domain.states import State
from domain.submission import Mode

#: States in which the payment's ``due_at`` is a time at which we act.
_TIMED: Final = frozenset({State.QUEUED, State.RETRYING, State.UNKNOWN})


def answer(
    document: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """``document`` as a JSON response."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status, headers, mimetype="application/json")


def page(data: Sequence[object], next_cursor: str | None = None) -> dict[str, Any]:
    """A list; there is more where there is a cursor."""
    return {
        "object": "list",
        "data": data,
        "has_more": next_cursor is not None,
        "next_cursor": next_cursor,
    }


def payment(found: Payment) -> dict[str, Any]:
    """A payment as its merchant sees it."""
    asked = found.submission
    return {
        "id": found.id,
        "object": "payment",
        "livemode": found.mode is Mode.LIVE,
        "status": found.status,
        "amount": asked.amount.minor,
        "currency": asked.amount.currency,
        "amount_authorized": found.authorized,
        "amount_captured": found.captured,
        "amount_refunded": found.refunded,
        "provider": asked.provider,
        "provider_refs": dict(found.refs),
        "next_action": (
            {"type": found.next_action.type, "url": found.next_action.url}
            if found.next_action
            else None
        ),
        "last_error": _failure(found.last_error) if found.last_error else None,
        "operations": [_operation(one, found) for one in found.operations],
        "reference": asked.reference,
        "metadata": dict(asked.metadata),
        "created_at": _time(found.created_at),
        "updated_at": _time(found.updated_at),
    }


def event(told: Event) -> dict[str, Any]:
    """One line of a timeline."""
    return {
        "object": "event",
        "seq": told.seq,
        "type": told.type,
        "at": _time(told.at),
        "data": dict(told.data),
    }


def _operation(one: Operation, found: Payment) -> dict[str, Any]:
    due_at = found.due_at if one.state in _TIMED else None
    unknown = one.send if one.state is State.UNKNOWN else None
    return {
        "id": one.id,
        "kind": one.kind,
        "amount": one.amount,
        "state": one.state,
        "attempts": one.attempts,
        "due_at": _time(due_at) if due_at else None,
        "safe_retry_until": _time(unknown.window_ends_at) if unknown else None,
        "waiting_for": one.waiting_for,
    }


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "code": failure.code,
        "decline_code": failure.decline_code,
        "advice_code": failure.advice_code,
        "message": failure.message,
        "retryable": failure.retryable,
        "provider_request_id": failure.provider_request_id,
    }


def _time(at: datetime) -> str:
    """RFC 3339 in UTC to the millisecond, which is what MongoDB keeps."""
    return f"{at.isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"
