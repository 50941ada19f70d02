"""Payments as documents and back: pure, but for the vault's ciphers.

What people or providers could be harmed by is sealed field by field:
``payment_method``, ``email``, ``description``, ``return_url``, ``metadata``, the body
of a send, a failure's message (providers quote tokens there) and the address of a
next action.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from domain.answer import Failure, NextAction
from domain.money import Money
from domain.payment import Event, Kind, Operation, Payment, Send
from domain.states import FINAL, State
from domain.submission import Mode, ProviderName, Submission
from persistence.vault import Vault

Document = dict[str, Any]


def encode(payment: Payment, vault: Vault) -> Document:
    """The whole document of a new payment."""
    asked = payment.submission
    document: Document = {
        "_id": payment.id,
        "merchant": payment.merchant,
        "mode": payment.mode.value,
        "idempotency_key": payment.idempotency_key,
        "fingerprint": payment.fingerprint,
        "provider": asked.provider.value,
        "amount": asked.amount.minor,
        "currency": asked.amount.currency,
        "reference": asked.reference,
        "payment_method": _sealed(asked.payment_method, vault),
        "email": _sealed(asked.email, vault),
        "description": _sealed(asked.description, vault),
        "return_url": _sealed(asked.return_url, vault),
        "metadata": _sealed(
            json.dumps(dict(asked.metadata)) if asked.metadata else None, vault
        ),
        "execute_at": asked.execute_at,
        "created_at": payment.created_at,
        "request_id": payment.request_id,
        "traceparent": payment.traceparent,
        **progress(payment, vault),
        "due_at": payment.due_at,
        "version": payment.version,
        "timeline": news(payment),
    }
    return {name: value for name, value in document.items() if value is not None}


def progress(payment: Payment, vault: Vault) -> Document:
    """The fields that a step changes, those of its lease aside.

    None stands for a field that the document shall not have: ``open`` is there only
    while it is, which keeps its index small.
    """
    state = payment.operation.state
    action, error = payment.next_action, payment.last_error
    return {
        "status": payment.status.value,
        "open": None if state in FINAL else state.value,
        "operations": [_operation(one, vault) for one in payment.operations],
        "authorized": payment.authorized,
        "captured": payment.captured,
        "refunded": payment.refunded,
        "refs": dict(payment.refs),
        "next_action": action and {**asdict(action), "url": vault.seal(action.url)},
        "last_error": error and {**asdict(error), "message": vault.seal(error.message)},
        "updated_at": payment.updated_at,
        "told": payment.told + len(payment.news),
    }


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


def decode(document: Mapping[str, Any], vault: Vault) -> Payment:
    """The payment that a document holds; its timeline is not needed."""
    money = Money(document["amount"], document["currency"])
    metadata = _opened(document.get("metadata"), vault)
    action, error = document.get("next_action"), document.get("last_error")
    return Payment(
        id=document["_id"],
        merchant=document["merchant"],
        mode=Mode(document["mode"]),
        idempotency_key=document["idempotency_key"],
        fingerprint=document["fingerprint"],
        submission=Submission(
            amount=money,
            provider=ProviderName(document["provider"]),
            payment_method=_opened(document.get("payment_method"), vault),
            reference=document.get("reference"),
            description=_opened(document.get("description"), vault),
            return_url=_opened(document.get("return_url"), vault),
            email=_opened(document.get("email"), vault),
            metadata=json.loads(metadata) if metadata else {},
            execute_at=document.get("execute_at"),
        ),
        operations=tuple(_as_operation(one, vault) for one in document["operations"]),
        created_at=document["created_at"],
        updated_at=document["updated_at"],
        due_at=document.get("due_at"),
        request_id=document.get("request_id"),
        traceparent=document.get("traceparent"),
        authorized=document["authorized"],
        captured=document["captured"],
        refunded=document["refunded"],
        refs=document["refs"],
        next_action=action
        and NextAction(**{**action, "url": vault.open(action["url"])}),
        last_error=error
        and Failure(**{**error, "message": vault.open(error["message"])}),
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


def _operation(operation: Operation, vault: Vault) -> Document:
    send = operation.send
    return {
        "id": operation.id,
        "kind": operation.kind.value,
        "amount": operation.amount,
        "state": operation.state.value,
        "attempts": operation.attempts,
        "generation": operation.generation,
        "started_at": operation.started_at,
        "waiting_for": operation.waiting_for,
        "send": send
        and {
            "key": send.key,
            "body": vault.seal(send.body),
            "first_at": send.first_at,
            "window_ends_at": send.window_ends_at,
        },
    }


def _as_operation(document: Mapping[str, Any], vault: Vault) -> Operation:
    send = document["send"]
    return Operation(
        id=document["id"],
        kind=Kind(document["kind"]),
        amount=document["amount"],
        state=State(document["state"]),
        attempts=document["attempts"],
        generation=document["generation"],
        started_at=document["started_at"],
        waiting_for=document["waiting_for"],
        send=send
        and Send(
            key=send["key"],
            body=vault.open(send["body"]),
            first_at=send["first_at"],
            window_ends_at=send["window_ends_at"],
        ),
    )


def _sealed(text: str | None, vault: Vault) -> bytes | None:
    return None if text is None else vault.seal(text)


def _opened(sealed: bytes | None, vault: Vault) -> str | None:
    return None if sealed is None else vault.open(sealed)
