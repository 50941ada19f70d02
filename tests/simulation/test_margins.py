"""How long things may take, beside each other: what no history can show by itself."""

from __future__ import annotations

from application import attempt
from domain.payments.operation import ABSENCE_PROOF_DELAY
from domain.payments.payment import LEASE
from tests.simulation.provider import WIRE, WORKS


def test_a_send_has_ended_before_its_absence_counts() -> None:
    """Held up after its claim, on its way, and in the provider's hands."""
    assert attempt._MAX_CLAIM_AGE + WIRE + WORKS < ABSENCE_PROOF_DELAY


def test_a_call_is_not_made_for_an_outdated_claim() -> None:
    assert LEASE < attempt._MAX_CLAIM_AGE
