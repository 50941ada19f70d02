"""Short forms of the proofs, as a breaker: a minute of everything going wrong, and less
of a provider that is away."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path

from tests.chaos.outage import watch_outage
from tests.chaos.plan import SHORT
from tests.chaos.proof import prove


def test_nothing_is_lost_doubled_or_told_while_everything_breaks(
    tmp_path: Path,
) -> None:
    plan = replace(SHORT, seed=secrets.randbelow(10**6))
    report = prove(plan, tmp_path, say=print, command=f"make chaos-short, {plan.seed}")
    broken = [
        f"{verdict.name}: {violation}"
        for verdict in report.verdicts
        for violation in verdict.violations
    ]
    assert broken == [], f"seed {plan.seed}"
    assert all(verdict.checked for verdict in report.verdicts)
    # A proof in which little broke, or little was paid, would prove little.
    assert report.acts("kill ") >= plan.kills
    assert report.acts("flush") + report.acts("lose_redis") >= plan.wipes
    assert report.elections >= plan.failovers
    assert report.acts("fault ") >= plan.faults
    assert report.outcome.once >= plan.payments // 2
    assert report.settling.left == 0


def test_a_providers_outage_costs_time_alone(tmp_path: Path) -> None:
    found = watch_outage(tmp_path, rate=15, seconds=15)
    assert found.kept, found
    assert found.failed_before_it and found.probes, "it was never felt"
    assert found.paypal_meanwhile, "the other provider goes on"
