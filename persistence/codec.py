"""Converts payments, and the values nested in them, to documents and back.

Pure, apart from the vault's encryption. Sensitive fields are in two seals, each bound
to its field and to the payment's id, merchant and mode:

``personal_data``, written once, when the payment is accepted: ``payment_method``,
``email``, ``customer``, ``description``, ``return_url`` and ``metadata``;
``provider_data``, written by each step: the bodies of sends, the saved method, a
failure's message (providers may quote tokens) and the URL of a next action.

Operations, disputes, holds and accounts have functions of their own here, because other
documents contain them too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from domain.account import Account
from domain.money import Fee, Money
from domain.payments.answer import Failure, NextAction, NextActionType, SavedMethod
from domain.payments.dispute import Dispute, DisputeState
from domain.payments.operation import (
    Claim,
    ClaimAction,
    Hold,
    HoldEnd,
    Kind,
    Operation,
    Origin,
    Send,
)
from domain.payments.payment import Event, Payment
from domain.payments.states import State
from domain.payments.submission import (
    CaptureMethod,
    DuplicatePolicy,
    FutureUsage,
    Mode,
    ProviderName,
    Submission,
)
from persistence.encryption import SealBroken, Vault

Document = dict[str, Any]

#: The sealed fields.
PERSONAL: Final = "personal_data"
PROVIDER: Final = "provider_data"

#: Sealed fields of a submission, beside its metadata.
_PERSONAL: Final = (
    *("payment_method", "email", "customer", "description", "return_url"),
)
#: Names in the sealed provider data.
_ACTION_URL: Final = "next_action.url"
_MESSAGE: Final = "last_error.message"
_SAVED: Final = "saved_method.id"
_SAVED_FOR: Final = "saved_method.customer"
_BODY: Final = "body of "  #: followed by the send's key, which identifies the body
#: Fields of an operation that are stored unchanged if they are set.
_PLAIN_FIELDS: Final = (
    *("due_at", "moved", "moved_at", "target", "final", "attempts", "started_at"),
    *("lookups_since", "lookup_count", "waiting_for", "error", "approved"),
    *("resolved_by_operator", "may_have_duplicate_order"),
)

#: Fields of a dispute that are stored unchanged if they are set.
_DISPUTE_FIELDS: Final = tuple(
    "inquiry withdrawn respond_by outcome operation updated_at".split()
)


def encode_payment(payment: Payment, vault: Vault) -> Document:
    """The whole document of a new payment."""
    submission = payment.submission
    document: Document = {
        "_id": payment.id,
        "merchant": payment.merchant,
        "mode": payment.mode.value,
        "provider": payment.provider.value,
        "any_provider": submission.provider is None or None,
        "capture": submission.capture.value,
        "amount": submission.amount.minor,
        "currency": submission.amount.currency,
        "reference": submission.reference,
        "duplicate_policy": submission.duplicate_policy.value,
        "blocked_reference": (
            submission.reference if payment.blocks_reference else None
        ),
        "off_session": submission.off_session or None,
        "setup_future_usage": submission.setup_future_usage
        and submission.setup_future_usage.value,
        "multicapture": submission.multicapture or None,
        PERSONAL: vault.seal(
            _personal_data(payment), *_payment_binding(payment, PERSONAL)
        ),
        "execute_at": submission.execute_at,
        "created_at": payment.created_at,
        **encode_progress(payment, vault),
        "due_at": payment.due_at,
        "version": payment.version,
        "timeline": encode_events(payment),
        "routes_on": list(payment.routes_on) or None,
    }
    return {name: value for name, value in document.items() if value is not None}


def encode_progress(payment: Payment, vault: Vault) -> Document:
    """The fields that a step changes, without those of its lease.

    None removes a field from the document. ``open`` exists only while an operation is
    open, which keeps its index small. The totals are for searches.
    """
    sealed_fields = _provider_data(payment)
    return {
        "status": payment.status.value,
        "open": _open_state(payment),
        "operations": [encode_operation(one) for one in payment.operations],
        "keys": [
            one.origin.idempotency_key for one in payment.operations if one.origin
        ],
        "hold": payment.hold and encode_hold(payment.hold),
        "claim": payment.claim and to_dict(payment.claim),
        "authorized": payment.authorized,
        "captured": payment.captured,
        "refunded": payment.refunded,
        "moved_at": _movement_times(payment) or None,
        "next_action": _fields_without(payment.next_action, "url"),
        "last_error": _fields_without(payment.last_error, "message"),
        PROVIDER: sealed_fields
        and vault.seal(sealed_fields, *_payment_binding(payment, PROVIDER)),
        "disputes": [encode_dispute(one) for one in payment.disputes] or None,
        "updated_at": payment.updated_at,
        "event_count": payment.event_count + len(payment.pending_events),
        **_account_fields(payment),
    }


def seal_binding(
    field: str, payment_id: str, merchant: str, mode: str
) -> tuple[str, str, str, str, str]:
    """The values that a payment's sealed ``field`` is bound to."""
    return "payments", field, payment_id, merchant, mode


