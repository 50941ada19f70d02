"""Payments as documents and back: pure, but for the vault's ciphers.

What people or providers could be harmed by is sealed field by field:
``payment_method``, ``email``, ``customer``, ``saved_method``, ``description``,
``return_url``, ``metadata``, the body of a send, a failure's message (providers quote
tokens there) and the address of a next action.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from domain.answer import Failure, NextAction
from domain.money import Money
from domain.operation import Act, Claim, Kind
from domain.payment import Event, Payment
from domain.states import State
from domain.submission import (
    CaptureMethod,
    FutureUsage,
    Guard,
    Mode,
    Submission,
)
from persistence.nested import (
    flat,
    opened,
    read_account,
    read_dispute,
    read_hold,
    read_operation,
    read_saved,
    read_whose,
    sealed,
    write_account,
    write_dispute,
    write_hold,
    write_operation,
    write_saved,
    write_whose,
)
from persistence.vault import Opener, Vault

Document = dict[str, Any]


def encode(payment: Payment, vault: Vault) -> Document:
    """The whole document of a new payment."""
    asked = payment.submission
    document: Document = {
        "_id": payment.id,
        "merchant": payment.merchant,
        "mode": payment.mode.value,
        "provider": payment.provider.value,
        "any_provider": asked.provider is None or None,
        "capture": asked.capture.value,
        "amount": asked.amount.minor,
        "currency": asked.amount.currency,
        "reference": asked.reference,
        "guard": asked.guard.value,
        "guards": asked.reference if payment.guarding else None,
        "payment_method": sealed(asked.payment_method, vault),
        "email": sealed(asked.email, vault),
        "customer": sealed(asked.customer, vault),
        "off_session": asked.off_session or None,
        "setup_future_usage": asked.setup_future_usage
        and asked.setup_future_usage.value,
        "multicapture": asked.multicapture or None,
        "description": sealed(asked.description, vault),
        "return_url": sealed(asked.return_url, vault),
        "metadata": sealed(
            json.dumps(dict(asked.metadata)) if asked.metadata else None, vault
        ),
        "execute_at": asked.execute_at,
        "created_at": payment.created_at,
        **progress(payment, vault),
        "due_at": payment.due_at,
        "version": payment.version,
        "timeline": news(payment),
        "routes_on": list(payment.routes_on) or None,
    }
    return {name: value for name, value in document.items() if value is not None}


def progress(payment: Payment, vault: Vault) -> Document:
    """The fields that a step changes, those of its lease aside.

    None stands for a field that the document shall not have: ``open`` is there only
    while it is, which keeps its index small. Totals are for those who search.
    """
    action, error = payment.next_action, payment.last_error
    saved = payment.saved_method
    return {
        "status": payment.status.value,
        "open": _open(payment),
        "operations": [write_operation(one, vault) for one in payment.operations],
        "keys": [one.origin.idempotency_key for one in payment.operations],
        "hold": payment.hold and write_hold(payment.hold),
        "claim": payment.claim and flat(payment.claim),
        "authorized": payment.authorized,
        "captured": payment.captured,
        "refunded": payment.refunded,
        "moved_at": _moved_at(payment) or None,
        "next_action": action and {**flat(action), "url": vault.seal(action.url)},
        "last_error": error and {**flat(error), "message": vault.seal(error.message)},
        "disputes": [write_dispute(one) for one in payment.disputes] or None,
        "saved_method": saved and write_saved(saved, vault),
        "updated_at": payment.updated_at,
        "told": payment.told + len(payment.news),
        **_where(payment),
    }


def _where(payment: Payment) -> Document:
    """Nothing where it is the deployment's own account: from there none goes on."""
    if payment.account.is_own:
        return {}
    return {
        **write_whose(payment.account),
        "route": [write_account(one) for one in payment.route] or None,
    }


#: Of several open operations the one that an operator should hear of first.
_URGENCY: Final = (
    *(State.REVIEW, State.DEAD, State.UNKNOWN, State.RUNNING, State.RETRYING),
    *(State.QUEUED, State.REQUIRES_ACTION, State.PENDING),
)


def _moved_at(payment: Payment) -> list[datetime]:
    """When money moved between payer and merchant: to be found by in a statement."""
    return [
        one.moved_at
        for one in payment.operations
        if one.moved_at is not None and one.kind is not Kind.AUTHORIZE
    ]


def _open(payment: Payment) -> str | None:
    states = {one.state for one in payment.operations}
    return next((state.value for state in _URGENCY if state in states), None)


def resealed(document: Mapping[str, Any], vault: Vault) -> Document:
    """The fields of ``document`` that an older key sealed, under the newest one.

    Names are MongoDB's paths to them; empty where nothing is left to do.
    """
    return {
        path: vault.seal(vault.open(value))
        for path, value in _sealed_fields("", document)
        if not vault.is_current(value)
    }


def _sealed_fields(path: str, value: Any) -> Iterator[tuple[str, bytes]]:
    """Nothing else in a document is bytes."""
    if isinstance(value, bytes):
        yield path, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _sealed_fields(f"{path}.{name}" if path else name, item)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _sealed_fields(f"{path}.{place}", item)


def news(payment: Payment) -> list[Document]:
    """The events that are not stored yet."""
    return [
        {"seq": event.seq, "type": event.type, "at": event.at, "data": dict(event.data)}
        for event in payment.news
    ]


def decode(document: Mapping[str, Any], vault: Opener) -> Payment:
    """The payment that a document holds; its timeline is not needed."""
    money = Money(document["amount"], document["currency"])
    account = read_whose(document)
    metadata = opened(document.get("metadata"), vault)
    action, error = document.get("next_action"), document.get("last_error")
    hold, claim = document.get("hold"), document.get("claim")
    usage, saved = document.get("setup_future_usage"), document.get("saved_method")
    return Payment(
        id=document["_id"],
        merchant=document["merchant"],
        mode=Mode(document["mode"]),
        submission=Submission(
            amount=money,
            provider=None if document.get("any_provider") else account.provider,
            capture=CaptureMethod(document["capture"]),
            payment_method=opened(document.get("payment_method"), vault),
            reference=document.get("reference"),
            description=opened(document.get("description"), vault),
            return_url=opened(document.get("return_url"), vault),
            email=opened(document.get("email"), vault),
            customer=opened(document.get("customer"), vault),
            off_session=document.get("off_session", False),
            setup_future_usage=usage and FutureUsage(usage),
            multicapture=document.get("multicapture", False),
            metadata=json.loads(metadata) if metadata else {},
            execute_at=document.get("execute_at"),
            guard=Guard(document["guard"]),
        ),
        account=account,
        route=tuple(map(read_account, document.get("route", ()))),
        routes_on=tuple(document.get("routes_on", ())),
        operations=tuple(read_operation(one, vault) for one in document["operations"]),
        created_at=document["created_at"],
        updated_at=document["updated_at"],
        hold=hold and read_hold(hold),
        claim=claim and Claim(**{**claim, "act": Act(claim["act"])}),
        next_action=action
        and NextAction(**{**action, "url": vault.open(action["url"])}),
        last_error=error
        and Failure(**{**error, "message": vault.open(error["message"])}),
        disputes=tuple(read_dispute(one) for one in document.get("disputes", ())),
        saved_method=saved and read_saved(saved, vault),
        version=document["version"],
        told=document["told"],
    )


def decode_event(document: Mapping[str, Any]) -> Event:
    """One line of the timeline."""
    return Event(
        seq=document["seq"],
        type=document["type"],
        at=document["at"],
        data=document["data"],
    )
