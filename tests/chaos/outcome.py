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
    missing: int  #: never charged, and nobody was told to look
    at_a_person: int  #: never charged, and waiting for a person's decision


def outcome(
    exchanges: Sequence[Exchange],
    charged: Iterable[str],
    *,
    at_a_person: frozenset[str],
) -> Outcome:
    """``charged`` has a key for each charge; ``at_a_person`` are keys, too."""
    accepted = {one.key for one in exchanges if one.status == 202 and one.approved}
    counts = Counter(charged)
    uncharged = {key for key in accepted if not counts[key]}
    return Outcome(
        accepted=len(accepted),
        once=sum(counts[key] == 1 for key in accepted),
        doubled=sum(counts[key] > 1 for key in accepted),
        missing=len(uncharged - at_a_person),
        at_a_person=len(uncharged & at_a_person),
    )


def of_product(evidence: Evidence) -> Outcome:
    """The same of our own payments: keys are found by the operations."""
    keys = {
        one.id: payment.key
        for payment in evidence.payments
        for one in payment.operations
    }
    charged = [
        keys.get(movement.operation or "", "unknown")
        for movement in evidence.movements
        if movement.kind in ("charge", "authorize")
    ]
    waiting = frozenset(
        payment.key
        for payment in evidence.payments
        if any(one.state == "review" for one in payment.operations)
    )
    return outcome(evidence.exchanges, charged, at_a_person=waiting)
