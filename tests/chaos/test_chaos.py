"""Short forms of the proofs: a minute of chaos, and a short outage of a provider."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path

from tests.chaos.outage import watch_outage
from tests.chaos.plan import SHORT
from tests.chaos.proof import prove


def test_no_payment_is_lost_doubled_or_leaked_while_everything_breaks(
    tmp_path: Path,
) -> None:
    plan = replace(SHORT, seed=secrets.randbelow(10**6))
    report = prove(
        plan, tmp_path, print_line=print, command=f"make chaos-short, {plan.seed}"
    )
    broken = [
        f"{verdict.name}: {violation}"
        for verdict in report.verdicts
        for violation in verdict.violations
    ]
    assert broken == [], f"seed {plan.seed}"
    assert all(verdict.checked for verdict in report.verdicts)
    # The proof counts only with enough faults and enough payments.
    assert report.acts("kill ") >= plan.kills
    assert report.acts("flush") + report.acts("lose_redis") >= plan.wipes
    assert report.elections >= plan.failovers
    assert report.acts("fault ") >= plan.faults
    assert report.outcome.once >= plan.payments // 2
    assert report.settling.left == 0


def test_a_providers_outage_costs_time_alone(tmp_path: Path) -> None:
    found = watch_outage(tmp_path, rate=15, seconds=15)
    assert found.passed, found
    assert found.failures_before_opening and found.probes, "the outage had no effect"
    assert found.paypal_meanwhile, "the other provider is not affected"
