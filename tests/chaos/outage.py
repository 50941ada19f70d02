"""``python -m tests.chaos.outage``: Stripe is unavailable for two minutes under load.

Prints the results, and exits with 1 if a promise was broken: every payment is accepted,
the breaker opens, there is one probe at a time, all payments settle after the outage,
and each is charged once.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import requests

from runtime.processes import wait_until
from tests.chaos import evidence, stack, trial
from tests.chaos.requester import Log, Target
from tests.chaos.client import Client
from tests.chaos.evidence import Movement, Payment
from tests.chaos.settling import watch_settling
from tests.chaos.stack import Stack
from tests.chaos.watch import open_database
from tests.chaos.workload import plain

#: Seconds of load before the outage and after it.
AROUND: Final = 15.0
#: Seconds after the load within which everything must settle.
BOUND: Final = 300.0
#: Workers cache a breaker for a second, and calls may be in progress when it opens.
CACHED: Final = timedelta(seconds=3)
#: One payment in so many goes to PayPal, which is available.
PAYPAL_EVERY: Final = 5


@dataclass(frozen=True, slots=True)
class OutageResult:
    """The results of an outage: seconds, and counts of payments by default."""

    submitted: int
    accepted: int
    away: float
    opened_after: float | None  #: from the first refused connection; None: never
    failures_before_opening: int  #: failed calls before the breaker opened
    probes: int  #: calls while the breaker was open
    probes_at_once: int  #: of these, at most
    paypal_meanwhile: int  #: settled at PayPal during the outage
    settled: int
    last_settled_after: float  #: seconds after the outage
    charged_once: int
    charged_otherwise: int  #: never, or twice

    @property
    def passed(self) -> bool:
        """Whether every promise was kept."""
        return (
            self.accepted == self.submitted == self.settled == self.charged_once
            and self.charged_otherwise == 0
            and self.opened_after is not None
            and self.probes_at_once <= 1
        )


def watch_outage(home: Path, *, rate: float, seconds: float) -> OutageResult:
    """Runs a stack in ``home`` under ``rate`` payments a second through an outage."""
    count = int(rate * (seconds + 2 * AROUND))
    with stack.running(home) as running:
        database = open_database(running.mongo.url, running.database)
        log = Log(home / "client.jsonl")
        target = Target(
            [f"{web}/v1/payments" for web in running.webs],
            {"Authorization": f"Bearer {running.key}"},
        )
        with Client(
            target,
            plain("outage", count, paypal_every=PAYPAL_EVERY),
            rate=rate,
            log=log,
        ) as client:
            first = rate * AROUND
            wait_until(lambda: log.counts["answered 202"] >= first, seconds=BOUND)
            began = datetime.now(UTC)
            _refuse(running, seconds)
            wait_until(lambda: not client.is_submitting(), seconds=BOUND + seconds)
            watch_settling(
                database,
                bound=BOUND,
                supervise=running.supervisor.supervise,
                is_quiet=client.is_done,
                report=lambda count, passed: None,
            )
        found = _evaluate(
            count,
            log.counts["answered 202"],
            seconds,
            began,
            evidence.read_payments(database),
            evidence.read_movements("stripe", running.providers["stripe"])
            + evidence.read_movements("paypal", running.providers["paypal"]),
            database.circuit_breakers.find_one({"_id": "stripe"}) or {"changes": []},
        )
        database.client.close()
    return found


def _refuse(running: Stack, seconds: float) -> None:
    url = f"{running.providers['stripe']}/_faults"
    armed = requests.post(url, json={"do": "refuse", "seconds": seconds}, timeout=10)
    armed.raise_for_status()


def _evaluate(
    submitted: int,
    accepted: int,
    away: float,
    began: datetime,
    payments: Sequence[Payment],
    movements: Sequence[Movement],
    breaker: Mapping[str, Any],
) -> OutageResult:
    over = began + timedelta(seconds=away)
    opened = [
        change["at"]
        for change in breaker["changes"]
        if change["state"] == "open" and change["at"] >= began
    ]
    at_stripe = _calls(payments, movements, "stripe")
    open_from = opened[0] + CACHED if opened else over
    probes = [(at, end) for at, end, _ in at_stripe if open_from <= at < over]
    failed = [end for at, end, ok in at_stripe if began <= at < open_from and not ok]
    moved = Counter(one.operation for one in movements)
    operations = [one.operations[0] for one in payments]
    ends = [one.timeline[-1].at for one in payments]
    done = [one for one in operations if one.state == "succeeded"]
    once = sum(moved[one.id] == 1 for one in operations)
    paypal = {one.operation for one in movements if one.provider == "paypal"}
    return OutageResult(
        submitted=submitted,
        accepted=accepted,
        away=away,
        opened_after=(opened[0] - began).total_seconds() if opened else None,
        failures_before_opening=len(failed),
        probes=len(probes),
        probes_at_once=_max_overlap(probes),
        paypal_meanwhile=sum(
            began <= one.timeline[-1].at < over and one.operations[0].id in paypal
            for one in payments
        ),
        settled=len(done),
        last_settled_after=max((max(ends) - over).total_seconds(), 0.0),
        charged_once=once,
        charged_otherwise=len(operations) - once + len(moved.keys() - _ids(operations)),
    )


def _ids(operations: Sequence[evidence.Operation]) -> set[str | None]:
    return {one.id for one in operations}


def _calls(
    payments: Sequence[Payment], movements: Sequence[Movement], provider: str
) -> list[tuple[datetime, datetime, bool]]:
    """The start, the end and the success of each call to the provider."""
    others = {one.operation for one in movements if one.provider != provider}
    calls = []
    for payment in payments:
        if payment.operations[0].id in others:
            continue
        sends = [one for one in payment.timeline if one.type == "attempt.sent"]
        ends = [one for one in payment.timeline if one.type == "attempt.answered"]
        calls += [
            (sent.at, end.at, end.data["answer"] == "succeeded")
            for sent, end in zip(sends, ends, strict=True)
        ]
    return calls


def _max_overlap(spans: Sequence[tuple[datetime, datetime]]) -> int:
    """The largest number of overlapping spans."""
    steps = sorted([(at, 1) for at, _ in spans] + [(end, -1) for _, end in spans])
    most = now = 0
    for _, step in steps:
        now += step
        most = max(most, now)
    return most


if __name__ == "__main__":
    options = {"rate": (50.0, "payments a second"), "seconds": (120.0, "of the outage")}
    sys.exit(trial.main(__doc__, watch_outage, options))
