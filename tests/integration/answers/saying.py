"""A row of docs/providers.md: what a provider says, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from domain.operation import Kind
from domain.payment import Payment
from domain.states import State
from tests.integration.traps.workbench import Workbench

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
    #: What the shop is shown, in part.
    shows: Mapping[str, Any] = field(default_factory=dict)
    #: What the next step does at the provider, where one follows by itself: the same
    #: request under the ``same key``, another one under a ``new key``, or a ``look``.
    next: str | None = None
    #: What the provider's ledger has in the end, in its unit.
    moved: tuple[tuple[str, int], ...] = ()


#: What moves by a charge that is sent again.
CHARGED: Final = (("charge", 1999),)
#: Parts of rows: what goes on by itself, and what the shop is shown.
AGAIN: Final[dict[str, Any]] = {"next": "same key", "moved": CHARGED}
BY_A_LOOK: Final[dict[str, Any]] = {"error": "look_needed", "next": "look"}
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


def holds(bench: Workbench, provider: str, row: Row) -> str:
    """Asserts that the row is so; the id of its payment."""
    payment_id = asked(bench, provider, row)
    arm(bench, provider, row)
    before = _events(bench, payment_id)
    payment = bench.step(payment_id)
    told = _events(bench, payment_id)[len(before) :]
    operation = payment.operations[-1]
    assert (operation.state, operation.error) == (row.state, row.error), told
    shown = bench.shown(payment_id)
    assert {name: shown.get(name) for name in row.shows} == row.shows
    assert QUOTED not in str(told)
    canned = row.fault is not None and row.fault.get("headers")
    if canned and row.error != "malformed_answer":
        assert told[-1]["data"]["provider_request_id"] == CALL
    _goes_on(bench, payment, row)
    started = _STARTED[row.kind]
    assert tuple(bench.moved(payment_id)) == (*started, *row.moved)
    return payment_id


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
    operation = payment.operations[-1]
    assert (operation.due_at is not None) is (row.next is not None)
    if row.next is None:
        return
    before = _events(bench, payment.id)
    bench.step(payment.id)
    first = _events(bench, payment.id)[len(before)]
    assert first["type"] == ("look.sent" if row.next == "look" else "attempt.sent")
    if row.next != "look":
        keys = [one["data"].get("provider_key") for one in before]
        sent_before = first["data"]["provider_key"] in keys
        assert sent_before is (row.next == "same key")


def _events(bench: Workbench, payment_id: str) -> list[dict[str, Any]]:
    found = bench.shop.get(f"/v1/payments/{payment_id}/events").json()["data"]
    return [dict(event) for event in found]
