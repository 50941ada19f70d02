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
_OTHERS: Final = {
    Stage.DONE: Verdict.SUCCEEDED,
    Stage.PENDING: Verdict.PENDING,
    Stage.DECLINED: Verdict.DECLINED,
}
CONFIRM: Final = NextAction("https://bank.example/confirm")


def answer_for(entry: Entry) -> Answer:
    """A charge or an authorization."""
    own = "capture" if entry.kind is Kind.CHARGE else "authorization"
    # What Stripe calls it, and PayPal.
    refs = dict.fromkeys(("intent", "payment_intent", own), entry.id)
    money = Money(entry.amount, entry.currency)
    match entry.stage:
        case Stage.DECLINED:
            return Answer(Verdict.DECLINED, refs=refs, failure=DECLINED)
        case Stage.ACTING:
            waits = Verdict.ACTION_REQUIRED
            return Answer(waits, refs=refs, next_action=CONFIRM)
        case Stage.APPROVED:
            return Answer(Verdict.APPROVED, refs=refs)
        case Stage.PENDING:
            return Answer(Verdict.PENDING, refs=refs)
        case Stage.LET_GO:
            late = Verdict.EXPIRED if entry.expired else Verdict.CANCELED
            return Answer(late, refs=refs)
        case _:
            return Answer(
                Verdict.SUCCEEDED,
                money,
                refs,
                expires_at=entry.expires_at,
                honored_until=entry.honored_until,
                multicapture=entry.several,
            )


def part_answer(part: Entry) -> Answer:
    """A capture or a refund."""
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


def part_seen(entry: Entry, operation: Operation) -> Answer:
    """The result of a lookup of a capture or a refund of ``entry``."""
    known = operation.refs.get(operation.kind)
    for part in reversed(entry.parts):
        if operation.id == part.operation or part.id == known:
            return part_answer(part)
    if operation.kind is Kind.CAPTURE and entry.stage is Stage.LET_GO:
        late = Verdict.EXPIRED if entry.expired else Verdict.CANCELED
        return Answer(late, refs={"intent": entry.id})
    if operation.kind is Kind.CAPTURE and entry.stage is not Stage.HELD:
        return Answer(Verdict.DECLINED, failure=_CAPTURED)
    return Answer(Verdict.ABSENT)


def others_seen(entry: Entry, payment: Payment) -> tuple[ExternalMovement, ...]:
    """The parts that no operation of ``payment`` made, as a lookup finds them."""
    ours = {one.id for one in payment.operations if not one.is_external}
    return tuple(
        ExternalMovement(
            kind=part.kind,
            verdict=_OTHERS[part.stage],
            money=Money(part.amount, part.currency),
            refs=(
                {"intent": entry.id, part.kind.value: part.id}
                if part.kind is Kind.CAPTURE
                else {part.kind.value: part.id}
            ),
            parent_ref=part.of,
            final=entry.stage is not Stage.HELD,
        )
        for part in entry.parts
        if part.operation not in ours
    )


def void_seen(name: ProviderName, entry: Entry) -> Answer:
    """What the stage of ``entry`` says of its void."""
    refs = {"intent": entry.id}
    if entry.stage is Stage.LET_GO:
        late = entry.expired and name is ProviderName.STRIPE
        return Answer(Verdict.EXPIRED if late else Verdict.SUCCEEDED, refs=refs)
    if entry.stage in (Stage.HELD, Stage.ACTING):
        return Answer(Verdict.ABSENT)
    failure = Failure("already_captured", "Captured before.")
    return Answer(Verdict.DECLINED, refs=refs, failure=failure)


def too_late(entry: Entry) -> Answer:
    """A capture of what is not on hold any more."""
    if entry.expired:
        return Answer(Verdict.EXPIRED, failure=LATE)
    return Answer(Verdict.CANCELED, failure=_VOIDED)


def left_of(entry: Entry, of: str) -> int:
    """What can go back of a charge or a capture, which ``of`` names."""
    taken = entry.captured if of == entry.id else 0
    for part in entry.parts:
        if part.kind is Kind.CAPTURE and part.id == of:
            taken += part.amount
        elif part.of == of and part.stage is not Stage.DECLINED:
            taken -= part.amount
    return taken
