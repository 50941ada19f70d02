"""A provider's answers about an entry in its books, to a send or a lookup."""

from __future__ import annotations

from typing import Final

from domain.money import Money
from domain.payments.answer import (
    Answer,
    ExternalMovement,
    Failure,
    NextAction,
    Verdict,
)
from domain.payments.operation import Kind, Operation
from domain.payments.payment import Payment
from domain.payments.submission import ProviderName
from tests.simulation.entries import Entry, Stage

DECLINED: Final = Failure("declined", "Declined.")
LATE: Final = Failure("expired", "Too late.")
TOO_MUCH: Final = Failure("too_much", "Too much.")
_VOIDED: Final = Failure("voided", "Voided.")
_CAPTURED: Final = Failure("captured_at_provider", "Captured by others.")
_EXTERNAL_VERDICTS: Final = {
    Stage.DONE: Verdict.SUCCEEDED,
    Stage.PENDING: Verdict.PENDING,
    Stage.DECLINED: Verdict.DECLINED,
}
CONFIRM: Final = NextAction("https://bank.example/confirm")


def answer_for(entry: Entry) -> Answer:
    """Returns the answer for a charge or an authorization."""
    own = "capture" if entry.kind is Kind.CHARGE else "authorization"
    # Their names at Stripe and at PayPal.
    refs = dict.fromkeys(("intent", "payment_intent", own), entry.id)
    money = Money(entry.amount, entry.currency)
    match entry.stage:
        case Stage.DECLINED:
            return Answer(Verdict.DECLINED, refs=refs, failure=DECLINED)
        case Stage.ACTION_REQUIRED:
            waits = Verdict.ACTION_REQUIRED
            return Answer(waits, refs=refs, next_action=CONFIRM)
        case Stage.APPROVED:
            return Answer(Verdict.APPROVED, refs=refs)
        case Stage.PENDING:
            return Answer(Verdict.PENDING, refs=refs)
        case Stage.RELEASED:
            late = Verdict.EXPIRED if entry.expired else Verdict.CANCELED
            return Answer(late, refs=refs)
        case _:
            return Answer(
                Verdict.SUCCEEDED,
                money,
                refs,
                expires_at=entry.expires_at,
                honored_until=entry.honored_until,
                multicapture=entry.multicapture,
            )


def part_answer(part: Entry) -> Answer:
    """Returns the answer for a capture or a refund."""
    refs = {part.kind.value: part.id}
    if part.kind is Kind.CAPTURE:
        refs["intent"] = part.id.rpartition("_")[0]
    match part.stage:
        case Stage.PENDING:
            return Answer(Verdict.PENDING, refs=refs)
        case Stage.DECLINED:
            return Answer(Verdict.DECLINED, refs=refs, failure=DECLINED)
        case _:
            money = Money(part.amount, part.currency)
            return Answer(Verdict.SUCCEEDED, money, refs)


def part_status(entry: Entry, operation: Operation) -> Answer:
    """The result of a lookup of a capture or a refund of ``entry``."""
    known = operation.refs.get(operation.kind)
    for part in reversed(entry.parts):
        if operation.id == part.operation or part.id == known:
            return part_answer(part)
    if operation.kind is Kind.CAPTURE and entry.stage is Stage.RELEASED:
        late = Verdict.EXPIRED if entry.expired else Verdict.CANCELED
        return Answer(late, refs={"intent": entry.id})
    if operation.kind is Kind.CAPTURE and entry.stage is not Stage.HELD:
        return Answer(Verdict.DECLINED, failure=_CAPTURED)
    return Answer(Verdict.ABSENT)


def external_movements(entry: Entry, payment: Payment) -> tuple[ExternalMovement, ...]:
    """Returns the parts that no operation of ``payment`` made."""
    ours = {one.id for one in payment.operations if not one.is_external}
    return tuple(
        ExternalMovement(
            kind=part.kind,
            verdict=_EXTERNAL_VERDICTS[part.stage],
            money=Money(part.amount, part.currency),
            refs=(
                {"intent": entry.id, part.kind.value: part.id}
                if part.kind is Kind.CAPTURE
                else {part.kind.value: part.id}
            ),
            parent_ref=part.parent,
            final=entry.stage is not Stage.HELD,
        )
        for part in entry.parts
        if part.operation not in ours
    )


def void_status(name: ProviderName, entry: Entry) -> Answer:
    """Returns the result of a void of ``entry``, by its stage."""
    refs = {"intent": entry.id}
    if entry.stage is Stage.RELEASED:
        late = entry.expired and name is ProviderName.STRIPE
        return Answer(Verdict.EXPIRED if late else Verdict.SUCCEEDED, refs=refs)
    if entry.stage in (Stage.HELD, Stage.ACTION_REQUIRED):
        return Answer(Verdict.ABSENT)
    failure = Failure("already_captured", "Captured before.")
    return Answer(Verdict.DECLINED, refs=refs, failure=failure)


def late_capture_answer(entry: Entry) -> Answer:
    """Returns the answer for a capture after the end of the hold."""
    if entry.expired:
        return Answer(Verdict.EXPIRED, failure=LATE)
    return Answer(Verdict.CANCELED, failure=_VOIDED)


def refundable_amount(entry: Entry, of: str) -> int:
    """Returns the refundable amount of the charge or capture with the id ``of``."""
    taken = entry.captured if of == entry.id else 0
    for part in entry.parts:
        if part.kind is Kind.CAPTURE and part.id == of:
            taken += part.amount
        elif part.parent == of and part.stage is not Stage.DECLINED:
            taken -= part.amount
    return taken
