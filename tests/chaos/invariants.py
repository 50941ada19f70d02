"""The promises, each as a check that lists its violations. Pure.

The states are spelled out here, because the checks share no code with the product.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from tests.chaos.evidence import Evidence, Movement, Operation, Payment

#: The operation has ended.
TERMINAL: Final = frozenset(
    {"succeeded", "declined", "rejected", "canceled", "expired"}
)
#: Ended, or waiting for manual review.
ENDED: Final = TERMINAL | {"review"}
#: States in which no money may have moved.
NOTHING: Final = TERMINAL - {"succeeded"} | {"dead"}
#: The only event that may change a terminal state: a later fact from the provider.
CORRECTION: Final = "operation.corrected"
#: The sign of a movement in the merchant's balance.
SIGN: Final = {"charge": 1, "capture": 1, "refund": -1, "authorize": 0, "void": 0}


@dataclass(frozen=True, slots=True)
class Invariant:
    """``check`` yields a sentence for each violation among ``count`` things."""

    name: str
    description: str
    check: Callable[[Evidence], Iterator[str]]
    count: Callable[[Evidence], int]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a check."""

    name: str
    description: str
    checked: int
    violations: Sequence[str]


def one_effect(evidence: Evidence) -> Iterator[str]:
    """A success has one movement, a failure none, and a key one operation."""
    moved = _by_operation(evidence)
    for payment in evidence.payments:
        for operation in payment.operations:
            movements = moved.pop(operation.id, [])
            yield from _effect(payment, operation, movements)
    for stray, unknown in moved.items():
        yield f"{stray}: {len(unknown)} movements, and no such operation is stored"
    for exchange in evidence.exchanges:
        if exchange.status == 202 and exchange.altered:
            yield f"{exchange.key}: another body was accepted under the same key"
        if exchange.status == 202 and exchange.refused:
            yield f"{exchange.key}: a card number was accepted"
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
    canceled = one.kind == "void" and payment.operations[0].state == "canceled"
    if len(movements) > 1:
        yield f"{named}: moved money {len(movements)} times"
    if one.state == "succeeded" and not movements and not canceled:
        yield f"{named}: nothing moved at the provider"
    if (one.state in NOTHING or canceled) and movements:
        yield f"{named}: the provider moved {movements[0].amount}"
    for movement in movements:
        if (movement.kind, movement.currency) != (one.kind, payment.currency):
            yield f"{named}: the provider has a {movement.kind} in {movement.currency}"
        elif movement.amount != one.amount:
            yield f"{named}: {movement.amount} moved, {one.amount} was requested"


def money_agrees(evidence: Evidence) -> Iterator[str]:
    """The providers' sums equal ours in each currency, without open operations."""
    states = {one.id: one.state for _, one in _operations(evidence)}
    moved: Counter[str] = Counter()
    for movement in evidence.movements:
        if states.get(movement.operation or "") in TERMINAL:
            moved[movement.currency] += SIGN[movement.kind] * movement.amount
    stored: Counter[str] = Counter()
    for payment in evidence.payments:
        stored[payment.currency] += payment.captured - payment.refunded
    for currency in sorted(moved.keys() | stored.keys()):
        if moved[currency] != stored[currency]:
            yield f"{currency}: {moved[currency]} moved, {stored[currency]} is stored"
    for payment in evidence.payments:
        if payment.refunded > payment.captured:
            sums = f"{payment.captured} captured, {payment.refunded} refunded"
            yield f"{payment.id}: {sums}"


