"""Payments and timelines as JSON, in the shapes that ``answers`` documents."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response

from domain.answer import Failure, SavedMethod
from domain.breaker import Gate
from domain.dispute import Dispute
from domain.operation import Operation
from domain.payment import Event, Payment
from domain.states import State
from domain.submission import Mode
from domain.times import rfc3339
from persistence.accounts import StoredAccount


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
        "amount_capturable": found.capturable,
        "amount_disputed": found.disputed,
        "amount_fee": found.fee.minor if found.fee else None,
        "fee_currency": found.fee.currency if found.fee else None,
        "authorization": _hold(found),
        "provider": found.provider,
        "account": found.account.id,
        "provider_refs": dict(found.refs),
        "next_action": (
            {"type": found.next_action.type, "url": found.next_action.url}
            if found.next_action
            else None
        ),
        "last_error": _failure(found.last_error) if found.last_error else None,
        "saved_method": _saved(found.saved_method) if found.saved_method else None,
        "operations": [operation(one) for one in found.operations],
        "disputes": [_dispute(one) for one in found.disputes],
        "reference": asked.reference,
        "metadata": dict(asked.metadata),
        "created_at": rfc3339(found.created_at),
        "updated_at": rfc3339(found.updated_at),
    }


def event(told: Event) -> dict[str, Any]:
    """One line of a timeline."""
    return {
        "object": "event",
        "seq": told.seq,
        "type": told.type,
        "at": rfc3339(told.at),
        "data": dict(told.data),
    }


def operation(one: Operation) -> dict[str, Any]:
    unknown = one.send if one.state is State.UNKNOWN else None
    return {
        "id": one.id,
        "kind": one.kind,
        "amount": one.amount,
        "state": one.state,
        "attempts": one.attempts,
        "due_at": rfc3339(one.due_at) if one.due_at else None,
        "safe_retry_until": rfc3339(unknown.window_ends_at) if unknown else None,
        "waiting_for": one.waiting_for,
        "source": "provider" if one.external else "api",
        "target": one.target,
        "final": one.final,
        "fee": one.fee.minor if one.fee else None,
        "fee_currency": one.fee.currency if one.fee else None,
        "provider_refs": dict(one.refs),
    }


def _dispute(one: Dispute) -> dict[str, Any]:
    return {
        "id": one.id,
        "operation": one.operation,
        "state": one.state,
        "inquiry": one.inquiry,
        "reason": one.reason,
        "amount": one.money.minor,
        "amount_withdrawn": one.withdrawn,
        "currency": one.money.currency,
        "respond_by": rfc3339(one.respond_by) if one.respond_by else None,
        "opened_at": rfc3339(one.opened_at),
        "updated_at": rfc3339(one.updated_at or one.opened_at),
        "outcome": one.outcome,
    }


def gate(found: Gate, stored: StoredAccount | None = None) -> dict[str, Any]:
    """A gate as operators see it; ``stored`` is the account, unless it is our own."""
    return {
        "object": "gate",
        "account": found.account,
        "calls": found.calls,
        "provider": stored.provider if stored else found.account,
        "merchant": stored.merchant if stored else None,
        "state": found.position,
        "why": found.why,
        "reason": found.reason or None,
        "by": found.by or None,
        "since": rfc3339(found.since) if found.since else None,
        "next_probe_at": rfc3339(found.probe_at) if found.probe_at else None,
        "changes": [
            {
                "state": one.position,
                "why": one.why,
                "reason": one.reason,
                "by": one.by,
                "at": rfc3339(one.at),
            }
            for one in found.changes
        ],
    }


def _hold(found: Payment) -> dict[str, Any] | None:
    hold = found.hold
    if hold is None:
        return None
    return {
        "expires_at": rfc3339(hold.expires_at) if hold.expires_at else None,
        "honored_until": rfc3339(hold.honored_until) if hold.honored_until else None,
        "ended": hold.ended,
        "multicapture": found.takes_parts,
    }


def _saved(saved: SavedMethod) -> dict[str, Any]:
    return {"id": saved.id, "customer": saved.customer}


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "code": failure.code,
        "decline_code": failure.decline_code,
        "advice_code": failure.advice_code,
        "message": failure.message,
        "retryable": failure.retryable,
        "provider_request_id": failure.provider_request_id,
    }
