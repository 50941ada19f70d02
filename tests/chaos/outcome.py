"""What became of payments that were accepted and that the provider takes. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.chaos.evidence import Evidence, Exchange


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of the payments that were answered with 202, by the provider's ledger."""

    accepted: int
    once: int  #: charged once
    doubled: int
    as_said: int  #: never charged, and we say so: called off, or with a person
    late: int  #: never charged, but still in Redis: a dead worker's, for an hour
    lost: int  #: never charged, and nowhere to be found


def outcome(
    exchanges: Sequence[Exchange],
    charged: Iterable[str],
    *,
    as_said: frozenset[str] = frozenset(),
    late: frozenset[str] = frozenset(),
) -> Outcome:
    """``charged`` has a key for each charge; ``as_said`` and ``late`` are keys, too."""
    accepted = {
        one.key for one in exchanges if one.status == 202 and one.approved and one.pays
    }
    counts = Counter(charged)
    uncharged = {key for key in accepted if not counts[key]}
    return Outcome(
        accepted=len(accepted),
        once=sum(counts[key] == 1 for key in accepted),
        doubled=sum(counts[key] > 1 for key in accepted),
        as_said=len(uncharged & as_said),
        late=len(uncharged & late - as_said),
        lost=len(uncharged - as_said - late),
    )


def of_product(evidence: Evidence) -> Outcome:
    """The same of our own payments: keys are found by the operations."""
    firsts = [payment.operations[0] for payment in evidence.payments]
    keys = {one.id: one.provider_key for one in firsts}
    charged = [
        keys.get(movement.operation or "", "unknown")
        for movement in evidence.movements
        if movement.kind in ("charge", "authorize")
    ]
    said = frozenset(
        one.provider_key for one in firsts if one.state in ("review", "canceled")
    )
    return outcome(evidence.exchanges, charged, as_said=said)


@dataclass(frozen=True, slots=True)
class Undecided:
    """Operations that a person must decide, by what the ledgers say of them."""

    moved: int  #: money moved, once
    not_moved: int


def undecided(evidence: Evidence) -> Undecided:
    """What the service could not find out, and the ledgers know."""
    moved = {movement.operation for movement in evidence.movements}
    waiting = [
        one.id in moved
        for payment in evidence.payments
        for one in payment.operations
        if one.state == "review"
    ]
    return Undecided(moved=sum(waiting), not_moved=len(waiting) - sum(waiting))
