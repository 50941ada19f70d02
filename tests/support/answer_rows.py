"""A row of docs/providers.md: a provider's answer, and the resulting state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from domain.payments.operation import Kind, Operation
from domain.payments.payment import Payment
from domain.payments.states import TERMINAL, State
from tests.support.workbench import Workbench

#: A token in an error message, which must not be stored unencrypted.
QUOTED: Final = "tok_quoted_by_the_provider"
#: A token in the place of a code.
TOKEN: Final = "tok_QuotedByTheProvider"
#: The path of a follow-up, by kind.
_JOBS: Final = {Kind.CAPTURE: "captures", Kind.VOID: "void", Kind.REFUND: "refunds"}
#: The provider's request id in the answers of ``canned_answer``.
CALL: Final = "req_canned"


@dataclass(frozen=True)
class Row:
    """A request, the provider's answer, and the stored operation.

    The payment ``method`` chooses the answer, or a ``fault`` of the simulator, which
    may be a literal answer: see ``canned_answer``.
    """

    state: State
    kind: Kind = Kind.CHARGE
    method: str | None = None
    fault: Mapping[str, Any] | None = None
    #: The stored error code.
    error: str | None = None
    #: The code on the timeline, if it differs.
    code: str | None = None
    #: Fields of the payment in the API; nested objects may have more fields.
    shows: Mapping[str, Any] = field(default_factory=dict)
    #: A part of ``waiting_for``.
    waits: str | None = None
    #: Seconds before the next step, at least.
    after: int = 0
    #: The next step, if any: the same request under the ``same key``, another one under
    #: a ``new key``, or a ``lookup``.
    next: str | None = None
    #: The path of the next send, if it differs.
    path: str | None = None
    #: The movements in the provider's ledger at the end, in its unit.
    moved: tuple[tuple[str, int], ...] = ()


#: Seconds in ``Retry-After``.
RETRY_AFTER: Final = 30


def resend(kind: str) -> dict[str, Any]:
    """A part of a row: the same request is sent again and succeeds."""
    return {"next": "same key", "moved": ((kind, 1999),)}


#: Parts of rows: the next step, and fields of the payment.
RESEND: Final[dict[str, Any]] = resend("charge")
RESEND_LATER: Final[dict[str, Any]] = {**RESEND, "after": RETRY_AFTER}
BY_LOOKUP: Final[dict[str, Any]] = {"error": "lookup_required", "next": "lookup"}
FAILED: Final[dict[str, Any]] = {"shows": {"status": "failed"}}
NEEDS_PAYER: Final[dict[str, Any]] = {
    "shows": {"status": "requires_action"},
    "next": "lookup",
}


def canned_answer(status: int, body: object, **headers: str) -> dict[str, Any]:
    """A fault: the next call gets this answer and has no effect."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    # The request ids of both providers; the other is ignored.
    calls = {"Request-Id": CALL, "PayPal-Debug-Id": CALL}
    return {
        "do": "answer",
        "status": status,
        "body": body,
        "headers": {**calls, **named},
    }


#: The body of a 401 or 403 by a proxy between us and the provider.
EDGE: Final = "<html><title>403 Forbidden</title></html>"


def with_retry_after(fault: Mapping[str, Any]) -> dict[str, Any]:
    """A fault: the same answer with a ``Retry-After``."""
    return {**fault, "headers": {**fault["headers"], "Retry-After": str(RETRY_AFTER)}}


def check_row(bench: Workbench, provider: str, row: Row) -> str:
    """Asserts that the row holds; returns the payment's id."""
    payment_id = make_payment(bench, provider, row)
    arm(bench, provider, row)
    before, began = _events(bench, payment_id), bench.now()
    payment = bench.step(payment_id)
    new_events = _events(bench, payment_id)[len(before) :]
    operation = _last(payment)
    assert (operation.state, operation.error) == (row.state, row.error), new_events
    _check_shown(bench.fetch(payment_id), row)
    assert QUOTED not in str(new_events)
    canned = row.fault is not None and row.fault.get("headers")
    if canned and row.error != "malformed_answer":
        [*_, last] = [
            one for one in new_events if one["data"]["operation"] == operation.id
        ]
        assert last["data"]["provider_request_id"] == CALL
        if row.code is not None:
            assert last["data"]["code"] == row.code
    if row.after:
        assert operation.due_at is not None
        assert operation.due_at >= began + timedelta(seconds=row.after)
    _check_next_step(bench, payment, row)
    moved = (*_STARTED[row.kind], *row.moved)
    assert tuple(bench.list_movements(payment_id)) == moved
    if row.kind is Kind.REFUND and _has_failed(row):
        _check_another_refund(bench, payment_id)
    return payment_id


