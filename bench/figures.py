"""The measurements of a round, and the figures from them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.sides import SERVERS

#: In a second.
MILLISECONDS: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Milliseconds."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Round:
    """One side, measured once; any entry in ``faults`` is a failure."""

    side: str
    number: int
    payments: int
    seconds: float  #: from the first request to the last settled payment
    cpu: Mapping[str, float]  #: CPU seconds by process, children included
    #: CPU seconds of the simulator, with the same work for both sides.
    yardstick: float
    others: float  #: cores used by other programs
    accepted: Percentiles  #: from the request to its 202
    charged: Percentiles  #: from the request to the charge in Stripe's ledger
    captured: Percentiles | None  #: from the request to the stored outcome
    faults: tuple[str, ...]

    def figures(self) -> dict[str, float]:
        """The reported figures, by FIGURES."""
        servers = sum(self.cpu[name] for name in self.cpu.keys() & SERVERS)
        each = MILLISECONDS / self.payments
        found = {
            "throughput": self.payments / self.seconds,
            "cpu": sum(self.cpu.values()) * each,
            "cpu_python": (sum(self.cpu.values()) - servers) * each,
            "cpu_servers": servers * each,
            "yardstick": self.yardstick * each,
            "cpu_relative": sum(self.cpu.values()) / self.yardstick,
            "others": self.others,
        }
        for name in ("accepted", "charged", "captured"):
            measured: Percentiles | None = getattr(self, name)
            if measured is not None:
                found[f"{name}_p50"] = measured.p50
                found[f"{name}_p95"] = measured.p95
                found[f"{name}_p99"] = measured.p99
        return found


#: Figures in the order of the report, and their labels.
FIGURES: Final[Mapping[str, str]] = {
    "throughput": "settled payments/s",
    "cpu": "CPU ms/payment",
    "cpu_python": "… Python",
    "cpu_servers": "… Redis, MongoDB",
    "yardstick": "simulator's CPU ms",
    "cpu_relative": "CPU in simulator's",
    "accepted_p50": "202 in ms, p50",
    "accepted_p95": "… p95",
    "accepted_p99": "… p99",
    "charged_p50": "charged in ms, p50",
    "charged_p95": "… p95",
    "charged_p99": "… p99",
    "captured_p50": "stored in ms, p50",
    "captured_p95": "… p95",
    "captured_p99": "… p99",
    "others": "others' cores",
}
#: Figures that are also given as ours divided by the peer's.
RATIOS: Final = ("throughput", "cpu", "cpu_python", "cpu_relative")


def percentiles(seconds: Iterable[float]) -> Percentiles:
    """Percentiles of at least one time, by the nearest rank."""
    ordered = sorted(seconds)

    def at(share: float) -> float:
        place = min(int(share * len(ordered)), len(ordered) - 1)
        return ordered[place] * MILLISECONDS

    return Percentiles(at(0.50), at(0.95), at(0.99))


def medians(rounds: Sequence[Round]) -> dict[str, float]:
    """Each figure's median over the rounds of one side."""
    measured = [round.figures() for round in rounds]
    return {
        name: median(figures[name] for figures in measured)
        for name in FIGURES
        if all(name in figures for figures in measured)
    }


def ratios(ours: Sequence[Round], peer: Sequence[Round]) -> dict[str, list[float]]:
    """Each of RATIOS, round by round: ours divided by the peer's of the same round."""
    return {
        name: [
            mine.figures()[name] / theirs.figures()[name]
            for mine, theirs in zip(ours, peer, strict=True)
        ]
        for name in RATIOS
    }
