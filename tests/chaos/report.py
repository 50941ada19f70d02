"""The report of a run: for a terminal, for a page, and as JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from bench.machine import Machine
from tests.chaos.invariants import Verdict
from tests.chaos.outcome import Outcome, Undecided
from tests.chaos.plan import Plan
from tests.chaos.settling import Settling

BEGIN: Final = "<!-- figures: begin, written by make chaos -->"
END: Final = "<!-- figures: end -->"
#: With no failure in N trials, the true rate is below 3/N with 95 % confidence.
RULE_OF_THREE: Final = 3
#: Printed violations of an invariant; the JSON has all.
SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a whole run. Counts are by name."""

    command: str
    machine: Machine
    plan: Plan
    seconds: float
    requests: Mapping[str, int]  #: of the client, by answer
    done: Mapping[str, int]  #: acts of the nemesis
    elections: int
    errors: Mapping[str, int]  #: lines of errors in the logs
    attempts: Mapping[str, int]  #: sends by answer
    states: Mapping[str, int]  #: operations in the end
    settling: Settling
    verdicts: Sequence[Verdict]
    outcome: Outcome
    undecided: Undecided
    control: Outcome | None

    @property
    def violations(self) -> int:
        """The number of violations of all invariants."""
        return sum(len(verdict.violations) for verdict in self.verdicts)

    @property
    def bound(self) -> float | None:
        """Upper 95 % bound of the rate of violations; None if there are some."""
        operations = self.verdicts[0].checked
        return None if self.violations else RULE_OF_THREE / max(operations, 3)

    def acts(self, begin: str) -> int:
        """The number of acts whose names begin with ``begin``."""
        return sum(n for name, n in self.done.items() if name.startswith(begin))

    def actions(self) -> list[tuple[str, str]]:
        """The load, and the acts of the nemesis."""
        kills = {name: self.acts(f"kill {name}") for name in ("worker", "web", "beat")}
        wipes = self.acts("flush") + self.acts("lose_redis")
        primary = {
            name: self.acts(name)
            for name in ("kill_primary", "step_down", "pause_primary")
        }
        return [
            ("seed", str(self.plan.seed)),
            (
                "load",
                f"{self.plan.payments:,} payments at {self.plan.rate:g} a second;"
                f" healed after {self.seconds:.0f} s",
            ),
            ("requests", _counts(self.requests)),
            ("programs killed", f"{sum(kills.values())}: {_counts(kills)}"),
            (
                "workers paused past their lease",
                str(self.acts("pause") - primary["pause_primary"]),
            ),
            (
                "Redis wiped",
                f"{wipes}: {self.acts('flush')} by FLUSHALL,"
                f" {self.acts('lose_redis')} killed and its disk lost;"
                f" paused {self.acts('stop_redis')} times",
            ),
            (
                "MongoDB's primary replaced",
                f"{sum(primary.values())}: {_counts(primary)};"
                f" {self.elections} elections",
            ),
            (
                "provider faults armed",
                f"{self.acts('fault')}: "
                + _counts(
                    {
                        name.removeprefix("fault "): count
                        for name, count in self.done.items()
                        if name.startswith("fault ")
                    }
                ),
            ),
        ]

    def checks(self) -> list[tuple[str, str, str, str]]:
        """A row for each invariant."""
        return [
            (
                verdict.name,
                verdict.description,
                f"{verdict.checked:,}",
                str(len(verdict.violations)),
            )
            for verdict in self.verdicts
        ]

    def results(self) -> list[tuple[str, str]]:
        """The outcomes and the settling."""
        settling = self.settling
        rows = [
            ("attempts", _counts(self.attempts)),
            ("operations in the end", _counts(self.states)),
            (
                "open operations when the faults ended",
                f"{settling.open:,}: {settling.soon:,} settled within 30 s"
                f" ({settling.share:.1%}), the last after {settling.last:.0f} s,"
                f" {settling.left} never",
            ),
            ("reasons of the later ones", _counts(settling.late) or "-"),
            (
                "in manual review in the end",
                f"{self.undecided.moved} whose money moved once,"
                f" {self.undecided.not_moved} whose money did not move",
            ),
            ("accepted payments with a valid method", _describe(self.outcome)),
            (
                "rate of broken promises",
                (
                    "there were violations"
                    if self.bound is None
                    else f"at most {self.bound:.3%}, with 95 % confidence"
                ),
            ),
            ("errors in the logs", _counts(self.errors) or "none"),
        ]
        if self.control is not None:
            rows.append(("the plain service", _describe(self.control)))
        return rows

    def as_json(self) -> str:
        """The report as JSON."""
        document: dict[str, Any] = asdict(self)
        document |= {"violations": self.violations, "bound": self.bound}
        return json.dumps(document, indent=2)

    def as_markdown(self) -> str:
        """The report as tables for a page."""
        lines = [f"`{self.command}`, {self.machine.describe()}.", ""]
        lines += _table(("the run", ""), self.actions())
        lines += [
            "",
            *_table(("", "invariant", "checked", "violations"), self.checks()),
        ]
        lines += ["", *_table(("the result", ""), self.results())]
        return "\n".join(lines) + "\n"


def refresh_page(page: str, report: Report) -> str:
    """``page`` with the report between its markers.

    Raises ValueError if a marker is missing.
    """
    head, begin, rest = page.partition(BEGIN)
    _, end, foot = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no place for the figures")
    return f"{head}{BEGIN}\n{report.as_markdown()}{END}{foot}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _describe(outcome: Outcome) -> str:
    ends = {
        "charged once": outcome.once,
        "twice": outcome.doubled,
        "canceled or in manual review": outcome.as_stored,
        "back after an hour": outcome.late,
        "lost": outcome.lost,
    }
    counts = ", ".join(f"{count:,} {name}" for name, count in ends.items())
    return f"{outcome.accepted:,}: {counts}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
