"""The promises, each as a check that lists what breaks it. Pure.

Words of the states are the checker's own: it shares no code with what it judges.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from tests.chaos.evidence import Evidence, Movement, Operation, Payment

#: The operation is over, and the merchant was told.
FINAL: Final = frozenset({"succeeded", "declined", "rejected", "canceled", "expired"})
#: Over, or a person's to decide.
ENDED: Final = FINAL | {"review"}
#: Nothing may have moved.
NOTHING: Final = FINAL - {"succeeded"} | {"dead"}
#: The one event that may move a final state: a later fact, told as such.
CORRECTION: Final = "operation.corrected"
#: What a movement adds to the money that the merchant has.
SIGN: Final = {"charge": 1, "capture": 1, "refund": -1, "authorize": 0, "void": 0}


@dataclass(frozen=True, slots=True)
class Invariant:
    """``check`` yields a sentence for each violation among ``count`` things."""

    name: str
    says: str
    check: Callable[[Evidence], Iterator[str]]
    count: Callable[[Evidence], int]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found."""

    name: str
    says: str
    checked: int
    violations: Sequence[str]


def one_effect(evidence: Evidence) -> Iterator[str]:
    """One movement for what succeeded, none for what failed, one operation a key."""
    moved = _by_operation(evidence)
    for payment in evidence.payments:
        for one in payment.operations:
            yield from _effect(payment, one, moved.pop(one.id, []))
    for operation, strays in moved.items():
        yield f"{operation}: {len(strays)} movements, and no such operation is stored"
    for exchange in evidence.exchanges:
        if exchange.status == 202 and exchange.altered:
            yield f"{exchange.key}: another body was taken under the same key"
        if exchange.status == 202 and exchange.refused:
            yield f"{exchange.key}: a card number was taken"
    ids = _accepted(evidence)
    for key, named in ids.items():
        if len(named) > 1:
            yield f"{key}: one key, and {len(named)} payments: {sorted(named)}"
    keys = Counter(one.provider_key for _, one in _operations(evidence))
    for key, count in keys.items():
        if count > 1:
            yield f"{key}: one key, and {count} operations"


def _effect(
    payment: Payment, one: Operation, movements: Sequence[Movement]
) -> Iterator[str]:
    named = f"{payment.id} {one.id} ({one.kind}, {one.state})"
    called_off = one.kind == "void" and payment.operations[0].state == "canceled"
    if len(movements) > 1:
        yield f"{named}: moved money {len(movements)} times"
    if one.state == "succeeded" and not movements and not called_off:
        yield f"{named}: nothing moved at the provider"
    if (one.state in NOTHING or called_off) and movements:
        yield f"{named}: the provider moved {movements[0].amount}"
    for movement in movements:
        if (movement.kind, movement.currency) != (one.kind, payment.currency):
            yield f"{named}: the provider has a {movement.kind} in {movement.currency}"
        elif movement.amount != one.amount:
            yield f"{named}: {movement.amount} moved, {one.amount} was asked for"


def money_agrees(evidence: Evidence) -> Iterator[str]:
    """Per currency the providers' sum is ours; what is not known yet aside."""
    states = {one.id: one.state for _, one in _operations(evidence)}
    moved: Counter[str] = Counter()
    for movement in evidence.movements:
        if states.get(movement.operation or "") in FINAL:
            moved[movement.currency] += SIGN[movement.kind] * movement.amount
    said: Counter[str] = Counter()
    for payment in evidence.payments:
        said[payment.currency] += payment.captured - payment.refunded
    for currency in sorted(moved.keys() | said.keys()):
        if moved[currency] != said[currency]:
            yield f"{currency}: {moved[currency]} moved, {said[currency]} is stored"
    for payment in evidence.payments:
        if payment.refunded > payment.captured:
            sums = f"{payment.captured} captured, {payment.refunded} refunded"
            yield f"{payment.id}: {sums}"


def everything_ends(evidence: Evidence) -> Iterator[str]:
    """What was accepted is stored, and what is stored has ended."""
    stored = {(payment.id, one.provider_key) for payment, one in _operations(evidence)}
    for key, named in _accepted(evidence).items():
        for payment_id in named:
            if (payment_id, key) not in stored:
                yield f"{key}: was answered with 202, and {payment_id} does not have it"
    for payment, one in _operations(evidence):
        if one.state not in ENDED:
            waits = f"still {one.state}, due at {one.due_at}"
            yield f"{payment.id} {one.id} ({one.kind}): {waits}"


def nothing_goes_back(evidence: Evidence) -> Iterator[str]:
    """No final state changes, no version and no timeline shrinks."""
    last = {payment.id: payment for payment in evidence.payments}
    sights = sorted(evidence.sights, key=lambda sight: sight.payment)  # stable
    for payment_id, seen in groupby(sights, key=lambda sight: sight.payment):
        every = list(seen)
        corrected = _corrected(last.get(payment_id))
        for before, after in pairwise(every):
            if after.version < before.version or after.told < before.told:
                yield (
                    f"{payment_id}: from version {before.version} with"
                    f" {before.told} events back to {after.version} with {after.told}"
                )
            for operation, state in before.states.items():
                now = after.states.get(operation, "gone")
                if state in FINAL and now != state and operation not in corrected:
                    yield f"{payment_id} {operation}: {state}, and then {now}"
        end = last.get(payment_id)
        if end is None:
            yield f"{payment_id}: was stored, and is gone"
        elif end.version < every[-1].version:
            yield f"{payment_id}: version {every[-1].version}, in the end {end.version}"
    for payment in evidence.payments:
        for event in payment.timeline:
            if event.data.get("from") in FINAL and event.type != CORRECTION:
                yield f"{payment.id} #{event.seq}: moved from {event.data['from']}"


