"""Renders payments, events and breakers as response models and JSON responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flask import Response
from werkzeug.datastructures import Headers

from domain.account import StoredAccount
from domain.circuit_breaker import CircuitBreaker
from domain.payments.answer import Failure, NextAction, SavedMethod
from domain.payments.dispute import Dispute
from domain.payments.operation import Operation
from domain.payments.payment import Event, Payment
from domain.payments.states import State
from domain.payments.submission import Mode
from web.models import responses

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class _JsonResponse(Response):
    """A response whose headers are complete: werkzeug need not correct them."""

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """Returns the headers as they are."""
        return self.headers


def json_response(
    document: responses.Answer,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Renders ``document`` as a JSON response."""
    body = document.__pydantic_serializer__.to_json(document)
    return _JsonResponse(body, status, headers, mimetype="application/json")


def render_payment(found: Payment) -> responses.Payment:
    """Renders a payment for its merchant."""
    submission = found.submission
    return responses.Payment(
        id=found.id,
        object="payment",
        livemode=found.mode is Mode.LIVE,
        status=found.status,
        amount=submission.amount.minor,
        currency=submission.amount.currency,
        amount_authorized=found.authorized,
        amount_captured=found.captured,
        amount_refunded=found.refunded,
        amount_capturable=found.capturable,
        amount_disputed=found.disputed,
        amount_fee=found.fee.minor if found.fee else None,
        fee_currency=found.fee.currency if found.fee else None,
        authorization=_render_hold(found),
        provider=found.provider,
        account=found.account.id,
        provider_refs=dict(found.refs),
        next_action=_next_action(found.next_action) if found.next_action else None,
        last_error=_render_failure(found.last_error) if found.last_error else None,
        saved_method=(
            _render_saved_method(found.saved_method) if found.saved_method else None
        ),
        operations=[render_operation(one) for one in found.operations],
        disputes=[_render_dispute(one) for one in found.disputes],
        reference=submission.reference,
        metadata=dict(submission.metadata),
        created_at=found.created_at,
        updated_at=found.updated_at,
    )


def render_event(found: Event) -> responses.Event:
    """Renders one event of a timeline."""
    return responses.Event(
        object="event",
        seq=found.seq,
        type=found.type,
        at=found.at,
        data=dict(found.data),
    )


def render_operation(one: Operation) -> responses.Operation:
    """Renders an operation for its merchant."""
    unknown = one.send if one.state is State.UNKNOWN else None
    return responses.Operation(
        id=one.id,
        kind=one.kind,
        amount=one.amount,
        state=one.state,
        attempts=one.attempts,
        due_at=one.due_at,
        safe_retry_until=unknown.window_ends_at if unknown else None,
        waiting_for=one.waiting_for,
        source="provider" if one.is_external else "api",
        target=one.target,
        final=one.final,
        fee=one.fee.minor if one.fee else None,
        fee_currency=one.fee.currency if one.fee else None,
        provider_refs=dict(one.refs),
    )


def _render_dispute(one: Dispute) -> responses.Dispute:
    return responses.Dispute(
        id=one.id,
        operation=one.operation,
        state=one.state,
        inquiry=one.inquiry,
        reason=one.reason,
        amount=one.money.minor,
        amount_withdrawn=one.withdrawn,
        currency=one.money.currency,
        respond_by=one.respond_by,
        opened_at=one.opened_at,
        updated_at=one.updated_at or one.opened_at,
        outcome=one.outcome,
    )


def render_breaker(
    found: CircuitBreaker, stored: StoredAccount | None = None
) -> responses.CircuitBreaker:
    """Renders a breaker for operators.

    ``stored`` is the merchant's account; None for the deployment's own.
    """
    return responses.CircuitBreaker(
        object="circuit_breaker",
        account=found.account,
        calls=found.call_kind,
        provider=stored.provider if stored else found.account,
        merchant=stored.merchant if stored else None,
        state=found.state,
        trip_reason=found.trip_reason,
        reason=found.reason or None,
        by=found.by or None,
        since=found.since,
        next_probe_at=found.probe_at,
        changes=[
            responses.BreakerChange(
                state=one.state,
                trip_reason=one.trip_reason,
                reason=one.reason,
                by=one.by,
                at=one.at,
            )
            for one in found.changes
        ],
    )


def _render_hold(found: Payment) -> responses.Authorization | None:
    hold = found.hold
    if hold is None:
        return None
    return responses.Authorization(
        expires_at=hold.expires_at,
        honored_until=hold.honored_until,
        ended=hold.ended,
        multicapture=found.may_capture_in_parts,
    )


def _render_saved_method(saved: SavedMethod) -> responses.SavedMethod:
    return responses.SavedMethod(id=saved.id, customer=saved.customer)


def _next_action(action: NextAction) -> responses.NextAction:
    return responses.NextAction(type=action.type, url=action.url)


def _render_failure(failure: Failure) -> responses.LastError:
    return responses.LastError(
        code=failure.code,
        decline_code=failure.decline_code,
        advice_code=failure.advice_code,
        message=failure.message,
        retryable=failure.retryable,
        provider_request_id=failure.provider_request_id,
    )
