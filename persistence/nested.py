"""What is nested in a payment's document: its operations, hold, disputes, accounts;
and how every document says whose it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from domain.account import Account
from domain.dispute import Dispute, DisputeState
from domain.money import Fee, Money
from domain.operation import Hold, HoldEnd, Kind, Operation, Origin, Send
from domain.states import State
from domain.submission import ProviderName

#: Fields of an operation that are stored as they are, and only where they are set.
_PLAIN: Final = (
    *("due_at", "moved", "moved_at", "target", "final", "attempts", "started_at"),
    *("look_since", "looks", "waiting_for", "error", "approved"),
    *("by_hand", "twins"),
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


#: Fields of a dispute that are stored as they are, and only where they are set.
_DISPUTE: Final = tuple(
    "inquiry withdrawn respond_by outcome operation updated_at".split()
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
