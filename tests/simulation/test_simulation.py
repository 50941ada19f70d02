"""A minute of the simulation, and the mutants that it must catch."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from domain.payments.event_types import EventType
from domain.payments.states import State
from tests.simulation import campaign
from tests.simulation.campaign import Outcome
from tests.simulation.histories import History
from tests.simulation.mutant_runs import (
    copy_packages,
    run_mutant,
    mutate,
    run_histories,
)
from tests.simulation.mutants import MUTANTS, Mutant
from tests.suites.samples import SHOP

#: Random histories of one run: a quarter of a minute on two cores.
HISTORIES: Final = 12_000
PROCESSES: Final = os.cpu_count() or 1
QUICK_MUTANTS: Final = [one for one in MUTANTS if not one.slow]


def test_no_crash_point_and_no_pair_of_them_breaks_a_promise() -> None:
    outcomes = list(campaign.crash_points(pairs=campaign.QUICK, processes=PROCESSES))
    _check_outcomes(outcomes)
    assert sum(one.histories for one in outcomes) > 30_000


def test_no_random_history_breaks_a_promise() -> None:
    outcomes = campaign.random_histories(
        seed=0, histories=HISTORIES, seconds=None, processes=PROCESSES
    )
    assert _check_outcomes(list(outcomes)) == HISTORIES


def test_a_seed_repeats_its_history() -> None:
    first, again = History(17), History(17)
    first.run()
    again.run()
    assert first.log == again.log
    assert len(first.log) > 50


def test_histories_reach_every_kind_of_step() -> None:
    """A simulation with few kinds of steps proves little."""
    seen = {state: 0 for state in State}
    renewed = looked_at = followed_up = asked_payers = approved = rerouted = 0
    external = overtaken = 0
    for seed in range(600):
        history = History(seed)
        history.run()
        for payment in history.world.oracle.known.values():
            followed_up += len(payment.operations) > 1
            for one in payment.operations:
                seen[one.state] += 1
                renewed += one.generation > 1
                approved += one.approved
                external += one.is_external
                overtaken += (one.error or "").endswith("_at_provider")
            timeline = history.world.table.load_timeline(SHOP, payment.id) or []
            rerouted += any(
                event.type == EventType.PAYMENT_ROUTED for event in timeline
            )
            asked_payers += any(
                event.data.get("to") == State.REQUIRES_ACTION for event in timeline
            )
        looked_at += any("looks up" in step[1] for step in history.log)
    assert min(seen[State.SUCCEEDED], seen[State.DECLINED]) > 20
    assert min(seen[State.REVIEW], asked_payers, approved) > 5
    assert min(renewed, looked_at, followed_up, rerouted, external) > 20
    assert overtaken > 2


def test_an_unchanged_copy_of_the_product_passes(tmp_path: Path) -> None:
    copy_packages(tmp_path)
    code, output = run_histories(tmp_path, histories=500)
    assert code == 0, output


def test_every_quick_mutant_is_caught() -> None:
    with ThreadPoolExecutor(PROCESSES) as pool:
        verdicts = list(pool.map(run_mutant, QUICK_MUTANTS))
    survived = [(one.mutant.name, one.detail) for one in verdicts if not one.caught]
    assert survived == []


@pytest.mark.parametrize("before", ["no such text", "timedelta"])
def test_a_mutant_whose_text_is_not_found_once_is_an_error(
    tmp_path: Path, before: str
) -> None:
    copy_packages(tmp_path)
    with pytest.raises(ValueError, match="times in domain/retry.py, not once"):
        mutate(tmp_path, Mutant("misfit", "domain/retry.py", before, ""))


def _check_outcomes(outcomes: list[Outcome]) -> int:
    for one in outcomes:
        assert one.violation is None, one.violation
    return sum(one.histories for one in outcomes)
