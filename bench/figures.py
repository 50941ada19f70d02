"""The measurements of a round, and the figures from them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.sides import SERVERS, Counts

#: In a second.
MILLISECONDS: Final = 1000.0
#: Bytes.
MEBIBYTE: Final = 2**20


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Milliseconds."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One side, measured once; any entry in ``faults`` is a failure."""

    side: str
    number: int
    payments: int
    seconds: float  #: from the first request to the last settled payment
    cpu: Mapping[str, float]  #: CPU seconds by process, children included
    #: CPU seconds of the load generator and of Stripe: the same work for all sides.
    yardstick: float
    others: float  #: cores used by other programs
    memory: Mapping[str, int]  #: resident bytes by process, at the peak of their sum
    counts: Counts
    accepted: Percentiles  #: from the request to its 202
    charged: Percentiles  #: from the request to the charge in Stripe's ledger
    captured: Percentiles | None  #: from the request to the stored outcome
    half: Percentiles | None  #: from the request to its 202, at half of the throughput
    #: From the request to the settled payment, for payments one after another.
    lone: Percentiles | None
    faults: tuple[str, ...]

    def figures(self) -> dict[str, float]:
        """The reported figures, by FIGURES."""
        servers = sum(self.cpu[name] for name in self.cpu.keys() & SERVERS)
        in_servers = sum(self.memory[name] for name in self.memory.keys() & SERVERS)
        memory = sum(self.memory.values())
        each = MILLISECONDS / self.payments
        found = {
            "throughput": self.payments / self.seconds,
            "cpu": sum(self.cpu.values()) * each,
            "cpu_python": (sum(self.cpu.values()) - servers) * each,
            "cpu_servers": servers * each,
            "yardstick": self.yardstick * each,
            "cpu_relative": sum(self.cpu.values()) / self.yardstick,
            "memory": memory / MEBIBYTE,
            "memory_python": (memory - in_servers) / MEBIBYTE,
            "messages": self.counts.messages / self.payments,
            "redis_commands": self.counts.redis / self.payments,
            "mongo_commands": self.counts.mongo / self.payments,
            "others": self.others,
        }
        for name in ("accepted", "charged", "captured", "half", "lone"):
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
    "lone_p50": "lone payment, ms to settled, p50",
    "half_p50": "202 at half load in ms, p50",
    "half_p99": "… p99",
    "accepted_p50": "202 at full load in ms, p50",
    "accepted_p99": "… p99",
    "charged_p50": "charged in ms, p50",
    "charged_p99": "… p99",
    "captured_p50": "stored in ms, p50",
    "captured_p99": "… p99",
    "memory": "memory in MiB",
    "memory_python": "… Python",
    "messages": "messages/payment",
    "redis_commands": "Redis commands/payment",
    "mongo_commands": "MongoDB commands/payment",
    "yardstick": "load's and Stripe's CPU ms",
    "cpu_relative": "CPU in load's and Stripe's",
    "others": "others' cores",
}
#: Figures that are also given as ours divided by another side's.
RATIOS: Final = (
    *("throughput", "cpu", "cpu_python", "cpu_servers", "cpu_relative", "memory"),
    *("lone_p50", "half_p50", "half_p99"),
)
#: Figures where more is better. Less is better for all others.
MORE_IS_BETTER: Final = frozenset({"throughput"})


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
        for name in measured[0]
        if all(name in figures for figures in measured)
    }


def ratios(ours: Sequence[Round], theirs: Sequence[Round], name: str) -> list[float]:
    """The figure ``name``, round by round: ours divided by theirs of the same round.

    Empty if a round lacks it, or theirs is 0.
    """
    pairs = [
        (mine.figures().get(name), other.figures().get(name))
        for mine, other in zip(ours, theirs, strict=True)
    ]
    found = [mine / other for mine, other in pairs if mine is not None and other]
    return found if len(found) == len(pairs) else []


def best(name: str, by_side: Mapping[str, float]) -> str:
    """The side with the best value of the figure ``name``."""
    choose = max if name in MORE_IS_BETTER else min
    return choose(by_side, key=by_side.__getitem__)
