"""The figures as tables: for a terminal, for a page, and as JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Final

from bench.figures import FIGURES, RATIOS, Round, best, medians, ratios
from bench.machine import Machine
from bench.ours import OURS
from bench.peers.table import PEERS
from bench.sides import Role, Side
from bench.targets import TARGETS, Target

SIDES: Final[Sequence[Side]] = (OURS, *PEERS)
BEGIN: Final = "<!-- figures: begin, written by make bench -->"
END: Final = "<!-- figures: end -->"
#: Cores that other programs may keep busy without a word on it.
DISTURBED: Final = 0.1
#: The headings of ours divided by another side's figure.
AGAINST: Final[Mapping[Role, str]] = {
    Role.DURABLE: "÷ durable",
    Role.NO_DATABASE: "÷ plain",
    Role.FLOOR: "÷ floor",
}


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a whole run."""

    command: str
    machine: Machine
    stripe: str  #: the program that played Stripe
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

    def sides(self) -> list[Side]:
        """The sides that ran."""
        return [side for side in SIDES if self.of(side.name)]

    def medians(self) -> dict[str, dict[str, float]]:
        """By side, each figure's median, without sides that did not run."""
        return {side.name: medians(self.of(side.name)) for side in self.sides()}

    def rival(self, name: str, role: Role) -> str | None:
        """The side of ``role`` with the best median of ``name``; None if none ran."""
        found = self.medians()
        by_side = {
            side.name: found[side.name][name]
            for side in self.sides()
            if side.role is role and name in found[side.name]
        }
        return best(name, by_side) if by_side else None

    def ratios(self, name: str, role: Role) -> list[float]:
        """Ours divided by the rival's in each round; empty if one did not run."""
        ours, rival = self.of(OURS.name), self.rival(name, role)
        return ratios(ours, self.of(rival), name) if ours and rival else []

    def measured(self, target: Target) -> float | None:
        """The median over the rounds of the target's value; None without a rival."""
        ours, rival = self.of(OURS.name), self.rival(target.figure, target.against)
        if not ours or rival is None:
            return None
        pairs = [
            (mine.figures().get(target.figure), theirs.figures().get(target.figure))
            for mine, theirs in zip(ours, self.of(rival), strict=True)
        ]
        found = [target.measure(mine, their) for mine, their in pairs if mine and their]
        return median(found) if found else None

    def disturbance(self) -> str:
        """A sentence on the work of other programs; empty if there was little."""
        busy = [round.others for round in self.rounds]
        if max(busy) <= DISTURBED:
            return ""
        return (
            f" Other programs kept {min(busy):.1f} to {max(busy):.1f} cores busy during"
            " its rounds: the throughputs and latencies are worse than on a quiet"
            " machine, and the ratios are rough."
        )

    def columns(self) -> list[str]:
        """The headings of ``rows``."""
        return ["", *(side.name for side in self.sides()), *self._compared().values()]

    def rows(self) -> list[list[str]]:
        """A row for each figure; a dash for a side without it."""
        found = self.medians()
        return [
            [
                title,
                *(_shown(figures.get(name)) for figures in found.values()),
                *(self._ratio_shown(name, role) for role in self._compared()),
            ]
            for name, title in FIGURES.items()
        ]

    def target_rows(self) -> Iterator[list[str]]:
        """A row for each target of the sides that ran, under TARGET_COLUMNS."""
        for target in TARGETS:
            measured, rival = self.measured(target), self.rival(
                target.figure, target.against
            )
            if measured is not None:
                [title] = [side.title for side in SIDES if side.name == rival]
                reached = "reached" if target.is_reached(measured) else "not reached"
                yield [f"{target.text} {title}", f"{measured:.2f}", reached]

    def as_json(self) -> str:
        """All measurements."""
        document = {
            "command": self.command,
            "machine": asdict(self.machine),
            "stripe": self.stripe,
            "rounds": [{**asdict(round), **round.figures()} for round in self.rounds],
            "medians": self.medians(),
            "ratios": {
                role.value: {
                    name: {"side": self.rival(name, role), "rounds": found}
                    for name in RATIOS
                    if (found := self.ratios(name, role))
                }
                for role in self._compared()
            },
            "targets": [
                {"target": text, "measured": measured, "reached": reached == "reached"}
                for text, measured, reached in self.target_rows()
            ],
            "faults": self.faults,
        }
        return json.dumps(document, indent=2)

    def _compared(self) -> dict[Role, str]:
        """The headings of the ratios: none without our side, or without a rival."""
        if not self.of(OURS.name):
            return {}
        ran = {side.role for side in self.sides()}
        return {role: title for role, title in AGAINST.items() if role in ran}

    def _ratio_shown(self, name: str, role: Role) -> str:
        found = self.ratios(name, role) if name in RATIOS else []
        return f"{median(found):.2f}" if found else ""


TARGET_COLUMNS: Final = ("target", "measured", "")


def refresh_page(page: str, report: Report) -> str:
    """``page`` with the report between its markers.

    Raises ValueError if a marker is missing.
    """
    head, begin, rest = page.partition(BEGIN)
    _, end, foot = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no place for the figures")
    about = (
        f"`{report.command}`, {report.machine.describe()}; Stripe: {report.stripe}."
        f"{report.disturbance()}"
    )
    tables = (
        _markdown(report.columns(), report.rows()),
        _markdown(TARGET_COLUMNS, report.target_rows()),
    )
    return f"{head}{BEGIN}\n{about}\n\n{''.join(tables)}{END}{foot}"


def summarize(figures: Mapping[str, float]) -> str:
    """The main figures of a round, for the terminal."""
    return (
        f"{figures['throughput']:.0f} payments/s, {figures['cpu']:.2f} ms CPU each"
        f" ({figures['cpu_servers']:.2f} of servers),"
        f" 202 after {figures['accepted_p50']:.0f} ms,"
        f" alone {figures.get('lone_p50', 0):.0f} ms;"
        f" other programs kept {figures['others']:.1f} cores busy"
    )


def _markdown(
    columns: Sequence[str], rows: Iterator[list[str]] | list[list[str]]
) -> str:
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines) + "\n"


def _shown(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
