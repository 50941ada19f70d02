"""A gate that nobody closes."""

from __future__ import annotations

from datetime import timedelta

from application.gate import OpenGates
from application.ports import Admission
from domain.submission import ProviderName
from tests.suites.samples import DECLINE


def test_an_open_gate_lets_everybody_in_whatever_it_is_told() -> None:
    gates = OpenGates()
    gates.tell(ProviderName.STRIPE, [DECLINE])
    assert gates.admit(ProviderName.STRIPE, 7) == Admission(7, timedelta())
