"""The figures as a table: for a terminal, for a page, and as JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Final

from bench.figures import FIGURES, RATIOS, Round, medians, ratios
from bench.machine import Machine
from bench.ours import OURS
from bench.peer import PEER

SIDES: Final = (OURS, PEER)
BEGIN: Final = "<!-- figures: begin, written by make bench -->"
#: The target, relative to the plain side: throughput, and CPU per payment.
FASTER: Final = 3.0
CHEAPER: Final = 1 / 3
END: Final = "<!-- figures: end -->"


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a whole run."""

    command: str
    machine: Machine
    rounds: Sequence[Round]

    @property
    def faults(self) -> list[str]:
        """The faults, each with its round."""
        return [
            f"{round.side}, round {round.number}: {fault}"
            for round in self.rounds
            for fault in round.faults
        ]

    def of(self, side: str) -> list[Round]:
        """The rounds of one side, in order."""
        return [round for round in self.rounds if round.side == side]

    def medians(self) -> dict[str, dict[str, float]]:
        """By side, each figure's median, without sides that did not run."""
        return {
            side.name: medians(self.of(side.name))
            for side in SIDES
            if self.of(side.name)
        }

    def ratios(self) -> dict[str, list[float]]:
        """By figure, ours divided by the peer's in each round; empty for one side."""
        ours, peer = self.of(OURS.name), self.of(PEER.name)
        return ratios(ours, peer) if ours and peer else {}

    def columns(self) -> list[str]:
        """The headings of ``rows``."""
        return ["", *(side.title for side in SIDES), "ratio", "ratio by round"]

    def rows(self) -> list[list[str]]:
        """A row for each figure; a dash for a side without it."""
        found, by_round = self.medians(), self.ratios()
        return [
            [
                title,
                *(_shown(found.get(side.name, {}).get(name)) for side in SIDES),
                *_ratios_shown(by_round.get(name)),
            ]
            for name, title in FIGURES.items()
        ]

    def as_json(self) -> str:
        """All measurements."""
        by_round = self.ratios()
        document = {
            "command": self.command,
            "machine": asdict(self.machine),
            "rounds": [{**asdict(round), **round.figures()} for round in self.rounds],
            "medians": self.medians(),
            "ratios": {
                name: {"rounds": by_round[name], "median": median(by_round[name])}
                for name in RATIOS
                if name in by_round
            },
            "faults": self.faults,
        }
        return json.dumps(document, indent=2)


def refresh_page(page: str, report: Report) -> str:
    """``page`` with the report between its markers.

    Raises ValueError if a marker is missing.
    """
    head, begin, rest = page.partition(BEGIN)
    _, end, foot = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no place for the figures")
    return f"{head}{BEGIN}\n{_markdown(report)}{END}{foot}"


def compare_with_target(report: Report) -> str:
    """A sentence that compares the ratios with the targets."""
    faster = median(report.ratios()["throughput"])
    cheaper = median(report.ratios()["cpu"])
    slower = "slower than the plain side" if faster < 1 else "no slower"
    reached = faster >= FASTER and cheaper <= CHEAPER
    return (
        f"{faster:.2f} times the throughput (target {FASTER:.0f}, least 1) at"
        f" {cheaper:.2f} times the CPU (target {CHEAPER:.2f}): {slower}, and the target"
        f" is {'reached' if reached else 'not reached'}."
    )


def _markdown(report: Report) -> str:
    columns = report.columns()
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1), *report.rows()]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    about = f"`{report.command}`, {report.machine.describe()}."
    return f"{about}\n\n{table}\n\n{compare_with_target(report)}\n"


def _shown(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _ratios_shown(found: Sequence[float] | None) -> tuple[str, str]:
    if not found:
        return "", ""
    return f"{median(found):.2f}", " · ".join(f"{ratio:.2f}" for ratio in found)


def summarize(figures: Mapping[str, float]) -> str:
    """The main figures of a round, for the terminal."""
    return (
        f"{figures['throughput']:.0f} payments/s, {figures['cpu']:.2f} ms CPU each,"
        f" 202 after {figures['accepted_p50']:.0f} ms;"
        f" other programs kept {figures['others']:.1f} cores busy"
    )
