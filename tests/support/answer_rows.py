"""A row of docs/providers.md: what a provider says, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from domain.payments.operation import Kind, Operation
from domain.payments.payment import Payment
from domain.payments.states import FINAL, State
from tests.support.workbench import Workbench

#: Words that must not be kept in the clear: providers quote tokens in sentences.
QUOTED: Final = "tok_quoted_by_the_provider"
#: The same where a code should be, in the letters of a token.
TOKEN: Final = "tok_QuotedByTheProvider"
#: What a shop asks for a follow-up of that kind.
_JOBS: Final = {Kind.CAPTURE: "captures", Kind.VOID: "void", Kind.REFUND: "refunds"}
#: The name of the call that ``said`` gives.
CALL: Final = "req_canned"


@dataclass(frozen=True)
class Row:
    """What is asked, what the provider says, and how the operation is stored then.

    The provider is brought to say it by the ``method`` that pays, or by a ``fault`` of
    its simulator, which may be an answer in the provider's words: see ``said``.
    """

    state: State
    kind: Kind = Kind.CHARGE
    method: str | None = None
    fault: Mapping[str, Any] | None = None
    #: The code that is stored of what went wrong.
    error: str | None = None
    #: What the shop is shown, in part; so are the objects in it.
    shows: Mapping[str, Any] = field(default_factory=dict)
    #: Whom or what it waits for, in words: a part of them.
    waits: str | None = None
    #: Seconds that pass before the next step, at least.
    after: int = 0
    #: What the next step does at the provider, where one follows by itself: the same
    #: request under the ``same key``, another one under a ``new key``, or a
    #: ``look_up``.
    next: str | None = None
    #: The path that the next send goes to, where it is another one than before.
    path: str | None = None
    #: What the provider's ledger has in the end, in its unit.
    moved: tuple[tuple[str, int], ...] = ()


#: Seconds that a provider asks for before the next call.
REST: Final = 30


def again(kind: str) -> dict[str, Any]:
    """A part of a row: the same request is sent again by itself, and carried out."""
    return {"next": "same key", "moved": ((kind, 1999),)}


#: Parts of rows: what goes on by itself, and what the shop is shown.
AGAIN: Final[dict[str, Any]] = again("charge")
LATER: Final[dict[str, Any]] = {**AGAIN, "after": REST}
BY_A_LOOK: Final[dict[str, Any]] = {"error": "lookup_required", "next": "look"}
FAILED: Final[dict[str, Any]] = {"shows": {"status": "failed"}}
ASKS: Final[dict[str, Any]] = {"shows": {"status": "requires_action"}, "next": "look"}


def said(status: int, body: object, **headers: str) -> dict[str, Any]:
    """A fault: the next call is answered so, and nothing is done."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    # Each provider reads its own.
    calls = {"Request-Id": CALL, "PayPal-Debug-Id": CALL}
    return {
        "do": "answer",
        "status": status,
        "body": body,
        "headers": {**calls, **named},
    }


#: What somebody between us and a provider says, in a 401 or a 403 of their own.
EDGE: Final = "<html><title>403 Forbidden</title></html>"


def resting(fault: Mapping[str, Any]) -> dict[str, Any]:
    """A fault: that answer, with a ``Retry-After`` of REST."""
    return {**fault, "headers": {**fault["headers"], "Retry-After": str(REST)}}


def holds(bench: Workbench, provider: str, row: Row) -> str:
    """Asserts that the row is so; the id of its payment."""
    payment_id = asked(bench, provider, row)
    arm(bench, provider, row)
    before, began = _events(bench, payment_id), bench.now()
    payment = bench.step(payment_id)
    told = _events(bench, payment_id)[len(before) :]
    operation = _last(payment)
    assert (operation.state, operation.error) == (row.state, row.error), told
    _is_shown(bench.shown(payment_id), row)
    assert QUOTED not in str(told)
    canned = row.fault is not None and row.fault.get("headers")
    if canned and row.error != "malformed_answer":
        [*_, last] = [one for one in told if one["data"]["operation"] == operation.id]
        assert last["data"]["provider_request_id"] == CALL
    if row.after:
        assert operation.due_at is not None
        assert operation.due_at >= began + timedelta(seconds=row.after)
    _goes_on(bench, payment, row)
    moved = (*_STARTED[row.kind], *row.moved)
    assert tuple(bench.moved(payment_id)) == moved
    if row.kind is Kind.REFUND and _is_no(row):
        _is_refunded_again(bench, payment_id)
    return payment_id