def ends_are_told_once(evidence: Evidence) -> Iterator[str]:
    """One event tells of each final state, and of no other."""
    for payment, one in _operations(evidence):
        if one.id in _corrected(payment):
            continue
        ends = [
            after
            for before, after in _steps(payment, one)
            if after in FINAL and before != after
        ]
        if ends != [one.state] * (one.state in FINAL):
            yield f"{payment.id} {one.id} ({one.state}): told as {ends}"


def timeline_explains(evidence: Evidence) -> Iterator[str]:
    """Numbers without a gap; each step begins where the last ended."""
    for payment in evidence.payments:
        numbers = [event.seq for event in payment.timeline]
        if numbers != list(range(1, payment.event_count + 1)):
            yield f"{payment.id}: told {payment.event_count}, numbered {numbers}"
    for payment, one in _operations(evidence):
        state: str | None = None
        for before, after in _steps(payment, one):
            if before != state:
                yield f"{payment.id} {one.id}: {state}, then from {before}"
            state = after
        if state != one.state:
            yield f"{payment.id} {one.id}: is {one.state}, was told {state}"


def _steps(payment: Payment, one: Operation) -> Iterator[tuple[str | None, str]]:
    """From where to where each event of an operation leads; it begins nowhere.

    An event that names no state before has left it as it was, but for the first.
    """
    first = True
    for event in payment.timeline:
        if event.data.get("operation") == one.id and "to" in event.data:
            to = event.data["to"]
            yield event.data.get("from", None if first else to), to
            first = False


def written_before_sent(evidence: Evidence) -> Iterator[str]:
    """Each movement's key was on the timeline before the money moved."""
    written = {
        event.data["provider_key"]: event.at
        for payment in evidence.payments
        # The first of several sends with one key is the one that counts.
        for event in reversed(payment.timeline)
        if "provider_key" in event.data
    }
    for movement in evidence.movements:
        named = f"{movement.provider} {movement.kind} {movement.key}"
        if movement.key not in written:
            yield f"{named}: no such send is written down"
        elif written[movement.key] > movement.at:
            yield f"{named}: moved before its send was written down"


def nothing_leaks(evidence: Evidence) -> Iterator[str]:
    """No planted secret lies in clear where it must not."""
    yield from evidence.leaks


INVARIANTS: Final = (
    Invariant(
        "I1",
        "one effect per success, none per failure, one operation per key",
        one_effect,
        lambda found: len(list(_operations(found))),
    ),
    Invariant(
        "I2",
        "the providers' sums equal ours, per currency",
        money_agrees,
        lambda found: len({one.currency for one in found.payments}),
    ),
    Invariant(
        "I3",
        "every accepted or stored operation is final or in manual review",
        everything_ends,
        lambda found: len(list(_operations(found))),
    ),
    Invariant(
        "I4",
        "no final state changes, no version goes back",
        nothing_goes_back,
        lambda found: len(found.sights),
    ),
    Invariant(
        "I5",
        "each final state has exactly one event",
        ends_are_told_once,
        lambda found: len(list(_operations(found))),
    ),
    Invariant(
        "I6",
        "timelines have no gap and lead to the stored state",
        timeline_explains,
        lambda found: sum(len(one.timeline) for one in found.payments),
    ),
    Invariant(
        "I7",
        "each movement's send was recorded before it",
        written_before_sent,
        lambda found: len(found.movements),
    ),
    Invariant(
        "I8",
        "no planted secret in logs, Redis or MongoDB",
        nothing_leaks,
        lambda found: found.searched,
    ),
)


def judge(evidence: Evidence) -> list[Verdict]:
    """Every invariant's verdict."""
    return [
        Verdict(one.name, one.says, one.count(evidence), list(one.check(evidence)))
        for one in INVARIANTS
    ]


def _operations(evidence: Evidence) -> Iterator[tuple[Payment, Operation]]:
    for payment in evidence.payments:
        for one in payment.operations:
            yield payment, one


def _accepted(evidence: Evidence) -> dict[str, set[str]]:
    """The payments that a 202 has named, by key."""
    found: dict[str, set[str]] = defaultdict(set)
    for exchange in evidence.exchanges:
        if exchange.status == 202 and exchange.payment is not None:
            found[exchange.key].add(exchange.payment)
    return found


def _by_operation(evidence: Evidence) -> dict[str, list[Movement]]:
    found: dict[str, list[Movement]] = defaultdict(list)
    for movement in evidence.movements:
        found[movement.operation or f"key {movement.key}"].append(movement)
    return found


def _corrected(payment: Payment | None) -> set[str]:
    """The operations that a later fact has moved, as their timeline says."""
    timeline = payment.timeline if payment is not None else ()
    return {event.data["operation"] for event in timeline if event.type == CORRECTION}
