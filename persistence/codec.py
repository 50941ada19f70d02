"""Payments as documents and back: pure, but for the vault's ciphers.

What people or providers could be harmed by is in two seals, each bound to its field
and to the payment's id, merchant and mode:

``personal_data``, written once, when the payment is accepted: ``payment_method``,
``email``, ``customer``, ``description``, ``return_url`` and ``metadata``;
``provider_data``, written by each step: the bodies of sends, the saved method, a
failure's message (providers quote tokens there) and the address of a next action.
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
    Act,
    Claim,
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
    FutureUsage,
    Guard,
    Mode,
    ProviderName,
    Submission,
)
from persistence.encryption import SealBroken, Vault

Document = dict[str, Any]

#: The sealed fields.
PERSONAL: Final = "personal_data"
PROVIDER: Final = "provider_data"

#: Fields of a submission that are sealed; metadata is as well.
_PERSONAL: Final = (
    *("payment_method", "email", "customer", "description", "return_url"),
)
#: Names in the provider's data.
_ACTION_URL: Final = "next_action.url"
_MESSAGE: Final = "last_error.message"
_SAVED: Final = "saved_method.id"
_SAVED_FOR: Final = "saved_method.customer"
_BODY: Final = "body of "  #: and the send's key, so that no body goes with another
#: Fields of an operation that are stored as they are, and only where they are set.
_PLAIN: Final = (
    *("due_at", "moved", "moved_at", "target", "final", "attempts", "started_at"),
    *("look_since", "looks", "waiting_for", "error", "approved"),
    *("by_hand", "twins"),
)

#: Fields of a dispute that are stored as they are, and only where they are set.
_DISPUTE: Final = tuple(
    "inquiry withdrawn respond_by outcome operation updated_at".split()
)


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
        "off_session": asked.off_session or None,
        "setup_future_usage": asked.setup_future_usage
        and asked.setup_future_usage.value,
        "multicapture": asked.multicapture or None,
        PERSONAL: vault.seal(_personal_data(payment), *_place(payment, PERSONAL)),
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
    told = _provider_data(payment)
    return {
        "status": payment.status.value,
        "open": _open(payment),
        "operations": [write_operation(one) for one in payment.operations],
        "keys": [
            one.origin.idempotency_key for one in payment.operations if one.origin
        ],
        "hold": payment.hold and write_hold(payment.hold),
        "claim": payment.claim and flat(payment.claim),
        "authorized": payment.authorized,
        "captured": payment.captured,
        "refunded": payment.refunded,
        "moved_at": _moved_at(payment) or None,
        "next_action": _without(payment.next_action, "url"),
        "last_error": _without(payment.last_error, "message"),
        PROVIDER: told and vault.seal(told, *_place(payment, PROVIDER)),
        "disputes": [write_dispute(one) for one in payment.disputes] or None,
        "updated_at": payment.updated_at,
        "told": payment.told + len(payment.news),
        **_where(payment),
    }


def place(
    field: str, payment_id: str, merchant: str, mode: str
) -> tuple[str, str, str, str, str]:
    """What a payment's sealed ``field`` is bound to."""
    return "payments", field, payment_id, merchant, mode


def place_in(document: Mapping[str, Any], field: str) -> tuple[str, ...]:
    """The same, of a document."""
    return place(field, document["_id"], document["merchant"], document["mode"])


def _place(payment: Payment, field: str) -> tuple[str, ...]:
    return place(field, payment.id, payment.merchant, payment.mode.value)


def _personal_data(payment: Payment) -> str:
    asked = payment.submission
    fields = {name: getattr(asked, name) for name in _PERSONAL}
    return written({**fields, "metadata": dict(asked.metadata) or None})


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
    """The text that is sealed; ``bodies`` by their keys. None where there is nothing
    yet that a provider was told or has said."""
    fields = {
        _ACTION_URL: action_url,
        _MESSAGE: message,
        _SAVED: saved,
        _SAVED_FOR: saved_for,
        **{_BODY + key: body for key, body in bodies.items()},
    }
    known = any(value is not None for value in fields.values())
    return written(fields) if known else None


def written(fields: Document) -> str:
    """The text that is sealed for ``fields``; those that are None are left out."""
    given = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(given, separators=(",", ":"), ensure_ascii=False)


def _without(value: Any, name: str) -> Document | None:
    """A value's fields but for the one that is sealed."""
    if value is None:
        return None
    fields = flat(value)
    del fields[name]
    return fields


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


def news(payment: Payment) -> list[Document]:
    """The events that are not stored yet."""
    return [
        {"seq": event.seq, "type": event.type, "at": event.at, "data": dict(event.data)}
        for event in payment.news
    ]


