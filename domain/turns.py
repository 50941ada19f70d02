"""Who goes next, where several lines wait at one door."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest


def in_turns(lines: Sequence[Sequence[str]], most: int) -> list[str]:
    """At most so many of all lines, each once: one of each line, and again."""
    turns = (one for turn in zip_longest(*lines) for one in turn if one is not None)
    return list(dict.fromkeys(turns))[:most]