#: Whom a state waits for, in words: a part of them.
_WAITS: Final = {State.REVIEW: "an operator: ", State.REQUIRES_ACTION: "the payer"}


def _is_no(row: Row) -> bool:
    return row.state in FINAL and row.state is not State.SUCCEEDED


def _is_shown(shown: Mapping[str, Any], row: Row) -> None:
    """The shop reads what the row says, why it failed, and what it waits for."""
    assert _part(shown, row.shows) == row.shows
    if _is_no(row) and row.error is not None:
        why = shown["last_error"]
        assert (why["decline_code"] or why["code"]) == row.error
    waits = shown["operations"][-1]["waiting_for"] or ""
    assert _WAITS.get(row.state, "") in waits
    assert (row.waits or "") in waits


def _part(found: Any, wanted: Any) -> Any:
    """Of ``found`` what ``wanted`` is about."""
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        return {name: _part(found.get(name), inner) for name, inner in wanted.items()}
    return found


def _is_refunded_again(bench: Workbench, payment_id: str) -> None:
    """Nothing is kept back for a refund that came to nothing."""
    moved = bench.moved(payment_id)
    again = bench.ask(payment_id, "refunds", amount=1999)
    assert again.status_code == 202, again.text
    assert bench.step(payment_id).operations[-1].state is State.SUCCEEDED
    assert bench.moved(payment_id) == [*moved, ("refund", 1999)]


#: What moves before an operation of that kind can be asked for.
_STARTED: Final[Mapping[Kind, tuple[tuple[str, int], ...]]] = {
    Kind.CHARGE: (),
    Kind.AUTHORIZE: (),
    Kind.CAPTURE: (("authorize", 1999),),
    Kind.VOID: (("authorize", 1999),),
    Kind.REFUND: (("charge", 1999),),
}


def arm(bench: Workbench, provider: str, row: Row) -> None:
    """Brings the provider to say it, where the method does not."""
    if row.fault is not None:
        path = "/v1/" if provider == "stripe" else "/v2/"
        match = {"method": "POST", "path": path}
        bench.at(provider).arm(**{"match": match, **row.fault})


def asked(bench: Workbench, provider: str, row: Row) -> str:
    """The id of a payment whose last operation is what the row is about."""
    fields: dict[str, Any] = {}
    if row.kind in (Kind.AUTHORIZE, Kind.CAPTURE, Kind.VOID):
        fields["capture"] = "manual"
    if row.method is not None:
        fields |= {"payment_method": row.method, "return_url": "https://shop.example"}
    if row.kind not in _JOBS:
        return bench.pay(provider, **fields)
    payment_id = bench.paid(provider, **fields)
    assert bench.ask(payment_id, _JOBS[row.kind]).status_code == 202
    return payment_id


def _goes_on(bench: Workbench, payment: Payment, row: Row) -> None:
    """The next step, if one follows by itself, is the one that the row names."""
    operation = _last(payment)
    assert (operation.due_at is not None) is (row.next is not None)
    if row.next is None:
        return
    if row.path is not None:
        match = {"method": "POST", "path": row.path}
        bench.at(payment.provider).arm(match=match, **said(500, {}))
    before = _events(bench, payment.id)
    after = _last(bench.step(payment.id))
    assert row.path is None or after.error == "http_500", "it went elsewhere"
    first = _events(bench, payment.id)[len(before)]
    assert first["type"] == ("lookup.sent" if row.next == "look" else "attempt.sent")
    if row.next != "look":
        keys = [one["data"].get("provider_key") for one in before]
        sent_before = first["data"]["provider_key"] in keys
        assert sent_before is (row.next == "same key")


def _events(bench: Workbench, payment_id: str) -> list[dict[str, Any]]:
    found = bench.shop.get(f"/v1/payments/{payment_id}/events").json()["data"]
    return [dict(event) for event in found]


def _last(payment: Payment) -> Operation:
    """What was asked for last; others may have done something at the provider since."""
    return [one for one in payment.operations if not one.is_external][-1]
