"""The results of accepted payments with a valid method. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.chaos.evidence import Evidence, Exchange


@dataclass(frozen=True, slots=True)
class Outcome:
    """Counts of accepted payments, by the provider's ledger."""

    accepted: int
    once: int  #: charged once
    doubled: int
    as_stored: int  #: never charged, and stored as canceled or in manual review
    late: int  #: not charged yet, but in Redis: a dead worker's, for an hour
    lost: int  #: never charged, and stored nowhere


def outcome(
    exchanges: Sequence[Exchange],
    charged: Iterable[str],
    *,
    as_stored: frozenset[str] = frozenset(),
    late: frozenset[str] = frozenset(),
) -> Outcome:
    """Counts outcomes; ``charged``, ``as_stored`` and ``late`` have payments' keys."""
    accepted = {
        one.key for one in exchanges if one.status == 202 and one.approved and one.pays
    }
    counts = Counter(charged)
    uncharged = {key for key in accepted if not counts[key]}
    return Outcome(
        accepted=len(accepted),
        once=sum(counts[key] == 1 for key in accepted),
        doubled=sum(counts[key] > 1 for key in accepted),
        as_stored=len(uncharged & as_stored),
        late=len(uncharged & late - as_stored),
        lost=len(uncharged - as_stored - late),
    )


def of_product(evidence: Evidence) -> Outcome:
    """The outcomes of the product's payments."""
    firsts = [payment.operations[0] for payment in evidence.payments]
    keys = {one.id: one.provider_key for one in firsts}
    charged = [
        keys.get(movement.operation or "", "unknown")
        for movement in evidence.movements
        if movement.kind in ("charge", "authorize")
    ]
    uncharged = frozenset(
        one.provider_key for one in firsts if one.state in ("review", "canceled")
    )
    return outcome(evidence.exchanges, charged, as_stored=uncharged)


@dataclass(frozen=True, slots=True)
class Undecided:
    """Operations in manual review, by the ledgers."""

    moved: int  #: money moved, once
    not_moved: int


def undecided(evidence: Evidence) -> Undecided:
    """Counts operations in manual review by their movements in the ledgers."""
    moved = {movement.operation for movement in evidence.movements}
    waiting = [
        one.id in moved
        for payment in evidence.payments
        for one in payment.operations
        if one.state == "review"
    ]
    return Undecided(moved=sum(waiting), not_moved=len(waiting) - sum(waiting))
