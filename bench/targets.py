"""The targets: how our figures should compare with those of another side. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bench.figures import FIGURES, MORE_IS_BETTER
from bench.sides import Role


@dataclass(frozen=True, slots=True)
class Target:
    """A limit of a figure; a ratio to the side of ``against``, or a difference."""

    figure: str
    against: Role
    limit: float
    difference: bool = False

    @property
    def text(self) -> str:
        """The target in words."""
        least = "at least" if self.figure in MORE_IS_BETTER else "at most"
        unit = " ms more than" if self.difference else " times"
        return f"{FIGURES[self.figure]}: {least} {self.limit:g}{unit}"

    def measure(self, ours: float, theirs: float) -> float:
        """The compared value of two values of the figure."""
        return ours - theirs if self.difference else ours / theirs

    def is_reached(self, measured: float) -> bool:
        """Whether a compared value keeps the limit."""
        if self.figure in MORE_IS_BETTER:
            return measured >= self.limit
        return measured <= self.limit


TARGETS: Final = (
    Target("throughput", Role.DURABLE, 2.8),
    Target("cpu", Role.DURABLE, 0.36),
    Target("throughput", Role.NO_DATABASE, 1.6),
    Target("cpu", Role.NO_DATABASE, 0.75),
    Target("cpu", Role.FLOOR, 1.5),
    Target("lone_p50", Role.DURABLE, 15, difference=True),
)
