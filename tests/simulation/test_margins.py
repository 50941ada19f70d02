"""The margins between time limits, which no single history shows."""

from __future__ import annotations

from application import attempt
from domain.payments.operation import ABSENCE_PROOF_DELAY
from domain.payments.payment import LEASE
from tests.simulation.provider import MAX_TRANSIT, MAX_WORK


def test_a_send_has_ended_before_its_absence_counts() -> None:
    """Adds the delay after the claim, the transit and the provider's work."""
    assert attempt._MAX_CLAIM_AGE + MAX_TRANSIT + MAX_WORK < ABSENCE_PROOF_DELAY


def test_a_call_is_not_made_for_an_outdated_claim() -> None:
    assert LEASE < attempt._MAX_CLAIM_AGE
