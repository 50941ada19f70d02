"""A run's acts are determined by its seed, and spread over its length."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from simulators.faults import parse_fault
from tests.chaos.plan import (
    FAILOVERS,
    FAULTS,
    KILLED,
    LAST_OUTAGE,
    LONG,
    PATHS,
    SHORT,
    Plan,
    schedule,
)
from tests.chaos.workload import intents

CARD = "4242424242424242"


@pytest.mark.parametrize("plan", [LONG, SHORT])
def test_a_plan_has_every_promised_act(plan: Plan) -> None:
    acts = schedule(replace(plan, seed=7))
    counts = Counter(act.do for act in acts)
    assert counts["kill"] == plan.kills
    assert counts["flush"] + counts["lose_redis"] == plan.wipes
    assert sum(counts[name] for name in FAILOVERS) == plan.failovers
    assert counts["fault"] == plan.faults + len(PATHS)
    killed = {act.detail["kind"] for act in acts if act.do == "kill"}
    assert killed == set(KILLED)
    kinds = {act.detail["fault"]["do"] for act in acts if act.do == "fault"}
    assert len(kinds) == len(FAULTS)
    assert acts == sorted(acts, key=lambda act: act.at)
    assert 0 <= acts[0].at <= acts[-1].at <= plan.seconds


def test_both_providers_are_unavailable_until_the_healing() -> None:
    acts = schedule(replace(SHORT, seed=7))
    at = SHORT.seconds - LAST_OUTAGE
    outage = [act for act in acts if act.do == "fault" and act.at == at]
    assert {act.detail["provider"] for act in outage} == set(PATHS)
    fault = {"do": "refuse", "seconds": LAST_OUTAGE}
    assert all(act.detail["fault"] == fault for act in outage)


def test_equal_seeds_make_equal_plans_and_others_do_not() -> None:
    assert schedule(replace(SHORT, seed=7)) == schedule(replace(SHORT, seed=7))
    assert schedule(replace(SHORT, seed=7)) != schedule(replace(SHORT, seed=8))
    drawn = list(intents(50, seed=7, word="canary", card=CARD))
    assert drawn == list(intents(50, seed=7, word="canary", card=CARD))
    assert drawn != list(intents(50, seed=8, word="canary", card=CARD))


def test_every_fault_is_accepted_by_the_simulators() -> None:
    for act in schedule(replace(LONG, seed=7)):
        if act.do == "fault":
            parse_fault(dict(act.detail["fault"]))


def test_a_load_has_payments_of_every_kind() -> None:
    drawn = list(intents(1000, seed=7, word="canary", card=CARD))
    keys = Counter(intent.key for intent in drawn)
    assert any(count == 2 for count in keys.values())
    assert any(intent.repeated for intent in drawn)
    assert any(intent.altered for intent in drawn)
    cards = [intent for intent in drawn if intent.refused]
    assert cards and all(one.body["payment_method"] == CARD for one in cards)
    assert {one.body["provider"] for one in drawn} == {"stripe", "paypal"}
    assert len(keys) == 1000 + len(cards)
