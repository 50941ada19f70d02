"""Short rounds: every payment is charged once, and its figures exist.

The other sides run the same code with another worker, or as whole stacks that take long
to start: `make bench` itself covers those.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from bench.figures import FIGURES
from bench.report import SIDES
from bench.rounds import Plan, play
from bench.sides import Side

PLAN: Final = Plan(payments=12, connections=4, latency=0.02, warm_up=8, alone=1)
SHORT: Final = [side for side in SIDES if side.name in ("dramatiq", "floor")]
#: Too few hundredths of a second, or none of other programs.
MAY_BE_ZERO: Final = {"cpu_servers", "others"}


@pytest.mark.parametrize("side", SHORT, ids=lambda side: side.name)
def test_every_payment_of_a_round_is_charged_once(side: Side, tmp_path: Path) -> None:
    found = play(side, 1, PLAN, tmp_path / "round")
    assert found.faults == ()
    assert found.payments == 12
    positive = {name for name, value in found.figures().items() if value > 0}
    assert positive >= FIGURES.keys() - MAY_BE_ZERO