def document_binding(document: Mapping[str, Any], field: str) -> tuple[str, ...]:
    """The binding of a sealed ``field``, from a payment's document."""
    return seal_binding(field, document["_id"], document["merchant"], document["mode"])


def _payment_binding(payment: Payment, field: str) -> tuple[str, ...]:
    return seal_binding(field, payment.id, payment.merchant, payment.mode.value)


def _personal_data(payment: Payment) -> str:
    submission = payment.submission
    fields = {name: getattr(submission, name) for name in _PERSONAL}
    return to_sealed_text({**fields, "metadata": dict(submission.metadata) or None})


def _provider_data(payment: Payment) -> str | None:
    action, error = payment.next_action, payment.last_error
    saved = payment.saved_method
    sends = [one.send for one in payment.operations if one.send is not None]
    return provider_data(
        action_url=action.url if action else None,
        message=error.message if error else None,
        saved=saved.id if saved else None,
        saved_for=saved.customer if saved else None,
        bodies={send.key: send.body for send in sends},
    )


def provider_data(
    *,
    action_url: str | None,
    message: str | None,
    saved: str | None,
    saved_for: str | None,
    bodies: Mapping[str, str],
) -> str | None:
    """The text to seal, or None if every field is empty; ``bodies`` by send key."""
    fields = {
        _ACTION_URL: action_url,
        _MESSAGE: message,
        _SAVED: saved,
        _SAVED_FOR: saved_for,
        **{_BODY + key: body for key, body in bodies.items()},
    }
    has_values = any(value is not None for value in fields.values())
    return to_sealed_text(fields) if has_values else None


def to_sealed_text(fields: Document) -> str:
    """The text to seal for ``fields``; those that are None are left out."""
    given = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(given, separators=(",", ":"), ensure_ascii=False)


def _fields_without(value: Any, name: str) -> Document | None:
    """A value's fields without the sealed one."""
    if value is None:
        return None
    fields = to_dict(value)
    del fields[name]
    return fields


def _account_fields(payment: Payment) -> Document:
    """The account and its route; empty for the deployment's own account."""
    if payment.account.is_own:
        return {}
    return {
        **encode_account_fields(payment.account),
        "route": [encode_account(one) for one in payment.route] or None,
    }


#: Open states in the order of their urgency for an operator.
_URGENCY: Final = (
    *(State.REVIEW, State.DEAD, State.UNKNOWN, State.RUNNING, State.RETRYING),
    *(State.QUEUED, State.REQUIRES_ACTION, State.PENDING),
)


def _movement_times(payment: Payment) -> list[datetime]:
    """When money moved between payer and merchant; reconciliation searches by it."""
    return [
        one.moved_at
        for one in payment.operations
        if one.moved_at is not None and one.kind is not Kind.AUTHORIZE
    ]


def _open_state(payment: Payment) -> str | None:
    states = {one.state for one in payment.operations}
    return next((state.value for state in _URGENCY if state in states), None)


def encode_events(payment: Payment) -> list[Document]:
    """The payment's pending events."""
    return [
        {"seq": event.seq, "type": event.type, "at": event.at, "data": dict(event.data)}
        for event in payment.pending_events
    ]


def decode_payment(document: Mapping[str, Any], vault: Vault | None) -> Payment:
    """Decodes a payment's document; the timeline may be missing.

    Without a vault nothing is opened, for reads of many payments: sealed texts are
    empty and optional sealed fields are left out. Raises KeyMissing and SealBroken, and
    ValueError if the payment has no operation.
    """
    if not document["operations"]:
        raise ValueError("a payment has at least one operation")
    personal = _open_sealed(document, PERSONAL, vault)
    account = decode_account_fields(document)
    action, error = document.get("next_action"), document.get("last_error")
    hold, claim = document.get("hold"), document.get("claim")
    usage = document.get("setup_future_usage")
    provider_fields = (
        _open_sealed(document, PROVIDER, vault) if PROVIDER in document else {}
    )

    def unsealed(name: str) -> str:
        if vault is None:
            return ""
        if name not in provider_fields:
            raise SealBroken
        return str(provider_fields[name])

    return Payment(
        id=document["_id"],
        merchant=document["merchant"],
        mode=Mode(document["mode"]),
        submission=Submission(
            amount=Money(document["amount"], document["currency"]),
            provider=None if document.get("any_provider") else account.provider,
            capture=CaptureMethod(document["capture"]),
            reference=document.get("reference"),
            off_session=document.get("off_session", False),
            setup_future_usage=usage and FutureUsage(usage),
            multicapture=document.get("multicapture", False),
            execute_at=document.get("execute_at"),
            duplicate_policy=DuplicatePolicy(document["duplicate_policy"]),
            **personal,
        ),
        account=account,
        route=tuple(map(decode_account, document.get("route", ()))),
        routes_on=tuple(document.get("routes_on", ())),
        operations=tuple(
            decode_operation(one, lambda key: unsealed(_BODY + key))
            for one in document["operations"]
        ),
        created_at=document["created_at"],
        updated_at=document["updated_at"],
        hold=hold and decode_hold(hold),
        claim=claim and Claim(**{**claim, "action": ClaimAction(claim["action"])}),
        next_action=action
        and NextAction(url=unsealed(_ACTION_URL), type=NextActionType(action["type"])),
        last_error=error and Failure(**{**error, "message": unsealed(_MESSAGE)}),
        disputes=tuple(decode_dispute(one) for one in document.get("disputes", ())),
        saved_method=(
            SavedMethod(provider_fields[_SAVED], provider_fields.get(_SAVED_FOR))
            if _SAVED in provider_fields
            else None
        ),
        version=document["version"],
        event_count=document["event_count"],
    )