def everything_ends(evidence: Evidence) -> Iterator[str]:
    """Every accepted operation is stored, and every stored one has ended."""
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
    """No terminal state changes, and no version or timeline goes back."""
    last = {payment.id: payment for payment in evidence.payments}
    snapshots = sorted(
        evidence.snapshots, key=lambda snapshot: snapshot.payment
    )  # stable
    for payment_id, seen in groupby(snapshots, key=lambda snapshot: snapshot.payment):
        every = list(seen)
        corrected = _corrected(last.get(payment_id))
        for before, after in pairwise(every):
            if after.version < before.version or after.event_count < before.event_count:
                yield (
                    f"{payment_id}: from version {before.version} with"
                    f" {before.event_count} events back to {after.version} with"
                    f" {after.event_count}"
                )
            for operation, state in before.states.items():
                now = after.states.get(operation, "gone")
                if state in TERMINAL and now != state and operation not in corrected:
                    yield f"{payment_id} {operation}: {state}, and then {now}"
        end = last.get(payment_id)
        if end is None:
            yield f"{payment_id}: was stored, and is gone"
        elif end.version < every[-1].version:
            yield f"{payment_id}: version {every[-1].version}, in the end {end.version}"
    for payment in evidence.payments:
        for event in payment.timeline:
            if event.data.get("from") in TERMINAL and event.type != CORRECTION:
                yield f"{payment.id} #{event.seq}: moved from {event.data['from']}"


def ends_have_one_event(evidence: Evidence) -> Iterator[str]:
    """Each terminal state has exactly one event."""
    for payment, one in _operations(evidence):
        if one.id in _corrected(payment):
            continue
        ends = [
            after
            for before, after in _steps(payment, one)
            if after in TERMINAL and before != after
        ]
        if ends != [one.state] * (one.state in TERMINAL):
            yield f"{payment.id} {one.id} ({one.state}): its events end in {ends}"


def timeline_explains(evidence: Evidence) -> Iterator[str]:
    """The numbers have no gap, and each step begins in the state of the last one."""
    for payment in evidence.payments:
        numbers = [event.seq for event in payment.timeline]
        if numbers != list(range(1, payment.event_count + 1)):
            yield f"{payment.id}: {payment.event_count} events, numbered {numbers}"
    for payment, one in _operations(evidence):
        state: str | None = None
        for before, after in _steps(payment, one):
            if before != state:
                yield f"{payment.id} {one.id}: {state}, then from {before}"
            state = after
        if state != one.state:
            yield f"{payment.id} {one.id}: is {one.state}, its events lead to {state}"


def _steps(payment: Payment, one: Operation) -> Iterator[tuple[str | None, str]]:
    """The state before and after each event of an operation, at first None.

    Except for the first one, an event without a ``from`` leaves the state unchanged.
    """
    first = True
    for event in payment.timeline:
        if event.data.get("operation") == one.id and "to" in event.data:
            to = event.data["to"]
            yield event.data.get("from", None if first else to), to
            first = False


def written_before_sent(evidence: Evidence) -> Iterator[str]:
    """Each movement's key was on a timeline before the money moved."""
    written = {
        event.data["provider_key"]: event.at
        for payment in evidence.payments
        # Of several sends with one key, the first one counts.
        for event in reversed(payment.timeline)
        if "provider_key" in event.data
    }
    for movement in evidence.movements:
        named = f"{movement.provider} {movement.kind} {movement.key}"
        if movement.key not in written:
            yield f"{named}: its send is not recorded"
        elif written[movement.key] > movement.at:
            yield f"{named}: moved before its send was recorded"


def nothing_leaks(evidence: Evidence) -> Iterator[str]:
    """No planted secret was found unencrypted."""
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
        "every accepted or stored operation is in a terminal state or in manual review",
        everything_ends,
        lambda found: len(list(_operations(found))),
    ),
    Invariant(
        "I4",
        "no terminal state changes, no version goes back",
        nothing_goes_back,
        lambda found: len(found.snapshots),
    ),
    Invariant(
        "I5",
        "each terminal state has exactly one event",
        ends_have_one_event,
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
    """Checks every invariant."""
    return [
        Verdict(
            invariant.name,
            invariant.description,
            invariant.count(evidence),
            list(invariant.check(evidence)),
        )
        for invariant in INVARIANTS
    ]


def _operations(evidence: Evidence) -> Iterator[tuple[Payment, Operation]]:
    for payment in evidence.payments:
        for one in payment.operations:
            yield payment, one


def _accepted(evidence: Evidence) -> dict[str, set[str]]:
    """The payments in 202 answers, by key."""
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
    """The operations with an event of a correction."""
    timeline = payment.timeline if payment is not None else ()
    return {event.data["operation"] for event in timeline if event.type == CORRECTION}
