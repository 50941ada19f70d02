"""A short round of each side: every payment is charged once, and its figures exist."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from bench.figures import FIGURES
from bench.report import SIDES
from bench.rounds import Plan, play
from bench.sides import Role, Side

PLAN: Final = Plan(payments=12, connections=4, latency=0.02, warm_up=8, alone=1)
#: Figures of stored outcomes and of MongoDB, which one side lacks or has as 0.
OF_A_DATABASE: Final = {"captured_p50", "captured_p99", "mongo_commands"}
#: Too few hundredths of a second, or none of other programs.
MAY_BE_ZERO: Final = {"cpu_servers", "others"}


@pytest.mark.parametrize("side", SIDES, ids=lambda side: side.name)
def test_every_payment_of_a_round_is_charged_once(side: Side, tmp_path: Path) -> None:
    found = play(side, 1, PLAN, tmp_path / "round")
    assert found.faults == ()
    assert found.payments == 12
    positive = {name for name, value in found.figures().items() if value > 0}
    needed = FIGURES.keys() - MAY_BE_ZERO
    if side.role is Role.NO_DATABASE:
        assert positive & OF_A_DATABASE == set()
        needed -= OF_A_DATABASE
    assert positive >= needed