def _open_sealed(
    document: Mapping[str, Any], field: str, vault: Vault | None
) -> Document:
    """The sealed fields; empty without a vault."""
    if vault is None:
        return {}
    text = vault.open(document.get(field), *document_binding(document, field))
    opened: Document = json.loads(text)
    return opened


def decode_event(document: Mapping[str, Any]) -> Event:
    """Decodes one event of the timeline."""
    return Event(
        seq=document["seq"],
        type=document["type"],
        at=document["at"],
        data=document["data"],
    )


def to_dict(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that has slots and no nested dataclass.

    ``asdict`` copies each field deeply, which took a twentieth of a worker's time.
    """
    return {name: getattr(value, name) for name in value.__slots__}


def encode_operation(operation: Operation) -> dict[str, Any]:
    """Encodes an operation without unset fields and without its send's body."""
    send = operation.send and to_dict(operation.send)
    if send:
        del send["body"]
    if_set: dict[str, Any] = {
        **{name: getattr(operation, name) for name in _PLAIN_FIELDS},
        "fee": operation.fee and to_dict(operation.fee),
        "send": send,
        # An external operation has no origin.
        "origin": operation.origin and to_dict(operation.origin),
    }
    return {
        "id": operation.id,
        "kind": operation.kind.value,
        # 0 for the void of a payment that was not sent yet.
        "amount": operation.amount,
        "starts_at": operation.starts_at,
        "state": operation.state.value,
        "generation": operation.generation,
        "refs": dict(operation.refs),
        **{name: value for name, value in if_set.items() if value},
    }


def decode_operation(
    document: Mapping[str, Any], body_of: Callable[[str], str]
) -> Operation:
    """Decodes an operation; ``body_of`` returns the body for a send's key."""
    send, fee = document.get("send"), document.get("fee")
    origin = document.get("origin")
    return Operation(
        id=document["id"],
        kind=Kind(document["kind"]),
        amount=document["amount"],
        origin=origin and Origin(**origin),
        starts_at=document["starts_at"],
        state=State(document["state"]),
        generation=document["generation"],
        fee=fee and Fee(**fee),
        refs=document["refs"],
        send=send and Send(**send, body=body_of(send["key"])),
        **{name: document[name] for name in _PLAIN_FIELDS if name in document},
    )


def encode_dispute(dispute: Dispute) -> dict[str, Any]:
    """Encodes a dispute without unset fields."""
    if_set = {name: getattr(dispute, name) for name in _DISPUTE_FIELDS}
    return {
        "id": dispute.id,
        "ref": dispute.ref,
        "amount": dispute.money.minor,
        "currency": dispute.money.currency,
        "reason": dispute.reason,
        "state": dispute.state.value,
        "opened_at": dispute.opened_at,
        **{name: value for name, value in if_set.items() if value},
    }


def decode_dispute(document: Mapping[str, Any]) -> Dispute:
    """Decodes a dispute."""
    return Dispute(
        id=document["id"],
        ref=document["ref"],
        money=Money(document["amount"], document["currency"]),
        reason=document["reason"],
        state=DisputeState(document["state"]),
        opened_at=document["opened_at"],
        **{name: document[name] for name in _DISPUTE_FIELDS if name in document},
    )


def encode_hold(hold: Hold) -> dict[str, Any]:
    """Encodes a hold; ``multicapture`` is stored only if it is true."""
    document = {**to_dict(hold), "ended": hold.ended and hold.ended.value}
    if not hold.multicapture:
        del document["multicapture"]
    return document


def decode_hold(document: Mapping[str, Any]) -> Hold:
    """Decodes a hold."""
    ended = document["ended"]
    return Hold(**{**document, "ended": ended and HoldEnd(ended)})


def encode_account(account: Account) -> dict[str, Any]:
    """Encodes an account of a route."""
    return {"id": account.id, "provider": account.provider.value}


def decode_account(document: Mapping[str, Any]) -> Account:
    """Decodes an account of a route."""
    return Account(document["id"], ProviderName(document["provider"]))


def encode_account_fields(account: Account) -> dict[str, Any]:
    """The account fields of a document; the deployment's own account has no id."""
    provider = {"provider": account.provider.value}
    return provider if account.is_own else {**provider, "account": account.id}


def decode_account_fields(document: Mapping[str, Any]) -> Account:
    """Decodes the account fields of a document."""
    provider = ProviderName(document["provider"])
    return Account(document.get("account", provider.value), provider)