def decode(document: Mapping[str, Any], vault: Vault | None) -> Payment:
    """The payment that a document holds; its timeline is not needed.

    Without a vault, for those who read many payments and want nothing that is sealed,
    what is there has an empty text, and the rest of it is left out. Raises KeyMissing
    and SealBroken, and ValueError where it has no operation.
    """
    if not document["operations"]:
        raise ValueError("a payment has an operation")
    personal = _opened(document, PERSONAL, vault)
    account = read_whose(document)
    action, error = document.get("next_action"), document.get("last_error")
    hold, claim = document.get("hold"), document.get("claim")
    usage = document.get("setup_future_usage")
    told = _opened(document, PROVIDER, vault) if PROVIDER in document else {}

    def of(name: str) -> str:
        if vault is None:
            return ""
        if name not in told:
            raise SealBroken
        return str(told[name])

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
            guard=Guard(document["guard"]),
            **personal,
        ),
        account=account,
        route=tuple(map(read_account, document.get("route", ()))),
        routes_on=tuple(document.get("routes_on", ())),
        operations=tuple(
            read_operation(one, lambda key: of(_BODY + key))
            for one in document["operations"]
        ),
        created_at=document["created_at"],
        updated_at=document["updated_at"],
        hold=hold and read_hold(hold),
        claim=claim and Claim(**{**claim, "act": Act(claim["act"])}),
        next_action=action
        and NextAction(url=of(_ACTION_URL), type=NextActionType(action["type"])),
        last_error=error and Failure(**{**error, "message": of(_MESSAGE)}),
        disputes=tuple(read_dispute(one) for one in document.get("disputes", ())),
        saved_method=(
            SavedMethod(told[_SAVED], told.get(_SAVED_FOR)) if _SAVED in told else None
        ),
        version=document["version"],
        told=document["told"],
    )


def _opened(document: Mapping[str, Any], field: str, vault: Vault | None) -> Document:
    """Nothing without a vault."""
    if vault is None:
        return {}
    text = vault.open(document.get(field), *place_in(document, field))
    opened: Document = json.loads(text)
    return opened


def decode_event(document: Mapping[str, Any]) -> Event:
    """One line of the timeline."""
    return Event(
        seq=document["seq"],
        type=document["type"],
        at=document["at"],
        data=document["data"],
    )


def flat(value: Any) -> dict[str, Any]:
    """The fields of a dataclass with slots that has no other in it.

    ``asdict`` copies each of them deeply: a twentieth of all that a worker did.
    """
    return {name: getattr(value, name) for name in value.__slots__}


def write_operation(operation: Operation) -> dict[str, Any]:
    """One operation; what is not set is left out, and so is its send's body."""
    send = operation.send and flat(operation.send)
    if send:
        del send["body"]
    if_set: dict[str, Any] = {
        **{name: getattr(operation, name) for name in _PLAIN},
        "fee": operation.fee and flat(operation.fee),
        "send": send,
        # Without one, others made it at the provider.
        "origin": operation.origin and flat(operation.origin),
    }
    return {
        "id": operation.id,
        "kind": operation.kind.value,
        # 0 where a void calls a payment off that was not sent yet.
        "amount": operation.amount,
        "owed_from": operation.owed_from,
        "state": operation.state.value,
        "generation": operation.generation,
        "refs": dict(operation.refs),
        **{name: value for name, value in if_set.items() if value},
    }


def read_operation(
    document: Mapping[str, Any], body_of: Callable[[str], str]
) -> Operation:
    """What ``write_operation`` wrote, now or earlier; ``body_of`` the send's key."""
    send, fee = document.get("send"), document.get("fee")
    origin = document.get("origin")
    return Operation(
        id=document["id"],
        kind=Kind(document["kind"]),
        amount=document["amount"],
        origin=origin and Origin(**origin),
        owed_from=document["owed_from"],
        state=State(document["state"]),
        generation=document["generation"],
        fee=fee and Fee(**fee),
        refs=document["refs"],
        send=send and Send(**send, body=body_of(send["key"])),
        **{name: document[name] for name in _PLAIN if name in document},
    )


def write_dispute(dispute: Dispute) -> dict[str, Any]:
    """One dispute; what is not set is left out."""
    if_set = {name: getattr(dispute, name) for name in _DISPUTE}
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


def read_dispute(document: Mapping[str, Any]) -> Dispute:
    """What ``write_dispute`` wrote."""
    return Dispute(
        id=document["id"],
        ref=document["ref"],
        money=Money(document["amount"], document["currency"]),
        reason=document["reason"],
        state=DisputeState(document["state"]),
        opened_at=document["opened_at"],
        **{name: document[name] for name in _DISPUTE if name in document},
    )


def write_hold(hold: Hold) -> dict[str, Any]:
    """A hold; one of several captures says so."""
    document = {**flat(hold), "ended": hold.ended and hold.ended.value}
    if not hold.multicapture:
        del document["multicapture"]
    return document


def read_hold(document: Mapping[str, Any]) -> Hold:
    """What ``write_hold`` wrote."""
    ended = document["ended"]
    return Hold(**{**document, "ended": ended and HoldEnd(ended)})


def write_account(account: Account) -> dict[str, Any]:
    """An account as a route names it."""
    return {"id": account.id, "provider": account.provider.value}


def read_account(document: Mapping[str, Any]) -> Account:
    """What ``write_account`` wrote."""
    return Account(document["id"], ProviderName(document["provider"]))


def write_whose(account: Account) -> dict[str, Any]:
    """Whose a document is; the deployment's own account is named by its provider."""
    provider = {"provider": account.provider.value}
    return provider if account.is_own else {**provider, "account": account.id}


def read_whose(document: Mapping[str, Any]) -> Account:
    """What ``write_whose`` wrote."""
    provider = ProviderName(document["provider"])
    return Account(document.get("account", provider.value), provider)