#: A part of ``waiting_for``, by state.
_WAITS: Final = {State.REVIEW: "an operator: ", State.REQUIRES_ACTION: "the payer"}


def _has_failed(row: Row) -> bool:
    return row.state in TERMINAL and row.state is not State.SUCCEEDED


def _check_shown(shown: Mapping[str, Any], row: Row) -> None:
    """Asserts the fields, the error and ``waiting_for`` of the payment in the API."""
    assert _part(shown, row.shows) == row.shows
    if _has_failed(row) and row.error is not None:
        error = shown["last_error"]
        assert (error["decline_code"] or error["code"]) == row.error
    waits = shown["operations"][-1]["waiting_for"] or ""
    assert _WAITS.get(row.state, "") in waits
    assert (row.waits or "") in waits


def _part(found: Any, wanted: Any) -> Any:
    """The part of ``found`` with the fields of ``wanted``."""
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        return {name: _part(found.get(name), inner) for name, inner in wanted.items()}
    return found


def _check_another_refund(bench: Workbench, payment_id: str) -> None:
    """Asserts that a failed refund keeps no reservation."""
    moved = bench.list_movements(payment_id)
    again = bench.request(payment_id, "refunds", amount=1999)
    assert again.status_code == 202, again.text
    assert bench.step(payment_id).operations[-1].state is State.SUCCEEDED
    assert bench.list_movements(payment_id) == [*moved, ("refund", 1999)]


#: The movements before an operation of that kind.
_STARTED: Final[Mapping[Kind, tuple[tuple[str, int], ...]]] = {
    Kind.CHARGE: (),
    Kind.AUTHORIZE: (),
    Kind.CAPTURE: (("authorize", 1999),),
    Kind.VOID: (("authorize", 1999),),
    Kind.REFUND: (("charge", 1999),),
}


def arm(bench: Workbench, provider: str, row: Row) -> None:
    """Arms the row's fault, if any."""
    if row.fault is not None:
        path = "/v1/" if provider == "stripe" else "/v2/"
        match = {"method": "POST", "path": path}
        bench.simulator(provider).arm(**{"match": match, **row.fault})


def make_payment(bench: Workbench, provider: str, row: Row) -> str:
    """Makes a payment whose last operation is the row's; returns its id."""
    fields: dict[str, Any] = {}
    if row.kind in (Kind.AUTHORIZE, Kind.CAPTURE, Kind.VOID):
        fields["capture"] = "manual"
    if row.method is not None:
        fields |= {"payment_method": row.method, "return_url": "https://shop.example"}
    if row.kind not in _JOBS:
        return bench.pay(provider, **fields)
    payment_id = bench.complete_payment(provider, **fields)
    assert bench.request(payment_id, _JOBS[row.kind]).status_code == 202
    return payment_id


def _check_next_step(bench: Workbench, payment: Payment, row: Row) -> None:
    """Asserts that the next step is the row's."""
    operation = _last(payment)
    assert (operation.due_at is not None) is (row.next is not None)
    if row.next is None:
        return
    if row.path is not None:
        match = {"method": "POST", "path": row.path}
        bench.simulator(payment.provider).arm(match=match, **canned_answer(500, {}))
    before = _events(bench, payment.id)
    after = _last(bench.step(payment.id))
    assert row.path is None or after.error == "http_500", "the send had another path"
    first = _events(bench, payment.id)[len(before)]
    assert first["type"] == ("lookup.sent" if row.next == "lookup" else "attempt.sent")
    if row.next != "lookup":
        keys = [one["data"].get("provider_key") for one in before]
        sent_before = first["data"]["provider_key"] in keys
        assert sent_before is (row.next == "same key")


def _events(bench: Workbench, payment_id: str) -> list[dict[str, Any]]:
    found = bench.shop.get(f"/v1/payments/{payment_id}/events").json()["data"]
    return [dict(event) for event in found]


def _last(payment: Payment) -> Operation:
    """The last requested operation, without those made at the provider."""
    return [one for one in payment.operations if not one.is_external][-1]
