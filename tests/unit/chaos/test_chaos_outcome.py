"""The outcomes of accepted payments, by the ledger alone."""

from __future__ import annotations

from tests.chaos.evidence import Exchange
from tests.chaos.outcome import Outcome, outcome


def exchange(key: str, status: int | None = 202, *, approved: bool = True) -> Exchange:
    return Exchange(0.0, key, status, f"pay_{key}", True, False, False, approved)


def test_lost_doubled_late_and_waiting_payments_are_distinguished() -> None:
    asked = [
        *map(exchange, ("once", "twice", "lost", "waiting", "charged and waiting")),
        *map(exchange, ("late", "once")),
        exchange("declined", approved=False),
        exchange("never accepted", 503),
    ]
    found = outcome(
        asked,
        ["once", "twice", "twice", "charged and waiting"],
        as_stored=frozenset({"waiting", "charged and waiting"}),
        late=frozenset({"late", "once"}),
    )
    assert found == Outcome(accepted=6, once=2, doubled=1, as_stored=1, late=1, lost=1)
